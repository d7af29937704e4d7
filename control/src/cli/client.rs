//! The client's side of the socket: one request to the daemon.

use crate::api::Request;
use crate::jsonrpc;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time after which a daemon that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The failure of a command.
#[derive(Debug)]
pub enum Failure {
    /// Nobody answers on the socket.
    NoDaemon(PathBuf, io::Error),
    /// The daemon refused the request.
    Refused(String),
    /// The daemon's answer is not understood.
    Strange(String),
    /// The output can't be written.
    Output(io::Error),
    /// A file can't be created.
    File(PathBuf, io::Error),
    /// The command can't be used like this.
    Usage(&'static str),
}

impl Failure {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Refused(_) | Failure::Strange(_) | Failure::Output(_) | Failure::File(..) => 1,
            Failure::Usage(_) => 2,
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
            Failure::File(path, error) => write!(f, "cannot create {}: {error}", path.display()),
            Failure::Usage(why) => f.write_str(why),
        }
    }
}

/// Asks the daemon on this socket.
pub fn ask(socket: &Path, request: &Request) -> Result<Value, Failure> {
    ask_all(socket, [request]).map(|[answer]| answer)
}

/// Asks the daemon on this socket, and gives it up after this time.
pub fn ask_within(socket: &Path, request: &Request, patience: Duration) -> Result<Value, Failure> {
    converse(socket, [request], patience).map(|[answer]| answer)
}

/// Asks the daemon several things on one connection, which it answers one after the other.
pub fn ask_all<const N: usize>(
    socket: &Path,
    requests: [&Request; N],
) -> Result<[Value; N], Failure> {
    converse(socket, requests, PATIENCE)
}

fn converse<const N: usize>(
    socket: &Path,
    requests: [&Request; N],
    patience: Duration,
) -> Result<[Value; N], Failure> {
    let failed = |error| Failure::NoDaemon(socket.to_owned(), error);
    let mut connection = connect(socket, patience).map_err(failed)?;
    let mut answers = [const { Value::Null }; N];
    for (request, answer) in requests.into_iter().zip(&mut answers) {
        let line = exchange(&mut connection, &jsonrpc::request(request)).map_err(failed)?;
        *answer = match jsonrpc::result(&line) {
            Some(result) => result.map_err(Failure::Refused)?,
            None => return Err(Failure::Strange(line)),
        };
    }
    Ok(answers)
}

/// Parses an answer.
pub fn parse<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| Failure::Strange(error.to_string()))
}

fn connect(socket: &Path, patience: Duration) -> io::Result<BufReader<UnixStream>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(BufReader::new(stream))
}

fn exchange(connection: &mut BufReader<UnixStream>, request: &str) -> io::Result<String> {
    connection.get_mut().write_all(format!("{request}\n").as_bytes())?;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    if line.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(line) }
}
