//! What a server says.

use super::number;
use std::net::SocketAddrV4;
use std::ops::Range;

/// A line that begins with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// Whether no more lines of the same reply follow.
    pub is_last: bool,
    /// What it tells.
    pub says: Says,
}

/// The front of a line of a reply (RFC 959 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Front {
    /// Three digits.
    pub code: u16,
    /// Whether no more lines of the same reply follow.
    pub is_last: bool,
}

/// What a reply tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// The server listens there; where in the line that stands.
    Passive(SocketAddrV4, Range<usize>),
    /// It listens on this port of its own address; where in the line that stands.
    Extended(u16, Range<usize>),
    /// The language changes.
    AuthAccepted,
    /// Nothing about any of that.
    Other,
}

/// The codes of those that are not [`Says::Other`].
const PASSIVE: u16 = 227;
const EXTENDED: u16 = 229;
const AUTH_ACCEPTED: u16 = 234;

impl Front {
    /// Reads the first four bytes of a line, or fewer if it has no more; `None`: it has no code.
    pub fn parse(start: &[u8]) -> Option<Front> {
        let (digits, rest) = start.split_at_checked(3)?;
        let is_last = match rest.first() {
            Some(b' ') | None => true,
            Some(b'-') => false,
            Some(_) => return None,
        };
        let code = str::from_utf8(digits).ok()?;
        let code = code.bytes().all(|byte| byte.is_ascii_digit()).then(|| code.parse().ok())??;
        Some(Front { code, is_last })
    }
}

impl Reply {
    /// Reads a whole line; `None`: it has no code.
    pub fn parse(line: &[u8]) -> Option<Reply> {
        let Front { code, is_last } = Front::parse(line)?;
        let says = match code {
            PASSIVE => passive(line),
            EXTENDED => extended(line),
            AUTH_ACCEPTED if is_last => Some(Says::AuthAccepted),
            _ => None,
        };
        Some(Reply { code, is_last, says: says.unwrap_or(Says::Other) })
    }

    /// Whether a line that begins like this could tell something. What can't, can't by more bytes.
    pub fn may_begin(start: &[u8]) -> bool {
        [b"227", b"229", b"234"].iter().any(|code| {
            let common = start.len().min(code.len());
            start[..common] == code[..common]
        })
    }
}

/// The first six numbers in the text. Parentheses around them are usual, and nothing else is said of the text
/// (RFC 1123 §4.1.2.6).
fn passive(line: &[u8]) -> Option<Says> {
    let starts = (4..line.len()).filter(|&at| is_of_list(&line[..=at]) && !is_inside(&line[..at]));
    starts
        .filter_map(|at| number::endpoint_at(&line[at..]).map(|(to, len)| (to, at..at + len)))
        .map(|(to, place)| Says::Passive(to, place))
        .next()
}

/// Whether numbers go on behind this: blanks may stand beside a comma, but a comma may also end a word.
fn is_inside(before: &[u8]) -> bool {
    let list = before.trim_ascii_end().strip_suffix(b",").map(<[u8]>::trim_ascii_end);
    is_of_list(before) || list.is_some_and(is_of_list)
}

/// Whether this ends like numbers with commas between them.
fn is_of_list(text: &[u8]) -> bool {
    text.last().is_some_and(|&byte| byte.is_ascii_digit() || byte == b',')
}

/// `(<d><d><d>port<d>)` (RFC 2428 §3).
fn extended(line: &[u8]) -> Option<Says> {
    let starts = (4..line.len()).filter(|&at| line[at] == b'(');
    starts.filter_map(|at| extended_at(line, at + 1)).next()
}

fn extended_at(line: &[u8], at: usize) -> Option<Says> {
    let (&[a, b, c], rest) = line[at..].split_first_chunk()?;
    let len = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let same = a.is_ascii_graphic() && a == b && b == c && rest[len..].starts_with(&[c, b')']);
    let port = number::port(&rest[..len]).filter(|_| same)?;
    Some(Says::Extended(port, at + 3..at + 3 + len))
}
