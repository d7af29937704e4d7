//! The probe `tftp`: a file is fetched as by a client (RFC 1350), from the port and address that the answer comes
//! from. Size and digest must be right.

use super::finding::{Finding, ProbeError, backend_fault};
use super::sanitize::sanitize;
use super::target::Target;
use crate::config::Canary;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use tokio::net::UdpSocket;
use wire::tftp::{DATA_HEADER, DEFAULT_BLKSIZE, FILE_NOT_FOUND, Message};

/// The size of a full block: requests of probes have no `blksize`.
const FULL: u64 = DEFAULT_BLKSIZE as u64;
/// An ERROR message that ends a transfer early.
const ENOUGH: &[u8] = b"\0\x05\0\0Enough\0";

/// Fetches the file.
pub async fn find(canary: &Canary, target: &Target) -> Finding {
    let socket = target.datagrams()?;
    let fetch = Fetch {
        canary,
        target,
        socket,
        server: None,
        expected: canary.size,
        blocks: 0,
        size: 0,
        digest: Sha256::new(),
    };
    fetch.run().await
}

/// A transfer. When it is dropped unfinished, the server is told, which would retransmit for a while.
struct Fetch<'a> {
    canary: &'a Canary,
    target: &'a Target,
    socket: UdpSocket,
    /// The endpoint that the answers come from.
    server: Option<SocketAddr>,
    /// The size that the file should have: the canary's, or what the server promises.
    expected: Option<u64>,
    /// Received blocks.
    blocks: u16,
    /// Received bytes.
    size: u64,
    digest: Sha256,
}

impl Fetch<'_> {
    async fn run(mut self) -> Finding {
        let request = [b"\0\x01", self.canary.file.as_bytes(), b"\0octet\0tsize\x000\0"].concat();
        self.send(&request, self.target.endpoint()).await?;
        let mut packet = [0; 2048];
        loop {
            let (len, from) = match self.socket.recv_from(&mut packet).await {
                Ok(received) => received,
                Err(error) => return self.target.unreached(&error),
            };
            let Ok(message) = Message::parse(&packet[..len]) else { continue };
            if *self.server.get_or_insert(from) != from {
                continue;
            }
            if from.ip() != self.target.address && !self.target.aliases.contains(&from.ip()) {
                let what = format!("answered from {}, not from {}", from.ip(), self.target.address);
                return backend_fault(what);
            }
            match message {
                Message::Error { code } => {
                    self.server = None;
                    return backend_fault(refusal(code, &packet[DATA_HEADER..len]));
                }
                Message::Oack(options) if self.blocks == 0 => {
                    let promised =
                        options.value(b"tsize").and_then(|size| str::from_utf8(size).ok());
                    self.promise(promised.and_then(|size| size.parse().ok()))?;
                    self.acknowledge(from).await?;
                }
                Message::Data { block, len } if block == self.blocks + 1 => {
                    self.take(&packet[DATA_HEADER..DATA_HEADER + usize::from(len)])?;
                    self.acknowledge(from).await?;
                    if u64::from(len) < FULL {
                        self.server = None;
                        return self.compare();
                    }
                }
                Message::Data { .. }
                | Message::Oack(_)
                | Message::Ack { .. }
                | Message::Request(_) => {}
            }
        }
    }

    async fn send(&self, message: &[u8], to: SocketAddr) -> Result<(), ProbeError> {
        let sent = self.socket.send_to(message, to).await;
        sent.map(|_len| ()).or_else(|error| self.target.unreached(&error))
    }

    async fn acknowledge(&self, server: SocketAddr) -> Result<(), ProbeError> {
        let [high, low] = self.blocks.to_be_bytes();
        self.send(&[0, 4, high, low], server).await
    }

    /// Takes the size that the server announces. A file of another size is not fetched.
    fn promise(&mut self, size: Option<u64>) -> Result<(), ProbeError> {
        match (size, self.canary.size) {
            (Some(size), Some(expected)) if size != expected => {
                backend_fault(sizes(size, expected))
            }
            (Some(size), _) if size > Canary::MOST => backend_fault(TOO_LARGE),
            (Some(size), _) => {
                self.expected = Some(size);
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    fn take(&mut self, block: &[u8]) -> Result<(), ProbeError> {
        self.blocks += 1;
        self.size += block.len() as u64;
        self.digest.update(block);
        match block.len() as u64 {
            len if len > FULL => {
                backend_fault(format!("a block of {len} bytes, and {FULL} were asked for"))
            }
            _ if self.size > Canary::MOST => backend_fault(TOO_LARGE),
            _ => Ok(()),
        }
    }

    fn compare(&mut self) -> Finding {
        if let Some(expected) = self.expected.filter(|&expected| expected != self.size) {
            return backend_fault(sizes(self.size, expected));
        }
        let digest = self.digest.finalize_reset();
        match &self.canary.sha256 {
            Some(expected) if expected[..] != digest[..] => {
                backend_fault("the file has another SHA-256: its content is wrong")
            }
            Some(_) | None => Ok(String::new()),
        }
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        if let Some(server) = self.server {
            // If it is lost, the server gives up by itself.
            let _ = self.socket.try_send_to(ENOUGH, server);
        }
    }
}

const TOO_LARGE: &str = "the file has more than 1 MiB";

fn sizes(found: u64, expected: u64) -> String {
    format!("the file has {found} bytes, not {expected}")
}

fn refusal(code: u16, text: &[u8]) -> String {
    if code == FILE_NOT_FOUND {
        return "file not found: the server is up but has no such file".to_owned();
    }
    format!("error {code}: {}", sanitize(text))
}

#[cfg(test)]
mod tests;
