//! Tells what happens at the gate, and notes it down: each packet as its sender sends it, and as the other
//! side is to get it, built from scratch.

pub mod line;

use crate::capture::Moment;
use engine::tick::PER_SECOND;
use kit::packet::Packet;
use kit::parts::cut;
use kit::story::datagram;
use kit::talk::{TID, Talk};
use kit::world::{self, TFTP, Via, gate_mac, interface, mac};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What a server process is told whose TID is no transfer's (RFC 1350 §4).
const UNKNOWN_TID: &[u8] = b"\0\x05\0\x05Unknown transfer ID\0";
/// Bytes of payload in each part of a datagram; a multiple of eight.
const PART: usize = 1240;
/// The first port of a SNAT address.
const FIRST: u16 = 1024;

/// What has happened so far.
pub struct Scene {
    /// How packets reach the servers.
    pub via: Via,
    workers: u16,
    ticks: u32,
    /// SNAT endpoints taken.
    taken: u16,
    /// Datagrams that the gate has given a number of its own.
    numbered: u16,
    /// Every frame.
    pub moments: Vec<Moment>,
    /// Counters, by name, and how far they must have moved at the end.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Scene {
    /// Nothing has happened at a gate with so many workers.
    pub fn new(via: Via, workers: u16) -> Scene {
        Scene {
            via,
            workers,
            ticks: 0,
            taken: 0,
            numbered: 0,
            moments: vec![],
            counts: BTreeMap::new(),
        }
    }

    /// Time passes.
    pub fn seconds(&mut self, seconds: u32) {
        self.ticks += seconds * PER_SECOND;
    }

    /// This counter must have moved by so much, where the servers' answers are seen.
    pub fn counts(&mut self, name: &'static str, by: u64) {
        if !self.via.is_dsr() {
            self.counts.insert(name, by);
        }
    }

    /// The client of a port.
    pub fn client(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.via.client().ip(), port)
    }

    /// A new transfer, whose request reaches the server.
    pub fn asks(&mut self, says: &str, request: Packet) -> Talk {
        let payload = request.payload.clone();
        self.asks_for(says, request, &payload)
    }

    /// The same, but the server is asked in these words.
    pub fn asks_for(&mut self, says: &str, request: Packet, payload: &[u8]) -> Talk {
        let talk = self.talk(request.source, 0);
        let words = Packet { payload: payload.to_vec(), ..request.clone() };
        self.comes(says, request);
        self.at_server(talk.with_tid(TFTP), words);
        talk
    }

    /// A new transfer, whose request reaches this one of two servers.
    pub fn asks_one(&mut self, says: &str, n: usize, request: Packet) -> Talk {
        let talk = self.talk(request.source, n);
        self.comes(says, request.clone());
        self.at_server(talk.with_tid(TFTP), request);
        talk
    }

    fn talk(&mut self, client: SocketAddr, server: usize) -> Talk {
        Talk {
            via: self.via,
            client,
            vip: self.via.vip(),
            server: SocketAddr::new(self.via.server(server), TID),
            seen_as: self.seen_as(client),
        }
    }

    /// The request of a transfer comes again, and reaches the same server.
    pub fn asks_again(&mut self, says: &str, talk: Talk, request: Packet) {
        self.comes(says, request.clone());
        self.at_server(talk.with_tid(TFTP), request);
    }

    /// The client sends this, and its server gets it.
    pub fn up(&mut self, says: &str, talk: Talk, packet: Packet) {
        self.comes(says, packet.clone());
        self.at_server(talk, packet);
    }

    /// The client sends this in parts, in this order, of which the first comes last, and the server gets them.
    pub fn up_in_parts(&mut self, says: &str, talk: Talk, packet: Packet) {
        // Servers see many clients as one sender, whose numbers are few unless all of it is IPv6.
        let few = self.via.is_snat() && self.via != Via::Snat6;
        let number = if few { self.number() } else { packet.id };
        let to = talk.at_server(&packet, 0);
        self.parts(says, &packet, &Packet { id: number, ..to });
    }

    /// The server sends this, and its client gets it; where answers pass the gate by, the gate sees nothing.
    pub fn down(&mut self, says: &str, talk: Talk, packet: Packet) {
        if self.via.is_dsr() {
            return;
        }
        self.comes(says, packet.clone());
        let packet = talk.at_client(&packet, self.crossing());
        self.goes("the client gets it", packet.bytes());
    }

    /// The same in parts, the last one first.
    pub fn down_in_parts(&mut self, says: &str, talk: Talk, packet: Packet) {
        if self.via.is_dsr() {
            return;
        }
        let to = talk.at_client(&packet, 0);
        self.parts(says, &packet, &Packet { id: packet.id, ..to });
    }

    /// The server sends this, and is told that its TID is no transfer's; the client hears nothing of it.
    pub fn stray(&mut self, says: &str, talk: Talk, packet: Packet) {
        if self.via.is_dsr() {
            return;
        }
        self.comes(says, packet);
        let station = talk.server.ip();
        let told = Packet {
            from: gate_mac(interface(station)),
            to: mac(station),
            id: 0,
            ..datagram(talk.seen_as, talk.server, UNKNOWN_TID)
        };
        self.goes("the server process is told", told.bytes());
    }

    /// The server sends this, and nobody gets it.
    pub fn down_in_vain(&mut self, says: &str, packet: Packet) {
        if !self.via.is_dsr() {
            self.comes(says, packet);
        }
    }

    /// The client sends this, and nobody gets it.
    pub fn up_in_vain(&mut self, says: &str, packet: Packet) {
        self.comes(says, packet);
    }

    /// The next SNAT endpoint of the client's worker: addresses are one, each worker begins with 256 ports of its own.
    fn seen_as(&mut self, client: SocketAddr) -> SocketAddr {
        if !self.via.is_snat() {
            return client;
        }
        let port = FIRST + 256 * self.worker() + self.taken;
        self.taken += 1;
        SocketAddr::new(self.via.snat(), port)
    }

    fn at_server(&mut self, talk: Talk, packet: Packet) {
        let packet = talk.at_server(&packet, self.crossing());
        // The first one also where it answers from another address.
        let is_second = talk.server.ip() == self.via.server(1);
        let to = mac(self.via.server(usize::from(is_second)));
        self.goes("the server gets it", Packet { to, ..packet }.bytes());
    }

    /// The number of a packet that goes over to the other version of IP, if it does.
    fn crossing(&mut self) -> u16 {
        if self.via.crosses() { self.number() } else { 0 }
    }

    /// The next number; they are dealt to the workers in turn.
    fn number(&mut self) -> u16 {
        self.numbered += 1;
        self.numbered * self.workers + self.worker()
    }

    fn worker(&self) -> u16 {
        world::owner(self.via.client().ip(), self.workers)
    }

    /// Parts are held until the first one has come.
    fn parts(&mut self, says: &str, packet: &Packet, to: &Packet) {
        let mut came = cut(packet, PART);
        came.rotate_left(1);
        let last = came.len();
        for (n, frame) in came.into_iter().enumerate() {
            self.arrives(&format!("{says}, part {} of {last}", (n + 1) % last + 1), frame);
        }
        for frame in cut(to, PART) {
            self.goes("a part of it goes on", frame);
        }
    }

    fn comes(&mut self, says: &str, packet: Packet) {
        self.arrives(says, packet.bytes());
    }

    fn arrives(&mut self, says: &str, frame: Vec<u8>) {
        let inside = frame[..6] == gate_mac(world::INSIDE).0;
        self.note(says, frame, u8::from(inside), true);
    }

    fn goes(&mut self, says: &str, frame: Vec<u8>) {
        let inside = frame[6..12] == gate_mac(world::INSIDE).0;
        self.note(says, frame, u8::from(inside), false);
    }

    fn note(&mut self, says: &str, frame: Vec<u8>, interface: u8, inbound: bool) {
        let at = Duration::from_secs(1) * self.ticks / PER_SECOND;
        self.moments.push(Moment { at, interface, inbound, frame, says: says.to_owned() });
    }
}
