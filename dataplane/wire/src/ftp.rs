//! FTP's grammar (RFC 959, extended by RFC 2428 and RFC 1639): what a line of the control connection says, of the little
//! that names addresses and ports, as lenient as real peers read it. A line comes without its end.

mod noise;
mod number;
mod reply;
mod write;

use noise::is_noise;
pub use noise::{is_signal, is_text, without_noise};
pub use reply::{Front, Reply, Says};
pub use write::{eprt, extended, extended_in, passive, passive_in, port};

use arrayvec::ArrayVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::str::FromStr;

/// Bytes of the longest line that is written.
pub const LONGEST: usize = 254;

/// A line without its end.
pub type Line = ArrayVec<u8, LONGEST>;

/// What a client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// It listens there; `None`: nobody can listen at what it names.
    Port(Option<SocketAddrV4>),
    /// The same of any protocol.
    Eprt(Option<SocketAddr>),
    /// It listens at an address of any kind, as RFC 1639 has it. Nobody uses that.
    Lprt,
    /// The server is to listen.
    Pasv,
    /// The same, without naming its address.
    Epsv(Epsv),
    /// The server is to listen, and to answer as RFC 1639 has it.
    Lpsv,
    /// From the server's consent on, the rest is in a language that can't be read (RFC 2228, RFC 4217).
    Auth,
    /// A list of files on the control connection: a name could stand there for a reply.
    Listing,
    /// Begins with a digit, as only replies do: a server that echoes the line would seem to say it.
    Digits,
    /// Nothing about any of that.
    Other,
}

/// Where a server is to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epsv {
    /// In the protocol of the control connection.
    Here,
    /// Over IPv4.
    V4,
    /// Over IPv6.
    V6,
    /// Nowhere yet: no other command than this one will be used from now on.
    All,
    /// What it asks for is unknown.
    Unknown,
}

/// The commands that are not [`Command::Other`], and STAT, which may be a [`Command::Listing`]. P@SW is PASV for clients
/// behind a firewall that would rewrite it.
const VERBS: [&[u8]; 9] =
    [b"PORT", b"EPRT", b"LPRT", b"PASV", b"P@SW", b"EPSV", b"LPSV", b"AUTH", b"STAT"];

impl Command {
    /// Reads a whole line. Bytes that some servers drop are dropped ([`without_noise`]).
    pub fn parse(line: &[u8]) -> Command {
        let Words { verb, argument, is_cut } = Words::of(line);
        let known = VERBS.iter().position(|known| verb.eq_ignore_ascii_case(known));
        match known.map(|at| VERBS[at]) {
            // Each server refuses it as it likes. Any argument may name somebody: some read digits of other scripts, or
            // look names up.
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

    /// Whether a line that begins like this could be another command than [`Command::Other`]. What can't be
    /// can't become so by more bytes.
    pub fn may_begin(start: &[u8]) -> bool {
        let (verb, is_whole) = verb(&mut noise::without_telnet(start));
        let is_digit = verb.first().is_some_and(u8::is_ascii_digit);
        is_digit || VERBS.iter().any(|known| could_be(&verb, is_whole, known))
    }

    /// Whether a line that begins like this could name an endpoint to which its server is to connect. Commands of Telnet
    /// may have lost their IAC.
    pub fn may_name_endpoint(start: &[u8]) -> bool {
        let mut rest = noise::without_telnet(start).skip_while(|&byte| byte >= noise::SE);
        let (verb, is_whole) = verb(&mut rest);
        [b"PORT", b"EPRT", b"LPRT"].iter().any(|&known| could_be(&verb, is_whole, known))
    }

    /// Whether all servers answer a line that begins like this, and once: a word of letters, with or without an
    /// argument. ABOR is answered twice by some, for the transfer too, and by others not at all.
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

/// A command's two parts.
struct Words {
    /// As much of it as tells it from others.
    verb: ArrayVec<u8, 5>,
    argument: Line,
    /// Whether there is more of the argument.
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

/// The word that stands first, as much of it as tells it from others, and whether it is whole. What may be noise ends
/// one of those that matter: some servers take it for white space.
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

/// Whether a word, of which there may be more unless it is whole, could be this one.
fn could_be(verb: &[u8], is_whole: bool, known: &[u8]) -> bool {
    let common = if is_whole { verb.len().max(known.len()) } else { verb.len() };
    known.get(..common).is_some_and(|known| verb.eq_ignore_ascii_case(known))
}

/// White space as C's `isspace` has it, by which servers split a line.
fn is_space(byte: &u8) -> bool {
    byte.is_ascii_whitespace() || *byte == 0x0b
}

impl Epsv {
    fn parse(argument: &[u8]) -> Epsv {
        match argument {
            b"" => Epsv::Here,
            b"1" => Epsv::V4,
            b"2" => Epsv::V6,
            all if all.eq_ignore_ascii_case(b"ALL") => Epsv::All,
            _ => Epsv::Unknown,
        }
    }
}

/// `<d>protocol<d>address<d>port<d>`, with any delimiter that can be seen (RFC 2428 §2).
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
        // Clients with one socket for both versions name their IPv4 address like this (RFC 4291 §2.5.5.2).
        b"2" => IpAddr::V6(Ipv6Addr::from_str(address).ok()?).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(address, number::port(port)?))
}

#[cfg(test)]
mod tests;
