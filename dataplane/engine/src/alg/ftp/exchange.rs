//! Matches replies to commands. Servers answer in order, once per command (RFC 959 §4.2, §5.4): commands that went on
//! and final reply lines are counted, so that a 227, 229 or 234 counts only as the reply to the command that asked for
//! it.
//!
//! - Lines inside a multi-line reply answer nothing. Such a reply ends with its code and a blank.
//! - Not counted: commands that some servers leave unanswered ([`Command::is_answered`]), the greeting, and replies
//!   while no command waits. A client that waits for its replies is therefore always in step.
//! - A server that leaves a command unanswered puts the count out of step, which fails safe: the reply of the wrong
//!   command is ignored, and the client gets no data connection. When both sides were silent, all commands count as
//!   answered ([`Exchange::forget`]), and counting begins anew.

use arrayvec::ArrayVec;
use wire::ftp::{Command, Front};

/// Most commands that await a reply that matters. Further ones get no data connection.
const MOST: usize = 8;

/// Commands and replies of a control connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Numbers of commands that went on, and that were answered.
    asked: u32,
    answered: u32,
    /// Commands whose replies matter, with their numbers, oldest first.
    awaited: ArrayVec<(u32, Asked), MOST>,
    /// Code of a multi-line reply that has not ended.
    within: Option<u16>,
    /// Whether the server has sent a reply.
    is_greeted: bool,
    /// Whether the client has logged in.
    has_logged_in: bool,
}

/// A command whose reply matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// PASV.
    Pasv,
    /// EPSV.
    Epsv,
    /// AUTH.
    Auth,
}

/// The meaning of a server's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A line that does not end a reply.
    Text,
    /// The end of the reply to this command.
    To(Asked),
    /// The end of another reply.
    Other,
}

/// Code of the greeting. Only REIN has the same reply.
const GREETING: u16 = 220;
/// Code of the reply to a successful login (RFC 959 §4.2.1).
const LOGGED_IN: u16 = 230;

impl Exchange {
    /// The exchange of a connection that another gate has read so far: all commands count as answered.
    pub fn resumed(has_logged_in: bool) -> Exchange {
        Exchange { is_greeted: true, has_logged_in, ..Exchange::default() }
    }

    /// Counts a command that goes on, and whose reply does not matter.
    pub fn command(&mut self, start: &[u8]) {
        if Command::is_answered(start) {
            self.asked = self.asked.wrapping_add(1);
        }
    }

    /// Counts a command whose reply matters.
    pub fn asks(&mut self, command: Asked) {
        // If the queue is full, the reply counts as another command's.
        let _ = self.awaited.try_push((self.asked, command));
        self.asked = self.asked.wrapping_add(1);
    }

    /// Classifies a line of the server by its start.
    pub fn hear(&mut self, start: &[u8]) -> Heard {
        let Some(Front { code, is_last }) = Front::parse(start) else { return Heard::Text };
        let is_within = self.within.is_some_and(|within| within != code);
        if is_within || !is_last {
            self.within = self.within.or(Some(code));
            return Heard::Text;
        }
        self.within = None;
        // A preliminary reply: another one follows.
        if code < 200 {
            return Heard::Text;
        }
        self.has_logged_in |= code == LOGGED_IN;
        let is_greeting = code == GREETING && !self.is_greeted;
        self.is_greeted = true;
        if is_greeting || self.answered == self.asked {
            return Heard::Other;
        }
        let number = self.answered;
        self.answered = number.wrapping_add(1);
        match self.awaited.first() {
            Some(&(at, command)) if at == number => {
                self.awaited.remove(0);
                Heard::To(command)
            }
            Some(_) | None => Heard::Other,
        }
    }

    /// Whether the client has logged in.
    pub fn has_logged_in(&self) -> bool {
        self.has_logged_in
    }

    /// Whether the server is within a multi-line reply.
    pub fn is_within(&self) -> bool {
        self.within.is_some()
    }

    /// Regards all commands as answered.
    pub fn forget(&mut self) {
        self.answered = self.asked;
        self.awaited.clear();
    }
}

#[cfg(test)]
mod tests;
