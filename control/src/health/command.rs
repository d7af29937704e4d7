//! `command`: a program that says by its exit code how a backend is, as Nagios plugins do. Who writes it may make a
//! mistake, and who is checked may make use of one: it runs as a user that may do nothing, with nothing of ours.

use super::said::said;
use super::target::Target;
use super::{Finding, Trouble, theirs};
use crate::config::Program;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};
use process_wrap::tokio::{CommandWrap, ProcessSession};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncReadExt, copy, sink};
use tokio::process::{ChildStdout, Command};

/// Where Debian has them; they are in nobody's PATH.
const PLUGINS: &str = "/usr/lib/nagios/plugins";
/// All that is in its environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes that are kept of a program's words.
const MOST: u64 = 1024;

/// Runs it. If this is dropped, the program is killed, and all that it has started.
pub async fn find(program: &Program, target: &Target) -> Finding {
    let name = program.words.first().map(String::as_str).unwrap_or_default();
    let started = CommandWrap::from(command(program, target)).wrap(ProcessSession).spawn();
    let child = started.map_err(|error| Trouble::Ours(format!("cannot run `{name}`: {error}")))?;
    // Waiting for the program alone: for the whole group, a thread would wait that nothing ends.
    let mut child = child.into_inner();
    let group = Group(child.id().map(u32::cast_signed).map(Pid::from_raw));
    let output = match child.stdout().take() {
        Some(stdout) => read(stdout).await,
        None => vec![],
    };
    let ended = child.wait().await;
    // What it has left running would be there for ever, one more with each check.
    drop(group);
    match ended {
        Ok(status) => verdict(status, &said(&output)),
        Err(error) => Err(Trouble::Ours(format!("lost sight of `{name}`: {error}"))),
    }
}

/// The program, as the user that is meant and in no group but its own. Who is not root runs it as itself. What it
/// may do is gone by then ([`crate::privilege`]).
fn command(Program { words, user }: &Program, target: &Target) -> Command {
    let address = target.address.to_string();
    let port = target.port.to_string();
    let mut words = words.iter();
    let mut command = Command::new(file(words.next().map(String::as_str).unwrap_or_default()));
    command
        .args(words.map(|it| it.replace("HOST", &address).replace("PORT", &port)))
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if geteuid().is_root() {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// A plugin by its name alone, or any program.
fn file(name: &str) -> PathBuf {
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

/// The process group of a program, which dies with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It can only be gone already. As long as anything of it runs, its number is nobody else's.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
