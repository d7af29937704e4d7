//! Health checks: every so often a probe asks each backend for what it is there for, over ordinary
//! sockets and so through the kernel and the TAPs. A probe is a file here and a line in `Probe::find`.

mod command;
mod ftp;
mod icmp;
mod lines;
mod run;
mod said;
mod ssh;
mod state;
mod target;
mod tcp;
mod tftp;

pub use run::Checks;

use crate::config::Probe;
use target::Target;

/// A probe's finding: the backend is well, and what there is to say of that, in a few words.
type Finding = Result<String, Trouble>;

/// Why a probe did not find the backend well.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    /// The backend is to blame.
    Theirs(String),
    /// We are, and know no more of the backend than before: there are no more sockets, or no such
    /// program.
    Ours(String),
}

impl Probe {
    /// Asks. It has no end of its own, and may be dropped at any time: then it leaves nothing behind.
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

/// The backend is to blame for this.
fn theirs<T>(what: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Theirs(what.into()))
}

#[cfg(test)]
mod tests;
