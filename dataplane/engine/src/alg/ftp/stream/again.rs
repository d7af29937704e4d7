//! What has come before comes again, and goes on as it did before.

use super::*;

impl Stream {
    /// All of a segment has come, and its sender does not know it. Only who has it should tell: the receiver is
    /// asked by a byte that it has.
    pub(super) fn hear_again(&self, end: u32) -> Pushed {
        if self.held_len > 0 && is_before(self.front(), end) {
            return Pushed::Acknowledge { upto: self.told };
        }
        Pushed::Forward { sequence: self.heard.wrapping_sub(1), len: 0, is_last: false }
    }

    /// Where what goes on for a segment begins, as the sender counts: at its first byte that is still needed,
    /// or at the start of what that is part of; of a line that leaves, at what the receiver waits for.
    pub(super) fn beginning(&self, segment: &Segment) -> u32 {
        let start = later(segment.sequence, self.told);
        let end = segment.sequence.wrapping_add(segment.data.len() as u32);
        // The end of the stream was perhaps sent behind what was held, which its sender does not send again.
        let is_bare = segment.is_last && start == end;
        let is_part = |from: u32, to: u32| {
            is_before(from, start) && (is_before(start, to) || (is_bare && to == start))
        };
        let edits = self.shift.edits().iter();
        let edit = edits.rev().find(|edit| is_part(edit.start, edit.end())).map(|edit| edit.start);
        let line = self.long.leaving().filter(|line| is_part(line.start, line.end()));
        let line = line.map(|line| {
            let heard = self.heard.wrapping_sub(self.shift.received(line.start));
            later(line.start, line.start.wrapping_add(heard))
        });
        earlier(edit.or(line).unwrap_or(start), self.front())
    }

    /// What has gone on before goes on again, from `begin` on. Answers whether that is all, and there was room
    /// for it.
    pub(super) fn say_again(&self, begin: u32, segment: &Segment, out: &mut Output) -> bool {
        let Segment { sequence, data, .. } = *segment;
        let end = earlier(sequence.wrapping_add(data.len() as u32), self.front());
        let place = |at: u32| (at.wrapping_sub(sequence) as usize).min(data.len());
        let mut at = begin;
        while is_before(at, end) {
            let edit = self.shift.edits().iter().find(|edit| edit.start == at);
            let (is_said, to) = match (edit, self.long.said_from(at)) {
                (Some(edit), _) => (out.put_whole(edit.text()), edit.end()),
                (None, Some(line)) => (out.put(line), at.wrapping_add(line.len() as u32)),
                (None, None) => {
                    let edits = self.shift.edits().iter().map(|edit| edit.start);
                    let to = edits.filter(|&start| is_before(at, start)).fold(end, earlier);
                    (out.put(data.get(place(at)..place(to)).unwrap_or_default()), to)
                }
            };
            if !is_said {
                return false;
            }
            at = to;
        }
        at == self.front()
    }
}
