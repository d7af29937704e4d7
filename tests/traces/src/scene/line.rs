//! A TCP connection at the gate. What a line that is rewritten has grown by is added to all numbers from there on: the
//! sender counts what it has sent, the receiver what it got, and this counts both.

use super::Scene;
use etherparse::{EtherType, Ethernet2Header, Ipv4Header};
use kit::segment::Segment;
use kit::world::{Via, gate_mac, interface, mac};
use std::net::SocketAddr;

/// Hops that a packet begins with.
const HOPS: u8 = 64;
/// An IPv4 packet of at most so many bytes may be fragmented, if it was IPv6's (RFC 7915 §5.1).
const SMALL: usize = 1260;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// A connection as both of its ends see it.
#[derive(Debug, Clone)]
pub struct Line {
    via: Via,
    /// The client.
    pub client: SocketAddr,
    /// What it talks to.
    pub vip: SocketAddr,
    /// Who answers.
    pub server: SocketAddr,
    /// What that sees as the client.
    pub seen_as: SocketAddr,
    /// By [`By`]: what it will send next, as it counts itself.
    next: [u32; 2],
    /// By [`By`]: by how much more the other side has got.
    grown: [u32; 2],
}

impl Line {
    fn new(via: Via, client: SocketAddr, port: u16, seen_as: SocketAddr) -> Line {
        Line {
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
    fn says(&self, by: By, flags: &str, text: &str) -> Segment {
        let (source, destination) = match by {
            By::Client => (self.client, self.vip),
            By::Server => (self.server, self.seen_as),
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

    /// The same as the other side is to get it, with this text.
    fn hears(&self, by: By, flags: &str, text: &str) -> Segment {
        let said = self.says(by, flags, text);
        if self.via.is_dsr() {
            let server = self.server.ip();
            return Segment { from: gate_mac(interface(server)), to: mac(server), ..said };
        }
        let (source, destination) = match by {
            By::Client => (self.seen_as, self.server),
            By::Server => (self.vip, self.client),
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

    /// What the gate itself tells a sender that has said this: it has all of it.
    fn told(&self, by: By, text: &str) -> Segment {
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

    /// It was said, and heard in other words.
    fn goes_on(&mut self, by: By, flags: &str, said: &str, heard: &str) {
        let more = u32::from(flags.contains(['S', 'F']));
        let me = by as usize;
        self.next[me] = self.next[me].wrapping_add(said.len() as u32 + more);
        self.grown[me] =
            self.grown[me].wrapping_add((heard.len() as u32).wrapping_sub(said.len() as u32));
    }

    /// As it was before this side said that, which was heard in other words.
    fn before(&self, by: By, said: &str, heard: &str) -> Line {
        let mut line = self.clone();
        let me = by as usize;
        line.next[me] = line.next[me].wrapping_sub(said.len() as u32);
        line.grown[me] =
            line.grown[me].wrapping_sub((heard.len() as u32).wrapping_sub(said.len() as u32));
        line
    }
}

impl Scene {
    /// A connection between a client and this port, which the server has too; it is yet to be opened.
    pub fn begins(&mut self, client: SocketAddr, port: u16) -> Line {
        let seen_as = self.seen_as(client);
        Line::new(self.via, client, port, seen_as)
    }

    /// A client opens a connection to this port.
    pub fn opens(&mut self, client: SocketAddr, port: u16) -> Line {
        let mut line = self.begins(client, port);
        self.opened(&mut line, By::Client);
        line
    }

    /// One side opens the connection, and the other one answers.
    pub fn opened(&mut self, line: &mut Line, by: By) {
        let other = if by == By::Client { By::Server } else { By::Client };
        self.flags("a SYN", line, by, "S");
        self.flags("its answer", line, other, "SA");
        self.flags("both know", line, by, "A");
    }

    /// One side sends a segment without data.
    pub fn flags(&mut self, says: &str, line: &mut Line, by: By, flags: &str) {
        self.segment(says, line, by, flags, ["", ""]);
    }

    /// One side says this, and the other one hears it.
    pub fn speaks(&mut self, says: &str, line: &mut Line, by: By, text: &str) {
        self.segment(says, line, by, "AP", [text, text]);
    }

    /// One side says this, and the other one hears that.
    pub fn rewritten(&mut self, says: &str, line: &mut Line, by: By, said: &str, heard: &str) {
        self.segment(says, line, by, "AP", [said, heard]);
    }

    fn segment(
        &mut self,
        says: &str,
        line: &mut Line,
        by: By,
        flags: &str,
        [said, heard]: [&str; 2],
    ) {
        let passes = by == By::Client || !self.via.is_dsr();
        if passes {
            self.arrives(says, line.says(by, flags, said).bytes());
            self.leaves("the other side gets it", line, by, line.hears(by, flags, heard));
        }
        line.goes_on(by, flags, said, heard);
    }

    /// One side says the first part of a line that has to be read, and the gate tells it that this has come; then it
    /// says the rest, and the other side hears the whole line in other words.
    pub fn in_two_parts(&mut self, line: &mut Line, by: By, [first, rest]: [&str; 2], heard: &str) {
        self.arrives("the first half", line.says(by, "AP", first).bytes());
        self.goes("the gate has it", line.told(by, first).bytes());
        // The receiver has heard nothing of it.
        let mut ahead = line.clone();
        ahead.goes_on(by, "", first, first);
        self.arrives("the second half", ahead.says(by, "AP", rest).bytes());
        self.leaves("the whole line goes on", line, by, line.hears(by, "AP", heard));
        line.goes_on(by, "", &[first, rest].concat(), heard);
    }

    /// One side has not heard that the end of a line has come, and says it again; the other side gets the whole line
    /// once more.
    pub fn repeats(&mut self, line: &Line, by: By, [first, rest]: [&str; 2], heard: &str) {
        let whole = [first, rest].concat();
        let before = line.before(by, &whole, heard);
        let mut ahead = before.clone();
        ahead.goes_on(by, "", first, first);
        self.arrives("the second half again", ahead.says(by, "AP", rest).bytes());
        self.leaves("the whole line again", line, by, before.hears(by, "AP", heard));
    }

    /// Both sides close it.
    pub fn closes(&mut self, line: &mut Line, by: By) {
        let other = if by == By::Client { By::Server } else { By::Client };
        self.flags("one side is done", line, by, "AF");
        self.flags("so is the other", line, other, "AF");
        self.flags("both know", line, by, "A");
    }

    fn leaves(&mut self, says: &str, line: &Line, by: By, segment: Segment) {
        let crosses = self.via.crosses();
        let mut frame = segment.bytes();
        if crosses {
            let number = self.number();
            let goes_to_v4 = match by {
                By::Client => line.server.is_ipv4(),
                By::Server => line.client.is_ipv4(),
            };
            if goes_to_v4 {
                frame = numbered(&frame, number);
            }
        }
        self.goes(says, frame);
    }
}

/// The frame of an IPv4 packet that has this number and may be cut, if it is small.
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
