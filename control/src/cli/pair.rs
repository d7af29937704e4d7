//! `tidegate pair`: the key by which two gates know each other.

use super::client::Failure;
use super::output::print;
use crate::pair::key::Key;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Options of the command.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a new key into a new file, which only its owner can use. Both gates need a copy.
    Key {
        #[arg(value_name = "FILE", default_value = "/etc/tidegate/pair.key")]
        file: PathBuf,
    },
}

/// Runs the command, without the daemon.
pub fn run(json: bool, options: &Options) -> Result<(), Failure> {
    match &options.command {
        Command::Key { file } => {
            key(file).map_err(|error| Failure::File(file.clone(), error))?;
            print(&if json {
                format!("{:#}", json!({ "key": file }))
            } else {
                let words = "Copy this file to the other gate, with mode 0600: both need the same.";
                format!("{}\n{words}", file.display())
            })
        }
    }
}

fn key(file: &Path) -> io::Result<()> {
    Key::draw()?.write(file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let words =
                "there is a file, which the other gate may have too; remove it for a new key";
            io::Error::new(ErrorKind::AlreadyExists, words)
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// The command line as a program of its own.
    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &[&str]) -> Result<Options, clap::Error> {
        Alone::try_parse_from([&["pair"], words].concat()).map(|alone| alone.options)
    }

    #[test]
    fn a_key_has_its_usual_place() {
        let Command::Key { file } = options(&["key"]).expect("options").command;
        assert_eq!(file, Path::new("/etc/tidegate/pair.key"));
        assert!(options(&[]).is_err() && options(&["keys"]).is_err());
    }

    #[test]
    fn a_key_is_written_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.key");
        let options = options(&["key", file.to_str().expect("a path")]).expect("options");
        run(false, &options).expect("a key");
        let key = Key::read(&file).expect("a key");
        let failure = run(false, &options).expect_err("there is one");
        assert_eq!(failure.exit_code(), 1);
        let shown = failure.to_string();
        assert!(
            shown.ends_with(
                "a.key: there is a file, which the other gate may have too; remove it for a new key"
            ),
            "{shown}"
        );
        assert_eq!(Key::read(&file), Ok(key));
    }
}
