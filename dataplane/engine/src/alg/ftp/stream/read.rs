//! What is new in a stream: line by line, held, judged, or passed on unread.

use super::*;

/// Telnet's commands, and what they begin with (RFC 854), are these bytes and those above.
const TELNET: u8 = 240;

impl Stream {
    /// What has come for the first time. Answers whether all of it has gone on or is held; what has not,
    /// its sender will say again.
    pub(super) fn say(
        &mut self,
        mut fresh: &[u8],
        side: Side,
        mut rewrite: impl FnMut(&[u8]) -> Rewrite,
        out: &mut Output,
    ) -> bool {
        while !fresh.is_empty() {
            let taken = match self.mode {
                Mode::Reading => self.read(fresh, side, &mut rewrite, out),
                Mode::Passing | Mode::Opaque => self.pass(fresh, out),
            };
            if taken == 0 {
                return false;
            }
            self.next = self.next.wrapping_add(taken as u32);
            fresh = &fresh[taken..];
        }
        true
    }

    /// Takes what belongs to the line that is read. Answers how many bytes of it could be taken.
    fn read(
        &mut self,
        fresh: &[u8],
        side: Side,
        rewrite: &mut impl FnMut(&[u8]) -> Rewrite,
        out: &mut Output,
    ) -> usize {
        let telnet = fresh.iter().take_while(|&&byte| byte >= TELNET).count();
        if self.held_len == 0 && telnet > 0 {
            // In front of ABOR, and urgent: the server has to hear of it at once (RFC 959 §4.1.3).
            let before = out.len();
            out.put(&fresh[..telnet]);
            return out.len() - before;
        }
        let newline = fresh.iter().position(|&byte| byte == b'\n');
        let part = newline.map_or(fresh, |at| &fresh[..=at]);
        let Some(line) = self.line(part).filter(|line| may_matter(line, side)) else {
            self.mode = Mode::Passing;
            return self.pass(fresh, out);
        };
        if newline.is_none() {
            self.held[..line.len()].copy_from_slice(&line);
            self.held_len = line.len() as u16;
            return part.len();
        }
        // It is judged once: whatever comes of it must fit.
        if self.shift.is_full() || out.room() < TEXT {
            return 0;
        }
        let (text, end) = line.split_at(text(&line).len());
        let verdict = rewrite(text);
        self.mode = if verdict == Rewrite::Opaque { Mode::Opaque } else { Mode::Reading };
        match verdict {
            Rewrite::Replace(other) if other[..] != *text => {
                let mut whole = ArrayVec::<u8, TEXT>::new();
                whole.extend(other.iter().chain(end).copied());
                self.edit(part.len(), &whole, out);
            }
            Rewrite::Keep | Rewrite::Opaque | Rewrite::Replace(_) if self.held_len == 0 => {
                out.put(part);
            }
            Rewrite::Keep | Rewrite::Opaque | Rewrite::Replace(_) => {
                self.edit(part.len(), &line, out);
            }
        }
        part.len()
    }

    /// What is held, and this part behind it; `None`: too long to be read, now or when its end has come.
    fn line(&self, part: &[u8]) -> Option<ArrayVec<u8, LONGEST>> {
        let mut line = ArrayVec::new();
        line.try_extend_from_slice(self.held()).ok()?;
        line.try_extend_from_slice(part).ok()?;
        let fits = !line.is_full() || line.ends_with(b"\n");
        fits.then_some(line)
    }

    /// Takes what goes on unread. Answers how many bytes could be taken.
    fn pass(&mut self, fresh: &[u8], out: &mut Output) -> usize {
        let newline = match self.mode {
            Mode::Opaque => None,
            Mode::Reading | Mode::Passing => fresh.iter().position(|&byte| byte == b'\n'),
        };
        let before = out.len();
        let taken = if self.held_len > 0 {
            // With the first byte that its sender does not yet know to have come: by that it is found again.
            usize::from(self.release(&fresh[..1], out))
        } else {
            out.put(newline.map_or(fresh, |at| &fresh[..=at]));
            out.len() - before
        };
        if newline.is_some_and(|at| taken == at + 1) {
            self.mode = Mode::Reading;
        }
        taken
    }

    /// Lets go what is held, and these bytes behind it. Answers whether there was room for that.
    pub(super) fn release(&mut self, more: &[u8], out: &mut Output) -> bool {
        let mut whole = ArrayVec::<u8, TEXT>::new();
        whole.extend(self.held().iter().chain(more).copied());
        self.edit(more.len(), &whole, out)
    }

    /// In place of what is held and so many bytes more, this text goes on, if there is room for it.
    fn edit(&mut self, more: usize, text: &[u8], out: &mut Output) -> bool {
        if self.shift.is_full() || !out.put_whole(text) {
            return false;
        }
        self.shift.push(self.front(), usize::from(self.held_len) + more, text);
        self.held_len = 0;
        true
    }
}

/// Whether a line, or what there is of it, is to be read.
fn may_matter(line: &[u8], side: Side) -> bool {
    let text = text(line);
    !text.iter().any(|byte| matches!(byte, 0 | b'\r')) && side.may_matter(text)
}

/// A line, or what there is of it, without its end.
fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
