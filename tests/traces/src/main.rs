//! Writes the captures, to look at.

use clap::Parser;
use std::path::PathBuf;
use traces::capture;
use traces::rows::ROWS;
use traces::script;

/// What real clients and servers do, as captures at the gate
#[derive(Parser)]
struct Arguments {
    /// Where to write them
    folder: PathBuf,
    /// What arrives, alone, as a fuzzer takes it
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
