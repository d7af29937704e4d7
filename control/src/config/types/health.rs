//! Health checks of a service's backends.

use std::time::Duration;

/// Health checks of a service's backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The probe.
    pub probe: Probe,
    /// The port that is probed; an echo has none.
    pub port: u16,
    /// The time between two checks.
    pub interval: Duration,
    /// Silence after which a check has failed; no longer than the interval.
    pub timeout: Duration,
    /// Checks in a row that must pass before a dead backend is alive.
    pub rise: u32,
    /// Checks in a row that must fail before a backend is dead.
    pub fall: u32,
}

/// A probe of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// TFTP: a file is fetched.
    Tftp(Canary),
    /// FTP: a greeting, a login if there is one, and NOOP.
    Ftp(Option<Login>),
    /// SSH: a greeting.
    Ssh,
    /// TCP: a connection is opened.
    Tcp,
    /// ICMP: an echo request.
    Icmp,
    /// A program; `HOST` and `PORT` in its arguments stand for the backend's address and port.
    Command(Program),
}

/// A program that checks a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Program and arguments.
    pub words: Vec<String>,
    /// The user that runs the program, if the daemon runs as root.
    pub user: User,
}

/// An account of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
}

/// A file that is fetched as a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// The file's name.
    pub file: String,
    /// The file's size.
    pub size: Option<u64>,
    /// The file's digest.
    pub sha256: Option<[u8; 32]>,
}

impl Canary {
    /// The largest file: it is fetched at every check.
    pub const MOST: u64 = 1 << 20;
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}
