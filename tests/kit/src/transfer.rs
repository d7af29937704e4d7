//! A transfer as both of its ends see it.

use crate::engine_harness::{EngineHarness, Outcome};
use crate::packet::Packet;
use crate::packets::{ack, data, datagram, error, rrq};
use crate::topology::{Via, gate_mac, interface, mac};
use std::net::{IpAddr, SocketAddr};

/// The TID of most servers.
pub const TID: u16 = 50_000;

/// The two ends of a transfer.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// Mode.
    pub via: Via,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The endpoint that the client asked.
    pub vip: SocketAddr,
    /// The server's address and TID.
    pub server: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
}

/// Delivers a client's request to a server, which has not answered yet.
pub fn ask(gate: &mut EngineHarness, via: Via, request: &Packet) -> Transfer {
    let sent = gate.take(request).sent();
    let server = (0..2).map(|n| via.server(n)).find(|&server| mac(server) == sent.to);
    Transfer {
        via,
        client: request.source,
        vip: request.destination,
        server: SocketAddr::new(server.expect("a server"), TID),
        seen_as: sent.source,
    }
}

/// A transfer of `boot.img` whose first block the client has acknowledged.
pub fn run(gate: &mut EngineHarness, via: Via, client: SocketAddr) -> Transfer {
    let transfer = ask(gate, via, &rrq(client, via.vip(), "boot.img"));
    if !via.is_dsr() {
        let _ = gate.take(transfer.data(1, 512)).sent();
    }
    let _ = gate.take(transfer.ack(1)).sent();
    transfer
}

impl Transfer {
    /// The transfer with this TID.
    pub fn with_tid(self, tid: u16) -> Transfer {
        Transfer { server: SocketAddr::new(self.server.ip(), tid), ..self }
    }

    /// The VIP, with the server's TID.
    pub fn vip_tid(self) -> SocketAddr {
        SocketAddr::new(self.vip.ip(), self.server.port())
    }

    /// A block from the server.
    pub fn data(self, block: u16, len: usize) -> Packet {
        data(self.server, self.seen_as, block, len)
    }

    /// The client's ACK of a block.
    pub fn ack(self, block: u16) -> Packet {
        ack(self.client, self.vip_tid(), block)
    }

    /// A message of the server.
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

    /// The client's packet as the server must get it. With translation, `number` is the worker's identification
    /// counter.
    pub fn at_server(self, packet: &Packet, number: u16) -> Packet {
        if self.via.is_dsr() {
            return to_host(packet, self.server.ip());
        }
        routed(packet, self.seen_as, self.server, number)
    }

    /// The server's packet as the client must get it; `number` as for [`Transfer::at_server`].
    pub fn at_client(self, packet: &Packet, number: u16) -> Packet {
        routed(packet, self.vip_tid(), self.client, number)
    }

    /// Asserts that the client got this message from its server.
    #[track_caller]
    pub fn client_gets(self, outcome: Outcome, payload: &[u8]) {
        let packet = outcome.sent();
        assert_eq!((packet.source, packet.destination), (self.vip_tid(), self.client));
        assert_eq!(packet.payload, payload);
    }

    /// Asserts that the server got this message from its client.
    #[track_caller]
    pub fn server_gets(self, outcome: Outcome, payload: &[u8]) {
        let packet = outcome.sent();
        assert_eq!((packet.source, packet.destination), (self.seen_as, self.server));
        assert_eq!(packet.payload, payload);
    }

    /// Asserts that only the server got an answer: ERROR 5, unknown transfer ID.
    #[track_caller]
    pub fn server_is_told_off(self, outcome: Outcome) {
        let packet = outcome.answered();
        assert_eq!((packet.source, packet.destination), (self.seen_as, self.server));
        assert_eq!(packet.payload, wire::tftp::UNKNOWN_TID);
        assert_eq!(packet.to, mac(self.server.ip()));
        assert_eq!(packet.from, gate_mac(interface(self.server.ip())));
    }
}

/// The packet between these endpoints, one hop further.
fn routed(packet: &Packet, source: SocketAddr, destination: SocketAddr, number: u16) -> Packet {
    let packet = if packet.is_v6() == source.is_ipv6() {
        Packet { source, destination, ..packet.clone() }
    } else {
        packet.crossed(source, destination, number)
    };
    Packet { ttl: packet.ttl - 1, ..to_host(&packet, destination.ip()) }
}

/// The packet with the Ethernet header that takes it from the gate to this host.
fn to_host(packet: &Packet, host: IpAddr) -> Packet {
    Packet { from: gate_mac(interface(host)), to: mac(host), ..packet.clone() }
}

/// The `n`th client.
pub fn client(via: Via, n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    SocketAddr::new(via.address([192, 168, high, low]), 2070)
}
