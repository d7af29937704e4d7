//! Sequence numbers before and after a rewriter: what the sender counts, and what the receiver counts. Edits
//! that the receiver may not have are remembered, text and all; of older ones only what they add up to.
//!
//! ```text
//!   sender    ... kept | PORT 10,0,0,9,4,1      | kept ...
//!   receiver  ... kept | PORT 10,0,0,101,200,17 | kept ...
//!             base ----+- base + growth --------------------
//! ```

/// Edits that are remembered.
const MOST: usize = 4;

/// Bytes of the longest text of an edit.
pub const TEXT: usize = 256;

/// What went on in the place of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit {
    /// Where the sender has what was there.
    pub start: u32,
    /// Bytes of that.
    before: u16,
    len: u16,
    text: [u8; TEXT],
}

/// The edits of a stream, the oldest first.
#[derive(Debug, Clone)]
pub struct Shift {
    base: u32,
    count: u32,
    edits: [Edit; MOST],
}

/// Whether a sequence number comes before another one.
#[inline]
pub fn is_before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}

/// The one that comes behind.
#[inline]
pub fn later(one: u32, other: u32) -> u32 {
    if is_before(one, other) { other } else { one }
}

/// The one that comes first.
#[inline]
pub fn earlier(one: u32, other: u32) -> u32 {
    if is_before(other, one) { other } else { one }
}

impl Edit {
    const NONE: Edit = Edit { start: 0, before: 0, len: 0, text: [0; TEXT] };

    /// Where the sender has what comes behind it.
    pub fn end(&self) -> u32 {
        self.start.wrapping_add(self.before.into())
    }

    /// What the receiver gets.
    pub fn text(&self) -> &[u8] {
        &self.text[..usize::from(self.len).min(TEXT)]
    }

    /// Whether it is as long as what was there: both count alike inside of it.
    fn is_even(&self) -> bool {
        self.len == self.before
    }

    /// Continues the edit with this, which stays as it was.
    fn append(&mut self, text: &[u8]) {
        self.text[usize::from(self.len)..][..text.len()].copy_from_slice(text);
        self.before += text.len() as u16;
        self.len += text.len() as u16;
    }

    fn growth(&self) -> u32 {
        u32::from(self.len).wrapping_sub(self.before.into())
    }
}

impl Shift {
    /// No edits.
    pub const NONE: Shift = Shift { base: 0, count: 0, edits: [Edit::NONE; MOST] };

    /// Those that the receiver may not have.
    pub fn edits(&self) -> &[Edit] {
        &self.edits[..self.count()]
    }

    fn count(&self) -> usize {
        (self.count as usize).min(MOST)
    }

    /// Whether there is room for no other one.
    pub fn is_full(&self) -> bool {
        self.count() == MOST
    }

    /// Bytes that can go on from there as they are, and be remembered.
    pub fn room(&self, start: u32) -> usize {
        match self.room_of_last(start) {
            0 if !self.is_full() => TEXT,
            room => room,
        }
    }

    /// Bytes that the last edit has room for, if it ends there and is even.
    fn room_of_last(&self, start: u32) -> usize {
        let last = self.edits().last().filter(|last| last.is_even() && last.end() == start);
        last.map_or(0, |last| TEXT - last.text().len())
    }

    /// One more, behind all others: from there on so many bytes became this text. An even one continues an even one.
    /// Answers whether there is room for it.
    pub fn push(&mut self, start: u32, before: usize, text: &[u8]) -> bool {
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

    /// The receiver's number for this place of the sender; inside of an edit that is not even, at the start of that.
    #[inline]
    pub fn received(&self, at: u32) -> u32 {
        let mut by = self.base;
        for edit in self.edits() {
            if is_before(at, edit.end()) {
                let at = if edit.is_even() { at } else { earlier(at, edit.start) };
                return at.wrapping_add(by);
            }
            by = by.wrapping_add(edit.growth());
        }
        at.wrapping_add(by)
    }

    /// What the sender counts at this place of the receiver; inside of an edit that is not even, at both ends of that.
    #[inline]
    pub fn sent(&self, at: u32) -> [u32; 2] {
        let mut by = self.base;
        for edit in self.edits() {
            let start = edit.start.wrapping_add(by);
            if !is_before(start, at) {
                break;
            }
            if is_before(at, start.wrapping_add(edit.len.into())) && !edit.is_even() {
                return [edit.start, edit.end()];
            }
            by = by.wrapping_add(edit.growth());
        }
        [at.wrapping_sub(by); 2]
    }

    /// The receiver has all before this place of its own: edits there need no longer be remembered.
    #[inline]
    pub fn forget(&mut self, until: u32) {
        let mut base = self.base;
        let is_there = |edit: &&Edit| {
            let end = edit.end().wrapping_add(base).wrapping_add(edit.growth());
            let is_there = !is_before(until, end);
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
