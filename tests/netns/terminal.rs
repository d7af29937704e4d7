//! A real terminal, which tmux is.

use crate::daemon::Daemon;
use kit::lab::{Lab, until};
use std::path::PathBuf;
use std::process::{Command, Output};

/// A shell in a terminal, 120 columns wide, of a tmux server of its own.
pub struct Terminal(PathBuf);

impl Terminal {
    /// Opens one, which has ended when this is dropped.
    pub fn open(lab: &Lab) -> Terminal {
        let terminal = Terminal(lab.path("tmux.sock"));
        terminal.must(&["new-session", "-d", "-x", "120", "-y", "24", "env PS1='ready$ ' sh"]);
        terminal.shows("ready$");
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-f", "/dev/null", "-S"]).arg(&self.0).args(arguments);
        tmux.output().expect("tmux runs")
    }

    /// The output of a command of tmux.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.tmux(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types these keys, by tmux's names.
    pub fn press(&self, keys: &[&str]) {
        self.must(&[&["send-keys"], keys].concat());
    }

    /// The screen's text.
    pub fn screen(&self) -> String {
        self.must(&["capture-pane", "-p"])
    }

    /// Waits until the screen contains these words.
    pub fn shows(&self, words: &str) -> String {
        let mut screen = String::new();
        until(&format!("the terminal shows `{words}`"), || {
            screen = self.screen();
            screen.contains(words)
        });
        screen
    }

    /// Sends SIGTERM to the shell's child.
    pub fn terminate(&self) {
        let shell = self.must(&["display-message", "-p", "#{pane_pid}"]);
        let child = Command::new("pgrep").args(["-P", shell.trim()]).output().expect("pgrep runs");
        let child = String::from_utf8_lossy(&child.stdout).trim().to_owned();
        let killed = Command::new("kill").args(["-TERM", &child]).status().expect("kill runs");
        assert!(killed.success(), "the child {child} of {shell}");
    }

    /// Waits until the program has ended and the terminal is as it was: the shell's screen, with echo and lines.
    pub fn is_restored(&self, mark: &str) {
        self.shows("ready$");
        assert_eq!(self.must(&["display-message", "-p", "#{alternate_on}"]).trim(), "0");
        self.press(&[&format!("stty -a; echo {mark}-$((1+1))"), "Enter"]);
        let modes = self.shows(&format!("{mark}-2"));
        assert!(modes.contains(&format!("echo {mark}")), "what is typed is echoed: {modes}");
        for mode in ["icanon", "echo", "isig"] {
            assert!(modes.split_whitespace().any(|word| word == mode), "no {mode}: {modes}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- the terminal\n{}",
                String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout)
            );
        }
        self.tmux(&["kill-server"]);
    }
}

/// The command line of `tidegate top`, which runs in the lab's folder.
pub fn top(lab: &Lab, daemon: &Daemon) -> String {
    let (folder, program) = (lab.path(""), env!("CARGO_BIN_EXE_tidegate"));
    let socket = daemon.socket();
    format!("clear; cd {}; {program} --socket {} top", folder.display(), socket.display())
}
