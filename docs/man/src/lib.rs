//! Pages of the manual. Those of programs are made of their options, that of the configuration of `conf/full.toml`, those
//! of scripts of the comment at their top.
#![forbid(unsafe_code)]

mod configuration;
mod page;
mod program;
mod script;

pub use page::Page;

use clap::CommandFactory;
use program::Program;
use std::io;

/// Every page.
///
/// # Errors
///
/// A page can't be rendered.
pub fn pages() -> io::Result<Vec<Page>> {
    let programs = [
        Program {
            command: control::cli::command(),
            section: 1,
            exit: "0 done, 1 the daemon refused, 2 wrong usage, 3 no daemon answers on the socket. \
                   check and ready have codes of their own.",
            files: &[page::SOCKET],
            see: &["tidegated(8)", "tidegate.toml(5)"],
        },
        Program {
            command: control::options::Options::command(),
            section: 8,
            exit: "0 done, 1 it cannot run here, or no longer, 2 wrong usage or configuration.",
            files: &[page::CONFIGURATION, page::SOCKET],
            see: &[
                "tidegate(1)",
                "tidegate.toml(5)",
                "tidegate-bind-nic(8)",
                "tidegate-hugepages(8)",
            ],
        },
        Program {
            command: storm::options::Options::command(),
            section: 1,
            exit: "0 done, 1 a transfer failed, 2 wrong usage, 3 the environment does not permit the run.",
            files: &[],
            see: &["tidegate-traces(1)", "tidegated(8)"],
        },
        Program {
            command: traces::options::Options::command(),
            section: 1,
            exit: "0 done, 1 a capture could not be written, 2 wrong usage.",
            files: &[],
            see: &["tidegate-storm(1)", "tidegated(8)"],
        },
    ];
    let mut pages = vec![
        configuration::page(),
        script::page("tidegate-hugepages", include_str!("../../../scripts/hugepages")),
        script::page("tidegate-bind-nic", include_str!("../../../scripts/bind-nic")),
    ];
    for program in programs {
        pages.extend(program.pages()?);
    }
    Ok(pages)
}
