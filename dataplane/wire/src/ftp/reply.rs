//! Replies of an FTP server (RFC 959 §4.2).

use super::number;
use std::net::SocketAddrV4;
use std::ops::Range;

/// A reply line that begins with a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The reply code, three digits.
    pub code: u16,
    /// Whether the line ends its reply.
    pub is_last: bool,
    /// The meaning of the reply.
    pub says: ReplyKind,
}

/// The first four bytes of a reply line (RFC 959 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Front {
    /// The reply code, three digits.
    pub code: u16,
    /// Whether the line ends its reply.
    pub is_last: bool,
}

/// The meaning of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyKind {
    /// 227: the server listens on this endpoint, found at this range of the line.
    Passive(SocketAddrV4, Range<usize>),
    /// 229: the server listens on this port of its own address, found at this range of the line.
    Extended(u16, Range<usize>),
    /// 234: AUTH is accepted; the rest is encrypted.
    AuthAccepted,
    /// Any other reply: names no endpoint.
    Other,
}

/// Codes of the replies that are not [`ReplyKind::Other`].
const PASSIVE: u16 = 227;
const EXTENDED: u16 = 229;
const AUTH_ACCEPTED: u16 = 234;

impl Front {
    /// Parses the first four bytes of a line, fewer if the line is shorter; `None`: no code.
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
    /// Parses a whole line; `None`: no code.
    pub fn parse(line: &[u8]) -> Option<Reply> {
        let Front { code, is_last } = Front::parse(line)?;
        let says = match code {
            PASSIVE => passive(line),
            EXTENDED => extended(line),
            AUTH_ACCEPTED if is_last => Some(ReplyKind::AuthAccepted),
            _ => None,
        };
        Some(Reply { code, is_last, says: says.unwrap_or(ReplyKind::Other) })
    }

    /// Whether a line with this start may name an endpoint or accept AUTH. If not, no further byte changes that.
    pub fn may_begin(start: &[u8]) -> bool {
        [b"227", b"229", b"234"].iter().any(|code| {
            let common = start.len().min(code.len());
            start[..common] == code[..common]
        })
    }
}

/// Finds the first six numbers of the text. Parentheses around them are usual, but not required (RFC 1123 §4.1.2.6).
fn passive(line: &[u8]) -> Option<ReplyKind> {
    let starts = (4..line.len()).filter(|&at| is_of_list(&line[..=at]) && !is_inside(&line[..at]));
    starts
        .filter_map(|at| number::endpoint_at(&line[at..]).map(|(to, len)| (to, at..at + len)))
        .map(|(to, place)| ReplyKind::Passive(to, place))
        .next()
}

/// Whether the numbers before continue here. Blanks may stand beside a comma, but a comma may also end a word.
fn is_inside(before: &[u8]) -> bool {
    let list = before.trim_ascii_end().strip_suffix(b",").map(<[u8]>::trim_ascii_end);
    is_of_list(before) || list.is_some_and(is_of_list)
}

/// Whether the text ends like a list of numbers separated by commas.
fn is_of_list(text: &[u8]) -> bool {
    text.last().is_some_and(|&byte| byte.is_ascii_digit() || byte == b',')
}

/// Finds `(<d><d><d>port<d>)` (RFC 2428 §3).
fn extended(line: &[u8]) -> Option<ReplyKind> {
    let starts = (4..line.len()).filter(|&at| line[at] == b'(');
    starts.filter_map(|at| extended_at(line, at + 1)).next()
}

fn extended_at(line: &[u8], at: usize) -> Option<ReplyKind> {
    let (&[a, b, c], rest) = line[at..].split_first_chunk()?;
    let len = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let same = a.is_ascii_graphic() && a == b && b == c && rest[len..].starts_with(&[c, b')']);
    let port = number::port(&rest[..len]).filter(|_| same)?;
    Some(ReplyKind::Extended(port, at + 3..at + 3 + len))
}
