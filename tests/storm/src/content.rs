//! Synthetic files: every byte is a function of its offset, so that a receiver can check it.

/// Fills `bytes` with the file's bytes from `offset` on.
pub fn fill(offset: u64, bytes: &mut [u8]) {
    for (place, byte) in (offset..).zip(bytes) {
        *byte = at(place);
    }
}

/// Whether these are the file's bytes from `offset` on.
pub fn is_right(offset: u64, bytes: &[u8]) -> bool {
    (offset..).zip(bytes).all(|(place, &byte)| byte == at(place))
}

/// The byte at an offset. No two blocks of 512 bytes near each other are equal.
fn at(place: u64) -> u8 {
    (place.wrapping_mul(0x9e37_79b9) >> 13) as u8 ^ (place >> 9) as u8
}

/// The name of a file of `size` bytes.
pub fn name(size: u64) -> String {
    format!("storm-{size}")
}

/// The size of the file with this name: the digits behind its last hyphen.
pub fn size(name: &[u8]) -> Option<u64> {
    let (_, digits) = std::str::from_utf8(name).ok()?.rsplit_once('-')?;
    digits.parse().ok()
}
