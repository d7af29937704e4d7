//! Where in its line a stream is.

use super::Side;
use arrayvec::ArrayVec;

/// Bytes of a line that goes on unread that tell what it is.
const START: usize = 8;

/// What was taken of a line.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    start: ArrayVec<u8, START>,
    /// Bytes of it.
    len: usize,
    /// The byte before, of whatever line.
    last: u8,
    telnet: Telnet,
}

/// How much has gone by of a command of Telnet's in front of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Telnet {
    /// Nothing, or all.
    #[default]
    None,
    /// What begins it.
    Begun,
    /// All but its option.
    Option,
}

/// Telnet's commands are these bytes and those above (RFC 854).
const TELNET: u8 = 240;
/// WILL, WON'T, DO and DON'T, behind which an option stands.
const WILL: u8 = 251;
const DONT: u8 = 254;
/// What begins a command.
const IAC: u8 = 255;

impl Place {
    /// Whether nothing of a line was taken.
    pub fn is_start(&self) -> bool {
        self.len == 0 && self.telnet == Telnet::None
    }

    /// Bytes of the line.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is more of it than [`Place::start`] tells.
    pub fn is_longer_than_its_start(&self) -> bool {
        self.len > START
    }

    /// Its first bytes, without the end of the line.
    pub fn start(&self) -> &[u8] {
        let end = self.start.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        &self.start[..end.map_or(0, |end| end + 1)]
    }

    /// Where the line ends in what follows: its LF.
    pub fn end(&self, fresh: &[u8], side: Side) -> Option<usize> {
        let before = |at: usize| at.checked_sub(1).map_or(self.last, |at| fresh[at]);
        let is_end = |at: &usize| side == Side::Client || before(*at) == b'\r';
        let newlines = fresh.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        newlines.map(|(at, _)| at).find(is_end)
    }

    /// These bytes belong to the line.
    pub fn take(&mut self, bytes: &[u8]) {
        let room = START - self.start.len();
        self.start.extend(bytes.iter().copied().take(room));
        self.len += bytes.len();
        self.last = bytes.last().copied().unwrap_or(self.last);
        self.telnet = Telnet::None;
    }

    /// The line is over.
    pub fn begin(&mut self) {
        *self = Place { last: self.last, ..Place::default() };
    }

    /// The line is over with these bytes.
    pub fn end_of(&mut self, bytes: &[u8]) {
        self.take(bytes);
        self.begin();
    }

    /// How many of these bytes, in front of a line, are Telnet's.
    pub fn telnet(&self, fresh: &[u8], side: Side) -> usize {
        let mut telnet = self.telnet;
        let step = |&&byte: &&u8| telnet.next(byte, side).map(|next| telnet = next).is_some();
        fresh.iter().take_while(step).count()
    }

    /// Whether something was begun of Telnet's that is not whole.
    pub fn is_in_telnet(&self) -> bool {
        self.telnet != Telnet::None
    }

    /// These are.
    pub fn take_telnet(&mut self, bytes: &[u8], side: Side) {
        for &byte in bytes {
            self.telnet = self.telnet.next(byte, side).unwrap_or_default();
            self.last = byte;
        }
    }

    /// Whether what was begun of Telnet's is not, and the line of the server that it stands in is none to be read.
    pub fn is_spoilt(&self, fresh: &[u8], side: Side) -> bool {
        let is_none = fresh.first().is_some_and(|&byte| self.telnet.next(byte, side).is_none());
        side == Side::Server && self.is_in_telnet() && is_none
    }
}

impl Telnet {
    /// What there is of it after this byte; `None`: that is not Telnet's. A client's byte of that kind is taken for such,
    /// since what is behind it could be a command to some server.
    fn next(self, byte: u8, side: Side) -> Option<Telnet> {
        match (self, byte) {
            (Telnet::Option, _) => Some(Telnet::None),
            (Telnet::Begun, WILL..=DONT) => Some(Telnet::Option),
            (Telnet::Begun, TELNET..) => Some(Telnet::None),
            (Telnet::None, IAC) => Some(Telnet::Begun),
            (Telnet::None, TELNET..) if side == Side::Client => Some(Telnet::None),
            (Telnet::Begun | Telnet::None, _) => None,
        }
    }
}
