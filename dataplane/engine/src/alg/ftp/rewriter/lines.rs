//! New data of a stream: line by line held, judged, or forwarded unread.

use super::*;

/// Replaces a client's NUL in a line that is not read.
const BLANK: u8 = b'_';
/// Replaces a client's byte behind IAC that is no Telnet command: Telnet's no-operation.
const NOP: u8 = 0xf1;

impl Stream {
    /// Takes new data, behind the line that is leaving. Returns whether all of it has gone on or is held; the sender
    /// retransmits the rest.
    pub(super) fn forward(
        &mut self,
        mut fresh: &[u8],
        speaker: Speaker,
        reader: &mut impl Reader,
        out: &mut Output,
    ) -> bool {
        while self.long.forward(out) {
            if fresh.is_empty() {
                return true;
            }
            let taken = match self.mode {
                Mode::Beginning => {
                    self.begin(fresh[0], speaker, reader);
                    continue;
                }
                Mode::Reading => self.read(fresh, speaker, reader, out),
                Mode::Passing => self.pass(fresh, speaker, reader, out),
                Mode::Foreign => self.pass_foreign(fresh, out),
                Mode::Opaque => self.pass_opaque(fresh, out),
            };
            if taken == 0 {
                return false;
            }
            self.next = self.next.after(taken as u32);
            fresh = &fresh[taken..];
        }
        false
    }

    /// Takes bytes of a line that is read. Returns the number of bytes taken.
    fn read(
        &mut self,
        fresh: &[u8],
        speaker: Speaker,
        reader: &mut impl Reader,
        out: &mut Output,
    ) -> usize {
        if self.held_len == 0
            && let Some(taken) = self.pass_telnet(fresh, speaker, out)
        {
            return taken;
        }
        let end = self.place.end(fresh, speaker);
        let part = end.map_or(fresh, |at| &fresh[..=at]);
        if self.place.is_spoilt(fresh, speaker) || !self.may_matter(part, end.is_some(), speaker) {
            self.mode = Mode::Passing;
            if speaker == Speaker::Client {
                self.blank_held();
            }
            return self.pass(fresh, speaker, reader, out);
        }
        let is_taken = match end {
            Some(_) => self.judge(part, speaker, reader, out),
            None => self.hold(part),
        };
        match (is_taken, end) {
            (true, Some(_)) => self.place.end_of(part),
            (true, None) => self.place.take(part),
            (false, _) => return 0,
        }
        part.len()
    }

    /// Forwards Telnet commands in front of a line. They are urgent: the server must get them at once (RFC 959 §4.1.3).
    /// Returns the number of bytes taken; `None`: no command.
    fn pass_telnet(&mut self, fresh: &[u8], speaker: Speaker, out: &mut Output) -> Option<usize> {
        let telnet = self.place.telnet(fresh, speaker);
        if telnet > 0 {
            let taken = self.pass_on(&fresh[..telnet], speaker, out);
            self.place.take_telnet(&fresh[..taken], speaker);
            return Some(taken);
        }
        // BSD's ftpd drops any byte behind IAC; to other servers it would begin the line.
        if speaker == Speaker::Server || !self.place.is_in_telnet() {
            return None;
        }
        let is_forwarded = self.edit(1, &[NOP], out);
        if is_forwarded {
            self.place.take_telnet(&[NOP], speaker);
        }
        Some(is_forwarded.into())
    }

    /// Whether the held bytes with `part` behind them must be read.
    fn may_matter(&mut self, part: &[u8], is_ended: bool, speaker: Speaker) -> bool {
        let len = self.held().len() + part.len();
        let fits = len < LONGEST || (len == LONGEST && is_ended);
        let is_plain = speaker == Speaker::Client || self.is_plain(part, is_ended);
        fits && is_plain && speaker.may_matter(text(self.beginning_with(part)))
    }

    /// Whether `part` contains no byte that invalidates a server's line.
    fn is_plain(&self, part: &[u8], is_ended: bool) -> bool {
        let is_in_line = self.held().ends_with(b"\r") && part != b"\n";
        let inside = if is_ended { text(part) } else { part.strip_suffix(b"\r").unwrap_or(part) };
        !is_in_line && !inside.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
    }

    /// The held bytes with `part` behind them, as far as there is memory.
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

    /// Holds `part`, too. Returns whether there was memory.
    fn hold(&mut self, part: &[u8]) -> bool {
        let is_held = self.store(part);
        self.held_len += if is_held { part.len() as u16 } else { 0 };
        is_held
    }

    /// Judges the line that ends with `part`. Returns whether there was room for the result.
    fn judge(
        &mut self,
        part: &[u8],
        speaker: Speaker,
        reader: &mut impl Reader,
        out: &mut Output,
    ) -> bool {
        // Each line is judged only once, so any result must fit.
        if self.seq_map.is_full() || out.room() < TEXT {
            return false;
        }
        let most = if speaker == Speaker::Client { TEXT } else { out.room() };
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
            None if is_whole && speaker == Speaker::Server => out.put(part),
            None => self.release(part, out),
        }
    }

    /// Forwards bytes of an unread line. Returns the number of bytes taken. A client's NUL, which servers read in
    /// different ways, is replaced by a harmless byte.
    fn pass(
        &mut self,
        fresh: &[u8],
        speaker: Speaker,
        reader: &mut impl Reader,
        out: &mut Output,
    ) -> usize {
        let end = self.place.end(fresh, speaker);
        let part = end.map_or(fresh, |at| &fresh[..=at]);
        let nul = part.iter().position(|&byte| byte == 0 && speaker == Speaker::Client);
        let taken = if self.held_len > 0 {
            self.pass_held(if nul == Some(0) { BLANK } else { part[0] }, out)
        } else if nul == Some(0) {
            usize::from(self.edit(1, &[BLANK], out))
        } else {
            self.pass_on(&part[..nul.unwrap_or(part.len())], speaker, out)
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

    /// Forwards unreadable bytes.
    fn pass_opaque(&mut self, fresh: &[u8], out: &mut Output) -> usize {
        if self.held_len > 0 { self.pass_held(fresh[0], out) } else { put(fresh, out) }
    }

    /// Forwards as many bytes as there is room for. Returns their number. A client's bytes are remembered: a
    /// retransmission could differ, and the server may not have received the original.
    pub(super) fn pass_on(&mut self, bytes: &[u8], speaker: Speaker, out: &mut Output) -> usize {
        if speaker == Speaker::Server {
            return put(bytes, out);
        }
        let room = self.seq_map.room(self.front()).min(out.room());
        let bytes = &bytes[..bytes.len().min(room)];
        let is_forwarded = !bytes.is_empty() && self.edit(bytes.len(), bytes, out);
        if is_forwarded { bytes.len() } else { 0 }
    }

    /// Forwards the held bytes, starting at the first one that the sender does not know to be acknowledged: a
    /// retransmission is recognised by that byte.
    fn pass_held(&mut self, first: u8, out: &mut Output) -> usize {
        usize::from(self.release(&[first], out))
    }

    /// Replaces NULs among the held bytes.
    fn blank_held(&mut self) {
        let len = usize::from(self.held_len);
        let held = self.memory().iter_mut().take(len);
        held.filter(|byte| **byte == 0).for_each(|byte| *byte = BLANK);
    }

    /// Forwards the held bytes with `more` behind them. Returns whether there was room.
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

    /// Forwards `text` in place of the held bytes and `more` further ones, if there is room.
    fn edit(&mut self, more: usize, text: &[u8], out: &mut Output) -> bool {
        let is_forwarded = text.len() <= out.room()
            && self.seq_map.push(self.front(), usize::from(self.held_len) + more, text)
            && out.put(text);
        if !is_forwarded {
            return false;
        }
        self.held_len = 0;
        if self.long.held().is_some() {
            self.long.free();
        }
        true
    }

    /// Appends `part` to the held bytes, in a borrowed buffer if the line becomes long. Returns whether there was one.
    fn store(&mut self, part: &[u8]) -> bool {
        let held = usize::from(self.held_len);
        let len = held + part.len();
        if len > SHORT && !self.long.hold(&self.held[..held.min(SHORT)]) {
            return false;
        }
        self.memory()[held..len].copy_from_slice(part);
        true
    }

    /// Memory of the held line.
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

/// Copies as many bytes as there is room for. Returns their number.
fn put(bytes: &[u8], out: &mut Output) -> usize {
    let before = out.len();
    out.put(bytes);
    out.len() - before
}

/// A line, complete or not, without its end.
fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
