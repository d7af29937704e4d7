//! What is new in a stream: line by line, held, judged, or passed on unread.

use super::*;

/// What goes on for a client's NUL in a line that is not read.
const BLANK: u8 = b'_';
/// What goes on for a client's byte that makes no command of Telnet's with the IAC before it: one that does nothing.
const NOP: u8 = 0xf1;

impl Stream {
    /// What has come for the first time, behind what leaves. Answers whether all of it has gone on or is held; what
    /// has not, its sender will say again.
    pub(super) fn say(
        &mut self,
        mut fresh: &[u8],
        side: Side,
        reader: &mut impl Reader,
        out: &mut Output,
    ) -> bool {
        while self.long.say(out) {
            if fresh.is_empty() {
                return true;
            }
            let taken = match self.mode {
                Mode::Beginning => {
                    self.begin(fresh[0], side, reader);
                    continue;
                }
                Mode::Reading => self.read(fresh, side, reader, out),
                Mode::Passing => self.pass(fresh, side, reader, out),
                Mode::Foreign => self.pass_foreign(fresh, out),
                Mode::Opaque => self.pass_opaque(fresh, out),
            };
            if taken == 0 {
                return false;
            }
            self.next = self.next.wrapping_add(taken as u32);
            fresh = &fresh[taken..];
        }
        false
    }

    /// Takes what belongs to the line that is read. Answers how many bytes of it could be taken.
    fn read(
        &mut self,
        fresh: &[u8],
        side: Side,
        reader: &mut impl Reader,
        out: &mut Output,
    ) -> usize {
        if self.held_len == 0
            && let Some(taken) = self.pass_telnet(fresh, side, out)
        {
            return taken;
        }
        let end = self.place.end(fresh, side);
        let part = end.map_or(fresh, |at| &fresh[..=at]);
        if self.place.is_spoilt(fresh, side) || !self.may_matter(part, end.is_some(), side) {
            self.mode = Mode::Passing;
            if side == Side::Client {
                self.blank_held();
            }
            return self.pass(fresh, side, reader, out);
        }
        let is_taken = match end {
            Some(_) => self.judge(part, side, reader, out),
            None => self.hold(part),
        };
        match (is_taken, end) {
            (true, Some(_)) => self.place.end_of(part),
            (true, None) => self.place.take(part),
            (false, _) => return 0,
        }
        part.len()
    }

    /// Takes what is Telnet's in front of a line, and urgent: the server has to hear of it at once (RFC 959 §4.1.3).
    /// Answers how many bytes could be taken; `None`: there is nothing.
    fn pass_telnet(&mut self, fresh: &[u8], side: Side, out: &mut Output) -> Option<usize> {
        let telnet = self.place.telnet(fresh, side);
        if telnet > 0 {
            let taken = self.pass_on(&fresh[..telnet], side, out);
            self.place.take_telnet(&fresh[..taken], side);
            return Some(taken);
        }
        // BSD's ftpd drops any byte behind an IAC; for others it would begin the line.
        if side == Side::Server || !self.place.is_in_telnet() {
            return None;
        }
        let is_said = self.edit(1, &[NOP], out);
        if is_said {
            self.place.take_telnet(&[NOP], side);
        }
        Some(is_said.into())
    }

    /// Whether what is held, with this part behind it, is to be read.
    fn may_matter(&mut self, part: &[u8], is_ended: bool, side: Side) -> bool {
        let len = self.held().len() + part.len();
        let fits = len < LONGEST || (len == LONGEST && is_ended);
        let is_plain = side == Side::Client || self.is_plain(part, is_ended);
        fits && is_plain && side.may_matter(text(self.beginning_with(part)))
    }

    /// Whether what comes behind what is held has nothing in it that no line of a server has.
    fn is_plain(&self, part: &[u8], is_ended: bool) -> bool {
        let is_in_line = self.held().ends_with(b"\r") && part != b"\n";
        let inside = if is_ended { text(part) } else { part.strip_suffix(b"\r").unwrap_or(part) };
        !is_in_line && !inside.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
    }

    /// What is held and this part behind it, as far as there is memory for that.
    fn beginning_with<'a>(&'a mut self, part: &'a [u8]) -> &'a [u8] {
        let held = usize::from(self.held_len);
        if held == 0 {
            return part;
        }
        let memory = self.memory();
        let len = part.len().min(memory.len() - held);
        memory[held..][..len].copy_from_slice(&part[..len]);
        &memory[..held + len]
    }

    /// Holds this part of the line, too. Answers whether there was memory for it.
    fn hold(&mut self, part: &[u8]) -> bool {
        let is_held = self.store(part);
        self.held_len += if is_held { part.len() as u16 } else { 0 };
        is_held
    }

    /// Judges the line that ends with this part. Answers whether that could be done.
    fn judge(
        &mut self,
        part: &[u8],
        side: Side,
        reader: &mut impl Reader,
        out: &mut Output,
    ) -> bool {
        // It is judged once: whatever comes of it must fit.
        if self.shift.is_full() || out.room() < TEXT {
            return false;
        }
        let most = if side == Side::Client { TEXT } else { out.room() };
        let is_whole = self.held_len == 0 && part.len() <= most;
        if !is_whole && !self.store(part) {
            return false;
        }
        let len = usize::from(self.held_len) + part.len();
        let line = if is_whole { part } else { &self.memory()[..len] };
        let end: &[u8] = if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
        let (other, mode) = match reader.judge(text(line)) {
            Rewrite::Replace(same) if same[..] == *text(line) => (None, Mode::Reading),
            Rewrite::Replace(other) => (Some(other), Mode::Reading),
            Rewrite::Keep => (None, Mode::Reading),
            Rewrite::Opaque => (None, Mode::Opaque),
        };
        self.mode = mode;
        match other {
            Some(other) => {
                let mut whole = ArrayVec::<u8, TEXT>::new();
                whole.extend(other.iter().chain(end).copied());
                self.edit(part.len(), &whole, out)
            }
            None if is_whole && side == Side::Server => out.put(part),
            None => self.release(part, out),
        }
    }

    /// Takes what goes on unread of a line. Answers how many bytes could be taken. A client's NUL, which servers take for
    /// different things, becomes one that is none of them.
    fn pass(
        &mut self,
        fresh: &[u8],
        side: Side,
        reader: &mut impl Reader,
        out: &mut Output,
    ) -> usize {
        let end = self.place.end(fresh, side);
        let part = end.map_or(fresh, |at| &fresh[..=at]);
        let nul = part.iter().position(|&byte| byte == 0 && side == Side::Client);
        let taken = if self.held_len > 0 {
            self.pass_held(if nul == Some(0) { BLANK } else { part[0] }, out)
        } else if nul == Some(0) {
            usize::from(self.edit(1, &[BLANK], out))
        } else {
            self.pass_on(&part[..nul.unwrap_or(part.len())], side, out)
        };
        self.place.take(&fresh[..taken]);
        if end.is_some_and(|at| taken == at + 1) {
            if self.place.len() <= LONGEST {
                reader.passed(self.place.start());
            }
            self.place.begin();
            self.mode = Mode::Reading;
        }
        taken
    }

    /// Takes what can't be read.
    fn pass_opaque(&mut self, fresh: &[u8], out: &mut Output) -> usize {
        if self.held_len > 0 { self.pass_held(fresh[0], out) } else { put(fresh, out) }
    }

    /// As much as there is room for goes on. Answers how much that is. A client's is remembered: what it says again could
    /// be something else, and its server may not have taken the first.
    pub(super) fn pass_on(&mut self, bytes: &[u8], side: Side, out: &mut Output) -> usize {
        if side == Side::Server {
            return put(bytes, out);
        }
        let room = self.shift.room(self.front()).min(out.room());
        let bytes = &bytes[..bytes.len().min(room)];
        let is_said = !bytes.is_empty() && self.edit(bytes.len(), bytes, out);
        if is_said { bytes.len() } else { 0 }
    }

    /// Lets go what is held with the first byte that its sender does not yet know to have come: by that it is found again.
    fn pass_held(&mut self, first: u8, out: &mut Output) -> usize {
        usize::from(self.release(&[first], out))
    }

    /// No NUL that is held goes on.
    fn blank_held(&mut self) {
        let len = usize::from(self.held_len);
        let held = self.memory().iter_mut().take(len);
        held.filter(|byte| **byte == 0).for_each(|byte| *byte = BLANK);
    }

    /// Lets go what is held, and these bytes behind it. Answers whether there was room for that.
    pub(super) fn release(&mut self, more: &[u8], out: &mut Output) -> bool {
        if self.long.held().is_some() {
            let is_stored = self.store(more);
            self.long.leave(self.front(), self.held_len + more.len() as u16);
            self.held_len = 0;
            return is_stored;
        }
        let mut whole = ArrayVec::<u8, TEXT>::new();
        whole.extend(self.held().iter().chain(more).copied());
        self.edit(more.len(), &whole, out)
    }

    /// In place of what is held and so many bytes more, this text goes on, if there is room for it.
    fn edit(&mut self, more: usize, text: &[u8], out: &mut Output) -> bool {
        let is_said = text.len() <= out.room()
            && self.shift.push(self.front(), usize::from(self.held_len) + more, text)
            && out.put(text);
        if !is_said {
            return false;
        }
        self.held_len = 0;
        if self.long.held().is_some() {
            self.long.free();
        }
        true
    }

    /// Puts this part behind what is held, where that becomes long into a buffer. Answers whether there was one.
    fn store(&mut self, part: &[u8]) -> bool {
        let held = usize::from(self.held_len);
        let len = held + part.len();
        if len > SHORT && !self.long.hold(&self.held[..held.min(SHORT)]) {
            return false;
        }
        self.memory()[held..len].copy_from_slice(part);
        true
    }

    /// Where a line is held.
    fn memory(&mut self) -> &mut [u8] {
        match self.long.held_mut() {
            Some(buffer) => &mut buffer[..],
            None => &mut self.held,
        }
    }

    fn held(&self) -> &[u8] {
        let memory = self.long.held().map_or(&self.held[..], |buffer| &buffer[..]);
        &memory[..usize::from(self.held_len)]
    }
}

/// As much as there is room for goes on. Answers how much that is.
fn put(bytes: &[u8], out: &mut Output) -> usize {
    let before = out.len();
    out.put(bytes);
    out.len() - before
}

/// A line, or what there is of it, without its end.
fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
