//! Scripts: the arriving frames of a capture in a compact form, for a fuzzer to mutate.
//!
//! ```text
//!  queue   ticks before it   length      frame
//! +-----+-----+-----+-----+-----+-----+-----------
//! |  1  |     2     |     2     |    length ...
//! +-----+-----+-----+-----+-----+-----+-----------
//! ```

use crate::capture::Moment;
use engine::types::tick::PER_SECOND;
use std::time::Duration;

/// Bytes before a frame.
const HEAD: usize = 5;

/// A frame that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Worker whose queue gets the frame.
    pub queue: u8,
    /// Ticks since the frame before.
    pub ticks: u16,
    /// The frame.
    pub frame: &'a [u8],
}

/// Encodes the arriving frames, at two queues in turn.
pub fn encode(moments: &[Moment]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut before = Duration::ZERO;
    for (n, moment) in moments.iter().filter(|moment| moment.inbound).enumerate() {
        let ticks = ((moment.at - before).as_millis() as u32 * PER_SECOND / 1000) as u16;
        before = moment.at;
        bytes.push((n % 2) as u8);
        bytes.extend(ticks.to_le_bytes());
        bytes.extend((moment.frame.len() as u16).to_le_bytes());
        bytes.extend(&moment.frame);
    }
    bytes
}

/// Decodes a script; any bytes are valid.
pub fn decode(mut bytes: &[u8]) -> impl Iterator<Item = Arrival<'_>> {
    std::iter::from_fn(move || {
        let (&[queue, t0, t1, l0, l1], rest) = bytes.split_first_chunk::<HEAD>()?;
        let len = usize::from(u16::from_le_bytes([l0, l1])).min(rest.len());
        let (frame, rest) = rest.split_at(len);
        bytes = rest;
        Some(Arrival { queue, ticks: u16::from_le_bytes([t0, t1]), frame })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ROWS;

    #[test]
    fn what_was_encoded_is_decoded() {
        for row in &ROWS {
            for &via in row.modes {
                let moments = row.scene(via, 1).moments;
                let script = encode(&moments);
                let frames = moments.iter().filter(|moment| moment.inbound).map(|it| &it.frame[..]);
                assert!(decode(&script).map(|arrival| arrival.frame).eq(frames));
                let ticks: u32 = decode(&script).map(|arrival| u32::from(arrival.ticks)).sum();
                let last = moments.last().expect("something happens");
                assert_eq!(u128::from(ticks * 1000 / PER_SECOND), last.at.as_millis());
            }
        }
    }
}
