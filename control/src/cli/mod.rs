//! The operator's command line, `tidegate`. A command becomes a request, and the answer a table.

mod capture;
mod check;
mod client;
mod drops;
#[cfg(test)]
mod fixture;
mod flows;
mod frames;
mod gate;
mod names;
mod output;
mod pair;
mod pcapng;
mod ready;
mod routes;
mod sample;
mod summary;
mod table;
#[cfg(feature = "top")]
mod top;
mod trace;

use crate::api::{self, Asker, Few, How, Request, Which};
use crate::backend_status;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::CompleteEnv;
use clap_complete::engine::ArgValueCandidates;
use client::{Failure, parse};
use output::print;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The daemon's socket, unless its configuration names another one.
const SOCKET: &str = "/run/tidegate/control.sock";

/// Shows what the tidegated on this machine does.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version)]
struct Options {
    /// The daemon's socket.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// Print one JSON document instead of a table.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Ask(Question),
    /// A Nagios plugin: a line, details below it, and exit codes 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    Check {
        /// Time over which drops are counted.
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
        interval: Duration,
    },
    /// Whether the gate can serve, for keepalived: workers turn, links are up, and each named service has a backend.
    /// Exit codes 0 ready, 1 not ready.
    Ready(ready::Options),
    /// Frames as they come in and as they leave, with what becomes of them, as pcapng.
    Capture(capture::Options),
    /// The ways of a client's packets, a line a stage.
    Trace(trace::Options),
    /// Reasons of drops with their packets, or the last frames that were dropped for one.
    Drops(drops::Options),
    /// The pair of gates: role, links and addresses; or writes the key that both need.
    Pair(pair::Options),
    /// Orders to the gate as a whole, before and after maintenance.
    #[command(subcommand)]
    Gate(gate::GateCommand),
    /// A live view in the terminal: services, backends, transfers and drops.
    #[cfg(feature = "top")]
    Top,
}

/// A command that is one request to the daemon.
#[derive(Debug, Subcommand)]
enum Question {
    /// Version, uptime, workers and interfaces.
    Status,
    /// Services: state, transfers now, totals.
    Services,
    /// Backends: state, transfers now, totals.
    Backends,
    /// Transfers and connections now, youngest first.
    Flows {
        /// Only this service's.
        #[arg(long, add = ArgValueCandidates::new(names::services))]
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
        #[arg(add = ArgValueCandidates::new(names::services))]
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
    Backend(BackendCommand),
    /// Reads the configuration again: shows what would change, then changes it.
    Reload {
        /// Only show it.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, Subcommand)]
enum BackendCommand {
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
    #[arg(add = ArgValueCandidates::new(names::services))]
    service: String,
    #[arg(add = ArgValueCandidates::new(names::backends))]
    backend: String,
}

/// The definition of the command line, for pages of the manual.
pub fn command() -> clap::Command {
    Options::command()
}

/// Runs the command of this process's arguments, or completes it for a shell that asks for that. Exit codes: 0 done, 1 the
/// daemon said no, 2 wrong usage, 3 no daemon on the socket; those of `check` are a plugin's, those of `ready` a script's.
pub fn main() -> ExitCode {
    CompleteEnv::with_factory(command).complete();
    let options = Options::parse();
    let result = match &options.command {
        Command::Ask(question @ Question::Stats { watch: true }) => watch(&options, question),
        Command::Ask(question) => once(&options, question),
        Command::Check { interval } => return check(&options, *interval),
        Command::Ready(ready) => return ready::run(&options.socket, options.json, ready),
        Command::Capture(capture) => capture::run(&options.socket, capture),
        Command::Trace(trace) => trace::run(&options.socket, options.json, trace),
        Command::Drops(drops) => drops::run(&options.socket, options.json, drops),
        Command::Gate(command) => match gate::run(&options.socket, options.json, command) {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Command::Pair(pair) => pair::run(&options.socket, options.json, pair),
        #[cfg(feature = "top")]
        Command::Top => top::run(&options.socket, options.json),
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

fn check(options: &Options, interval: Duration) -> ExitCode {
    let report = check::check(&options.socket, interval);
    // Nobody to tell that the output is gone: the code says it all.
    let _ = match options.json {
        true => writeln!(io::stdout(), "{:#}", json!(report)),
        false => writeln!(io::stdout(), "{report}"),
    };
    ExitCode::from(report.level as u8)
}

fn once(options: &Options, question: &Question) -> Result<(), Failure> {
    let answer = client::ask(&options.socket, &question.request())?;
    let text = if options.json { format!("{answer:#}") } else { question.show(answer, None)? };
    print(&text)
}

fn watch(options: &Options, question: &Question) -> Result<(), Failure> {
    const CLEAR: &str = "\x1b[H\x1b[2J";
    let mut before: Option<Value> = None;
    loop {
        let answer = client::ask(&options.socket, &question.request())?;
        let text = if options.json {
            answer.to_string()
        } else {
            question.show(answer.clone(), before.as_ref())?
        };
        let clear = if options.json || !io::stdout().is_terminal() { "" } else { CLEAR };
        let mut stdout = io::stdout();
        writeln!(stdout, "{clear}{text}").and_then(|()| stdout.flush()).map_err(Failure::Output)?;
        before = Some(answer);
        std::thread::sleep(Duration::from_secs(1));
    }
}

impl Question {
    fn request(&self) -> Request {
        match self {
            Question::Status => Request::Status {},
            Question::Services => Request::Services {},
            Question::Backends => Request::Backends {},
            Question::Flows { service, client, limit } => {
                Request::Flows(Which { service: service.clone(), client: *client, limit: *limit })
            }
            Question::Nat => Request::Nat {},
            Question::Routes { limit } => Request::Routes(Few { limit: *limit }),
            Question::Hash { service, client } => {
                Request::Hash(Asker { service: service.clone(), client: *client })
            }
            Question::Stats { .. } => Request::Stats {},
            Question::Backend(order) => order.request(),
            Question::Reload { check } => Request::Reload(How { check: *check }),
        }
    }

    /// Formats an answer for the operator; `before` is the answer of a second ago.
    fn show(&self, answer: Value, before: Option<&Value>) -> Result<String, Failure> {
        Ok(match self {
            Question::Status => table::status(&parse(answer)?),
            Question::Services => table::services(&parse(answer)?),
            Question::Backends => table::backends(&parse(answer)?),
            Question::Flows { .. } => flows::flows(&parse(answer)?),
            Question::Nat => routes::nat(&parse(answer)?),
            Question::Routes { .. } => routes::routes(&parse(answer)?),
            Question::Hash { .. } => routes::hash(&parse(answer)?),
            Question::Stats { .. } => {
                let before = before.cloned().map(parse).transpose()?;
                table::stats(&parse(answer)?, before.as_ref())
            }
            Question::Backend(_) => table::backends(&vec![parse(answer)?]),
            Question::Reload { .. } => table::reload(&parse(answer)?),
        })
    }
}

impl BackendCommand {
    fn request(&self) -> Request {
        let (name, order) = match self {
            BackendCommand::Drain(name) => (name, backend_status::AdminState::Draining),
            BackendCommand::Enable(name) => (name, backend_status::AdminState::Enabled),
            BackendCommand::Disable(name) => (name, backend_status::AdminState::Disabled),
            BackendCommand::Weight { name: Name { service, backend }, weight } => {
                let (service, backend) = (service.clone(), backend.clone());
                return Request::Weight(api::Weight { service, backend, weight: *weight });
            }
        };
        let Name { service, backend } = name;
        Request::Order(api::Order { service: service.clone(), backend: backend.clone(), order })
    }
}
