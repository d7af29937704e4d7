//! TCP (RFC 9293).
//!
//! ```text
//!  0        2             4          8                12              14       16         18       20
//!  | source | destination | sequence | acknowledgement | offset flags | window | checksum | urgent | options
//! ```

mod flags;
mod options;
mod seq_number;

pub use flags::Flags;
pub use options::answer_timestamps;
pub use seq_number::SeqNumber;

use crate::checksum::{self, Delta};
use crate::ip::{Ip, PROTOCOL_TCP};
use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The fixed 20 bytes of the header.
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

/// Header fields of a segment that the gate originates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFields {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number of the first byte.
    pub sequence: SeqNumber,
    /// Acknowledgement number: the next byte expected.
    pub acknowledgement: SeqNumber,
    /// Flags.
    pub flags: Flags,
    /// Window, in the scale that both sides negotiated.
    pub window: u16,
}

impl Tcp {
    /// Splits an IP payload into header, options and data. `None`: the header does not fit.
    #[inline]
    pub fn split(bytes: &mut [u8]) -> Option<(&mut Tcp, &mut [u8], &mut [u8])> {
        let (header, rest) = Tcp::mut_from_prefix(bytes).ok()?;
        let options = header.header_len().checked_sub(HEADER)?;
        let (options, data) = rest.split_at_mut_checked(options)?;
        Some((header, options, data))
    }

    /// Whether an IP payload is a segment with a complete header.
    pub fn is_sound(bytes: &[u8]) -> bool {
        Tcp::ref_from_prefix(bytes)
            .is_ok_and(|(header, _)| (HEADER..=bytes.len()).contains(&header.header_len()))
    }

    /// A header for these options, padded to words, and this data. The checksum is filled in.
    pub fn new(says: &SegmentFields, ip: &impl Ip, options: &[u8], data: &[u8]) -> Tcp {
        let mut header = Tcp {
            source: U16::new(says.source),
            destination: U16::new(says.destination),
            sequence: says.sequence.into(),
            acknowledgement: says.acknowledgement.into(),
            offset: ((HEADER + options.len()) << 2) as u8,
            flags: says.flags,
            window: U16::new(says.window),
            checksum: U16::ZERO,
            urgent: U16::ZERO,
        };
        header.make_checksum(ip, options, data);
        header
    }

    /// Computes the checksum.
    pub fn make_checksum(&mut self, ip: &impl Ip, options: &[u8], data: &[u8]) {
        self.checksum = U16::ZERO;
        self.checksum = U16::new(!self.sum(ip, options, data));
    }

    /// Whether the checksum matches these options and this data.
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

    /// Source port.
    #[inline]
    pub fn source(&self) -> u16 {
        self.source.get()
    }

    /// Destination port.
    #[inline]
    pub fn destination(&self) -> u16 {
        self.destination.get()
    }

    /// Sequence number of the first byte.
    #[inline]
    pub fn sequence(&self) -> SeqNumber {
        self.sequence.into()
    }

    /// Acknowledgement number: the next byte that the sender expects.
    #[inline]
    pub fn acknowledgement(&self) -> SeqNumber {
        self.acknowledgement.into()
    }

    /// Flags.
    #[inline]
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Receive window, in the scale that both sides negotiated.
    #[inline]
    pub fn window(&self) -> u16 {
        self.window.get()
    }

    /// Whether the urgent pointer, if set, lies within `len` bytes of data.
    pub fn is_urgent_within(&self, len: usize) -> bool {
        (1..=len).contains(&usize::from(self.urgent.get()))
    }

    /// Rewrites both ports and updates the checksum for the ports and the address change.
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

    /// Sets the sequence number and updates the checksum.
    #[inline]
    pub fn set_sequence(&mut self, sequence: SeqNumber) {
        let sequence = sequence.into();
        self.checksum = Delta::long(self.sequence, sequence).mend(self.checksum);
        self.sequence = sequence;
    }

    /// Sets the acknowledgement number and updates the checksum.
    #[inline]
    pub fn set_acknowledgement(&mut self, acknowledgement: SeqNumber) {
        let acknowledgement = acknowledgement.into();
        self.checksum = Delta::long(self.acknowledgement, acknowledgement).mend(self.checksum);
        self.acknowledgement = acknowledgement;
    }

    /// Sets the flags and updates the checksum.
    pub fn set_flags(&mut self, flags: Flags) {
        let word = |flags: Flags| U16::from_bytes([0, flags.bits()]);
        self.checksum = Delta::word(word(self.flags), word(flags)).mend(self.checksum);
        self.flags = flags;
    }

    /// Replaces all options by no-operations and updates the checksum.
    pub fn blank(&mut self, options: &mut [u8]) {
        self.checksum = options::blank(options).mend(self.checksum);
    }

    /// Maps both edges of each SACK block (RFC 2018) and updates the checksum.
    pub fn map_blocks(
        &mut self,
        options: &mut [u8],
        mut map: impl FnMut([SeqNumber; 2]) -> [SeqNumber; 2],
    ) {
        self.checksum = options::map_blocks(options, &mut map).mend(self.checksum);
    }
}

#[cfg(test)]
mod tests;
