//! A stream as one gate tells it to another, which goes on with it.

use super::{Mode, Stream};
use crate::alg::ftp::seq_map::SeqMap;
use wire::tcp::SeqNumber;

/// Bytes that a stream may have gone on at the other gate, since that told of it.
const AHEAD: u32 = 1 << 16;

/// A stream between two lines, or one that is not read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldStream {
    /// Sequence number of the sender's next byte.
    pub next: SeqNumber,
    /// How much the receiver's numbers are ahead of the sender's.
    pub growth: u32,
    /// Whether the rest of the stream goes on unread.
    pub is_opaque: bool,
}

impl Stream {
    /// The stream as another gate can go on with it; `None` while there is more to it, as bytes are held or the receiver may
    /// lack some that were rewritten.
    pub fn told(&self) -> Option<ToldStream> {
        let is_opaque = self.mode == Mode::Opaque;
        let holds_none = self.front() == self.next && self.seq_map.edits().is_empty();
        let growth = self.front_received().since(self.front());
        ((is_opaque || self.is_settled()) && holds_none && !self.ended).then_some(ToldStream {
            next: self.next,
            growth,
            is_opaque,
        })
    }

    /// Goes on with a stream of another gate. It may have come further there: the next segment says how far.
    pub fn resumed(told: ToldStream) -> Stream {
        let ToldStream { next, growth, is_opaque } = told;
        Stream {
            heard: next.after(growth),
            seq_map: SeqMap::shifted(growth),
            mode: if is_opaque { Mode::Opaque } else { Mode::Reading },
            is_resumed: true,
            ..Stream::new(next)
        }
    }

    /// Catches up with data that begins at `sequence`, if the stream was resumed and has not gone on here. What the sender may
    /// send again before it is known by the receiver's acknowledgements only.
    pub(super) fn catch_up(&mut self, sequence: SeqNumber) {
        if self.is_resumed && (1..=AHEAD).contains(&sequence.since(self.next)) {
            self.next = sequence;
        }
    }

    /// Catches up with what the receiver has acknowledged, in the receiver's numbers.
    pub(super) fn catch_up_with(&mut self, acknowledgement: SeqNumber) {
        if self.is_resumed {
            let [sent, _] = self.seq_map.sent(acknowledgement);
            self.catch_up(sent);
        }
    }
}
