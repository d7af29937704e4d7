//! Health checks: probes ask each backend at intervals for its service, over ordinary sockets, and so through the
//! kernel and the TAPs. A probe is a file in this folder and a line in `Probe::find`.

mod command;
mod finding;
mod ftp;
mod icmp;
mod lines;
pub mod passive;
mod run;
mod sanitize;
mod ssh;
mod state;
mod target;
mod tcp;
mod tftp;

pub use run::Checks;

use crate::config::Probe;
use finding::Finding;
use target::Target;

impl Probe {
    /// Probes a backend. A probe has no time limit; its future may be dropped at any time, and leaves nothing behind.
    async fn find(&self, target: &Target) -> Finding {
        match self {
            Probe::Tftp(canary) => tftp::find(canary, target).await,
            Probe::Ftp(login) => ftp::find(login.as_ref(), target).await,
            Probe::Ssh => ssh::find(target).await,
            Probe::Tcp => tcp::find(target).await,
            Probe::Icmp => icmp::find(target).await,
            Probe::Command(program) => command::find(program, target).await,
        }
    }
}

#[cfg(test)]
mod tests;
