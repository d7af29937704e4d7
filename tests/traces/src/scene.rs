//! Scenes at the gate: each packet as its sender sends it, and as the other side must get it, built from scratch.

pub mod line;

use crate::capture::Moment;
use engine::types::tick::PER_SECOND;
use kit::fragments::cut;
use kit::packet::Packet;
use kit::packets::datagram;
use kit::topology::{self, TFTP, Via, first_port, gate_mac, interface, mac};
use kit::transfer::{TID, Transfer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// ERROR 5 for a server process without a transfer (RFC 1350 §4).
const UNKNOWN_TID: &[u8] = b"\0\x05\0\x05Unknown transfer ID\0";
/// Bytes of payload per fragment; a multiple of eight.
const PART: usize = 1240;

/// A scene: the frames so far.
pub struct Scene {
    /// The service.
    pub via: Via,
    workers: u16,
    ticks: u32,
    /// SNAT endpoints in use.
    taken: u16,
    /// Datagrams that got an identification from the gate.
    numbered: u16,
    /// All frames.
    pub moments: Vec<Moment>,
    /// Expected changes of counters, by name.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Scene {
    /// An empty scene at a gate with `workers` workers.
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

    /// Lets time pass.
    pub fn seconds(&mut self, seconds: u32) {
        self.ticks += seconds * PER_SECOND;
    }

    /// Expects a counter to change by `by`, where answers pass the gate.
    pub fn counts(&mut self, name: &'static str, by: u64) {
        if !self.via.is_dsr() {
            self.counts.insert(name, by);
        }
    }

    /// The client with this port.
    pub fn client(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.via.client().ip(), port)
    }

    /// A new transfer, whose request reaches the server.
    pub fn asks(&mut self, says: &str, request: Packet) -> Transfer {
        let payload = request.payload.clone();
        self.asks_for(says, request, &payload)
    }

    /// A new transfer, whose request reaches the server with this payload.
    pub fn asks_for(&mut self, says: &str, request: Packet, payload: &[u8]) -> Transfer {
        let transfer = self.transfer(request.source, 0);
        let words = Packet { payload: payload.to_vec(), ..request.clone() };
        self.comes(says, request);
        self.at_server(transfer.with_tid(TFTP), words);
        transfer
    }

    /// A new transfer, whose request reaches the `n`th server.
    pub fn asks_one(&mut self, says: &str, n: usize, request: Packet) -> Transfer {
        let transfer = self.transfer(request.source, n);
        self.comes(says, request.clone());
        self.at_server(transfer.with_tid(TFTP), request);
        transfer
    }

    fn transfer(&mut self, client: SocketAddr, server: usize) -> Transfer {
        Transfer {
            via: self.via,
            client,
            vip: self.via.vip(),
            server: SocketAddr::new(self.via.server(server), TID),
            seen_as: self.seen_as(client),
        }
    }

    /// A repeated request, which reaches the same server.
    pub fn asks_again(&mut self, says: &str, transfer: Transfer, request: Packet) {
        self.comes(says, request.clone());
        self.at_server(transfer.with_tid(TFTP), request);
    }

    /// The client sends a packet, and its server gets it.
    pub fn up(&mut self, says: &str, transfer: Transfer, packet: Packet) {
        self.comes(says, packet.clone());
        self.at_server(transfer, packet);
    }

    /// The client sends a fragmented packet in this order of fragments, and the server gets it, starting with the first
    /// fragment.
    pub fn up_in_fragments(&mut self, says: &str, transfer: Transfer, packet: Packet) {
        // Servers see many clients as one source, whose identifications are scarce, except over IPv6 alone.
        let few = self.via.is_snat() && self.via != Via::Snat6;
        let number = if few { self.number() } else { packet.id };
        let to = transfer.at_server(&packet, 0);
        self.fragments(says, &packet, &Packet { id: number, ..to });
    }

    /// The server sends a packet, and its client gets it. In `dsr` the packet bypasses the gate.
    pub fn down(&mut self, says: &str, transfer: Transfer, packet: Packet) {
        if self.via.is_dsr() {
            return;
        }
        self.comes(says, packet.clone());
        let packet = transfer.at_client(&packet, self.crossing());
        self.goes("the client gets it", packet.bytes());
    }

    /// The server sends a fragmented packet, last fragment first, and its client gets it.
    pub fn down_in_fragments(&mut self, says: &str, transfer: Transfer, packet: Packet) {
        if self.via.is_dsr() {
            return;
        }
        let to = transfer.at_client(&packet, 0);
        self.fragments(says, &packet, &Packet { id: packet.id, ..to });
    }

    /// The server sends a packet and gets ERROR 5; the client gets nothing.
    pub fn stray(&mut self, says: &str, transfer: Transfer, packet: Packet) {
        if self.via.is_dsr() {
            return;
        }
        self.comes(says, packet);
        let host = transfer.server.ip();
        let told = Packet {
            from: gate_mac(interface(host)),
            to: mac(host),
            id: 0,
            ..datagram(transfer.seen_as, transfer.server, UNKNOWN_TID)
        };
        self.goes("the server process is told", told.bytes());
    }

    /// The server sends a packet that is dropped.
    pub fn down_in_vain(&mut self, says: &str, packet: Packet) {
        if !self.via.is_dsr() {
            self.comes(says, packet);
        }
    }

    /// The client sends a packet that is dropped.
    pub fn up_in_vain(&mut self, says: &str, packet: Packet) {
        self.comes(says, packet);
    }

    /// The next SNAT endpoint of the client: there is one address.
    fn seen_as(&mut self, client: SocketAddr) -> SocketAddr {
        if !self.via.is_snat() {
            return client;
        }
        let port = first_port(client.ip()) + self.taken;
        self.taken += 1;
        SocketAddr::new(self.via.snat(), port)
    }

    fn at_server(&mut self, transfer: Transfer, packet: Packet) {
        let packet = transfer.at_server(&packet, self.crossing());
        // The first server also if it answers from another address.
        let is_second = transfer.server.ip() == self.via.server(1);
        let to = mac(self.via.server(usize::from(is_second)));
        self.goes("the server gets it", Packet { to, ..packet }.bytes());
    }

    /// The identification of a packet that is translated to the other address family, if it is.
    fn crossing(&mut self) -> u16 {
        if self.via.translates() { self.number() } else { 0 }
    }

    /// The next identification; workers draw from it in turn.
    fn number(&mut self) -> u16 {
        self.numbered += 1;
        self.numbered * self.workers + self.worker()
    }

    fn worker(&self) -> u16 {
        topology::owner(self.via.client().ip(), self.workers)
    }

    /// Fragments are held until the first one has come.
    fn fragments(&mut self, says: &str, packet: &Packet, to: &Packet) {
        let mut came = cut(packet, PART);
        came.rotate_left(1);
        let last = came.len();
        for (n, frame) in came.into_iter().enumerate() {
            self.arrives(&format!("{says}, fragment {} of {last}", (n + 1) % last + 1), frame);
        }
        for frame in cut(to, PART) {
            self.goes("a fragment of it goes on", frame);
        }
    }

    fn comes(&mut self, says: &str, packet: Packet) {
        self.arrives(says, packet.bytes());
    }

    fn arrives(&mut self, says: &str, frame: Vec<u8>) {
        let inside = frame[..6] == gate_mac(topology::INSIDE).0;
        self.note(says, frame, u8::from(inside), true);
    }

    fn goes(&mut self, says: &str, frame: Vec<u8>) {
        let inside = frame[6..12] == gate_mac(topology::INSIDE).0;
        self.note(says, frame, u8::from(inside), false);
    }

    fn note(&mut self, says: &str, frame: Vec<u8>, interface: u8, inbound: bool) {
        let at = Duration::from_secs(1) * self.ticks / PER_SECOND;
        self.moments.push(Moment { at, interface, inbound, frame, says: says.to_owned() });
    }
}
