//! Maps sequence numbers across a rewriter: the sender's numbers to the receiver's and back. Edits that the receiver
//! may not have acknowledged are stored with their text; of older ones only the total growth is kept.
//!
//! ```text
//!   sender    ... kept | PORT 10,0,0,9,4,1      | kept ...
//!   receiver  ... kept | PORT 10,0,0,101,200,17 | kept ...
//!             base ----+- base + growth --------------------
//! ```

use wire::tcp::SeqNumber;

/// Most stored edits.
const MOST: usize = 4;

/// Bytes of the longest text of an edit.
pub const TEXT: usize = 256;

/// A replaced range of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// First replaced byte, in the sender's numbers.
    pub start: SeqNumber,
    /// Bytes replaced.
    before: u16,
    len: u16,
    text: [u8; TEXT],
}

/// The edits of a stream, oldest first.
#[derive(Debug, Clone)]
pub struct SeqMap {
    base: u32,
    count: u32,
    edits: [Edit; MOST],
}

impl Edit {
    const NONE: Edit = Edit { start: SeqNumber(0), before: 0, len: 0, text: [0; TEXT] };

    /// The byte behind the edit, in the sender's numbers.
    pub fn end(&self) -> SeqNumber {
        self.start.after(self.before.into())
    }

    /// The text that the receiver gets.
    pub fn text(&self) -> &[u8] {
        &self.text[..usize::from(self.len).min(TEXT)]
    }

    /// Whether old and new text have the same length: positions inside correspond.
    fn is_even(&self) -> bool {
        self.len == self.before
    }

    /// Extends the edit by text that stays unchanged.
    fn append(&mut self, text: &[u8]) {
        self.text[usize::from(self.len)..][..text.len()].copy_from_slice(text);
        self.before += text.len() as u16;
        self.len += text.len() as u16;
    }

    fn growth(&self) -> u32 {
        u32::from(self.len).wrapping_sub(self.before.into())
    }
}

impl SeqMap {
    /// No edits.
    pub const NONE: SeqMap = SeqMap { base: 0, count: 0, edits: [Edit::NONE; MOST] };

    /// No edits that the receiver may not have, behind others that grew the stream by so much.
    pub fn shifted(growth: u32) -> SeqMap {
        SeqMap { base: growth, ..SeqMap::NONE }
    }

    /// Edits that the receiver may not have.
    pub fn edits(&self) -> &[Edit] {
        &self.edits[..self.count()]
    }

    fn count(&self) -> usize {
        (self.count as usize).min(MOST)
    }

    /// Whether no further edit can be stored.
    pub fn is_full(&self) -> bool {
        self.count() == MOST
    }

    /// Bytes that can go on unchanged from `start` and be stored.
    pub fn room(&self, start: SeqNumber) -> usize {
        match self.room_of_last(start) {
            0 if !self.is_full() => TEXT,
            room => room,
        }
    }

    /// Room in the last edit, if it is even and ends at `start`.
    fn room_of_last(&self, start: SeqNumber) -> usize {
        let last = self.edits().last().filter(|last| last.is_even() && last.end() == start);
        last.map_or(0, |last| TEXT - last.text().len())
    }

    /// Adds an edit behind all others: `before` bytes at `start` become `text`. An even edit extends an even one.
    /// Returns whether there was room.
    pub fn push(&mut self, start: SeqNumber, before: usize, text: &[u8]) -> bool {
        let count = self.count();
        if before == text.len()
            && before <= self.room_of_last(start)
            && let Some(last) = self.edits[..count].last_mut()
        {
            last.append(text);
            return true;
        }
        let Some(edit) = self.edits.get_mut(count) else { return false };
        *edit = Edit { start, before: before as u16, len: text.len() as u16, text: [0; TEXT] };
        edit.text[..text.len()].copy_from_slice(text);
        self.count += 1;
        true
    }

    /// Maps a sender's number to the receiver's; within an uneven edit, to the edit's start.
    #[inline]
    pub fn received(&self, at: SeqNumber) -> SeqNumber {
        let mut by = self.base;
        for edit in self.edits() {
            if at.is_before(edit.end()) {
                let at = if edit.is_even() { at } else { at.earlier(edit.start) };
                return at.after(by);
            }
            by = by.wrapping_add(edit.growth());
        }
        at.after(by)
    }

    /// Maps a receiver's number to the sender's; within an uneven edit, to both of the edit's ends.
    #[inline]
    pub fn sent(&self, at: SeqNumber) -> [SeqNumber; 2] {
        let mut by = self.base;
        for edit in self.edits() {
            let start = edit.start.after(by);
            if !start.is_before(at) {
                break;
            }
            if at.is_before(start.after(edit.len.into())) && !edit.is_even() {
                return [edit.start, edit.end()];
            }
            by = by.wrapping_add(edit.growth());
        }
        [at.before(by); 2]
    }

    /// Forgets edits before `until`, in the receiver's numbers: the receiver has them.
    #[inline]
    pub fn forget(&mut self, until: SeqNumber) {
        let mut base = self.base;
        let is_there = |edit: &&Edit| {
            let end = edit.end().after(base).after(edit.growth());
            let is_there = !until.is_before(end);
            base = base.wrapping_add(if is_there { edit.growth() } else { 0 });
            is_there
        };
        let there = self.edits().iter().take_while(is_there).count();
        if there > 0 {
            self.edits.copy_within(there.., 0);
            self.count = (self.count() - there) as u32;
            self.base = base;
        }
    }
}
