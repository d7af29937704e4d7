//! One frame of a load, and what its addresses are made of.

use crate::topology::Via;
use engine::net::rss::ENTRIES;
use engine::types::frame::Frame;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Bytes of a buffer: a DATA of 512 bytes fits, over IPv6 too, and the buffer fills cache lines.
const ROOM: usize = 640 - size_of::<usize>();
/// Clients per SNAT address: each RSS entry has at least 256 ports of its own there.
pub(super) const CLIENTS: u32 = ENTRIES as u32 * 256;

/// A frame of at most `ROOM` bytes, stored inline.
#[derive(Clone)]
#[repr(align(64))]
pub struct Flat {
    bytes: [u8; ROOM],
    len: usize,
}

impl Flat {
    /// An empty frame.
    pub const EMPTY: Flat = Flat { bytes: [0; ROOM], len: 0 };

    pub(crate) fn copy(&mut self, frame: &[u8]) {
        self.bytes[..frame.len()].copy_from_slice(frame);
        self.len = frame.len();
    }
}

impl Frame for Flat {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    fn set_len(&mut self, len: usize) -> bool {
        self.len = len.min(ROOM);
        len <= ROOM
    }
}

/// Direction of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// ACKs from clients.
    In,
    /// Blocks of 512 bytes from servers.
    Out,
}

/// The endpoint of client number `client`, from 11.0.0.0 on.
pub fn endpoint(via: Via, client: u32) -> SocketAddr {
    SocketAddr::new(address(via, 0x0b00_0000 + client), 2070)
}

/// The address of these 32 bits, in the address family of the clients.
pub(super) fn address(via: Via, bits: u32) -> IpAddr {
    via.address(Ipv4Addr::from_bits(bits))
}
