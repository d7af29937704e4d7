//! `command`: a program that says by its exit code how a backend is, as Nagios plugins do.

use super::said::said;
use super::target::Target;
use super::{Finding, Trouble, theirs};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncReadExt, copy, sink};
use tokio::process::{ChildStdout, Command};

/// Where Debian has them; they are in nobody's PATH.
const PLUGINS: &str = "/usr/lib/nagios/plugins";
/// What is kept of a program's words.
const MOST: u64 = 1024;

/// Runs it. If this is dropped, the program is killed, and all that it has started.
pub async fn find(words: &[String], target: &Target) -> Finding {
    let address = target.address.to_string();
    let port = target.port.to_string();
    let arguments =
        words.iter().skip(1).map(|it| it.replace("HOST", &address).replace("PORT", &port));
    let name = words.first().map(String::as_str).unwrap_or_default();
    let started = Command::new(program(name))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child =
        started.map_err(|error| Trouble::Ours(format!("cannot run `{name}`: {error}")))?;
    let mut group = Group(child.id().map(u32::cast_signed).map(Pid::from_raw));
    let output = match child.stdout.take() {
        Some(stdout) => read(stdout).await,
        None => vec![],
    };
    let ended = child.wait().await;
    group.0 = None;
    match ended {
        Ok(status) => verdict(status, &said(&output)),
        Err(error) => Err(Trouble::Ours(format!("lost sight of `{name}`: {error}"))),
    }
}

/// A plugin by its name alone, or any program.
fn program(name: &str) -> PathBuf {
    let plugin = Path::new(PLUGINS).join(name);
    if !name.contains('/') && plugin.exists() { plugin } else { PathBuf::from(name) }
}

/// All that it says, until it and whatever it has started have closed their output. So the program is
/// still there, be it as a zombie, and its process group nobody else's.
async fn read(mut stdout: ChildStdout) -> Vec<u8> {
    let mut output = vec![];
    // What can't be read was not said.
    let _ = (&mut stdout).take(MOST).read_to_end(&mut output).await;
    let _ = copy(&mut stdout, &mut sink()).await;
    output
}

fn verdict(status: ExitStatus, said: &str) -> Finding {
    let words = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(said.to_owned()),
        (Some(1), _) => Ok(words("warning".to_owned())),
        (Some(code), _) => theirs(words(format!("exit {code}"))),
        (None, signal) => theirs(words(format!("killed by signal {}", signal.unwrap_or_default()))),
    }
}

/// A process group that dies with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It can only be gone already.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
