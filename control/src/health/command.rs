//! The probe `command`: a program whose exit code tells the health of a backend, as Nagios plugins do. A program may
//! have bugs that a backend can exploit: it runs as an unprivileged user, without our files, environment and
//! privileges.

use super::finding::{Finding, ProbeError, backend_fault};
use super::sanitize::sanitize;
use super::target::Target;
use crate::config::Program;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};
use process_wrap::tokio::{CommandWrap, ProcessSession};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncReadExt, copy, sink};
use tokio::process::{ChildStdout, Command};

/// The folder of plugins in Debian, which is in no PATH.
const PLUGINS: &str = "/usr/lib/nagios/plugins";
/// The only variable in the program's environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes that are kept of a program's output.
const MOST: u64 = 1024;

/// Runs the program. If the future is dropped, the program is killed with everything that it has started.
pub async fn find(program: &Program, target: &Target) -> Finding {
    let name = program.words.first().map(String::as_str).unwrap_or_default();
    let started = CommandWrap::from(command(program, target)).wrap(ProcessSession).spawn();
    let child =
        started.map_err(|error| ProbeError::Local(format!("cannot run `{name}`: {error}")))?;
    // Only the program is waited for: for the whole group a thread would wait that nothing ends.
    let mut child = child.into_inner();
    let group = Group(child.id().map(u32::cast_signed).map(Pid::from_raw));
    let output = match child.stdout().take() {
        Some(stdout) => read(stdout).await,
        None => vec![],
    };
    let ended = child.wait().await;
    // Processes that it left running would stay for ever, more with each check.
    drop(group);
    match ended {
        Ok(status) => verdict(status, &sanitize(&output)),
        Err(error) => Err(ProbeError::Local(format!("lost sight of `{name}`: {error}"))),
    }
}

/// The command for the program, with the configured user and that user's group only. A daemon that is not root runs
/// it as its own user. Capabilities are dropped already ([`crate::privilege`]).
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

/// The path of a program: plugins are found by their names.
fn file(name: &str) -> PathBuf {
    let plugin = Path::new(PLUGINS).join(name);
    if !name.contains('/') && plugin.exists() { plugin } else { PathBuf::from(name) }
}

/// Reads the output until the program and everything that it has started have closed it. The program still exists
/// then, even if as a zombie, so its process group's number is not reused.
async fn read(mut stdout: ChildStdout) -> Vec<u8> {
    let mut output = vec![];
    // Output that can't be read is ignored.
    let _ = (&mut stdout).take(MOST).read_to_end(&mut output).await;
    let _ = copy(&mut stdout, &mut sink()).await;
    output
}

fn verdict(status: ExitStatus, said: &str) -> Finding {
    let words = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(said.to_owned()),
        (Some(1), _) => Ok(words("warning".to_owned())),
        (Some(code), _) => backend_fault(words(format!("exit {code}"))),
        (None, signal) => {
            backend_fault(words(format!("killed by signal {}", signal.unwrap_or_default())))
        }
    }
}

/// The process group of a program, which is killed when this value is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended already. While any process of it runs, its number is not reused.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
