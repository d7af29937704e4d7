//! TCP connections in a scene. A rewritten line shifts all numbers behind it: the sender counts its own bytes, the
//! receiver those that it got; this module counts both.

use super::Scene;
use etherparse::{EtherType, Ethernet2Header, Ipv4Header};
use kit::segment::Segment;
use kit::topology::{Via, gate_mac, interface, mac};
use std::net::SocketAddr;

/// Initial hop limit.
const HOPS: u8 = 64;
/// An IPv4 packet up to this size may be fragmented if it was IPv6 (RFC 7915 §5.1).
const SMALL: usize = 1260;

/// One side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// A connection as both of its ends see it.
#[derive(Debug, Clone)]
pub struct Connection {
    via: Via,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The endpoint that the client connects to.
    pub vip: SocketAddr,
    /// The server's endpoint.
    pub server: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// Next sequence number of each side, in its own numbers.
    next: [u32; 2],
    /// Growth of each side's stream at the other side.
    grown: [u32; 2],
}

impl Connection {
    fn new(via: Via, client: SocketAddr, port: u16, seen_as: SocketAddr) -> Connection {
        Connection {
            via,
            client,
            vip: SocketAddr::new(via.vip().ip(), port),
            server: SocketAddr::new(via.server(0), port),
            seen_as,
            next: [u32::MAX - 60, 7_000_000],
            grown: [0; 2],
        }
    }

    /// A segment as its sender sends it.
    fn says(&self, by: Side, flags: &str, text: &str) -> Segment {
        let (source, destination) = match by {
            Side::Client => (self.client, self.vip),
            Side::Server => (self.server, self.seen_as),
        };
        let (me, peer) = (by as usize, 1 - by as usize);
        let knows_peer = flags.contains('A');
        let got = self.next[peer].wrapping_add(self.grown[peer]);
        Segment {
            from: mac(source.ip()),
            to: gate_mac(interface(source.ip())),
            source,
            destination,
            ttl: HOPS,
            flags: flags.to_owned(),
            sequence: self.next[me],
            acknowledgement: if knows_peer { got } else { 0 },
            options: vec![],
            payload: text.as_bytes().to_vec(),
        }
    }

    /// The segment as the other side must get it, with this text.
    fn hears(&self, by: Side, flags: &str, text: &str) -> Segment {
        let said = self.says(by, flags, text);
        if self.via.is_dsr() {
            let server = self.server.ip();
            return Segment { from: gate_mac(interface(server)), to: mac(server), ..said };
        }
        let (source, destination) = match by {
            Side::Client => (self.seen_as, self.server),
            Side::Server => (self.vip, self.client),
        };
        let (me, peer) = (by as usize, 1 - by as usize);
        let knows_peer = flags.contains('A');
        Segment {
            from: gate_mac(interface(destination.ip())),
            to: mac(destination.ip()),
            source,
            destination,
            ttl: HOPS - 1,
            sequence: self.next[me].wrapping_add(self.grown[me]),
            acknowledgement: if knows_peer { self.next[peer] } else { 0 },
            ..said
        }
    }

    /// The gate's own ACK to a sender.
    fn told(&self, by: Side, text: &str) -> Segment {
        let said = self.says(by, "A", text);
        Segment {
            from: said.to,
            to: said.from,
            source: said.destination,
            destination: said.source,
            flags: "A".to_owned(),
            sequence: said.acknowledgement,
            acknowledgement: said.sequence.wrapping_add(text.len() as u32),
            payload: vec![],
            ..said
        }
    }

    /// Advances the numbers after a text, and its rewritten form.
    fn goes_on(&mut self, by: Side, flags: &str, said: &str, heard: &str) {
        let more = u32::from(flags.contains(['S', 'F']));
        let me = by as usize;
        self.next[me] = self.next[me].wrapping_add(said.len() as u32 + more);
        self.grown[me] =
            self.grown[me].wrapping_add((heard.len() as u32).wrapping_sub(said.len() as u32));
    }

    /// The connection before this text and its rewritten form.
    fn before(&self, by: Side, said: &str, heard: &str) -> Connection {
        let mut line = self.clone();
        let me = by as usize;
        line.next[me] = line.next[me].wrapping_sub(said.len() as u32);
        line.grown[me] =
            line.grown[me].wrapping_sub((heard.len() as u32).wrapping_sub(said.len() as u32));
        line
    }
}

impl Scene {
    /// A connection between a client and this port of VIP and server, not open yet.
    pub fn begins(&mut self, client: SocketAddr, port: u16) -> Connection {
        let seen_as = self.seen_as(client);
        Connection::new(self.via, client, port, seen_as)
    }

    /// A client opens a connection to this port.
    pub fn opens(&mut self, client: SocketAddr, port: u16) -> Connection {
        let mut line = self.begins(client, port);
        self.opened(&mut line, Side::Client);
        line
    }

    /// One side opens the connection, and the other one answers.
    pub fn opened(&mut self, line: &mut Connection, by: Side) {
        let other = if by == Side::Client { Side::Server } else { Side::Client };
        self.flags("a SYN", line, by, "S");
        self.flags("its answer", line, other, "SA");
        self.flags("both know", line, by, "A");
    }

    /// One side sends a segment without data.
    pub fn flags(&mut self, says: &str, line: &mut Connection, by: Side, flags: &str) {
        self.segment(says, line, by, flags, ["", ""]);
    }

    /// One side sends a text, and the other one gets it.
    pub fn speaks(&mut self, says: &str, line: &mut Connection, by: Side, text: &str) {
        self.segment(says, line, by, "AP", [text, text]);
    }

    /// One side sends a text, and the other one gets another text.
    pub fn rewritten(
        &mut self,
        says: &str,
        line: &mut Connection,
        by: Side,
        said: &str,
        heard: &str,
    ) {
        self.segment(says, line, by, "AP", [said, heard]);
    }

    fn segment(
        &mut self,
        says: &str,
        line: &mut Connection,
        by: Side,
        flags: &str,
        [said, heard]: [&str; 2],
    ) {
        let passes = by == Side::Client || !self.via.is_dsr();
        if passes {
            self.arrives(says, line.says(by, flags, said).bytes());
            self.leaves("the other side gets it", line, by, line.hears(by, flags, heard));
        }
        line.goes_on(by, flags, said, heard);
    }

    /// One side sends the first half of a line, which the gate acknowledges; then the rest, and the other side gets the
    /// rewritten line.
    pub fn in_two_parts(
        &mut self,
        line: &mut Connection,
        by: Side,
        [first, rest]: [&str; 2],
        heard: &str,
    ) {
        self.arrives("the first half", line.says(by, "AP", first).bytes());
        self.goes("the gate has it", line.told(by, first).bytes());
        // The receiver has got nothing of the line.
        let mut ahead = line.clone();
        ahead.goes_on(by, "", first, first);
        self.arrives("the second half", ahead.says(by, "AP", rest).bytes());
        self.leaves("the whole line goes on", line, by, line.hears(by, "AP", heard));
        line.goes_on(by, "", &[first, rest].concat(), heard);
    }

    /// One side retransmits the end of a line; the other side gets the whole line again.
    pub fn repeats(&mut self, line: &Connection, by: Side, [first, rest]: [&str; 2], heard: &str) {
        let whole = [first, rest].concat();
        let before = line.before(by, &whole, heard);
        let mut ahead = before.clone();
        ahead.goes_on(by, "", first, first);
        self.arrives("the second half again", ahead.says(by, "AP", rest).bytes());
        self.leaves("the whole line again", line, by, before.hears(by, "AP", heard));
    }

    /// Both sides close the connection.
    pub fn closes(&mut self, line: &mut Connection, by: Side) {
        let other = if by == Side::Client { Side::Server } else { Side::Client };
        self.flags("one side is done", line, by, "AF");
        self.flags("so is the other", line, other, "AF");
        self.flags("both know", line, by, "A");
    }

    fn leaves(&mut self, says: &str, line: &Connection, by: Side, segment: Segment) {
        let crosses = self.via.translates();
        let mut frame = segment.bytes();
        if crosses {
            let number = self.number();
            let goes_to_v4 = match by {
                Side::Client => line.server.is_ipv4(),
                Side::Server => line.client.is_ipv4(),
            };
            if goes_to_v4 {
                frame = numbered(&frame, number);
            }
        }
        self.goes(says, frame);
    }
}

/// The frame of a small IPv4 packet, with this identification and fragmentation permitted.
fn numbered(frame: &[u8], number: u16) -> Vec<u8> {
    let (ethernet, rest) = Ethernet2Header::from_slice(frame).expect("a frame");
    assert_eq!(ethernet.ether_type, EtherType::IPV4);
    let (mut ip, body) = Ipv4Header::from_slice(rest).expect("a packet");
    if rest.len() <= SMALL {
        ip.identification = number;
        ip.dont_fragment = false;
        ip.header_checksum = ip.calc_header_checksum();
    }
    [&ethernet.to_bytes()[..], &ip.to_bytes(), body].concat()
}
