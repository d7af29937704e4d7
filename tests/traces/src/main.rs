//! The program `tidegate-traces`, which writes the captures for inspection.
#![forbid(unsafe_code)]

use clap::Parser;
use traces::options::Options;
use traces::rows::ROWS;
use traces::{capture, script};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Options { folder, scripts } = Options::parse();
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
