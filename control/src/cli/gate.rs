//! `tidegate gate`: the gate gives up its addresses for maintenance, and takes them again.

use super::client::{self, Failure, parse};
use super::output::print;
use crate::api::{self, GateOrder, Request, ToGate};
use crate::pair::state::list;
use clap::Subcommand;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// Orders.
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// The gate gives up its addresses, and `tidegate ready` says no.
    Drain {
        /// Wait until tidegated can be stopped, for so long. Exit code 1: it can't be yet.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        wait: Option<Duration>,
    },
    /// The gate serves again.
    Enable,
}

/// Gives an order to the daemon on this socket.
pub fn run(socket: &Path, json: bool, command: &GateCommand) -> Result<ExitCode, Failure> {
    let (order, wait) = match command {
        GateCommand::Drain { wait } => (GateOrder::Drain, *wait),
        GateCommand::Enable => (GateOrder::Enable, None),
    };
    let start = Instant::now();
    let (answer, gate) = loop {
        let answer = client::ask(socket, &Request::Gate(ToGate { order }))?;
        let gate: api::Gate = parse(answer.clone())?;
        if gate.done || wait.is_none_or(|wait| start.elapsed() >= wait) {
            break (answer, gate);
        }
        sleep(PAUSE);
    };
    print(&if json { format!("{answer:#}") } else { words(&gate) })?;
    Ok(ExitCode::from(u8::from(wait.is_some() && !gate.done)))
}

fn words(gate: &api::Gate) -> String {
    let api::Gate { drained, held, transfers, in_step, done } = gate;
    if !drained {
        return "enabled".to_owned();
    }
    if *done {
        return "drained: tidegated can be stopped".to_owned();
    }
    let held = (!held.is_empty()).then(|| format!("it still holds {}", list(held)));
    let transfers = (*transfers > 0 && *in_step != Some(true)).then(|| {
        let whose = match in_step {
            Some(_) => "that the other gate may not know",
            None => "that may still need it",
        };
        format!("it has {transfers} transfers {whose}")
    });
    let reasons: Vec<_> = held.into_iter().chain(transfers).collect();
    format!("drained, do not stop tidegated yet: {}", reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_whether_it_can_be_stopped() {
        let held = vec!["10.0.0.100".parse().unwrap(), "10.0.0.101".parse().unwrap()];
        let gate = api::Gate { drained: true, held, transfers: 3, in_step: None, done: false };
        let begin = "drained, do not stop tidegated yet: ";
        for (gate, said) in [
            (
                gate.clone(),
                "it still holds 10.0.0.100, 10.0.0.101, it has 3 transfers that may still need it",
            ),
            (
                api::Gate { held: vec![], ..gate.clone() },
                "it has 3 transfers that may still need it",
            ),
            (
                api::Gate { held: vec![], in_step: Some(false), ..gate.clone() },
                "it has 3 transfers that the other gate may not know",
            ),
            (
                api::Gate { in_step: Some(true), ..gate.clone() },
                "it still holds 10.0.0.100, 10.0.0.101",
            ),
        ] {
            assert_eq!(words(&gate), format!("{begin}{said}"));
        }
        let done = api::Gate { done: true, ..gate.clone() };
        assert_eq!(words(&done), "drained: tidegated can be stopped");
        assert_eq!(words(&api::Gate { drained: false, ..gate }), "enabled");
    }
}
