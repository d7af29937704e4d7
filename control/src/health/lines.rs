//! Lines that a server says over TCP: FTP's replies, SSH's greeting.

use super::target::Target;
use super::{Trouble, theirs};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Take};
use tokio::net::TcpStream;

/// Bytes that are read at the most: a greeting may be long, but has an end.
const MOST: u64 = 64 << 10;

/// A conversation in lines.
pub struct Lines<'a> {
    target: &'a Target,
    stream: Take<BufReader<TcpStream>>,
}

impl<'a> Lines<'a> {
    /// Connects.
    pub async fn open(target: &'a Target) -> Result<Lines<'a>, Trouble> {
        let stream = BufReader::new(target.connect().await?).take(MOST);
        Ok(Lines { target, stream })
    }

    /// The next line, without its end.
    pub async fn next(&mut self) -> Result<Vec<u8>, Trouble> {
        let mut line = vec![];
        if let Err(error) = self.stream.read_until(b'\n', &mut line).await {
            return self.target.unreached(&error);
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            let what = if self.stream.limit() == 0 { "it talks for ever" } else { "it hung up" };
            return theirs(what);
        }
        line.pop_if(|last| *last == b'\r');
        Ok(line)
    }

    /// Says a line.
    pub async fn say(&mut self, line: &str) -> Result<(), Trouble> {
        let stream = self.stream.get_mut();
        let sent = stream.write_all(format!("{line}\r\n").as_bytes()).await;
        sent.or_else(|error| self.target.unreached(&error))
    }
}
