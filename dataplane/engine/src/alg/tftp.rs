//! TFTP (RFC 1350): learns the server's TID from its first answer, and finds out when a transfer ends. Port 69 never
//! tells the direction: single-port servers answer from it, and clients have sent from it.

pub mod earlier;
pub mod takeover;

use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::tick::PER_SECOND;
use earlier::{Earlier, answers_beginning, begins};
use wire::tftp::{self, Message};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// TFTP's state of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Progress {
    blksize: u16,
    last_block: u16,
    flags: u16,
}

row_layout!(Progress, 6: blksize 0, last_block 2, flags 4);

/// Flag: a short block, the last one, has been seen; its number is in `last_block`.
const LAST_SEEN: u16 = 1;
/// Flag: the client has sent DATA or an ACK to its server's port, which only a host that has heard the server knows. In
/// `dsr` that port is unknown and any port counts.
const CLIENT_SPOKE: u16 = 2;
/// Flag: the client was never heard; the server must stop.
const CUT: u16 = 4;
/// Flag: the block after 65535 has number 0.
const WRAPS_TO_ZERO: u16 = 8;
/// Flag: the client has sent DATA or an ACK to the service's port, which everybody knows.
const SPOKE_TO_SERVICE: u16 = 16;
/// Flag: the transfer is over for the server, which has received or sent the end.
const OVER_AT_SERVER: u16 = 32;
/// Flag: another transfer of the same endpoint waits beside this one, and may own the client's packets.
const IS_AMBIGUOUS: u16 = 64;
/// Unit of the counter of server messages that the client may not have heard.
const UNHEARD: u16 = 1 << 8;

/// The first port that a server answers from, but for the service's own: systems take TIDs from the ports above the
/// well-known ones. Where answers are not seen, a packet below would reach what else listens at the server.
pub const FIRST_TID: u16 = 1024;

/// Ticks before which no client repeats itself for want of an answer.
pub const SOONEST_REPETITION: u32 = PER_SECOND / 2;

/// Server messages per request that reach a client before it has shown that it hears them: the first one and one
/// repetition. A request with a spoofed source so causes no more traffic to the victim.
const MOST_PASSED: u16 = 2;

/// Server messages per request to a silent client, after which the server is told to stop.
const MOST_UNHEARD: u16 = 6;

/// A transfer's known facts when a packet arrives.
#[derive(Debug, Clone, Copy)]
pub struct Known<P: Fn() -> u16> {
    /// The server's TID, once learned.
    pub tid: Option<u16>,
    /// TIDs of the endpoint's earlier transfers at this server.
    pub earlier: Earlier,
    /// The service's port. A closure, because it is rarely needed.
    pub service_port: P,
    /// Whether the server's packets pass the gate.
    pub answers_seen: bool,
    /// State from the packets before.
    pub progress: Progress,
}

/// Judges a client's packet to port `to`.
#[inline]
pub fn from_client(
    known: &Known<impl Fn() -> u16>,
    to: u16,
    message: Message,
) -> Result<Lesson, DropReason> {
    let learn = match known.tid {
        Some(tid) if to == tid => None,
        _ if !known.answers_seen && to < FIRST_TID && to != (known.service_port)() => {
            return Err(DropReason::WrongTid);
        }
        // Some clients keep sending to the service's port. Everybody knows that port: once a client has used its
        // server's own port, packets to the service's port may be spoofed.
        Some(_) if to == (known.service_port)() && !known.progress.is_assured() => None,
        // In `dsr`, the client rejects answers of other transfers itself, and the second answer to a request sent
        // twice: such an ERROR says nothing about this transfer.
        Some(_) if !known.answers_seen && matches!(message, Message::Error { .. }) => {
            return Ok(known.lesson());
        }
        Some(_) => return Err(DropReason::WrongTid),
        None if known.answers_seen => return Err(DropReason::NoTransfer),
        None if matches!(message, Message::Error { code: tftp::WRONG_TID }) => {
            return Ok(known.lesson());
        }
        None if known.is_old(to) && !answers_beginning(message) => {
            return Err(DropReason::WrongTid);
        }
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
            lesson.end = Some(EndReason::SizeProbe);
        }
        Message::Error { .. } => lesson.end = Some(EndReason::Failed),
        Message::Oack(_) | Message::Request(_) => return Err(DropReason::BadTftp),
    }
    Ok(lesson)
}

/// Judges a server's packet from port `from`.
#[inline]
pub fn from_server(
    known: &Known<impl Fn() -> u16>,
    from: u16,
    message: Message,
) -> Result<Lesson, DropReason> {
    let learn = match known.tid {
        _ if known.progress.is_cut() => return Err(DropReason::StrayTid),
        Some(tid) if from == tid => None,
        Some(_) => return Err(DropReason::StrayTid),
        None if matches!(message, Message::Request(_)) => return Err(DropReason::BadTftp),
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
        Message::Error { code: tftp::FILE_NOT_FOUND } => lesson.end = Some(EndReason::NotFound),
        Message::Error { .. } => lesson.end = Some(EndReason::Failed),
        Message::Request(_) => return Err(DropReason::BadTftp),
    }
    if !lesson.progress.is_assured() {
        lesson.count_unheard();
    }
    Ok(lesson)
}

/// The fast path's check: a full block, or the ACK of a block that is not the last, from the right port, in a transfer
/// where both sides have been heard. Such a packet teaches only its block number and length. `None`: [`from_client`] or
/// [`from_server`] must judge.
#[inline]
pub fn steady(progress: Progress, data: &[u8]) -> Option<Steady> {
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
    Some(Steady { block, len })
}

/// A block or its ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steady {
    /// The block number.
    pub block: u16,
    /// Bytes of data in the block; 0: an ACK.
    pub len: u16,
}

impl<P: Fn() -> u16> Known<P> {
    /// Whether the port is the TID of an earlier transfer. A server that answers from the service's port has no other
    /// one, and tells transfers apart itself.
    fn is_old(&self, port: u16) -> bool {
        port != (self.service_port)() && self.earlier.reach(port).is_some()
    }

    /// Whether the message, from this port, can begin the answer to a request rather than continue an earlier transfer.
    fn check_beginning(&self, from: u16, message: Message) -> Result<(), DropReason> {
        if from != (self.service_port)() {
            return self.earlier.check(from, message);
        }
        // An ERROR sent there would end the new transfer.
        if begins(message) { Ok(()) } else { Err(DropReason::NoTransfer) }
    }

    /// A lesson without news.
    #[inline]
    pub fn lesson(&self) -> Lesson {
        Lesson::of(self.progress)
    }
}

impl Lesson {
    /// Notes DATA or an ACK of the client, to its server's port or to the service's.
    #[inline]
    fn client_speaks(&mut self, to_server: bool) {
        if self.progress.is_assured() {
            return;
        }
        self.progress.flags |= if to_server { CLIENT_SPOKE } else { SPOKE_TO_SERVICE };
        self.progress.ask_again();
        self.assurance = if to_server { Assurance::Given } else { Assurance::Renewed };
    }

    /// Follows the blocks: the transfer is over when the short block is acknowledged. Block numbers wrap; a repeated or
    /// smaller one means nothing.
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
                self.end = Some(EndReason::Completed);
            }
            Message::Ack { .. }
            | Message::Error { .. }
            | Message::Oack(_)
            | Message::Request(_) => {}
        }
    }

    /// Counts a server message to a client that may not hear it.
    fn count_unheard(&mut self) {
        let progress = &mut self.progress;
        let count = (progress.flags / UNHEARD + 1).min(MOST_UNHEARD);
        progress.flags = progress.flags % UNHEARD + count * UNHEARD;
        self.is_withheld = count > MOST_PASSED;
        if self.end.is_none() && count == MOST_UNHEARD && !progress.client_spoke() {
            progress.flags |= CUT;
            self.end = Some(EndReason::Unheard);
        }
    }
}

impl Progress {
    /// The state before the first packet.
    pub const NEW: Progress = Progress { blksize: tftp::DEFAULT_BLKSIZE, last_block: 0, flags: 0 };

    /// The state of a transfer that begins here in its middle, with this DATA or ACK of its client. Anybody can have sent
    /// that: the client is assured by its next one.
    pub fn adopted(message: Message) -> Progress {
        let mut lesson = Lesson::of(Progress::NEW);
        lesson.client_speaks(false);
        lesson.follow(message);
        lesson.progress
    }

    /// Whether a saved state is valid: counting stops at `MOST_UNHEARD`.
    pub fn can_be(&self) -> bool {
        self.flags / UNHEARD <= MOST_UNHEARD
    }

    /// Whether the block after 65535 had number 0.
    pub fn wraps_to_zero(&self) -> bool {
        self.flags & WRAPS_TO_ZERO != 0
    }

    /// Whether `block` is the last one.
    pub fn is_last(&self, block: u16) -> bool {
        self.flags & LAST_SEEN != 0 && block == self.last_block
    }

    /// Whether the server must stop.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.flags & CUT != 0
    }

    /// Notes that the server has received or sent the end.
    pub fn end_at_server(&mut self) {
        self.flags |= OVER_AT_SERVER;
    }

    /// Whether the server has received or sent the end: no further message comes from it.
    pub fn is_over_at_server(&self) -> bool {
        self.flags & OVER_AT_SERVER != 0
    }

    /// Sets whether the slow path must tell which transfer owns the client's packets.
    pub fn set_ambiguous(&mut self, is_ambiguous: bool) {
        self.flags &= !IS_AMBIGUOUS;
        self.flags |= if is_ambiguous { IS_AMBIGUOUS } else { 0 };
    }

    /// Notes a repeated request: the client has not heard the server.
    pub fn ask_again(&mut self) {
        self.flags %= UNHEARD;
    }

    /// Whether the client has sent DATA or an ACK: it has heard the server.
    pub fn client_spoke(&self) -> bool {
        self.flags & (CLIENT_SPOKE | SPOKE_TO_SERVICE) != 0
    }

    /// Whether the client has done so at its server's own port, which a spoofing host does not know.
    #[inline]
    pub fn is_assured(&self) -> bool {
        self.flags & CLIENT_SPOKE != 0
    }
}

/// The lesson of a packet about its transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesson {
    /// The server's TID, if the packet teaches it.
    pub learn: Option<u16>,
    /// Bytes of data in the packet, if it is a DATA.
    pub data: Option<u16>,
    /// The end of the transfer, if the packet ends it.
    pub end: Option<EndReason>,
    /// Whether the packet must not reach the client, which has not been heard and has got its share.
    pub is_withheld: bool,
    /// New state of the transfer.
    pub progress: Progress,
    /// Evidence that the client exists.
    pub assurance: Assurance,
}

/// Evidence that a transfer's client exists: a request alone may be spoofed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assurance {
    /// No evidence.
    Unchanged,
    /// The client sends, but nothing that shows that it has heard its server.
    Renewed,
    /// The client has heard its server.
    Given,
}

impl Lesson {
    /// A lesson with nothing but new progress.
    #[inline]
    pub fn of(progress: Progress) -> Lesson {
        let assurance = Assurance::Unchanged;
        Lesson { learn: None, data: None, end: None, is_withheld: false, progress, assurance }
    }
}

#[cfg(test)]
mod tests;
