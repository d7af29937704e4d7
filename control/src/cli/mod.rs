//! The operator's hand: `tidegate`. A command becomes a request, and the answer a table.

mod client;
mod flows;
mod table;
mod ways;

use crate::api::{self, Asker, Few, How, Request, Which};
use crate::standing;
use clap::{Args, Parser, Subcommand};
use client::Failure;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Shows what the tidegated on this machine does.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version)]
struct Options {
    /// The daemon's socket.
    #[arg(long, value_name = "PATH", default_value = "/run/tidegate/control.sock")]
    socket: PathBuf,
    /// Print one JSON document instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Version, uptime, workers and interfaces.
    Status,
    /// Services: state, transfers now, totals.
    Services,
    /// Backends: state, transfers now, totals.
    Backends,
    /// Transfers and connections now, youngest first.
    Flows {
        /// Only this service's.
        #[arg(long)]
        service: Option<String>,
        /// Only this client's.
        #[arg(long, value_name = "IP")]
        client: Option<IpAddr>,
        /// At most so many; 100 if left out.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Rules for connections that servers open by themselves, and how many each had.
    Nat,
    /// The kernel's routes by our interfaces, by address.
    Routes {
        /// At most so many; 100 if left out.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Which backend a client would get now, and why.
    Hash {
        service: String,
        #[arg(value_name = "IP")]
        client: IpAddr,
    },
    /// Counters, with the reasons of drops.
    Stats {
        /// Again every second, with what moved since, until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Gives a backend an order, which lasts until another one.
    #[command(subcommand)]
    Backend(Order),
    /// Reads the configuration again: shows what would change, then changes it.
    Reload {
        /// Only show it.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Order {
    /// The backend gets no new transfers, and finishes what it has.
    Drain(Name),
    /// The backend serves again.
    Enable(Name),
    /// The backend gets nothing any longer.
    Disable(Name),
    /// The backend's share of new transfers.
    Weight {
        #[command(flatten)]
        name: Name,
        /// From 0 to 1000; the file's weight: as the file says.
        #[arg(value_name = "N")]
        weight: u16,
    },
}

#[derive(Debug, Args)]
struct Name {
    service: String,
    backend: String,
}

/// Runs the command of this process's arguments. Exit codes: 0 done, 1 the daemon said no, 2 wrong
/// usage, 3 no daemon on the socket.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let result = match options.command {
        Command::Stats { watch: true } => watch(&options),
        _ => once(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough: `tidegate flows | head`.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("tidegate: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn once(options: &Options) -> Result<(), Failure> {
    let answer = client::ask(&options.socket, &options.command.request())?;
    let text =
        if options.json { format!("{answer:#}") } else { options.command.show(answer, None)? };
    writeln!(io::stdout(), "{text}").map_err(Failure::Output)
}

fn watch(options: &Options) -> Result<(), Failure> {
    const CLEAR: &str = "\x1b[H\x1b[2J";
    let mut before: Option<Value> = None;
    loop {
        let answer = client::ask(&options.socket, &options.command.request())?;
        let text = if options.json {
            answer.to_string()
        } else {
            options.command.show(answer.clone(), before.as_ref())?
        };
        let clear = if options.json || !io::stdout().is_terminal() { "" } else { CLEAR };
        let mut stdout = io::stdout();
        writeln!(stdout, "{clear}{text}").and_then(|()| stdout.flush()).map_err(Failure::Output)?;
        before = Some(answer);
        std::thread::sleep(Duration::from_secs(1));
    }
}

impl Command {
    fn request(&self) -> Request {
        match self {
            Command::Status => Request::Status {},
            Command::Services => Request::Services {},
            Command::Backends => Request::Backends {},
            Command::Flows { service, client, limit } => {
                Request::Flows(Which { service: service.clone(), client: *client, limit: *limit })
            }
            Command::Nat => Request::Nat {},
            Command::Routes { limit } => Request::Routes(Few { limit: *limit }),
            Command::Hash { service, client } => {
                Request::Hash(Asker { service: service.clone(), client: *client })
            }
            Command::Stats { .. } => Request::Stats {},
            Command::Backend(order) => order.request(),
            Command::Reload { check } => Request::Reload(How { check: *check }),
        }
    }

    /// The answer as an operator reads it; `before` is the one a second ago.
    fn show(&self, answer: Value, before: Option<&Value>) -> Result<String, Failure> {
        Ok(match self {
            Command::Status => table::status(&from(answer)?),
            Command::Services => table::services(&from(answer)?),
            Command::Backends => table::backends(&from(answer)?),
            Command::Flows { .. } => flows::flows(&from(answer)?),
            Command::Nat => ways::nat(&from(answer)?),
            Command::Routes { .. } => ways::routes(&from(answer)?),
            Command::Hash { .. } => ways::hash(&from(answer)?),
            Command::Stats { .. } => {
                let before = before.cloned().map(from).transpose()?;
                table::stats(&from(answer)?, before.as_ref())
            }
            Command::Backend(_) => table::backends(&vec![from(answer)?]),
            Command::Reload { .. } => table::reload(&from(answer)?),
        })
    }
}

impl Order {
    fn request(&self) -> Request {
        let (name, order) = match self {
            Order::Drain(name) => (name, standing::Order::Draining),
            Order::Enable(name) => (name, standing::Order::Enabled),
            Order::Disable(name) => (name, standing::Order::Disabled),
            Order::Weight { name: Name { service, backend }, weight } => {
                let (service, backend) = (service.clone(), backend.clone());
                return Request::Weight(api::Weight { service, backend, weight: *weight });
            }
        };
        let Name { service, backend } = name;
        Request::Order(api::Order { service: service.clone(), backend: backend.clone(), order })
    }
}

fn from<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| Failure::Strange(error.to_string()))
}
