//! One side of a transfer: a socket, the peer once it is known, and simulated loss.

use crate::message;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use wire::tftp;

/// Retransmission and loss of a side.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Silence before a retransmission.
    pub retransmit: Duration,
    /// Most retransmissions in a row.
    pub retries: u32,
    /// Percentage of packets lost in each direction.
    pub loss: f64,
}

/// Events of a side beside its transfer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Retransmitted requests.
    pub requests: u64,
    /// Retransmitted blocks and ACKs.
    pub blocks: u64,
    /// Packets from other endpoints than the peer.
    pub strays: u64,
}

/// One side of a transfer.
pub struct Link {
    socket: UdpSocket,
    /// The endpoint for requests.
    target: SocketAddr,
    /// The peer, once it has answered.
    peer: Option<SocketAddr>,
    manner: Manner,
    random: fastrand::Rng,
    /// The latest packet, at its front.
    pub buffer: Box<[u8]>,
    /// Retransmissions and strays.
    pub tally: Tally,
}

/// Why a transfer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The peer fell silent.
    Timeout,
    /// The peer sent an ERROR with this code.
    Error(u16),
    /// A byte or the length is wrong.
    WrongData,
    /// The peer violated the protocol.
    Protocol,
    /// A local error.
    Local(io::ErrorKind),
}

impl Failure {
    /// The failure's name.
    pub fn name(self) -> String {
        match self {
            Failure::Timeout => "timeout".to_owned(),
            Failure::Error(code) => format!("error_{code}"),
            Failure::WrongData => "wrong_data".to_owned(),
            Failure::Protocol => "protocol".to_owned(),
            Failure::Local(kind) => format!("local: {kind}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Local(error.kind())
    }
}

impl Link {
    /// A side that asks `target`, for blocks of at most `blksize` bytes.
    pub fn new(socket: UdpSocket, target: SocketAddr, blksize: u16, manner: Manner) -> Link {
        let room = usize::from(blksize.max(tftp::DEFAULT_BLKSIZE)) + 4;
        Link {
            socket,
            target,
            peer: None,
            manner,
            random: fastrand::Rng::new(),
            buffer: vec![0; room + 1].into(),
            tally: Tally::default(),
        }
    }

    /// A side that answers `peer`.
    pub fn answering(socket: UdpSocket, peer: SocketAddr, blksize: u16, manner: Manner) -> Link {
        Link { peer: Some(peer), ..Link::new(socket, peer, blksize, manner) }
    }

    /// The peer, once it has answered.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Retransmission and loss of this side.
    pub fn manner(&self) -> Manner {
        self.manner
    }

    /// Sends to the peer, or to the target until a server has answered.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.loses() {
            return Ok(());
        }
        match self.socket.send_to(bytes, self.peer.unwrap_or(self.target)).await {
            // An ICMP error for an earlier packet: the peer is gone, which silence will tell.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// The time of the next retransmission, if a packet is sent now.
    pub fn patience(&self) -> Instant {
        Instant::now() + self.manner.retransmit
    }

    /// Length of the peer's next packet; the first one determines the peer. `None` at the deadline, which repeated
    /// packets do not defer.
    pub async fn receive(&mut self, deadline: Instant) -> Result<Option<usize>, Failure> {
        loop {
            let received = timeout_at(deadline, self.socket.recv_from(&mut self.buffer)).await;
            let Ok(received) = received else { return Ok(None) };
            let (len, from) = match received {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                received => received?,
            };
            if self.loses() {
                continue;
            }
            if *self.peer.get_or_insert(from) == from {
                return Ok(Some(len));
            }
            self.tally.strays += 1;
            let unknown = message::error(tftp::WRONG_TID, "Unknown transfer ID");
            let _ = self.socket.send_to(&unknown, from).await;
        }
    }

    fn loses(&mut self) -> bool {
        self.manner.loss > 0.0 && self.random.f64() * 100.0 < self.manner.loss
    }
}
