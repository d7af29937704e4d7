//! One question to the daemon.

use crate::api::Request;
use crate::envelope;
use serde_json::Value;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A daemon that has not answered by then won't.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a command has no result.
#[derive(Debug)]
pub enum Failure {
    /// Nobody answers on the socket.
    NoDaemon(PathBuf, io::Error),
    /// The daemon said no.
    Refused(String),
    /// The daemon said something that this program does not understand.
    Strange(String),
    /// The output can't be written.
    Output(io::Error),
}

impl Failure {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Refused(_) | Failure::Strange(_) | Failure::Output(_) => 1,
            Failure::NoDaemon(..) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoDaemon(path, error) => {
                write!(f, "no tidegated answers on {}: {error}", path.display())
            }
            Failure::Refused(reason) => f.write_str(reason),
            Failure::Strange(what) => {
                write!(f, "the daemon's answer is not understood (another version?): {what}")
            }
            Failure::Output(error) => write!(f, "cannot write: {error}"),
        }
    }
}

/// Asks the daemon on this socket.
pub fn ask(socket: &Path, request: &Request) -> Result<Value, Failure> {
    let line = exchange(socket, &envelope::request(request))
        .map_err(|error| Failure::NoDaemon(socket.to_owned(), error))?;
    match envelope::result(&line) {
        Some(result) => result.map_err(Failure::Refused),
        None => Err(Failure::Strange(line)),
    }
}

fn exchange(socket: &Path, request: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    if line.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(line) }
}
