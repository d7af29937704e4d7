//! One side of a transfer: a socket, the peer once it is known, and the packets that get lost.

use crate::message;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use wire::tftp;

/// How a side sends again, and what gets lost on its way.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Silence after which something is sent again.
    pub retransmit: Duration,
    /// So often in a row; then the transfer is given up.
    pub retries: u32,
    /// Of 100 packets, so many are lost in each direction.
    pub loss: f64,
}

/// What a side has seen besides its transfer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent again.
    pub requests: u64,
    /// Blocks and ACKs sent again.
    pub blocks: u64,
    /// Packets from somebody else than the peer.
    pub strays: u64,
}

/// One side of a transfer.
pub struct Link {
    socket: UdpSocket,
    /// Who requests go to.
    target: SocketAddr,
    /// Who has answered.
    peer: Option<SocketAddr>,
    manner: Manner,
    random: fastrand::Rng,
    /// What came, at its front.
    pub buffer: Box<[u8]>,
    /// What went on besides.
    pub tally: Tally,
}

/// Why a transfer ended without its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The peer fell silent.
    Timeout,
    /// The peer sent an ERROR with this code.
    Error(u16),
    /// A byte or the length was not the file's.
    WrongData,
    /// The peer sent what does not belong there.
    Protocol,
    /// This machine refused.
    Local(io::ErrorKind),
}

impl Failure {
    /// Its kind, in a word.
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

    /// Who answered.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// How this side sends again.
    pub fn manner(&self) -> Manner {
        self.manner
    }

    /// Sends to the peer, or to the target as long as nobody has answered.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.loses() {
            return Ok(());
        }
        match self.socket.send_to(bytes, self.peer.unwrap_or(self.target)).await {
            // The peer is gone, and an earlier packet's ICMP says so: silence will tell.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// When something is to be sent again, if it is sent now.
    pub fn patience(&self) -> Instant {
        Instant::now() + self.manner.retransmit
    }

    /// The next packet of the peer, as its length; the first one settles who that is. `None` at the
    /// deadline: packets that are no news must not put it off.
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
