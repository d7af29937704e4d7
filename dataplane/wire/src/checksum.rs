//! The Internet checksum: in full (RFC 1071), and as a [`Delta`] that mends it after a rewrite
//! (RFC 1624).

use zerocopy::network_endian::U16;

/// The one's complement sum of `bytes`, an odd last byte counting as the high half of a word, added
/// to `sum`.
pub fn sum(bytes: &[u8], sum: u32) -> u32 {
    let mut words = bytes.chunks_exact(2);
    let total = words.by_ref().fold(u64::from(sum), |total, word| {
        total + u64::from(u16::from_be_bytes([word[0], word[1]]))
    });
    let odd = words.remainder().first().map_or(0, |&last| u64::from(last) << 8);
    fold64(total + odd)
}

/// The sum in 16 bits.
pub fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

fn fold64(sum: u64) -> u32 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    ((sum & 0xffff) + (sum >> 16)) as u32
}

/// What a rewrite does to a checksum: to be applied to each checksum that covers the rewritten
/// bytes. The setters return it, and whoever must mend a checksum asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a checksum that covers the rewritten bytes is now wrong"]
pub struct Delta(u32);

impl Delta {
    /// The change from one 16-bit word to another.
    pub fn word(old: u16, new: u16) -> Delta {
        Delta(u32::from(!old) + u32::from(new))
    }

    /// The change from one 32-bit value to another.
    pub fn long(old: u32, new: u32) -> Delta {
        Delta::word((old >> 16) as u16, (new >> 16) as u16).and(Delta::word(old as u16, new as u16))
    }

    /// Both changes.
    pub fn and(self, other: Delta) -> Delta {
        Delta(u32::from(fold(self.0)) + u32::from(fold(other.0)))
    }

    /// The checksum after the change (RFC 1624, equation 3).
    pub fn mend(self, checksum: U16) -> U16 {
        U16::new(!fold(u32::from(!checksum.get()) + u32::from(fold(self.0))))
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
        assert_eq!(sum(&[0x12, 0x34, 0x56], 0), 0x1234 + 0x5600);
    }

    #[test]
    fn the_example_of_rfc_1624() {
        // Equation 2 would give 0xffff here; equation 3 gives the right 0x0000.
        assert_eq!(Delta::word(0x5555, 0x3285).mend(U16::new(0xdd2f)).get(), 0x0000);
    }
}
