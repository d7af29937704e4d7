//! One transfer as both of its ends see it.

use crate::gate::{Gate, Outcome};
use crate::packet::Packet;
use crate::story::{ack, data, datagram, error, rrq};
use crate::world::{Via, gate_mac, interface, mac};
use std::net::{IpAddr, SocketAddr};

/// The TID of most servers.
pub const TID: u16 = 50_000;

/// The two ends of a transfer.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    /// The service's mode.
    pub via: Via,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// Where the client asked.
    pub vip: SocketAddr,
    /// The server's address and TID.
    pub server: SocketAddr,
    /// What the server sees as the client.
    pub seen_as: SocketAddr,
}

/// The client's request comes in and reaches a server, which has not answered yet.
pub fn ask(gate: &mut Gate, via: Via, request: &Packet) -> Talk {
    let sent = gate.take(request).sent();
    let server = (0..2).map(|n| via.server(n)).find(|&server| mac(server) == sent.to);
    Talk {
        via,
        client: request.source,
        vip: request.destination,
        server: SocketAddr::new(server.expect("a server"), TID),
        seen_as: sent.source,
    }
}

/// A transfer of `boot.img`, whose first block the client has acknowledged.
pub fn run(gate: &mut Gate, via: Via, client: SocketAddr) -> Talk {
    let talk = ask(gate, via, &rrq(client, via.vip(), "boot.img"));
    if !via.is_dsr() {
        let _ = gate.take(talk.data(1, 512)).sent();
    }
    let _ = gate.take(talk.ack(1)).sent();
    talk
}

impl Talk {
    /// The server's answers come from this port.
    pub fn with_tid(self, tid: u16) -> Talk {
        Talk { server: SocketAddr::new(self.server.ip(), tid), ..self }
    }

    /// The VIP, with the server's TID.
    pub fn vip_tid(self) -> SocketAddr {
        SocketAddr::new(self.vip.ip(), self.server.port())
    }

    /// The server sends a block.
    pub fn data(self, block: u16, len: usize) -> Packet {
        data(self.server, self.seen_as, block, len)
    }

    /// The client acknowledges it.
    pub fn ack(self, block: u16) -> Packet {
        ack(self.client, self.vip_tid(), block)
    }

    /// The server sends this.
    pub fn says(self, payload: &[u8]) -> Packet {
        datagram(self.server, self.seen_as, payload)
    }

    /// The client's ERROR.
    pub fn client_error(self, code: u16) -> Packet {
        error(self.client, self.vip_tid(), code)
    }

    /// The server's ERROR.
    pub fn server_error(self, code: u16) -> Packet {
        error(self.server, self.seen_as, code)
    }

    /// The client's packet as the server is to get it. In a mode that crosses, `number` counts the worker's
    /// packets.
    pub fn at_server(self, packet: &Packet, number: u16) -> Packet {
        if self.via.is_dsr() {
            return to_station(packet, self.server.ip());
        }
        routed(packet, self.seen_as, self.server, number)
    }

    /// The server's packet as the client is to get it; likewise.
    pub fn at_client(self, packet: &Packet, number: u16) -> Packet {
        routed(packet, self.vip_tid(), self.client, number)
    }

    /// The client got this from its server.
    #[track_caller]
    pub fn client_gets(self, outcome: Outcome, payload: &[u8]) {
        let packet = outcome.sent();
        assert_eq!((packet.source, packet.destination), (self.vip_tid(), self.client));
        assert_eq!(packet.payload, payload);
    }

    /// The server got this from its client.
    #[track_caller]
    pub fn server_gets(self, outcome: Outcome, payload: &[u8]) {
        let packet = outcome.sent();
        assert_eq!((packet.source, packet.destination), (self.seen_as, self.server));
        assert_eq!(packet.payload, payload);
    }

    /// Only the server was told, and that its TID is unknown.
    #[track_caller]
    pub fn server_is_told_off(self, outcome: Outcome) {
        let packet = outcome.answered();
        assert_eq!((packet.source, packet.destination), (self.seen_as, self.server));
        assert_eq!(packet.payload, wire::tftp::UNKNOWN_TID);
        assert_eq!(packet.to, mac(self.server.ip()));
        assert_eq!(packet.from, gate_mac(interface(self.server.ip())));
    }
}

/// The packet between these ends, a hop further.
fn routed(packet: &Packet, source: SocketAddr, destination: SocketAddr, number: u16) -> Packet {
    let packet = if packet.is_v6() == source.is_ipv6() {
        Packet { source, destination, ..packet.clone() }
    } else {
        packet.crossed(source, destination, number)
    };
    Packet { ttl: packet.ttl - 1, ..to_station(&packet, destination.ip()) }
}

/// The packet with the Ethernet header that takes it from the gate to this station.
fn to_station(packet: &Packet, station: IpAddr) -> Packet {
    Packet { from: gate_mac(interface(station)), to: mac(station), ..packet.clone() }
}

/// A client of its own.
pub fn client(via: Via, n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    SocketAddr::new(via.address([192, 168, high, low]), 2070)
}
