//! TCP options: kind, length and value. A malformed list ends at its first fault.

use super::SeqNumber;
use crate::checksum::Delta;
use std::ops::Range;
use zerocopy::network_endian::U32;

/// Option kinds (RFC 9293 §3.1, RFC 2018, RFC 7323).
mod kind {
    pub const END: u8 = 0;
    pub const NOTHING: u8 = 1;
    pub const BLOCKS: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
}

/// Bytes of the longest possible list.
const LONGEST: usize = 40;

/// Maps the edges of each SACK block. An option may begin at an odd byte, but the list consists of whole words: the
/// checksum change is therefore computed over the whole list.
pub(super) fn map_blocks(
    options: &mut [u8],
    map: &mut impl FnMut([SeqNumber; 2]) -> [SeqNumber; 2],
) -> Delta {
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

/// Replaces all options by no-operations.
pub(super) fn blank(options: &mut [u8]) -> Delta {
    let mut before = [0; LONGEST];
    let Some(before) = before.get_mut(..options.len()) else { return Delta::default() };
    before.copy_from_slice(options);
    options.fill(kind::NOTHING);
    Delta::replaced(before, options)
}

fn map_block(block: &mut [u8; 8], map: &mut impl FnMut([SeqNumber; 2]) -> [SeqNumber; 2]) {
    let edges: [U32; 2] = zerocopy::transmute!(*block);
    *block = zerocopy::transmute!(map(edges.map(SeqNumber::from)).map(U32::from));
}

/// Timestamps (RFC 7323) for an answer to a segment with these options, as options; `None`: the segment has none. Some
/// hosts drop segments without timestamps once they were negotiated. The answer's value is the one that the sender
/// echoed: the latest that the sender knows.
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

/// The option at `at`: its kind and the range of its value. Moves `at` to the next option.
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
