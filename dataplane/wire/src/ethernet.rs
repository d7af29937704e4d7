//! Ethernet II.
//!
//! ```text
//!  0               6              12        14
//!  | destination   | source       | type    | payload
//! ```

use std::fmt;
use std::str::FromStr;
use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A hardware address.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The broadcast address.
    pub const BROADCAST: Mac = Mac([0xff; 6]);

    /// The address in the upper 48 bits of a word, like [`Ethernet::source_word`]: cheap to compare.
    #[inline]
    pub const fn word(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([0, 0, a, b, c, d, e, f])
    }

    /// Whether the address is a group address: multicast or broadcast (IEEE 802.3 §3.2.3).
    #[inline]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Error: the text is no hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMac;

impl FromStr for Mac {
    type Err = NoMac;

    /// Parses six bytes in hexadecimal, two digits each, separated by colons.
    fn from_str(text: &str) -> Result<Mac, NoMac> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let digits = |part: &&str| part.len() == 2 && !part.starts_with('+');
            let part = parts.next().filter(digits).ok_or(NoMac)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| NoMac)?;
        }
        if parts.next().is_some() { Err(NoMac) } else { Ok(Mac(bytes)) }
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The Ethernet header, 14 bytes.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ethernet {
    /// Destination address.
    pub destination: Mac,
    /// Source address: the sender on this link.
    pub source: Mac,
    /// EtherType of the payload; for IP, [`crate::ip::Ip::ETHER_TYPE`].
    pub kind: U16,
}

impl Ethernet {
    /// The source's [`Mac::word`]. One load reads the address and the type behind it, which is shifted out.
    #[inline(always)]
    pub fn source_word(&self) -> u64 {
        self.as_bytes().last_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes)) << 16
    }

    /// The destination's [`Mac::word`].
    #[inline(always)]
    pub fn destination_word(&self) -> u64 {
        self.as_bytes().first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes)) << 16
    }
}

/// Bytes of the Ethernet header.
pub const HEADER: usize = size_of::<Ethernet>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_s_words_are_those_of_its_addresses() {
        let [destination, source] = [Mac([2, 3, 4, 5, 6, 7]), Mac([9, 8, 7, 6, 5, 4])];
        let header = Ethernet { destination, source, kind: 0x86dd.into() };
        assert_eq!(header.destination_word(), destination.word());
        assert_eq!(header.source_word(), source.word());
    }

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        let mac = Mac([0x02, 0xff, 0, 0x1a, 0, 0x30]);
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for wrong in [
            "",
            "02:ff:00:1a:00",
            "02:ff:00:1a:00:30:31",
            "2:ff:0:1a:0:30",
            "02:ff:00:1a:00:zz",
            "02:ff:00:1a:00:+3",
        ] {
            assert_eq!(wrong.parse::<Mac>(), Err(NoMac), "{wrong}");
        }
    }
}
