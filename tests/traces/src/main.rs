//! Writes the captures for inspection.

use clap::Parser;
use std::path::PathBuf;
use traces::rows::ROWS;
use traces::{capture, script};

/// Habits of real clients and servers, as captures at the gate.
#[derive(Parser)]
struct Arguments {
    /// Folder for the captures.
    folder: PathBuf,
    /// Writes only arriving frames, in the fuzzer's format.
    #[arg(long)]
    scripts: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { folder, scripts } = Arguments::parse();
    std::fs::create_dir_all(&folder)?;
    for row in &ROWS {
        for &via in row.modes {
            let (path, moments) = (folder.join(row.file(via)), row.scene(via, 1).moments);
            if scripts {
                std::fs::write(path.with_extension("script"), script::encode(&moments))?;
            } else {
                capture::write(&path, &moments)?;
            }
        }
    }
    Ok(())
}
