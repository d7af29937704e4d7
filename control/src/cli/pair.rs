//! `tidegate pair`: the state of the pair, and the key by which two gates know each other.

use super::client::{self, Failure, parse};
use super::output::print;
use super::table::table;
use crate::api::{Pair, PairAddress, Request};
use crate::pair::key::Key;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Options of the command.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a new key into a new file, which only its owner can use. Both gates need a copy.
    Key {
        #[arg(value_name = "FILE", default_value = "/etc/tidegate/pair.key")]
        file: PathBuf,
    },
}

/// Runs the command; the daemon on this socket knows the pair's state.
pub fn run(socket: &Path, json: bool, options: &Options) -> Result<(), Failure> {
    match &options.command {
        None => {
            let answer = client::ask(socket, &Request::Pair {})?;
            print(&if json { format!("{answer:#}") } else { show(&parse(answer)?) })
        }
        Some(Command::Key { file }) => {
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

/// The pair as tables.
fn show(pair: &Pair) -> String {
    let mut links = table(&["FLOWS", "PEER", "LINKS", "ROWS", "LAST ROUND"], 2);
    for (name, link) in [("told", &pair.telling), ("heard of", &pair.hearing)] {
        links.add_row([
            name.to_owned(),
            link.version.as_ref().map_or("no link".to_owned(), |build| format!("tidegate {build}")),
            link.links.to_string(),
            link.rows.to_string(),
            link.lag.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s ago")),
        ]);
    }
    let mut addresses = table(&["ADDRESS", "HERE", "PEER"], 3);
    for PairAddress { address, held, held_by_peer } in &pair.addresses {
        let words = |holds: bool| if holds { "held" } else { "-" };
        let peer = held_by_peer.map_or("unknown", words);
        addresses.add_row([address.to_string(), words(*held).to_owned(), peer.to_owned()]);
    }
    let step = if pair.in_step { "in step" } else { "not in step" };
    let refused: Vec<_> = pair
        .refused
        .iter()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    let refused = if refused.is_empty() {
        String::new()
    } else {
        format!("\nrows refused: {}", refused.join(", "))
    };
    let by_peer = if pair.refused_by_peer { "\nthe peer refuses rows" } else { "" };
    let on = match pair.second_chance_by.join(", ") {
        none if none.is_empty() => none,
        some => format!("\npackets of the peer's flows go on to it by {some}"),
    };
    let Pair { role, listen, peer, .. } = pair;
    format!("{role}, {step}: {listen} and {peer}{refused}{by_peer}{on}\n\n{links}\n\n{addresses}")
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
        let command = options(&["key"]).expect("options").command;
        let Some(Command::Key { file }) = command else { panic!("another command") };
        assert_eq!(file, Path::new("/etc/tidegate/pair.key"));
        assert!(options(&["keys"]).is_err());
    }

    #[test]
    fn a_key_is_written_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.key");
        let options = options(&["key", file.to_str().expect("a path")]).expect("options");
        run(folder.path(), false, &options).expect("a key");
        let key = Key::read(&file).expect("a key");
        let failure = run(folder.path(), false, &options).expect_err("there is one");
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
