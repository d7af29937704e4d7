//! How backends are checked.

use std::time::Duration;

/// How backends are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The probe.
    pub probe: Probe,
    /// The port that it goes to; an echo goes to none.
    pub port: u16,
    /// How often.
    pub interval: Duration,
    /// Silence after which it has failed; no longer than the interval.
    pub timeout: Duration,
    /// So many in a row must pass for a dead backend to live.
    pub rise: u32,
    /// So many in a row must fail for it to be dead.
    pub fall: u32,
}

/// A probe of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A file is fetched.
    Tftp(Canary),
    /// A greeting, a login if there is one, and a command that does nothing.
    Ftp(Option<Login>),
    /// A greeting.
    Ssh,
    /// A connection.
    Tcp,
    /// An echo.
    Icmp,
    /// A program, in whose arguments `HOST` and `PORT` stand for the backend's.
    Command(Program),
}

/// A program that looks for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Program and arguments.
    pub words: Vec<String>,
    /// User that runs the program, if the daemon is root's.
    pub user: User,
}

/// An account of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Number of the user.
    pub uid: u32,
    /// Number of the user's group.
    pub gid: u32,
}

/// A file that is fetched to see whether that goes well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// The file's name.
    pub file: String,
    /// The bytes that it has.
    pub size: Option<u64>,
    /// The file's digest.
    pub sha256: Option<[u8; 32]>,
}

impl Canary {
    /// The most bytes of the file: it is fetched at every check.
    pub const MOST: u64 = 1 << 20;
}

/// The user that logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}
