//! Passwords of FTP in frames that operators see: the argument of `PASS` and `ACCT` (RFC 959 §4.1.1) is masked.
//!
//! Commands may be split over segments, so each stream's position in its line is remembered. Where it is not known, as
//! after a lost segment, all up to the end of the line is masked, unless the segment begins with a command.

use crate::ip_ends::addresses;
use crate::registry::Registry;
use engine::snapshot::Protocol;
use engine::types::id::ServiceId;
use etherparse::{LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice, ip_number};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Streams that are remembered; then all are forgotten, and so masked as if they were new.
const MOST: usize = 4096;
/// The mask of each byte.
const MASK: u8 = b'*';
/// Commands whose argument is a secret.
const SECRET: [&[u8]; 2] = [b"PASS", b"ACCT"];
/// Commands that a segment may begin with (RFC 959, 2228, 2389, 2428, 3659).
const COMMANDS: &str = "ABOR ACCT ADAT ALLO APPE AUTH CCC CDUP CWD DELE EPRT EPSV FEAT HELP LIST MDTM MKD MLSD MLST \
                        MODE NLST NOOP OPTS PASS PASV PBSZ PORT PROT PWD QUIT REIN REST RETR RMD RNFR RNTO SITE SIZE \
                        SMNT STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XMKD XPWD XRMD";

/// Masks passwords on their way to the servers of FTP services.
#[derive(Default)]
pub struct Passwords {
    servers: HashSet<SocketAddr>,
    streams: HashMap<[SocketAddr; 2], Position>,
}

/// A stream's position: the next sequence number, and where that is in a line.
struct Position {
    next: u32,
    line: Line,
}

/// The part of a command line that the next byte belongs to.
#[derive(Debug, Clone, Copy)]
enum Line {
    /// The command's name, of which these bytes are known.
    Name([u8; 4], usize),
    /// A secret.
    Secret,
    /// Anything else.
    Open,
}

impl Line {
    const START: Line = Line::Name([0; 4], 0);

    /// Masks a byte if it has to be; returns what the next one belongs to.
    fn pass(self, byte: &mut u8) -> Line {
        match (self, *byte) {
            (_, b'\n') => Line::START,
            (Line::Secret, b'\r') => Line::Secret,
            (Line::Secret, _) => {
                *byte = MASK;
                Line::Secret
            }
            // Servers skip Telnet's codes (RFC 854), as in front of ABOR, and some skip blanks.
            (name @ Line::Name(_, 0), next) if !next.is_ascii_graphic() => name,
            (name @ Line::Name(..), 0x80..) => name,
            (Line::Name(name, 4), b' ' | b'\t') if is_secret(&name) => Line::Secret,
            (Line::Name(mut name, len @ 0..4), next) => {
                name[len] = next;
                Line::Name(name, len + 1)
            }
            (Line::Name(..) | Line::Open, _) => Line::Open,
        }
    }
}

fn is_secret(name: &[u8]) -> bool {
    SECRET.iter().any(|secret| secret.eq_ignore_ascii_case(name))
}

impl Passwords {
    /// Adds the servers of all FTP services that there ever were, as clients see them and as they are: frames of
    /// removed services may still be in hand. Which VIPs a removed service had is not known any longer, so all VIPs
    /// count.
    pub fn learn(&mut self, registry: &Registry) {
        let is_ftp = |id: ServiceId| matches!(registry[id].protocol, Protocol::Ftp(_));
        let services = (0..).map(ServiceId).zip(registry.services());
        let ports: HashSet<u16> =
            services.filter(|&(id, _)| is_ftp(id)).map(|(_, service)| service.port).collect();
        let vips = registry.vips().iter().map(|vip| vip.what.held.address);
        let vips = vips.flat_map(|vip| ports.iter().map(move |&port| SocketAddr::new(vip, port)));
        let backends = registry.backends().iter().map(|backend| &backend.what);
        let backends = backends.filter(|backend| is_ftp(backend.service()));
        let backends = backends
            .map(|backend| SocketAddr::new(backend.address, registry[backend.service()].port));
        self.servers.extend(vips.chain(backends));
    }

    /// Masks the passwords in the front of a frame.
    pub fn mask(&mut self, frame: &mut [u8]) {
        if self.servers.is_empty() {
            return;
        }
        match find(frame) {
            Some(Found::Segment(segment)) => self.mask_segment(&segment, frame),
            // Their position in the stream is not known: all data is masked.
            Some(Found::Quote(to, at)) if self.servers.contains(&to) => frame[at].fill(MASK),
            Some(Found::Fragment(to, at)) if self.servers.iter().any(|one| one.ip() == to) => {
                frame[at].fill(MASK);
            }
            Some(Found::Quote(..) | Found::Fragment(..)) | None => {}
        }
    }

    fn mask_segment(&mut self, segment: &Segment, frame: &mut [u8]) {
        let Segment { ends, seq, at } = segment;
        if at.is_empty() || !self.servers.contains(&ends[1]) {
            return;
        }
        let data = &mut frame[at.clone()];
        let known = self.streams.get(ends).filter(|known| known.next == *seq);
        let line = match known {
            Some(known) => known.line,
            None if begins_with_command(data) => Line::START,
            None => Line::Secret,
        };
        let next = seq.wrapping_add(data.len() as u32);
        let line = data.iter_mut().fold(line, Line::pass);
        if self.streams.len() >= MOST {
            self.streams.clear();
        }
        self.streams.insert(*ends, Position { next, line });
    }
}

/// Whether the data begins with a whole command.
fn begins_with_command(data: &[u8]) -> bool {
    let word = data.split(|byte| b" \r\n".contains(byte)).next().unwrap_or_default();
    let is_whole = word.len() < data.len();
    is_whole && COMMANDS.split(' ').any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// Data of TCP in a frame.
enum Found {
    /// A segment.
    Segment(Segment),
    /// A segment that an ICMP error quotes: its destination, and where its data is.
    Quote(SocketAddr, Range<usize>),
    /// A fragment of a segment: its destination, and where its data, or all of it, is.
    Fragment(IpAddr, Range<usize>),
}

struct Segment {
    ends: [SocketAddr; 2],
    seq: u32,
    at: Range<usize>,
}

fn find(frame: &[u8]) -> Option<Found> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let within = |part: &[u8]| {
        let start = part.as_ptr() as usize - frame.as_ptr() as usize;
        start..start + part.len()
    };
    let quote = |(to, data)| Found::Quote(to, within(data));
    match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Some(Found::Segment(Segment {
            ends: ends(packet.net.as_ref()?, tcp)?,
            seq: tcp.sequence_number(),
            at: within(tcp.payload()),
        })),
        Some(TransportSlice::Icmpv4(icmp)) => quoted(icmp.payload()).map(quote),
        Some(TransportSlice::Icmpv6(icmp)) => quoted(icmp.payload()).map(quote),
        Some(TransportSlice::Udp(_) | TransportSlice::Igmp(_)) => None,
        None => {
            let net = packet.net.as_ref()?;
            let rest = net.ip_payload_ref()?;
            let is_part = rest.fragmented && rest.ip_number == ip_number::TCP;
            let [_, to] = addresses(net)?;
            is_part.then(|| Found::Fragment(to, within(rest.payload)))
        }
    }
}

/// The destination and the data of the segment that an ICMP error quotes.
fn quoted(quote: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let packet = LaxSlicedPacket::from_ip(quote).ok()?;
    let Some(TransportSlice::Tcp(tcp)) = &packet.transport else { return None };
    let [_, to] = ends(packet.net.as_ref()?, tcp)?;
    Some((to, tcp.payload()))
}

fn ends(net: &LaxNetSlice, tcp: &TcpSlice) -> Option<[SocketAddr; 2]> {
    let [from, to] = addresses(net)?;
    let ends = [(from, tcp.source_port()), (to, tcp.destination_port())];
    Some(ends.map(|(address, port)| SocketAddr::new(address, port)))
}

#[cfg(test)]
mod tests;
