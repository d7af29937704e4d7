//! The pages of a program and its commands.

use crate::page::{self, Page, SOURCE};
use clap::Command;
use clap_mangen::Man;
use roff::{Roff, roman};
use std::io;

/// A program, and what its options do not say.
pub struct Program {
    /// The options.
    pub command: Command,
    /// The section of the manual.
    pub section: u8,
    /// Exit codes, each with its meaning.
    pub exit: &'static str,
    /// Files that the program uses.
    pub files: &'static [(&'static str, &'static str)],
    /// Other pages.
    pub see: &'static [&'static str],
}

impl Program {
    /// The program's page, and one for each of its commands.
    ///
    /// # Errors
    ///
    /// A page can't be rendered.
    pub fn pages(self) -> io::Result<Vec<Page>> {
        let mut command = self.command.clone().disable_help_subcommand(true);
        command.build();
        let mut pages = vec![];
        self.add(&command, &[], &mut pages)?;
        Ok(pages)
    }

    fn add(&self, command: &Command, above: &[&str], pages: &mut Vec<Page>) -> io::Result<()> {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let section = self.section.to_string();
        let man = Man::new(command.clone()).section(&section).source(SOURCE).manual("Tidegate");
        let mut text = vec![];
        man.render(&mut text)?;
        let mut more = Roff::new();
        if above.is_empty() {
            more.control("SH", ["EXIT STATUS"]);
            more.text([roman(self.exit)]);
            page::end(&mut more, self.files, self.see);
        } else {
            page::end(&mut more, &[], above);
        }
        more.to_writer(&mut text)?;
        let text = String::from_utf8(text).map_err(io::Error::other)?;
        pages.push(Page { file: format!("{name}.{section}"), text });
        let title = format!("{name}({section})");
        for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            self.add(below, &[&title], pages)?;
        }
        Ok(())
    }
}
