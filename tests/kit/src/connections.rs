//! Connections through the topology: every VIP gets one more service, with the same servers, and clients that open
//! connections to it.

use crate::engine_harness::EngineHarness;
use crate::segment::Segment;
use crate::topology::{self, Via, gate_mac, hop, interface, mac};
use engine::net::route_table::{Route, RouteTable};
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::snapshot::service::{BackendGroups, Service};
use engine::snapshot::{Backend, BackendState, NatRule, Protocol, Snapshot};
use engine::types::id::{BackendId, GroupId, ServiceId};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use wire::ip::PROTOCOL_TCP;

/// Idle timeout of connections in ticks.
pub const IDLE: u32 = 3000;
/// Idle timeout of half-open and closing connections in ticks.
pub const TRANSITORY: u32 = 500;

/// Changes after which a backend serves no more.
pub const FAILURES: [fn(&mut Backend); 3] = [
    |one| one.state = BackendState::Down,
    |one| one.state = BackendState::Ejected,
    |one| one.hop = None,
];

/// The topology with one more service at every VIP, on this port.
pub fn snapshot(protocol: Protocol, port: u16) -> Snapshot {
    let mut snapshot = topology::snapshot();
    add(&mut snapshot, protocol, port, [1, 1]);
    snapshot
}

/// Adds a service on this port to every VIP, with the same servers and these weights.
pub fn add(snapshot: &mut Snapshot, protocol: Protocol, port: u16, weights: [u16; 2]) {
    snapshot.has_connections = true;
    for via in Via::ALL {
        add_to(snapshot, via, protocol, port, weights);
    }
}

/// Adds egress NAT rules: connections of `nat` servers from this port, or any, leave as their VIP.
pub fn add_rules(snapshot: &mut Snapshot, source_port: Option<u16>) {
    let rule = |via: Via| NatRule {
        from: net(via.server(0)),
        protocol: PROTOCOL_TCP,
        source_port,
        to: via.vip_id(),
        hits: Arc::default(),
    };
    let way = |via: Via| {
        let client = via.client().ip();
        Route { to: net(client), gateway: None, hop: Some(hop(client)) }
    };
    snapshot.nat = [Via::Nat, Via::Nat6].map(rule).into();
    snapshot.has_rules = true;
    snapshot.routes = RouteTable::new([Via::Nat, Via::Nat6].map(way));
}

/// The network of a host.
fn net(host: IpAddr) -> IpNet {
    IpNet::new(host, if host.is_ipv6() { 120 } else { 24 }).expect("a length")
}

/// The first service that was added to a VIP.
pub fn service(via: Via) -> ServiceId {
    ServiceId(Via::ALL.len() as u16 + via.service().0)
}

/// A backend of the added service.
pub fn backend(via: Via, n: usize) -> BackendId {
    BackendId(2 * service(via).0 + n as u16)
}

fn add_to(snapshot: &mut Snapshot, via: Via, protocol: Protocol, port: u16, weights: [u16; 2]) {
    let id = ServiceId(snapshot.services.len() as u16);
    let vip = &mut snapshot[via.vip_id()];
    match protocol {
        Protocol::Tcp | Protocol::Ftp(_) => vip.tcp.push((port, id)),
        Protocol::Udp | Protocol::Tftp => vip.udp.push((port, id)),
        Protocol::Any => vip.any = Some(id),
    }
    let like = snapshot[via.service()].clone();
    let group = GroupId(snapshot.groups.len() as u16);
    snapshot.services.push(Service {
        protocol,
        port,
        idle_timeout: IDLE,
        transitory_timeout: TRANSITORY,
        group,
        ..like
    });
    let first = snapshot.backends.len() as u16;
    for n in [0, 1] {
        let like = snapshot[via.backend(n)].clone();
        snapshot.backends.push(Backend { service: id, ..like });
    }
    let members = [0, 1].map(|n| {
        let place = usize::from(n);
        Member { id: BackendId(first + n), address: via.server(place), weight: weights[place] }
    });
    let mut groups = BackendGroups::default();
    groups[via.family()] =
        BackendGroup::new(Scheduler::RoundRobin, members.into(), &mut Maglevs::default());
    snapshot.groups.push(groups);
}

/// A connection between a client and a server.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Mode.
    pub via: Via,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The endpoint that the client connects to.
    pub vip: SocketAddr,
    /// The server's endpoint.
    pub server: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// Next sequence numbers of client and server.
    pub next: [u32; 2],
}

/// Ticks that a closed connection is kept.
pub const LINGER: u32 = 600;

/// Initial sequence numbers of clients and servers: they wrap soon.
pub const FIRST: [u32; 2] = [u32::MAX - 20, u32::MAX - 50];

impl Connection {
    /// A connection to this port that is not open yet; its server is unknown.
    pub fn new(via: Via, client: SocketAddr, port: u16) -> Connection {
        let vip = SocketAddr::new(via.vip().ip(), port);
        Connection { via, client, vip, server: vip, seen_as: client, next: FIRST }
    }

    /// Opens a connection to this port: the server answers where answers pass the gate, and the client completes the
    /// handshake.
    ///
    /// # Panics
    ///
    /// The gate does not forward a segment as expected.
    #[track_caller]
    pub fn open(gate: &mut EngineHarness, via: Via, client: SocketAddr, port: u16) -> Connection {
        Connection::new(via, client, port).opened(gate)
    }

    /// Opens the connection from its sequence numbers on.
    ///
    /// # Panics
    ///
    /// As [`Connection::open`].
    #[must_use]
    #[track_caller]
    pub fn opened(mut self, gate: &mut EngineHarness) -> Connection {
        let syn = gate.take(self.from_client("S", ""));
        self.seen(syn.sent_segment());
        self.goes_on(0, "S", "");
        if !self.via.is_dsr() {
            let answer = gate.take(self.from_server("SA", "")).sent_segment();
            assert_eq!((answer.source, answer.destination), (self.vip, self.client));
        }
        self.goes_on(1, "SA", "");
        let _ = gate.take(self.from_client("A", "")).sent_segment();
        self
    }

    /// Client and server agree on TLS: the connection is not inspected from then on.
    #[track_caller]
    pub fn goes_dark(&mut self, gate: &mut EngineHarness) {
        self.client_says(gate, "AP", "AUTH TLS\r\n");
        if !self.via.is_dsr() {
            self.server_says(gate, "AP", "234 Proceed with negotiation.\r\n");
        }
    }

    /// Notes the segment that the server got.
    pub fn seen(&mut self, segment: Segment) {
        (self.seen_as, self.server) = (segment.source, segment.destination);
        if self.via.is_dsr() {
            let server = [0, 1].map(|n| self.via.server(n));
            let at = server.into_iter().find(|&at| mac(at) == segment.to).expect("a server");
            self.server.set_ip(at);
        }
    }

    /// A segment of the client.
    pub fn from_client(&self, flags: &str, text: &str) -> Segment {
        let ends = (self.client, self.vip);
        self.segment(ends, [self.next[0], self.next[1]], flags, text)
    }

    /// A segment of the server.
    pub fn from_server(&self, flags: &str, text: &str) -> Segment {
        let ends = (self.server, self.seen_as);
        self.segment(ends, [self.next[1], self.next[0]], flags, text)
    }

    fn segment(
        &self,
        (source, destination): (SocketAddr, SocketAddr),
        [sequence, acknowledgement]: [u32; 2],
        flags: &str,
        text: &str,
    ) -> Segment {
        Segment {
            from: mac(source.ip()),
            to: gate_mac(interface(source.ip())),
            source,
            destination,
            ttl: 64,
            flags: flags.to_owned(),
            sequence,
            acknowledgement: if flags.contains('A') { acknowledgement } else { 0 },
            options: vec![],
            payload: text.as_bytes().to_vec(),
        }
    }

    /// The server sends a segment, and the client gets it.
    #[track_caller]
    pub fn server_says(&mut self, gate: &mut EngineHarness, flags: &str, text: &str) -> Segment {
        let heard = gate.take(self.from_server(flags, text)).sent_segment();
        self.goes_on(1, flags, text);
        heard
    }

    /// The client sends a segment, and the server gets it.
    #[track_caller]
    pub fn client_says(&mut self, gate: &mut EngineHarness, flags: &str, text: &str) -> Segment {
        let heard = gate.take(self.from_client(flags, text)).sent_segment();
        self.goes_on(0, flags, text);
        heard
    }

    /// Advances the numbers after a segment of the client (0) or the server (1).
    pub fn goes_on(&mut self, side: usize, flags: &str, text: &str) {
        let len = text.len() as u32 + u32::from(flags.contains(['S', 'F']));
        self.next[side] = self.next[side].wrapping_add(len);
    }
}
