//! Writes the captures, to look at.

use clap::Parser;
use std::path::PathBuf;
use traces::capture;
use traces::rows::ROWS;

/// What real TFTP clients and servers do, as captures at the gate
#[derive(Parser)]
struct Arguments {
    /// Where to write them
    folder: PathBuf,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { folder } = Arguments::parse();
    std::fs::create_dir_all(&folder)?;
    for row in &ROWS {
        for &via in row.modes {
            capture::write(&folder.join(row.file(via)), &row.scene(via, 1).moments)?;
        }
    }
    Ok(())
}
