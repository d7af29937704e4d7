//! Writes the pages of the manual: `manual FOLDER`.
#![forbid(unsafe_code)]

use clap::Parser;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Writes the pages of the manual.
#[derive(Debug, Parser)]
struct Options {
    /// Folder for the pages.
    folder: PathBuf,
}

fn main() -> io::Result<()> {
    let Options { folder } = Options::parse();
    fs::create_dir_all(&folder)?;
    for page in manual::pages()? {
        fs::write(folder.join(&page.file), page.text)?;
    }
    Ok(())
}
