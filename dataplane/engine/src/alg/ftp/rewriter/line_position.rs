//! The position of a stream within its line.

use super::speaker::Speaker;
use arrayvec::ArrayVec;

/// Bytes kept from the start of an unread line.
const START: usize = 8;

/// The part of a line that was taken so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    start: ArrayVec<u8, START>,
    /// Length of that part.
    len: usize,
    /// The previous byte, of any line.
    last: u8,
    telnet: Telnet,
}

/// Progress within a Telnet command in front of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Telnet {
    /// Between commands.
    #[default]
    None,
    /// Behind IAC.
    Begun,
    /// Behind the verb, before the option.
    Option,
}

/// The lowest code of a Telnet command (RFC 854).
const TELNET: u8 = 240;
/// WILL, the first of WILL, WON'T, DO and DON'T, which take an option byte.
const WILL: u8 = 251;
const DONT: u8 = 254;
/// IAC, which begins a Telnet command.
const IAC: u8 = 255;

impl Place {
    /// Whether the line has not begun.
    pub fn is_start(&self) -> bool {
        self.len == 0 && self.telnet == Telnet::None
    }

    /// Bytes of the line so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the line is longer than [`Place::start`].
    pub fn is_longer_than_its_start(&self) -> bool {
        self.len > START
    }

    /// The line's first bytes, without the line end.
    pub fn start(&self) -> &[u8] {
        let end = self.start.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
        &self.start[..end.map_or(0, |end| end + 1)]
    }

    /// Index of the line's LF in `fresh`.
    pub fn end(&self, fresh: &[u8], speaker: Speaker) -> Option<usize> {
        let before = |at: usize| at.checked_sub(1).map_or(self.last, |at| fresh[at]);
        let is_end = |at: &usize| speaker == Speaker::Client || before(*at) == b'\r';
        let newlines = fresh.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        newlines.map(|(at, _)| at).find(is_end)
    }

    /// Adds bytes to the line.
    pub fn take(&mut self, bytes: &[u8]) {
        let room = START - self.start.len();
        self.start.extend(bytes.iter().copied().take(room));
        self.len += bytes.len();
        self.last = bytes.last().copied().unwrap_or(self.last);
        self.telnet = Telnet::None;
    }

    /// Begins the next line.
    pub fn begin(&mut self) {
        *self = Place { last: self.last, ..Place::default() };
    }

    /// Ends the line with these bytes.
    pub fn end_of(&mut self, bytes: &[u8]) {
        self.take(bytes);
        self.begin();
    }

    /// Number of bytes at the front of `fresh` that belong to Telnet commands.
    pub fn telnet(&self, fresh: &[u8], speaker: Speaker) -> usize {
        let mut telnet = self.telnet;
        let step = |&&byte: &&u8| telnet.next(byte, speaker).map(|next| telnet = next).is_some();
        fresh.iter().take_while(step).count()
    }

    /// Whether a Telnet command has begun and is incomplete.
    pub fn is_in_telnet(&self) -> bool {
        self.telnet != Telnet::None
    }

    /// Adds bytes of a Telnet command.
    pub fn take_telnet(&mut self, bytes: &[u8], speaker: Speaker) {
        for &byte in bytes {
            self.telnet = self.telnet.next(byte, speaker).unwrap_or_default();
            self.last = byte;
        }
    }

    /// Whether an incomplete Telnet command turns out to be none. A server's line with such bytes is not read.
    pub fn is_spoilt(&self, fresh: &[u8], speaker: Speaker) -> bool {
        let is_none = fresh.first().is_some_and(|&byte| self.telnet.next(byte, speaker).is_none());
        speaker == Speaker::Server && self.is_in_telnet() && is_none
    }
}

impl Telnet {
    /// The progress behind `byte`; `None`: not a Telnet command. A client's byte behind IAC always counts as one,
    /// because to some servers a command could follow it.
    fn next(self, byte: u8, speaker: Speaker) -> Option<Telnet> {
        match (self, byte) {
            (Telnet::Option, _) => Some(Telnet::None),
            (Telnet::Begun, WILL..=DONT) => Some(Telnet::Option),
            (Telnet::Begun, TELNET..) => Some(Telnet::None),
            (Telnet::None, IAC) => Some(Telnet::Begun),
            (Telnet::None, TELNET..) if speaker == Speaker::Client => Some(Telnet::None),
            (Telnet::Begun | Telnet::None, _) => None,
        }
    }
}
