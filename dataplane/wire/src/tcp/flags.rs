//! TCP flags.

use std::ops::BitOr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The flags of a segment.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(transparent)]
pub struct Flags(u8);

impl Flags {
    /// FIN: the sender has no more data.
    pub const FIN: Flags = Flags(0x01);
    /// SYN: opens a connection.
    pub const SYN: Flags = Flags(0x02);
    /// RST: the connection does not exist, or ends at once.
    pub const RST: Flags = Flags(0x04);
    /// PSH: the receiver should deliver the data without waiting for more.
    pub const PSH: Flags = Flags(0x08);
    /// ACK: the acknowledgement number is valid.
    pub const ACK: Flags = Flags(0x10);
    /// URG: the urgent pointer is valid.
    pub const URG: Flags = Flags(0x20);
    /// ECE: congestion was met on the path (RFC 3168).
    pub const ECE: Flags = Flags(0x40);
    /// CWR: the sender has reduced its window (RFC 3168).
    pub const CWR: Flags = Flags(0x80);

    /// The header's byte.
    #[inline]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `flags` are set.
    #[inline]
    pub fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether the segment neither opens nor ends a connection.
    #[inline]
    pub fn is_midstream(self) -> bool {
        self.0 & (Flags::SYN | Flags::FIN | Flags::RST).0 == 0
    }

    /// The flags without `flags`.
    #[inline]
    pub fn without(self, flags: Flags) -> Flags {
        Flags(self.0 & !flags.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;

    #[inline]
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}
