//! FTP's grammar (RFC 959, extended by RFC 2428 and RFC 1639): reads the commands and replies that name addresses and
//! ports, as leniently as real peers do. Lines come without their end.

mod noise;
mod number;
mod reply;
mod write;

use noise::is_noise;
pub use noise::{is_signal, is_text, without_noise};
pub use reply::{Front, Reply, ReplyKind};
pub use write::{eprt, extended, extended_in, passive, passive_in, port};

use arrayvec::ArrayVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::str::FromStr;

/// Bytes of the longest line that the gate writes.
pub const LONGEST: usize = 254;

/// A line without its end.
pub type Line = ArrayVec<u8, LONGEST>;

/// A client's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// PORT: the client listens there. `None`: the argument names no endpoint that can listen.
    Port(Option<SocketAddrV4>),
    /// EPRT: as PORT, for either address family (RFC 2428 §2).
    Eprt(Option<SocketAddr>),
    /// LPRT: as PORT, for any address type (RFC 1639). No known client uses it.
    Lprt,
    /// PASV: the server must listen.
    Pasv,
    /// EPSV: the server must listen; its reply names a port only.
    Epsv(Epsv),
    /// LPSV: the server must listen, and reply as in RFC 1639.
    Lpsv,
    /// AUTH: once the server accepts, the rest is encrypted (RFC 2228, RFC 4217).
    Auth,
    /// STAT with an argument: lists files on the control connection. A file name could look like a reply.
    Listing,
    /// A line that begins with a digit, as only replies do. A server that echoes the line would seem to send a reply.
    Digits,
    /// Any other command: names no endpoint.
    Other,
}

/// Argument of EPSV: the address family to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epsv {
    /// Address family of the control connection.
    SameFamily,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// `EPSV ALL`: from now on the client uses no other command to set up data connections (RFC 2428 §4).
    All,
    /// An unknown argument.
    Unknown,
}

/// Verbs of the commands other than [`Command::Other`], and STAT, which may be a [`Command::Listing`]. P@SW is PASV,
/// for clients behind a firewall that would rewrite PASV.
const VERBS: [&[u8]; 9] =
    [b"PORT", b"EPRT", b"LPRT", b"PASV", b"P@SW", b"EPSV", b"LPSV", b"AUTH", b"STAT"];

impl Command {
    /// Parses a whole line. Bytes that some servers drop are dropped ([`without_noise`]).
    pub fn parse(line: &[u8]) -> Command {
        let Words { verb, argument, is_cut } = Words::of(line);
        let known = VERBS.iter().position(|known| verb.eq_ignore_ascii_case(known));
        match known.map(|at| VERBS[at]) {
            // Servers refuse an empty argument in different ways. Any other argument may name an endpoint: some servers
            // read digits of other scripts, or resolve names.
            Some(b"PORT" | b"EPRT") if line.trim_ascii().len() == verb.len() => Command::Other,
            Some(b"PORT") => Command::Port(number::endpoint(&argument).filter(|_| !is_cut)),
            Some(b"EPRT") => Command::Eprt(eprt_argument(&argument).filter(|_| !is_cut)),
            Some(b"LPRT") => Command::Lprt,
            Some(b"PASV" | b"P@SW") => Command::Pasv,
            Some(b"EPSV") => Command::Epsv(Epsv::parse(&argument)),
            Some(b"LPSV") => Command::Lpsv,
            Some(b"AUTH") => Command::Auth,
            Some(b"STAT") if !argument.is_empty() => Command::Listing,
            _ if verb.first().is_some_and(u8::is_ascii_digit) => Command::Digits,
            Some(_) | None => Command::Other,
        }
    }

    /// Whether a line with this start may be a command other than [`Command::Other`]. If not, no further byte changes
    /// that.
    pub fn may_begin(start: &[u8]) -> bool {
        let (verb, is_whole) = verb(&mut noise::without_telnet(start));
        let is_digit = verb.first().is_some_and(u8::is_ascii_digit);
        is_digit || VERBS.iter().any(|known| could_be(&verb, is_whole, known))
    }

    /// Whether a line with this start may name an endpoint that the server would connect to. Telnet commands may have
    /// lost their IAC.
    pub fn may_name_endpoint(start: &[u8]) -> bool {
        let mut rest = noise::without_telnet(start).skip_while(|&byte| byte >= noise::SE);
        let (verb, is_whole) = verb(&mut rest);
        [b"PORT", b"EPRT", b"LPRT"].iter().any(|&known| could_be(&verb, is_whole, known))
    }

    /// Whether every server answers a line with this start exactly once: a word of letters, with or without argument.
    /// ABOR does not count: some servers answer it twice, for the transfer too, others never.
    pub fn is_answered(start: &[u8]) -> bool {
        let mut start = without_noise(start).skip_while(is_space);
        let mut verb = ArrayVec::<u8, 5>::new();
        for byte in &mut start {
            match byte {
                byte if is_space(&byte) => break,
                byte if !(byte.is_ascii_alphanumeric() || byte == b'@') => return false,
                byte => verb.try_push(byte).unwrap_or_default(),
            }
        }
        !verb.is_empty() && !verb.eq_ignore_ascii_case(b"ABOR")
    }
}

/// A command, split at its first white space.
struct Words {
    /// The verb, as many bytes as tell it from others.
    verb: ArrayVec<u8, 5>,
    argument: Line,
    /// Whether the argument was cut.
    is_cut: bool,
}

impl Words {
    fn of(line: &[u8]) -> Words {
        let mut bytes = noise::without_telnet(line);
        let (verb, _) = verb(&mut bytes);
        let mut words = Words { verb, argument: Line::new(), is_cut: false };
        for byte in bytes.filter(|&byte| !is_noise(byte)).skip_while(is_space) {
            let is_there = words.argument.try_push(byte).is_ok();
            words.is_cut |= !is_there && !is_space(&byte);
        }
        let len = words.argument.iter().rposition(|byte| !is_space(byte)).map_or(0, |at| at + 1);
        words.argument.truncate(len);
        words
    }
}

/// Reads the verb, as many bytes as tell it from others, and whether it is complete. A byte that may be noise ends a
/// known verb: some servers take it for white space.
fn verb(bytes: &mut impl Iterator<Item = u8>) -> (ArrayVec<u8, 5>, bool) {
    let mut verb = ArrayVec::<u8, 5>::new();
    for byte in bytes {
        let is_known = || VERBS.iter().any(|known| verb.eq_ignore_ascii_case(known));
        match (is_noise(byte), is_space(&byte)) {
            (true, _) if is_known() => return (verb, true),
            (false, true) if !verb.is_empty() => return (verb, true),
            (true, _) | (false, true) => {}
            (false, false) => verb.try_push(byte).unwrap_or_default(),
        }
    }
    (verb, false)
}

/// Whether a verb, possibly incomplete, could be `known`.
fn could_be(verb: &[u8], is_whole: bool, known: &[u8]) -> bool {
    let common = if is_whole { verb.len().max(known.len()) } else { verb.len() };
    known.get(..common).is_some_and(|known| verb.eq_ignore_ascii_case(known))
}

/// White space as in C's `isspace`, by which servers split a line.
fn is_space(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || *byte == 0x0b
}

impl Epsv {
    fn parse(argument: &[u8]) -> Epsv {
        match argument {
            b"" => Epsv::SameFamily,
            b"1" => Epsv::V4,
            b"2" => Epsv::V6,
            all if all.eq_ignore_ascii_case(b"ALL") => Epsv::All,
            _ => Epsv::Unknown,
        }
    }
}

/// Parses `<d>protocol<d>address<d>port<d>` with any printable delimiter (RFC 2428 §2).
fn eprt_argument(argument: &[u8]) -> Option<SocketAddr> {
    let delimiter = argument.first().filter(|byte| byte.is_ascii_graphic())?;
    let mut parts = argument.split(|byte| byte == delimiter);
    let mut part = || parts.next();
    let ([], protocol, address, port, [], None) =
        (part()?, part()?, part()?, part()?, part()?, part())
    else {
        return None;
    };
    let address = str::from_utf8(address).ok()?;
    let address = match protocol {
        b"1" => IpAddr::V4(Ipv4Addr::from_str(address).ok()?),
        // Clients with one dual-stack socket write IPv4 addresses in this form (RFC 4291 §2.5.5.2).
        b"2" => IpAddr::V6(Ipv6Addr::from_str(address).ok()?).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(address, number::port(port)?))
}

#[cfg(test)]
mod tests;
