//! The Internet checksum: full computation (RFC 1071) and incremental update by a [`Delta`] (RFC 1624).

use zerocopy::network_endian::{U16, U32};

/// Adds the one's complement sum of `bytes` to `sum`. An odd last byte counts as the high half of a word.
#[inline]
pub fn sum(bytes: &[u8], sum: u32) -> u32 {
    sum + u32::from(u16::from_be(fold64(raw(bytes))))
}

/// Whether the bytes, checksum included, sum to the right value. The first slice must have an even length.
#[inline]
pub fn is_sound(parts: [&[u8]; 2]) -> bool {
    // The byte order does not matter here.
    fold64(carried(raw(parts[0]), raw(parts[1]))) == 0xffff
}

/// Whether a datagram's checksum is right. `pseudo` is the sum of the pseudo header.
#[inline]
pub fn is_sound_with(pseudo: u32, parts: [&[u8]; 2]) -> bool {
    let pseudo = u64::from(fold(pseudo).to_be());
    fold64(carried(pseudo, carried(raw(parts[0]), raw(parts[1])))) == 0xffff
}

/// Sums the words in memory order, four at a time. Modulo 0xffff, neither the order of the words nor that of their
/// bytes matters.
#[inline]
fn raw(bytes: &[u8]) -> u64 {
    let (fours, rest) = bytes.as_chunks::<8>();
    let total = fours.iter().fold(0, |total, four| carried(total, u64::from_ne_bytes(*four)));
    carried(total, rest_of(bytes, rest))
}

/// Loads the last bytes as if zeroes followed. Reading them together with the bytes before is cheaper than copying
/// them.
#[inline]
fn rest_of(bytes: &[u8], rest: &[u8]) -> u64 {
    match (bytes.last_chunk::<8>(), rest.len()) {
        (_, 0) => 0,
        (Some(last), len) => (u64::from_le_bytes(*last) >> (64 - 8 * len)).to_le(),
        (None, len) => {
            let mut last = [0; 8];
            last[..len].copy_from_slice(rest);
            u64::from_ne_bytes(last)
        }
    }
}

/// Adds two one's complement sums.
#[inline]
fn carried(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u64::from(carry)
}

/// Folds a sum to 16 bits.
#[inline]
pub fn fold(sum: u32) -> u16 {
    // The low half's carry is now in the high half.
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

fn fold64(sum: u64) -> u16 {
    fold((sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32)
}

/// A checksum update: the effect of a rewrite on every checksum that covers the rewritten bytes. Setters return it, so
/// that no caller forgets the outer checksum. Words count in memory order, as in `raw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a checksum that covers the rewritten bytes is now wrong"]
pub struct Delta(u64);

impl Delta {
    /// The change of one 16-bit word.
    #[inline]
    pub fn word(old: U16, new: U16) -> Delta {
        let (old, new) = (u16::from_ne_bytes(old.to_bytes()), u16::from_ne_bytes(new.to_bytes()));
        Delta(u64::from(!old) + u64::from(new))
    }

    /// The change of one 32-bit value.
    #[inline]
    pub fn long(old: U32, new: U32) -> Delta {
        let (old, new) = (u32::from_ne_bytes(old.to_bytes()), u32::from_ne_bytes(new.to_bytes()));
        Delta(u64::from(!old) + u64::from(new))
    }

    /// The change of one IPv6 address.
    #[inline]
    pub fn bytes(old: [u8; 16], new: [u8; 16]) -> Delta {
        let words = |bytes: [u8; 16]| -> [u32; 4] { zerocopy::transmute!(bytes) };
        let (old, new) = (words(old), words(new));
        let change = |at: usize| u64::from(!old[at]) + u64::from(new[at]);
        Delta((0..4).map(change).sum())
    }

    /// The change of a byte string. Both versions have the same, even length.
    pub fn replaced(old: &[u8], new: &[u8]) -> Delta {
        Delta(u64::from(!fold64(raw(old))) + u64::from(fold64(raw(new))))
    }

    /// Combines two changes. A packet has too few words to overflow the sum.
    #[inline]
    pub fn and(self, other: Delta) -> Delta {
        Delta(self.0 + other.0)
    }

    /// Applies the change to a checksum (RFC 1624, equation 3).
    #[inline]
    pub fn mend(self, checksum: U16) -> U16 {
        let old = !u16::from_ne_bytes(checksum.to_bytes());
        U16::from_bytes((!fold64(u64::from(old) + self.0)).to_ne_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0)), 0xddf2);
    }

    #[test]
    fn an_odd_byte_is_padded_behind() {
        assert_eq!(fold(sum(&[0x12, 0x34, 0x56], 0)), 0x1234 + 0x5600);
    }

    #[test]
    fn the_example_of_rfc_1624() {
        // Equation 2 of RFC 1624 would give 0xffff here; equation 3 gives the right 0x0000.
        assert_eq!(
            Delta::word(U16::new(0x5555), U16::new(0x3285)).mend(U16::new(0xdd2f)).get(),
            0x0000
        );
    }
}
