//! TFTP: the server's TID is learned from its first answer, and messages tell when a transfer ends.
//! Direction is never told by port 69: single-port servers answer from it, and clients have sent
//! from it.

pub mod catch_up;
pub mod earlier;

use super::{Assurance, End, Lesson};
use crate::reason::Reason;
use earlier::{Earlier, answers_beginning, begins};
use wire::tftp::{self, Message};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What TFTP remembers of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Progress {
    blksize: u16,
    last_block: u16,
    flags: u16,
}

/// A block shorter than the others has been seen: `last_block`.
const LAST_SEEN: u16 = 1;
/// The client has sent DATA or an ACK to its server's port, which nobody knows who has not heard the server; in `dsr`,
/// where that is not known, to any.
const CLIENT_SPOKE: u16 = 2;
/// The client was never heard, and the server is not to go on.
const CUT: u16 = 4;
/// A block with the number 0 was sent: the one after 65535.
const WRAPS_TO_ZERO: u16 = 8;
/// The client has sent DATA or an ACK to the service's port, which everybody knows.
const SPOKE_TO_SERVICE: u16 = 16;
/// The server has heard that the transfer is over, or has said so.
const OVER_AT_SERVER: u16 = 32;
/// Another transfer waits beside this one, and may be what its client's packets are of.
const IS_AMBIGUOUS: u16 = 64;
/// Messages of the server that the client may not have heard are counted from here on.
const UNHEARD: u16 = 1 << 8;

/// Messages of a server that reach a client for one request, before the client has shown that it hears them: the first
/// one and one repetition. Whoever asks in another's name does not get more sent there.
const MOST_PASSED: u16 = 2;

/// Messages that a server sends for one request to a client that it never hears. Then it is told to stop.
const MOST_UNHEARD: u16 = 6;

/// What is known of a transfer when a packet of it comes.
#[derive(Debug, Clone, Copy)]
pub struct Known<P: Fn() -> u16> {
    /// The server's port, once learned.
    pub tid: Option<u16>,
    /// The ports that the server used for this endpoint's transfers before.
    pub earlier: Earlier,
    /// The port that requests go to: hardly ever asked for.
    pub service_port: P,
    /// Whether the server's packets come through us too.
    pub answers_seen: bool,
    /// From the packets before.
    pub progress: Progress,
}

/// A packet from the client to port `to`.
#[inline]
pub fn from_client(
    known: &Known<impl Fn() -> u16>,
    to: u16,
    message: Message,
) -> Result<Lesson, Reason> {
    let learn = match known.tid {
        Some(tid) if to == tid => None,
        // Some clients never leave the service's port. Everybody knows that one: in the name of a client that speaks to its
        // server's, others come there.
        Some(_) if to == (known.service_port)() && !known.progress.is_assured() => None,
        // Where we don't see answers, the client itself turns down those of other transfers and the
        // second one to a request sent twice: no news of this transfer.
        Some(_) if !known.answers_seen && matches!(message, Message::Error { .. }) => {
            return Ok(known.lesson());
        }
        Some(_) => return Err(Reason::WrongTid),
        None if known.answers_seen => return Err(Reason::NoTransfer),
        None if matches!(message, Message::Error { code: tftp::WRONG_TID }) => {
            return Ok(known.lesson());
        }
        None if known.is_old(to) && !answers_beginning(message) => return Err(Reason::WrongTid),
        None => Some(to),
    };
    let spoke = known.progress.client_spoke();
    let mut lesson = Lesson { learn, ..known.lesson() };
    match message {
        Message::Data { .. } | Message::Ack { .. } => {
            lesson.progress.flags &= !CUT;
            lesson.client_speaks(known.tid.is_none_or(|tid| to == tid));
            lesson.follow(message);
        }
        Message::Error { code: tftp::NOT_DEFINED | tftp::OPTIONS_REFUSED } if !spoke => {
            lesson.end = Some(End::SizeProbe);
        }
        Message::Error { .. } => lesson.end = Some(End::Failed),
        Message::Oack(_) | Message::Request(_) => return Err(Reason::BadTftp),
    }
    Ok(lesson)
}

/// A packet from the server's port `from`.
#[inline]
pub fn from_server(
    known: &Known<impl Fn() -> u16>,
    from: u16,
    message: Message,
) -> Result<Lesson, Reason> {
    let learn = match known.tid {
        _ if known.progress.is_cut() => return Err(Reason::StrayTid),
        Some(tid) if from == tid => None,
        Some(_) => return Err(Reason::StrayTid),
        None if matches!(message, Message::Request(_)) => return Err(Reason::BadTftp),
        None => {
            known.check_beginning(from, message)?;
            Some(from)
        }
    };
    let mut lesson = Lesson { learn, ..known.lesson() };
    match message {
        Message::Data { .. } | Message::Ack { .. } => lesson.follow(message),
        Message::Oack(options) => {
            lesson.progress.blksize = options.blksize().unwrap_or(tftp::DEFAULT_BLKSIZE);
        }
        Message::Error { code: tftp::FILE_NOT_FOUND } => lesson.end = Some(End::NotFound),
        Message::Error { .. } => lesson.end = Some(End::Failed),
        Message::Request(_) => return Err(Reason::BadTftp),
    }
    if !lesson.progress.is_assured() {
        lesson.count_unheard();
    }
    Ok(lesson)
}

/// What nearly every packet is: from a running transfer's right port, after both sides have spoken, a
/// full block or the ACK of one that is not the last. It teaches nothing but the block's
/// number, the length. All others, `None`, are [`from_client`]'s or [`from_server`]'s to judge.
#[inline]
pub fn routine(progress: Progress, data: &[u8]) -> Option<Usual> {
    if progress.flags & (CLIENT_SPOKE | IS_AMBIGUOUS) != CLIENT_SPOKE {
        return None;
    }
    let (&[_, opcode, high, low], file) = data.split_first_chunk::<4>()?;
    let block = u16::from_be_bytes([high, low]);
    let len = match (data[0], opcode) {
        (0, 3) if file.len() >= usize::from(progress.blksize) && block != 0 => {
            u16::try_from(file.len()).ok()?
        }
        (0, 4) if progress.flags & LAST_SEEN == 0 => 0,
        _ => return None,
    };
    Some(Usual { block, len })
}

/// A block or its ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual {
    /// The block's number.
    pub block: u16,
    /// Bytes of file in it; 0: an ACK.
    pub len: u16,
}

impl<P: Fn() -> u16> Known<P> {
    /// Whether the port is that of a transfer before. A server that answers from the service's own port has no other,
    /// and sorts this out itself.
    fn is_old(&self, port: u16) -> bool {
        port != (self.service_port)() && self.earlier.reach(port).is_some()
    }

    /// Whether a server that says this from that port begins with it to answer the request, rather than go on with a
    /// transfer before.
    fn check_beginning(&self, from: u16, message: Message) -> Result<(), Reason> {
        if from != (self.service_port)() {
            return self.earlier.check(from, message);
        }
        // To be told there would be the new transfer's end.
        if begins(message) { Ok(()) } else { Err(Reason::NoTransfer) }
    }

    /// Nothing new.
    #[inline]
    pub fn lesson(&self) -> Lesson {
        Lesson::of(self.progress)
    }
}

impl Lesson {
    /// The client has sent DATA or an ACK, to its server's port or to the service's.
    #[inline]
    fn client_speaks(&mut self, to_server: bool) {
        if self.progress.is_assured() {
            return;
        }
        self.progress.flags |= if to_server { CLIENT_SPOKE } else { SPOKE_TO_SERVICE };
        self.progress.ask_again();
        self.assurance = if to_server { Assurance::Given } else { Assurance::Renewed };
    }

    /// The transfer is over when the block that was shorter than the others is acknowledged. Block
    /// numbers wrap, and a repeated or smaller one means nothing.
    #[inline]
    fn follow(&mut self, message: Message) {
        let progress = &mut self.progress;
        match message {
            Message::Data { block, len } => {
                self.data = Some(len);
                progress.flags |= if block == 0 { WRAPS_TO_ZERO } else { 0 };
                if len < progress.blksize {
                    progress.last_block = block;
                    progress.flags |= LAST_SEEN;
                }
            }
            Message::Ack { block }
                if progress.flags & LAST_SEEN != 0 && block == progress.last_block =>
            {
                self.end = Some(End::Completed);
            }
            Message::Ack { .. }
            | Message::Error { .. }
            | Message::Oack(_)
            | Message::Request(_) => {}
        }
    }

    /// One more message of a server, to a client that perhaps does not hear.
    fn count_unheard(&mut self) {
        let progress = &mut self.progress;
        let count = (progress.flags / UNHEARD + 1).min(MOST_UNHEARD);
        progress.flags = progress.flags % UNHEARD + count * UNHEARD;
        self.is_withheld = count > MOST_PASSED;
        if self.end.is_none() && count == MOST_UNHEARD && !progress.client_spoke() {
            progress.flags |= CUT;
            self.end = Some(End::Unheard);
        }
    }
}

impl Progress {
    /// Nothing yet.
    pub const NEW: Progress = Progress { blksize: tftp::DEFAULT_BLKSIZE, last_block: 0, flags: 0 };

    /// Whether an earlier process can have left this: it stops counting at `MOST_UNHEARD`.
    pub fn can_be(&self) -> bool {
        self.flags / UNHEARD <= MOST_UNHEARD
    }

    /// Whether the block after 65535 had the number 0.
    pub fn wraps_to_zero(&self) -> bool {
        self.flags & WRAPS_TO_ZERO != 0
    }

    /// Whether this is the last block.
    pub fn is_last(&self, block: u16) -> bool {
        self.flags & LAST_SEEN != 0 && block == self.last_block
    }

    /// Whether the server is not to go on.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.flags & CUT != 0
    }

    /// The server has heard the end, or said it.
    pub fn end_at_server(&mut self) {
        self.flags |= OVER_AT_SERVER;
    }

    /// Whether it has: nothing more comes from it.
    pub fn is_over_at_server(&self) -> bool {
        self.flags & OVER_AT_SERVER != 0
    }

    /// Whether only the long way tells what its client's packets are of.
    pub fn set_ambiguous(&mut self, is_ambiguous: bool) {
        self.flags &= !IS_AMBIGUOUS;
        self.flags |= if is_ambiguous { IS_AMBIGUOUS } else { 0 };
    }

    /// The client asks, once more: it has not heard what the server said.
    pub fn ask_again(&mut self) {
        self.flags %= UNHEARD;
    }

    /// Whether the client has sent DATA or an ACK: it has heard the server.
    pub fn client_spoke(&self) -> bool {
        self.flags & (CLIENT_SPOKE | SPOKE_TO_SERVICE) != 0
    }

    /// Whether it has done so at its server's own port: nobody else can have, in its name.
    #[inline]
    pub fn is_assured(&self) -> bool {
        self.flags & CLIENT_SPOKE != 0
    }
}

#[cfg(test)]
mod tests;
