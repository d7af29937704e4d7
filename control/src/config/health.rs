//! Checks of a service's health checks.

use super::check::Checker;
use super::file::{self, Maybe, OneOrMany, place};
use super::types::{Canary, Health, Login, Mode, Probe, Program};
use engine::snapshot::Protocol;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(1);
const RISE: u64 = 2;
const FALL: u64 = 3;

const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);
const MOST_IN_A_ROW: u64 = 1000;
/// The longest file name, so that a request fits any server's buffer.
const LONGEST_NAME: usize = 255;

const FTP_PORT: u64 = 21;
const SSH_PORT: u64 = 22;

/// The values of `check`.
const KNOWN: [&str; 6] = ["tftp", "ftp", "ssh", "tcp", "icmp", "command"];

impl Checker {
    pub fn health(
        &mut self,
        written: &file::Health,
        (protocol, own_port): (Protocol, u16),
        mode: &Mode,
    ) -> Option<Health> {
        self.keys_of_its_check(written);
        let own_port = u64::from(own_port);
        // A check goes to the service's port if what it tries can be there.
        let (ftp, ssh, tcp) = match protocol {
            Protocol::Tcp => (own_port, own_port, own_port),
            Protocol::Ftp(_) => (own_port, SSH_PORT, own_port),
            Protocol::Tftp | Protocol::Udp | Protocol::Any => (FTP_PORT, SSH_PORT, 0),
        };
        let (probe, port) = match written.check.as_ref().as_str() {
            "tftp" => {
                self.asks_for_files(written, protocol);
                (self.canary(written).map(Probe::Tftp), own_port)
            }
            "ftp" => (Some(Probe::Ftp(self.login(written))), ftp),
            "ssh" => (Some(Probe::Ssh), ssh),
            "tcp" => {
                let has_port = tcp > 0 || written.port.is_some();
                (self.needed(written, has_port, "port").map(|()| Probe::Tcp), tcp)
            }
            "icmp" => (Some(Probe::Icmp), 0),
            "command" => (self.command(written, mode).map(Probe::Command), own_port),
            other => {
                let hint = format!("one of {}", KNOWN.map(|name| format!("\"{name}\"")).join(", "));
                self.fault(written.check.span(), format!("there is no check `{other}`"), hint);
                (None, 0)
            }
        };
        let port =
            if written.port.is_some() { self.number(&written.port, 0, 1..=65_535) } else { port };
        let interval = self.length(&written.interval, INTERVALS).unwrap_or(INTERVAL);
        Some(Health {
            port: port as u16,
            interval,
            timeout: self.timeout(&written.timeout, interval),
            rise: self.number(&written.rise, RISE, 1..=MOST_IN_A_ROW) as u32,
            fall: self.number(&written.fall, FALL, 1..=MOST_IN_A_ROW) as u32,
            probe: probe?,
        })
    }

    /// Refuses keys that belong to another kind of check, and would have no effect.
    fn keys_of_its_check(&mut self, written: &file::Health) {
        let check: &str = written.check.as_ref();
        let mut only = |key: &str, place: Option<Range<usize>>, checks: &[&str]| {
            if let Some(place) = place
                && KNOWN.contains(&check)
                && !checks.contains(&check)
            {
                let what = format!("`{key}` does not go with `check = \"{check}\"`");
                self.fault(place, what, "leave it out");
            }
        };
        only("file", place(&written.file), &["tftp"]);
        only("size", place(&written.size), &["tftp"]);
        only("sha256", place(&written.sha256), &["tftp"]);
        only("user", place(&written.user), &["ftp"]);
        only("password", place(&written.password), &["ftp"]);
        only("command", place(&written.command), &["command"]);
        only("port", place(&written.port), &["tftp", "ftp", "ssh", "tcp", "command"]);
    }

    fn asks_for_files(&mut self, written: &file::Health, protocol: Protocol) {
        if protocol != Protocol::Tftp {
            let name = protocol.name();
            let what = format!("`check = \"tftp\"` does not go with `protocol = \"{name}\"`");
            self.fault(written.check.span(), what, "use another check");
        }
    }

    /// Refuses a check without a key that it needs.
    fn needed(&mut self, written: &file::Health, is_there: bool, key: &str) -> Option<()> {
        if !is_there {
            let what = format!("a check without `{key}`");
            self.fault(written.check.span(), what, format!("this one needs `{key}`"));
        }
        is_there.then_some(())
    }

    fn canary(&mut self, written: &file::Health) -> Option<Canary> {
        self.needed(written, written.file.is_some(), "file")?;
        let name = written.file.as_ref()?;
        let file: &str = name.as_ref();
        if file.is_empty() || file.len() > LONGEST_NAME || file.chars().any(char::is_control) {
            let hint = format!("1 to {LONGEST_NAME} bytes, none of them a control character");
            self.fault(name.span(), "no file of a TFTP server", hint);
        }
        let size = &written.size;
        let size = size.is_some().then(|| self.number(size, 0, 0..=Canary::MOST));
        let sha256 = written.sha256.as_ref().and_then(|written| self.digest(written));
        Some(Canary { file: file.to_owned(), size, sha256 })
    }

    fn digest(&mut self, written: &Spanned<String>) -> Option<[u8; 32]> {
        let text: &str = written.as_ref();
        let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits {
            self.fault(
                written.span(),
                "no SHA-256",
                "64 hexadecimal digits, as sha256sum prints them",
            );
            return None;
        }
        let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap_or_default();
        Some(std::array::from_fn(byte))
    }

    fn login(&mut self, written: &file::Health) -> Option<Login> {
        for word in [&written.user, &written.password].into_iter().flatten() {
            if word.as_ref().is_empty() || word.as_ref().chars().any(char::is_control) {
                let hint = "at least one character, and no control characters";
                self.fault(word.span(), "no word of a login", hint);
            }
        }
        match (&written.user, &written.password) {
            (None, None) => None,
            (Some(user), Some(password)) => {
                Some(Login { user: user.as_ref().clone(), password: password.as_ref().clone() })
            }
            (Some(one), None) | (None, Some(one)) => {
                let hint = "a login has both `user` and `password`";
                self.fault(one.span(), "half a login", hint);
                None
            }
        }
    }

    fn command(&mut self, written: &file::Health, mode: &Mode) -> Option<Program> {
        if *mode == Mode::Dsr {
            let what = "`check = \"command\"` does not go with `mode = \"dsr\"`";
            let hint = "a program can't be sent to the VIP at the backend: use another check";
            self.fault(written.check.span(), what, hint);
        }
        self.needed(written, written.command.is_some(), "command")?;
        let command = written.command.as_ref()?;
        let words: Vec<String> = match command.as_ref() {
            OneOrMany::One(line) => line.split_whitespace().map(str::to_owned).collect(),
            OneOrMany::Many(words) => words.iter().map(|word| word.as_ref().clone()).collect(),
        };
        if words.first().is_none_or(String::is_empty)
            || words.iter().any(|word| word.contains('\0'))
        {
            let hint = "written like \"check_ssh -H HOST\", or as a list of words";
            self.fault(command.span(), "no command", hint);
        }
        if self.program_user.is_none() {
            let hint = "there is no user `nobody` here: name one in `control.script_user`";
            self.fault(command.span(), "a command and nobody to run it as", hint);
        }
        Some(Program { words, user: self.program_user? })
    }

    /// Reads the timeout, which is no longer than the interval: checks of a backend don't overlap.
    fn timeout(&mut self, written: &Maybe<String>, interval: Duration) -> Duration {
        let Some(timeout) = self.length(written, TIMEOUTS) else { return TIMEOUT.min(interval) };
        if let (true, Some(place)) = (timeout > interval, place(written)) {
            let interval = humantime::format_duration(interval);
            let hint = format!("at most the interval, which is {interval}");
            self.fault(place, "a timeout that is longer than the interval", hint);
        }
        timeout
    }
}

#[cfg(test)]
mod tests;
