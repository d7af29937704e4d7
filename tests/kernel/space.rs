//! A network namespace for each test: the test runs itself again inside of it.

use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Names the namespace that a test runs in; unset outside.
const INSIDE: &str = "TIDEGATE_TEST_NAMESPACE";
/// Names the role of a process that a test starts; unset for the test itself.
const ROLE: &str = "TIDEGATE_TEST_ROLE";
/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A namespace, removed when dropped.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    pub fn create(name: String) -> Namespace {
        let made = output(Command::new("ip").args(["netns", "add", &name]));
        assert!(
            made.status.success(),
            "cannot make a network namespace: these tests need root and iproute2 ({})",
            String::from_utf8_lossy(&made.stderr).trim()
        );
        let namespace = Namespace { name };
        namespace.run("ip link set lo up");
        namespace
    }

    /// Runs a command inside; panics if it fails.
    pub fn run(&self, command: &str) -> String {
        must(&format!("ip netns exec {} {command}", self.name))
    }

    /// Whether a command inside succeeds.
    pub fn try_run(&self, command: &str) -> bool {
        output(&mut split(&format!("ip netns exec {} {command}", self.name))).status.success()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        output(Command::new("ip").args(["netns", "del", &self.name]));
    }
}

/// Runs `body` in a namespace of its own. `test` is the name of the calling test.
pub fn inside(test: &str, body: impl FnOnce(&str)) {
    if let Ok(namespace) = std::env::var(INSIDE) {
        return body(&namespace);
    }
    let namespace =
        Namespace::create(format!("tg{}-{}", std::process::id(), test.replace("::", "-")));
    let enter = format!("ip netns exec {}", namespace.name);
    let (ended_well, said) = again(&enter, test, &namespace.name, "");
    assert!(ended_well, "{test} failed inside its namespace, see above");
    assert!(said.contains("1 passed"), "there is no test `{test}`");
}

/// This process's role; empty for the test itself.
pub fn role() -> String {
    std::env::var(ROLE).unwrap_or_default()
}

/// Runs `test` again in the same namespace in another role, through `launcher` (a command that runs a command). Returns
/// whether it succeeded, and its output.
pub fn play(launcher: &str, test: &str, role: &str) -> (bool, String) {
    let namespace = std::env::var(INSIDE).expect("roles are played inside a namespace");
    again(launcher, test, &namespace, role)
}

fn again(launcher: &str, test: &str, namespace: &str, role: &str) -> (bool, String) {
    let this = std::env::current_exe().expect("a test knows its program");
    let output = tempfile::tempfile().expect("a temporary file");
    let mut child = split(launcher)
        .arg(this)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, namespace)
        .env(ROLE, role)
        .stdout(output.try_clone().expect("a file can be opened twice"))
        .stderr(output.try_clone().expect("a file can be opened twice"))
        .spawn()
        .expect("the launcher runs");
    let start = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => break status.success(),
            None if start.elapsed() > LIMIT => {
                child.kill().expect("a child can be killed");
                child.wait().expect("a killed child ends");
                eprintln!("{test} took longer than {LIMIT:?}");
                break false;
            }
            None => sleep(Duration::from_millis(20)),
        }
    };
    let said = read_from_start(output);
    print!("{said}");
    (status, said)
}

fn read_from_start(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().expect("a file can be read again");
    file.read_to_string(&mut text).expect("test output is text");
    text
}

/// Runs a command in this namespace; panics if it fails.
pub fn must(command: &str) -> String {
    let output = output(&mut split(command));
    assert!(
        output.status.success(),
        "`{command}`: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn split(command: &str) -> Command {
    let mut words = command.split_whitespace();
    let mut split = Command::new(words.next().expect("a command"));
    split.args(words);
    split
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
