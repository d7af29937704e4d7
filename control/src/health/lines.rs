//! Lines over TCP: FTP's replies, SSH's greeting.

use super::finding::{ProbeError, backend_fault};
use super::target::Target;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Take};
use tokio::net::TcpStream;

/// The most bytes that are read: a greeting may be long, but has an end.
const MOST: u64 = 64 << 10;

/// A TCP connection that is read and written in lines.
pub struct Lines<'a> {
    target: &'a Target,
    stream: Take<BufReader<TcpStream>>,
}

impl<'a> Lines<'a> {
    /// Connects to a backend.
    pub async fn open(target: &'a Target) -> Result<Lines<'a>, ProbeError> {
        let stream = BufReader::new(target.connect().await?).take(MOST);
        Ok(Lines { target, stream })
    }

    /// Reads the next line, without its end.
    pub async fn next(&mut self) -> Result<Vec<u8>, ProbeError> {
        let mut line = vec![];
        if let Err(error) = self.stream.read_until(b'\n', &mut line).await {
            return self.target.unreached(&error);
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            let what = if self.stream.limit() == 0 { "it talks for ever" } else { "it hung up" };
            return backend_fault(what);
        }
        line.pop_if(|last| *last == b'\r');
        Ok(line)
    }

    /// Writes a line.
    pub async fn say(&mut self, line: &str) -> Result<(), ProbeError> {
        let stream = self.stream.get_mut();
        let sent = stream.write_all(format!("{line}\r\n").as_bytes()).await;
        sent.or_else(|error| self.target.unreached(&error))
    }
}
