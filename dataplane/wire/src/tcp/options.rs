//! What stands behind a header: kind, length and value, one option after the other. A list that is broken
//! ends where it breaks.

use crate::checksum::Delta;
use std::ops::Range;

/// Kinds (RFC 9293 §3.1, RFC 2018, RFC 7323).
mod kind {
    pub const END: u8 = 0;
    pub const NOTHING: u8 = 1;
    pub const BLOCKS: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
}

/// Bytes of the longest list there can be.
const LONGEST: usize = 40;

/// Maps the edges of each block. An option may begin at any byte, but the list is made of whole words: what
/// it does to a checksum is seen from the list as a whole.
pub(super) fn map_blocks(options: &mut [u8], map: &mut impl FnMut([u32; 2]) -> [u32; 2]) -> Delta {
    let mut before = [0; LONGEST];
    let Some(before) = before.get_mut(..options.len()) else { return Delta::default() };
    before.copy_from_slice(options);
    let mut at = 0;
    while let Some((kind, value)) = next(options, &mut at) {
        if kind == kind::BLOCKS {
            let (blocks, _) = options[value].as_chunks_mut::<8>();
            blocks.iter_mut().for_each(|block| map_block(block, map));
        }
    }
    Delta::replaced(before, options)
}

/// Puts nothing in place of all of them.
pub(super) fn blank(options: &mut [u8]) -> Delta {
    let mut before = [0; LONGEST];
    let Some(before) = before.get_mut(..options.len()) else { return Delta::default() };
    before.copy_from_slice(options);
    options.fill(kind::NOTHING);
    Delta::replaced(before, options)
}

fn map_block(block: &mut [u8; 8], map: &mut impl FnMut([u32; 2]) -> [u32; 2]) {
    let [a, b, c, d, e, f, g, h] = *block;
    let edges = map([u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]);
    block[..4].copy_from_slice(&edges[0].to_be_bytes());
    block[4..].copy_from_slice(&edges[1].to_be_bytes());
}

/// The timestamps (RFC 7323) of an answer to a segment with these options, as options; `None`: it has none.
/// Some drop a segment without them once there were some. What its sender has echoed is the last time
/// that it was told, so the answer tells no other.
pub fn answer_timestamps(options: &[u8]) -> Option<[u8; 12]> {
    let mut at = 0;
    while let Some((kind, value)) = next(options, &mut at) {
        if let (kind::TIMESTAMPS, &[a, b, c, d, e, f, g, h]) = (kind, &options[value]) {
            let (padding, len) = (kind::NOTHING, 10);
            return Some([padding, padding, kind::TIMESTAMPS, len, e, f, g, h, a, b, c, d]);
        }
    }
    None
}

/// The option at this place: its kind, and where its value lies. The place is then that of the next one.
fn next(options: &[u8], at: &mut usize) -> Option<(u8, Range<usize>)> {
    while *options.get(*at)? == kind::NOTHING {
        *at += 1;
    }
    let (kind, len) = (options[*at], usize::from(*options.get(*at + 1)?));
    let value = *at + 2..*at + len;
    if kind == kind::END || len < 2 || value.end > options.len() {
        return None;
    }
    *at = value.end;
    Some((kind, value))
}
