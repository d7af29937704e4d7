//! TCP (RFC 9293).
//!
//! ```text
//!  0        2             4          8                12              14       16         18       20
//!  | source | destination | sequence | acknowledgement | offset flags | window | checksum | urgent | options
//! ```

mod flags;
mod options;

pub use flags::Flags;
pub use options::answer_timestamps;

use crate::checksum::{self, Delta};
use crate::ip::{Ip, PROTOCOL_TCP};
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 20 bytes of the header that are always there.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Tcp {
    source: U16,
    destination: U16,
    sequence: U32,
    acknowledgement: U32,
    offset: u8,
    flags: Flags,
    window: U16,
    checksum: U16,
    urgent: U16,
}

/// Bytes of a header without options.
pub const HEADER: usize = size_of::<Tcp>();

/// What a segment of our own says, besides its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says {
    /// Whose port it comes from.
    pub source: u16,
    /// Which port it is for.
    pub destination: u16,
    /// The number of its first byte.
    pub sequence: u32,
    /// The number of the byte that is expected next.
    pub acknowledgement: u32,
    /// What it is.
    pub flags: Flags,
    /// Bytes that may be sent, in the unit that both have agreed on.
    pub window: u16,
}

impl Tcp {
    /// Splits an IP payload into the header, its options and the segment's data; `None` when the header does
    /// not fit the bytes there are.
    #[inline]
    pub fn split(bytes: &mut [u8]) -> Option<(&mut Tcp, &mut [u8], &mut [u8])> {
        let (header, rest) = Tcp::mut_from_prefix(bytes).ok()?;
        let options = header.header_len().checked_sub(HEADER)?;
        let (options, data) = rest.split_at_mut_checked(options)?;
        Some((header, options, data))
    }

    /// Whether a payload of IP is a segment whose header fits the bytes there are.
    pub fn is_sound(bytes: &[u8]) -> bool {
        Tcp::ref_from_prefix(bytes)
            .is_ok_and(|(header, _)| (HEADER..=bytes.len()).contains(&header.header_len()))
    }

    /// A header for these options, padded to words, and this data, checksum included.
    pub fn new(says: &Says, ip: &impl Ip, options: &[u8], data: &[u8]) -> Tcp {
        let mut header = Tcp {
            source: U16::new(says.source),
            destination: U16::new(says.destination),
            sequence: U32::new(says.sequence),
            acknowledgement: U32::new(says.acknowledgement),
            offset: ((HEADER + options.len()) << 2) as u8,
            flags: says.flags,
            window: U16::new(says.window),
            checksum: U16::ZERO,
            urgent: U16::ZERO,
        };
        header.make_checksum(ip, options, data);
        header
    }

    /// Makes the checksum anew.
    pub fn make_checksum(&mut self, ip: &impl Ip, options: &[u8], data: &[u8]) {
        self.checksum = U16::ZERO;
        self.checksum = U16::new(!self.sum(ip, options, data));
    }

    /// Whether its checksum is that of these options and this data.
    pub fn is_right(&self, ip: &impl Ip, options: &[u8], data: &[u8]) -> bool {
        self.sum(ip, options, data) == 0xffff
    }

    fn sum(&self, ip: &impl Ip, options: &[u8], data: &[u8]) -> u16 {
        let pseudo = ip.pseudo_sum(PROTOCOL_TCP, (HEADER + options.len() + data.len()) as u16);
        let header = checksum::sum(options, checksum::sum(self.as_bytes(), pseudo));
        checksum::fold(checksum::sum(data, header))
    }

    /// Bytes of header and options.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.offset >> 4) * 4
    }

    /// The sender's port.
    #[inline]
    pub fn source(&self) -> u16 {
        self.source.get()
    }

    /// The receiver's port.
    #[inline]
    pub fn destination(&self) -> u16 {
        self.destination.get()
    }

    /// The number of the first byte.
    #[inline]
    pub fn sequence(&self) -> u32 {
        self.sequence.get()
    }

    /// The number of the byte that its sender expects next.
    #[inline]
    pub fn acknowledgement(&self) -> u32 {
        self.acknowledgement.get()
    }

    /// What it is.
    #[inline]
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Bytes that its sender has room for, in the unit that both have agreed on.
    #[inline]
    pub fn window(&self) -> u16 {
        self.window.get()
    }

    /// Whether the byte that it marks as urgent, if it does, is one of so many that it carries.
    pub fn is_urgent_within(&self, len: usize) -> bool {
        (1..=len).contains(&usize::from(self.urgent.get()))
    }

    /// Rewrites both ports and mends the checksum for that and for what happened to the addresses.
    #[inline(always)]
    pub fn set_ports(&mut self, source: u16, destination: u16, addresses: Delta) {
        let (source, destination) = (U16::new(source), U16::new(destination));
        let delta = addresses
            .and(Delta::word(self.source, source))
            .and(Delta::word(self.destination, destination));
        self.source = source;
        self.destination = destination;
        self.checksum = delta.mend(self.checksum);
    }

    /// Numbers its first byte so, and mends the checksum.
    #[inline]
    pub fn set_sequence(&mut self, sequence: u32) {
        let sequence = U32::new(sequence);
        self.checksum = Delta::long(self.sequence, sequence).mend(self.checksum);
        self.sequence = sequence;
    }

    /// Expects this byte next, and mends the checksum.
    #[inline]
    pub fn set_acknowledgement(&mut self, acknowledgement: u32) {
        let acknowledgement = U32::new(acknowledgement);
        self.checksum = Delta::long(self.acknowledgement, acknowledgement).mend(self.checksum);
        self.acknowledgement = acknowledgement;
    }

    /// Is this from now on, and mends the checksum.
    pub fn set_flags(&mut self, flags: Flags) {
        let word = |flags: Flags| U16::from_bytes([0, flags.bits()]);
        self.checksum = Delta::word(word(self.flags), word(flags)).mend(self.checksum);
        self.flags = flags;
    }

    /// Blanks its options, and mends the checksum.
    pub fn blank(&mut self, options: &mut [u8]) {
        self.checksum = options::blank(options).mend(self.checksum);
    }

    /// Maps both edges of each block that its sender says it has (SACK, RFC 2018), and mends the checksum.
    pub fn map_blocks(&mut self, options: &mut [u8], mut map: impl FnMut([u32; 2]) -> [u32; 2]) {
        self.checksum = options::map_blocks(options, &mut map).mend(self.checksum);
    }
}

#[cfg(test)]
mod tests;
