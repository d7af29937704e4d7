//! The last dropped frames of each reason: a worker keeps them, so that "why was it dropped?" has an answer afterwards.

use arrayvec::ArrayVec;
use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;
use std::time::Instant;

/// Frames that a worker keeps of each reason.
pub const KEPT: usize = 64;
/// Bytes that are kept of a frame.
pub const SNAPLEN: usize = 512;

/// A copy of a dropped frame, as it was when it was dropped.
#[derive(Debug, Clone)]
pub struct DroppedFrame {
    /// The beginning of the turn that dropped the frame.
    pub at: Instant,
    /// The interface that the frame came in by, or could not leave by; `None`: its VLANs are no interface's.
    pub interface: Option<InterfaceId>,
    /// Bytes of the whole frame.
    pub len: usize,
    /// The front of the frame.
    pub bytes: ArrayVec<u8, SNAPLEN>,
}

/// A query for the last frames of one reason, and the answer.
#[derive(Debug)]
pub struct DropQuery {
    /// The reason.
    pub reason: DropReason,
    /// The frames, oldest first, up to the initial capacity: the worker does not allocate.
    pub frames: Vec<DroppedFrame>,
}

/// The last frames of each reason. All memory is allocated at the start.
pub struct DropHistory {
    reasons: Vec<Ring>,
}

/// The last frames of one reason.
struct Ring {
    frames: Vec<DroppedFrame>,
    /// The oldest frame, once all places are taken.
    oldest: usize,
}

impl Ring {
    /// The place of the next frame: a new one, or that of the oldest.
    fn next(&mut self, at: Instant) -> &mut DroppedFrame {
        let place = if self.frames.len() < KEPT {
            let empty = DroppedFrame { at, interface: None, len: 0, bytes: ArrayVec::new() };
            self.frames.push(empty);
            self.frames.len() - 1
        } else {
            let next = (self.oldest + 1) % KEPT;
            std::mem::replace(&mut self.oldest, next)
        };
        &mut self.frames[place]
    }
}

impl DropHistory {
    /// An empty history.
    pub fn new() -> DropHistory {
        let ring = |_| Ring { frames: Vec::with_capacity(KEPT), oldest: 0 };
        DropHistory { reasons: DropReason::ALL.iter().map(ring).collect() }
    }

    /// Keeps a copy of a frame, in place of the oldest one of its reason.
    #[cold]
    pub fn keep(
        &mut self,
        reason: DropReason,
        interface: Option<InterfaceId>,
        frame: &[u8],
        at: Instant,
    ) {
        // The copy is made in its place: it is half a kilobyte, and moving it would copy it again.
        let kept = self.reasons[reason as usize].next(at);
        (kept.at, kept.interface, kept.len) = (at, interface, frame.len());
        kept.bytes.clear();
        // The front always fits.
        let _ = kept.bytes.try_extend_from_slice(&frame[..frame.len().min(SNAPLEN)]);
    }

    /// Answers a query.
    pub fn answer(&self, query: &mut DropQuery) {
        let Ring { frames, oldest } = &self.reasons[query.reason as usize];
        let (newer, older) = frames.split_at(*oldest);
        let room = query.frames.capacity();
        query.frames.extend(older.iter().chain(newer).take(room).cloned());
    }
}

impl Default for DropHistory {
    fn default() -> DropHistory {
        DropHistory::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(history: &DropHistory, reason: DropReason) -> Vec<DroppedFrame> {
        let mut query = DropQuery { reason, frames: Vec::with_capacity(KEPT) };
        history.answer(&mut query);
        query.frames
    }

    #[test]
    fn the_last_frames_of_each_reason_are_kept_in_their_order() {
        let mut history = DropHistory::new();
        let at = Instant::now();
        for n in 0..100 {
            history.keep(DropReason::BadTftp, Some(InterfaceId(1)), &[n; 60], at);
        }
        history.keep(DropReason::Looped, None, &[7; 1500], at);
        let frames = kept(&history, DropReason::BadTftp);
        let first: Vec<u8> = frames.iter().map(|frame| frame.bytes[59]).collect();
        assert_eq!(first, (36..100).collect::<Vec<u8>>());
        let [long] = &kept(&history, DropReason::Looped)[..] else { panic!("one frame") };
        assert_eq!((long.len, long.bytes.len(), long.interface), (1500, SNAPLEN, None));
        assert!(kept(&history, DropReason::BadIpv4).is_empty());
    }
}
