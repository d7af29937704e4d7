//! What a segment is.

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
    /// Its sender has no more to say.
    pub const FIN: Flags = Flags(0x01);
    /// It opens a connection.
    pub const SYN: Flags = Flags(0x02);
    /// There is no such connection, or none any more.
    pub const RST: Flags = Flags(0x04);
    /// What is there is to be read without waiting for more.
    pub const PSH: Flags = Flags(0x08);
    /// It acknowledges.
    pub const ACK: Flags = Flags(0x10);
    /// It has a place that is urgent.
    pub const URG: Flags = Flags(0x20);
    /// Congestion was met on the way (RFC 3168).
    pub const ECE: Flags = Flags(0x40);
    /// Its sender has slowed down (RFC 3168).
    pub const CWR: Flags = Flags(0x80);

    /// As they lie in the header.
    #[inline]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of these are among them.
    #[inline]
    pub fn has(self, flags: Flags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether a segment neither begins nor ends anything.
    #[inline]
    pub fn is_routine(self) -> bool {
        self.0 & (Flags::SYN | Flags::FIN | Flags::RST).0 == 0
    }

    /// All but these.
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
