//! The frames of a running capture, as the daemon sends them: the filter's options, and the stream.

use super::client::{Failure, parse};
use super::names;
use crate::api::{CaptureFilter, CaptureStart, Captured, Request};
use crate::jsonrpc;
use clap_complete::engine::ArgValueCandidates;
use ipnet::IpNet;
use serde_json::Value;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// Time after which a daemon that sends nothing is given up: it sends something every second.
const PATIENCE: Duration = Duration::from_secs(10);

/// The filter for frames.
#[derive(Debug, Clone, clap::Args)]
pub struct FilterOptions {
    /// Only this service's.
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(names::services))]
    service: Option<String>,
    /// Only this backend's, of whatever service.
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(names::backends))]
    backend: Option<String>,
    /// Only by this interface.
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(names::interfaces))]
    interface: Option<String>,
    /// Only dropped for this reason.
    #[arg(long, value_name = "REASON", add = ArgValueCandidates::new(names::reasons))]
    reason: Option<String>,
    /// Only dropped ones.
    #[arg(long)]
    dropped: bool,
}

impl FilterOptions {
    /// The filter, for flows of these clients.
    pub fn filter(&self, client: Option<IpNet>, full: bool) -> CaptureFilter {
        let FilterOptions { service, backend, interface, reason, dropped } = self.clone();
        CaptureFilter { client, service, backend, interface, reason, dropped, full }
    }
}

/// Parses an address, or a network with its prefix length.
pub fn client(text: &str) -> Result<IpNet, String> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "neither an address nor a network, such as 10.0.0.0/24".to_owned())
}

/// The stream of a running capture, which ends when this is dropped.
pub struct Frames {
    lines: Lines<BufReader<OwnedReadHalf>>,
    _open: OwnedWriteHalf,
    socket: PathBuf,
}

impl Frames {
    /// Starts a capture.
    ///
    /// # Errors
    ///
    /// The daemon does not answer, or refuses it.
    pub async fn start(
        socket: &Path,
        filter: CaptureFilter,
    ) -> Result<(CaptureStart, Frames), Failure> {
        let failed = |error| Failure::NoDaemon(socket.to_owned(), error);
        let (reader, mut writer) = UnixStream::connect(socket).await.map_err(failed)?.into_split();
        let request = format!("{}\n", jsonrpc::request(&Request::Capture(filter)));
        writer.write_all(request.as_bytes()).await.map_err(failed)?;
        let lines = BufReader::new(reader).lines();
        let mut frames = Frames { lines, _open: writer, socket: socket.to_owned() };
        let line = frames.line().await?;
        let start: Value = match jsonrpc::result(&line) {
            Some(result) => result.map_err(Failure::Refused)?,
            None => return Err(Failure::Strange(line)),
        };
        Ok((parse(start)?, frames))
    }

    /// The next message.
    ///
    /// # Errors
    ///
    /// The daemon has ended, or says nothing any longer.
    pub async fn next(&mut self) -> Result<Captured, Failure> {
        let line = self.line().await?;
        match jsonrpc::params(&line) {
            Some(params) => parse(params),
            // It had to make room for another connection.
            None => match jsonrpc::result(&line) {
                Some(Err(refused)) => Err(Failure::Refused(refused)),
                _ => Err(Failure::Strange(line)),
            },
        }
    }

    async fn line(&mut self) -> Result<String, Failure> {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.map_err(|_| io::ErrorKind::TimedOut.into()).flatten();
        let line = line.and_then(|line| line.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
        line.map_err(|error| Failure::NoDaemon(self.socket.clone(), error))
    }
}
