//! UDP (RFC 768).

use crate::checksum::{self, Delta};
use crate::ip::{Ip, PROTOCOL_UDP};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The 8-byte UDP header.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Udp {
    source: U16,
    destination: U16,
    len: U16,
    checksum: U16,
}

/// Bytes of the header.
pub const HEADER: usize = size_of::<Udp>();

impl Udp {
    /// Splits an IP payload into header and data. `None`: the length field does not fit the payload.
    #[inline]
    pub fn split(bytes: &mut [u8]) -> Option<(&mut Udp, &mut [u8])> {
        let len = usize::from(Udp::ref_from_prefix(bytes).ok()?.0.len.get());
        let (header, data) = Udp::mut_from_prefix(bytes).ok()?;
        data.get_mut(..len.checked_sub(HEADER)?).map(|data| (header, data))
    }

    /// Splits the first fragment of a datagram into the header and the data in that fragment. `None`: the datagram
    /// would not be larger than the fragment, or lacks a required checksum.
    pub fn split_fragment<H: Ip>(bytes: &mut [u8]) -> Option<(&mut Udp, &mut [u8])> {
        let (header, data) = Udp::mut_from_prefix(bytes).ok()?;
        let larger = header.total_len() > HEADER + data.len();
        (larger && (H::UNSUMMED_UDP || header.is_summed())).then_some((header, data))
    }

    /// Whether an IP payload is a datagram whose length fits and that has a checksum if address family `H` requires
    /// one.
    pub fn is_sound<H: Ip>(bytes: &[u8]) -> bool {
        let Ok((header, data)) = Udp::ref_from_prefix(bytes) else { return false };
        let fits = (HEADER..=HEADER + data.len()).contains(&header.total_len());
        fits && (H::UNSUMMED_UDP || header.is_summed())
    }

    /// A header for this data. The checksum is filled in.
    pub fn new(source: u16, destination: u16, ip: &impl Ip, data: &[u8]) -> Udp {
        let len = (HEADER + data.len()) as u16;
        let mut header = Udp {
            source: U16::new(source),
            destination: U16::new(destination),
            len: U16::new(len),
            checksum: U16::ZERO,
        };
        header.make_checksum(ip, data);
        header
    }

    /// Computes the checksum.
    pub fn make_checksum(&mut self, ip: &impl Ip, data: &[u8]) {
        self.checksum = U16::ZERO;
        let pseudo = ip.pseudo_sum(PROTOCOL_UDP, self.len.get());
        let sum = checksum::sum(data, checksum::sum(self.as_bytes(), pseudo));
        self.checksum = on_the_wire(U16::new(!checksum::fold(sum)));
    }

    /// Whether the sender computed a checksum.
    #[inline]
    pub fn is_summed(&self) -> bool {
        self.checksum != U16::ZERO
    }

    /// The checksum; 0: none.
    pub fn checksum(&self) -> u16 {
        self.checksum.get()
    }

    /// Whether the checksum matches the data; true without a checksum.
    pub fn is_right(&self, ip: &impl Ip, data: &[u8]) -> bool {
        let pseudo = ip.pseudo_sum(PROTOCOL_UDP, self.len.get());
        !self.is_summed() || checksum::is_sound_with(pseudo, [self.as_bytes(), data])
    }

    /// Sets the length of the data. The checksum must be computed afterwards.
    pub fn set_data_len(&mut self, len: usize) {
        self.len = U16::new((HEADER + len) as u16);
    }

    /// Bytes of header and data.
    #[inline]
    pub fn total_len(&self) -> usize {
        usize::from(self.len.get())
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

    /// Rewrites both ports of a TCP header, whose ports are at the same offsets.
    pub(crate) fn set_ports_alone(&mut self, source: u16, destination: u16) {
        self.source = U16::new(source);
        self.destination = U16::new(destination);
    }

    /// Rewrites both ports and updates the checksum for the ports and the address change. A checksum of zero (none)
    /// stays; a computed zero is written as 0xffff (RFC 768).
    #[inline(always)]
    pub fn set_ports(&mut self, source: u16, destination: u16, addresses: Delta) {
        let (source, destination) = (U16::new(source), U16::new(destination));
        let delta = addresses
            .and(Delta::word(self.source, source))
            .and(Delta::word(self.destination, destination));
        self.source = source;
        self.destination = destination;
        if self.is_summed() {
            self.checksum = on_the_wire(delta.mend(self.checksum));
        }
    }
}

fn on_the_wire(checksum: U16) -> U16 {
    if checksum == U16::ZERO { U16::MAX_VALUE } else { checksum }
}
