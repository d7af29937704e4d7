//! Names for the completion of arguments in a shell, from the running daemon. Without one there are none.

use super::SOCKET;
use super::client::{ask_within, parse};
use crate::api::{Backend, Request, Service, Status};
use clap_complete::engine::CompletionCandidate;
use engine::types::drop_reason::DropReason;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Time after which a daemon that does not answer is given up: the operator waits for the shell.
const PATIENCE: Duration = Duration::from_millis(500);

/// Services, each with its protocol and VIPs.
pub fn services() -> Vec<CompletionCandidate> {
    let services: Vec<Service> = ask(&Request::Services {});
    let named = services.into_iter().map(|Service { name, protocol, vips, .. }| {
        let vips: Vec<_> = vips.iter().map(ToString::to_string).collect();
        candidate(&name, format!("{protocol}, {}", vips.join(", ")))
    });
    named.collect()
}

/// Backends of the services on the command line; of all, if there is none.
pub fn backends() -> Vec<CompletionCandidate> {
    let (all, words): (Vec<Backend>, _) = (ask(&Request::Backends {}), words());
    let is_named = |one: &Backend| words.iter().any(|word| *word == *one.service);
    let is_any = !all.iter().any(is_named);
    let mut backends: Vec<_> = all.into_iter().filter(|one| is_any || is_named(one)).collect();
    backends.sort_by(|one, other| one.name.cmp(&other.name));
    backends.dedup_by(|one, other| one.name == other.name);
    let named = backends.into_iter().map(|Backend { name, address, service, state, .. }| {
        candidate(&name, format!("{address}, {state} in {service}"))
    });
    named.collect()
}

/// Interfaces, each with its device.
pub fn interfaces() -> Vec<CompletionCandidate> {
    let status: Option<Status> = ask(&Request::Status {});
    let interfaces = status.into_iter().flat_map(|status| status.interfaces);
    interfaces.map(|one| candidate(&one.name, one.device)).collect()
}

/// Reasons for drops, each with its meaning.
pub fn reasons() -> Vec<CompletionCandidate> {
    let all = DropReason::ALL.iter();
    all.map(|reason| candidate(reason.name(), reason.meaning().to_owned())).collect()
}

fn candidate(name: &str, help: String) -> CompletionCandidate {
    CompletionCandidate::new(name).help(Some(help.into()))
}

/// The daemon's answer, or nothing: a message would end up in the command line.
fn ask<T: DeserializeOwned + Default>(request: &Request) -> T {
    let answer = ask_within(&socket(), request, PATIENCE).and_then(parse);
    answer.unwrap_or_default()
}

/// The socket that the command line names.
fn socket() -> PathBuf {
    let words = words();
    let named = words.iter().zip(words.iter().skip(1)).find(|(option, _)| *option == "--socket");
    named.map_or(SOCKET.into(), |(_, path)| path.into())
}

/// The command line so far, which the shell puts behind `--`.
fn words() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}
