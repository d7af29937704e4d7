//! Lines as they go on the wire, without their ends.

use super::Line;
use std::fmt::Display;
use std::io::Write;
use std::net::{SocketAddr, SocketAddrV4};
use std::ops::Range;

/// The client listens there.
pub fn port(at: SocketAddrV4) -> Line {
    line(format_args!("PORT {}", Numbers(at)))
}

/// The same of any protocol.
pub fn eprt(at: SocketAddr) -> Line {
    let protocol = if at.is_ipv4() { 1 } else { 2 };
    line(format_args!("EPRT |{protocol}|{}|{}|", at.ip(), at.port()))
}

/// The server listens there.
pub fn passive(at: SocketAddrV4) -> Line {
    line(format_args!("227 Entering Passive Mode ({}).", Numbers(at)))
}

/// It listens on this port of its own address.
pub fn extended(port: u16) -> Line {
    line(format_args!("229 Entering Extended Passive Mode (|||{port}|)"))
}

/// A reply with another endpoint at this place of it; one of ours, if that is too long.
pub fn passive_in(reply: &[u8], place: &Range<usize>, at: SocketAddrV4) -> Line {
    replaced(reply, place, Numbers(at)).unwrap_or_else(|| begin_as(reply, passive(at)))
}

/// A reply with another port at this place of it; one of ours, if that is too long.
pub fn extended_in(reply: &[u8], place: &Range<usize>, port: u16) -> Line {
    replaced(reply, place, port).unwrap_or_else(|| begin_as(reply, extended(port)))
}

fn replaced(reply: &[u8], place: &Range<usize>, with: impl Display) -> Option<Line> {
    let mut line = Line::new();
    line.try_extend_from_slice(reply.get(..place.start)?).ok()?;
    write!(line, "{with}").ok()?;
    line.try_extend_from_slice(reply.get(place.end..)?).ok()?;
    Some(line)
}

/// A line with the code of this reply, and with what says whether more lines of it follow.
fn begin_as(reply: &[u8], mut line: Line) -> Line {
    line.iter_mut().zip(reply).take(4).for_each(|(byte, &as_there)| *byte = as_there);
    line
}

/// All of these are shorter than a line can be.
fn line(text: std::fmt::Arguments) -> Line {
    let mut line = Line::new();
    let _ = line.write_fmt(text);
    line
}

/// `h1,h2,h3,h4,p1,p2`.
struct Numbers(SocketAddrV4);

impl Display for Numbers {
    fn fmt(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
        let [a, b, c, d] = self.0.ip().octets();
        let [high, low] = self.0.port().to_be_bytes();
        write!(to, "{a},{b},{c},{d},{high},{low}")
    }
}
