//! Writes FTP lines, without their ends.

use super::Line;
use std::fmt::Display;
use std::io::Write;
use std::net::{SocketAddr, SocketAddrV4};
use std::ops::Range;

/// PORT with the client's endpoint.
pub fn port(at: SocketAddrV4) -> Line {
    line(format_args!("PORT {}", Numbers(at)))
}

/// EPRT with the client's endpoint (RFC 2428 §2).
pub fn eprt(at: SocketAddr) -> Line {
    let protocol = if at.is_ipv4() { 1 } else { 2 };
    line(format_args!("EPRT |{protocol}|{}|{}|", at.ip(), at.port()))
}

/// Reply 227 with the server's endpoint.
pub fn passive(at: SocketAddrV4) -> Line {
    line(format_args!("227 Entering Passive Mode ({}).", Numbers(at)))
}

/// Reply 229 with the server's port (RFC 2428 §3).
pub fn extended(port: u16) -> Line {
    line(format_args!("229 Entering Extended Passive Mode (|||{port}|)"))
}

/// A reply 227 with the endpoint at `place` replaced. If the result is too long, a reply of the gate's wording.
pub fn passive_in(reply: &[u8], place: &Range<usize>, at: SocketAddrV4) -> Line {
    replaced(reply, place, Numbers(at)).unwrap_or_else(|| begin_as(reply, passive(at)))
}

/// A reply 229 with the port at `place` replaced. If the result is too long, a reply of the gate's wording.
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

/// Begins a line with the reply's code and its continuation mark.
fn begin_as(reply: &[u8], mut line: Line) -> Line {
    line.iter_mut().zip(reply).take(4).for_each(|(byte, &as_there)| *byte = as_there);
    line
}

/// Formats a line. All texts in this file are shorter than a line can be.
fn line(text: std::fmt::Arguments) -> Line {
    let mut line = Line::new();
    let _ = line.write_fmt(text);
    line
}

/// Formats an endpoint as `h1,h2,h3,h4,p1,p2`.
struct Numbers(SocketAddrV4);

impl Display for Numbers {
    fn fmt(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
        let [a, b, c, d] = self.0.ip().octets();
        let [high, low] = self.0.port().to_be_bytes();
        write!(to, "{a},{b},{c},{d},{high},{low}")
    }
}
