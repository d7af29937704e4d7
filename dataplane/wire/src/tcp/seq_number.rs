//! Sequence numbers: 32 bits that wrap, so they are compared by distance (RFC 9293 §3.4).

use zerocopy::network_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A sequence or acknowledgement number of TCP. It has no order of its own: two numbers compare as long as they are
/// less than 2³¹ apart.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(transparent)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// The number `len` bytes further on.
    #[inline]
    pub const fn after(self, len: u32) -> SeqNumber {
        SeqNumber(self.0.wrapping_add(len))
    }

    /// The number `len` bytes back.
    #[inline]
    pub const fn before(self, len: u32) -> SeqNumber {
        SeqNumber(self.0.wrapping_sub(len))
    }

    /// Bytes from `start` to this number, going forward: nearly 2³² for a number just before `start`.
    #[inline]
    pub const fn since(self, start: SeqNumber) -> u32 {
        self.0.wrapping_sub(start.0)
    }

    /// Bytes that this number is ahead of `other`; negative, if it is behind.
    #[inline]
    pub const fn ahead_of(self, other: SeqNumber) -> i32 {
        self.since(other) as i32
    }

    /// Whether this number comes before `other`.
    #[inline]
    pub const fn is_before(self, other: SeqNumber) -> bool {
        self.ahead_of(other) < 0
    }

    /// The later of two numbers.
    #[inline]
    pub const fn later(self, other: SeqNumber) -> SeqNumber {
        if self.is_before(other) { other } else { self }
    }

    /// The earlier of two numbers.
    #[inline]
    pub const fn earlier(self, other: SeqNumber) -> SeqNumber {
        if other.is_before(self) { other } else { self }
    }
}

impl From<U32> for SeqNumber {
    #[inline]
    fn from(wire: U32) -> SeqNumber {
        SeqNumber(wire.get())
    }
}

impl From<SeqNumber> for U32 {
    #[inline]
    fn from(number: SeqNumber) -> U32 {
        U32::new(number.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_across_the_wrap() {
        for first in [SeqNumber(5), SeqNumber(u32::MAX), SeqNumber(u32::MAX / 2)] {
            let second = first.after(3);
            assert!(first.is_before(second) && !second.is_before(first) && !first.is_before(first));
            assert_eq!((first.later(second), second.later(first)), (second, second));
            assert_eq!((first.earlier(second), second.earlier(first)), (first, first));
            assert_eq!((second.ahead_of(first), first.ahead_of(second)), (3, -3));
            assert_eq!((second.since(first), first.since(second)), (3, u32::MAX - 2));
            assert_eq!(second.before(3), first);
        }
    }

    #[test]
    fn the_wire_has_the_highest_byte_first() {
        let wire = U32::from_bytes([1, 2, 3, 4]);
        assert_eq!(SeqNumber::from(wire), SeqNumber(0x0102_0304));
        assert_eq!(U32::from(SeqNumber(0x0102_0304)), wire);
    }
}
