//! `tidegate ready`: whether the gate can serve, for keepalived's `vrrp_script`, in words and by the exit code.

use super::client::{self, Failure, parse};
use super::names;
use super::output::print;
use crate::api::{Needed, Readiness, Request};
use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Time after which a daemon that does not answer is given up. A script is called every second.
const PATIENCE: Duration = Duration::from_millis(900);

/// Options of the command.
#[derive(Debug, Args)]
pub struct Options {
    /// Services that must have a backend that is up.
    #[arg(value_name = "SERVICE", add = ArgValueCandidates::new(names::services))]
    services: Vec<String>,
}

/// Asks the daemon on this socket. Exit codes: 0 ready, 1 not ready for whatever reason.
pub fn run(socket: &Path, json: bool, options: &Options) -> ExitCode {
    match ask(socket, json, options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("tidegate: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn ask(socket: &Path, json: bool, options: &Options) -> Result<bool, Failure> {
    let request = Request::Ready(Needed { services: options.services.clone() });
    let answer = client::ask_within(socket, &request, PATIENCE)?;
    let text = format!("{answer:#}");
    let Readiness { ready, missing } = parse(answer)?;
    let words =
        if ready { "ready".to_owned() } else { format!("not ready: {}", missing.join(", ")) };
    print(if json { &text } else { &words })?;
    Ok(ready)
}
