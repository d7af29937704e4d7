//! FTP's grammar (RFC 959, extended by RFC 2428 and RFC 1639): what a line of the control connection says, of the little
//! that names addresses and ports, as lenient as real peers read it. A line comes without its end.

mod number;
mod reply;
mod write;

pub use reply::{Reply, Says};
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

/// The commands that are not [`Command::Other`].
const VERBS: [&[u8]; 7] = [b"PORT", b"EPRT", b"LPRT", b"PASV", b"EPSV", b"LPSV", b"AUTH"];

impl Command {
    /// Reads a whole line.
    pub fn parse(line: &[u8]) -> Command {
        let words = behind_telnet(line).trim_ascii();
        let end = words.iter().position(u8::is_ascii_whitespace).unwrap_or(words.len());
        let (verb, argument) = (&words[..end], words[end..].trim_ascii_start());
        let known = VERBS.iter().position(|known| verb.eq_ignore_ascii_case(known));
        match known.map(|at| VERBS[at]) {
            Some(b"PORT") => Command::Port(number::endpoint(argument)),
            Some(b"EPRT") => Command::Eprt(eprt_argument(argument)),
            Some(b"LPRT") => Command::Lprt,
            Some(b"PASV") => Command::Pasv,
            Some(b"EPSV") => Command::Epsv(Epsv::parse(argument)),
            Some(b"LPSV") => Command::Lpsv,
            Some(b"AUTH") => Command::Auth,
            Some(_) | None => Command::Other,
        }
    }

    /// Whether a line that begins like this could be another command than [`Command::Other`]. What can't be
    /// can't become so by more bytes.
    pub fn may_begin(start: &[u8]) -> bool {
        let start = behind_telnet(start).trim_ascii_start();
        VERBS.iter().any(|verb| {
            let common = start.len().min(verb.len());
            start[..common].eq_ignore_ascii_case(&verb[..common])
                && start.get(verb.len()).is_none_or(u8::is_ascii_whitespace)
        })
    }
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

/// What stands behind commands of telnet (RFC 854), which clients send in front of an ABOR.
fn behind_telnet(mut line: &[u8]) -> &[u8] {
    loop {
        line = match line {
            // WILL, WON'T, DO and DON'T name an option.
            [0xff, 0xfb..=0xfe, _, rest @ ..] | [0xff, 0xf0..=0xfa, rest @ ..] => rest,
            [0xff] | [0xff, 0xfb..=0xfe] => &[],
            [first, rest @ ..] if first.is_ascii_whitespace() => rest,
            _ => return line,
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
        b"2" => IpAddr::V6(Ipv6Addr::from_str(address).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(address, number::port(port)?))
}

#[cfg(test)]
mod tests;
