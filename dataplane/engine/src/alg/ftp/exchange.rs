//! Which command a reply answers. Commands that went on are counted, and so are the last lines of replies, since servers
//! answer in order, once each (RFC 959 §4.2, §5.4): a 227, 229 or 234 means something only as the reply to a command
//! that asks for it.
//!
//! - Lines inside of a reply of several lines are nobody's. Such a reply ends with the line that begins with its code
//!   and a blank.
//! - What not all servers answer ([`Command::is_answered`]) is not counted, and neither is the greeting. Nor is a reply
//!   where no command waits for one. So a client that waits for its replies is always in step.
//! - A server that leaves a command without a reply puts the count out of step. It errs to one side: a reply that is
//!   not taken for that of the right command means nothing, and the client gets no data connection. When both sides have
//!   been silent, all is taken for answered ([`Exchange::forget`]), and the next one counts again.

use arrayvec::ArrayVec;
use wire::ftp::{Command, Front};

/// Commands whose replies mean something that can wait for them at a time. Those beyond get no data connection.
const MOST: usize = 8;

/// What is known of a control connection's commands and replies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Commands that went on, and those that are answered.
    asked: u32,
    answered: u32,
    /// Those whose replies mean something, by their number, oldest first.
    awaited: ArrayVec<(u32, Asked), MOST>,
    /// The code of the reply whose last line is yet to come.
    within: Option<u16>,
    /// Whether a reply was heard.
    is_greeted: bool,
    /// Whether the client has logged in.
    has_logged_in: bool,
}

/// A command whose reply means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The client has asked by PASV that the server listen.
    Pasv,
    /// It has done so by EPSV.
    Epsv,
    /// The client wants to change the language.
    Auth,
}

/// What a line of the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Not the end of a reply.
    Text,
    /// The end of the reply to this command.
    To(Asked),
    /// The end of another reply.
    Other,
}

/// The code of a greeting. No command has such a reply but REIN.
const GREETING: u16 = 220;
/// The code of the reply to whoever has logged in (RFC 959 §4.2.1).
const LOGGED_IN: u16 = 230;

impl Exchange {
    /// A command that begins like this goes on to the server, whose reply means nothing.
    pub fn command(&mut self, start: &[u8]) {
        if Command::is_answered(start) {
            self.asked = self.asked.wrapping_add(1);
        }
    }

    /// This one goes on.
    pub fn asks(&mut self, command: Asked) {
        // The reply to one too many will be another command's.
        let _ = self.awaited.try_push((self.asked, command));
        self.asked = self.asked.wrapping_add(1);
    }

    /// The server says a line that begins like this.
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

    /// Whether the server is in the middle of a reply.
    pub fn is_within(&self) -> bool {
        self.within.is_some()
    }

    /// Whatever was asked is answered, or will never be.
    pub fn forget(&mut self) {
        self.answered = self.asked;
        self.awaited.clear();
    }
}

#[cfg(test)]
mod tests;
