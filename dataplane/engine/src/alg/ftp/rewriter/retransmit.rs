//! Retransmissions: data that came before goes on as it did the first time.

use super::*;

impl Stream {
    /// Handles a segment that was received completely, but whose ACK the sender missed. Only the receiver should
    /// acknowledge it, and is prompted by a byte that it has.
    pub(super) fn hear_again(&self, end: SeqNumber) -> Pushed {
        if self.held_len > 0 && self.front().is_before(end) {
            return Pushed::Acknowledge { upto: self.told };
        }
        Pushed::Forward { sequence: self.heard.before(1), len: 0, is_last: false }
    }

    /// First byte to send for a segment, in the sender's numbers: its first byte still needed, or the start of the edit
    /// that contains it; within a leaving line, the byte that the receiver expects.
    pub(super) fn beginning(&self, segment: &Segment) -> SeqNumber {
        let start = segment.sequence.later(self.told);
        let end = segment.sequence.after(segment.data.len() as u32);
        // The FIN was perhaps sent behind held data, which the sender does not retransmit.
        let is_bare = segment.is_last && start == end;
        let is_part = |from: SeqNumber, to: SeqNumber| {
            from.is_before(start) && (start.is_before(to) || (is_bare && to == start))
        };
        let edits = self.seq_map.edits().iter();
        let edit = edits.rev().find(|edit| is_part(edit.start, edit.end())).map(|edit| edit.start);
        let line = self.long.leaving().filter(|line| is_part(line.start, line.end()));
        let line = line.map(|line| {
            let heard = self.heard.since(self.seq_map.received(line.start));
            line.start.later(line.start.after(heard))
        });
        edit.or(line).unwrap_or(start).earlier(self.front())
    }

    /// Sends old data again, from `begin` on. Returns whether all of it fitted.
    pub(super) fn forward_again(
        &self,
        begin: SeqNumber,
        segment: &Segment,
        out: &mut Output,
    ) -> bool {
        let Segment { sequence, data, .. } = *segment;
        let end = sequence.after(data.len() as u32).earlier(self.front());
        let place = |at: SeqNumber| (at.since(sequence) as usize).min(data.len());
        let mut at = begin;
        while at.is_before(end) {
            let edit = self.seq_map.edits().iter().find(|edit| edit.start == at);
            let (is_forwarded, to) = match (edit, self.long.forwarded_from(at)) {
                (Some(edit), _) => (out.put_whole(edit.text()), edit.end()),
                (None, Some(line)) => (out.put(line), at.after(line.len() as u32)),
                (None, None) => {
                    let edits = self.seq_map.edits().iter().map(|edit| edit.start);
                    let to =
                        edits.filter(|&start| at.is_before(start)).fold(end, SeqNumber::earlier);
                    (out.put(data.get(place(at)..place(to)).unwrap_or_default()), to)
                }
            };
            if !is_forwarded {
                return false;
            }
            at = to;
        }
        at == self.front()
    }
}
