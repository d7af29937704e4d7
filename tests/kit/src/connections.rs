//! Connections through the small world: every VIP has one more service, with the same servers, and a client that opens
//! a connection to it.

use crate::gate::Gate;
use crate::segment::Segment;
use crate::world::{self, Via, gate_mac, hop, interface, mac};
use engine::routes::{Route, Routes};
use engine::select::maglev::Maglevs;
use engine::select::rota::{Member, Rota, Scheduler};
use engine::tables::{
    Backend, BackendId, Duty, NatRule, Protocol, Rotas, Service, ServiceId, Tables,
};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use wire::ip::PROTOCOL_TCP;

/// Ticks that a silent connection of this world has, and one that is not open.
pub const IDLE: u32 = 3000;
/// The same for one that is yet to be open, or about to be closed.
pub const TRANSITORY: u32 = 500;

/// After each of these a backend serves no longer.
pub const FAILURES: [fn(&mut Backend); 3] =
    [|one| one.duty = Duty::Down, |one| one.duty = Duty::Ejected, |one| one.hop = None];

/// The world with one more service at every VIP, on this port.
pub fn tables(protocol: Protocol, port: u16) -> Tables {
    let mut tables = world::tables();
    add(&mut tables, protocol, port, [1, 1]);
    tables
}

/// Every VIP gets one more service, on this port, with the same servers, which have these weights.
pub fn add(tables: &mut Tables, protocol: Protocol, port: u16, weights: [u16; 2]) {
    tables.has_connections = true;
    for via in Via::ALL {
        add_to(tables, via, protocol, port, weights);
    }
}

/// Connections that the servers of `nat` open from this port, or any, to most clients leave as their VIP.
pub fn add_rules(tables: &mut Tables, source_port: Option<u16>) {
    let rule = |via: Via| NatRule {
        from: net(via.server(0)),
        protocol: PROTOCOL_TCP,
        source_port,
        to: via.service(),
        hits: Arc::default(),
    };
    let way = |via: Via| {
        let client = via.client().ip();
        Route { to: net(client), gateway: None, hop: Some(hop(client)) }
    };
    tables.nat = [Via::Nat, Via::Nat6].map(rule).into();
    tables.has_rules = true;
    tables.routes = Routes::new([Via::Nat, Via::Nat6].map(way));
}

/// The network of a station.
fn net(station: IpAddr) -> IpNet {
    IpNet::new(station, if station.is_ipv6() { 120 } else { 24 }).expect("a length")
}

/// The first service that was added to a VIP.
pub fn service(via: Via) -> ServiceId {
    Via::ALL.len() as ServiceId + via.service()
}

/// One of its two backends.
pub fn backend(via: Via, n: usize) -> BackendId {
    2 * service(via) + n as BackendId
}

fn add_to(tables: &mut Tables, via: Via, protocol: Protocol, port: u16, weights: [u16; 2]) {
    let id = tables.services.len() as ServiceId;
    let vip = &mut tables.vips[usize::from(via.service())];
    match protocol {
        Protocol::Tcp | Protocol::Ftp(_) => vip.tcp.push((port, id)),
        Protocol::Udp | Protocol::Tftp => vip.udp.push((port, id)),
        Protocol::Any => vip.any = Some(id),
    }
    let like = tables.services[usize::from(via.service())].clone();
    let rota = tables.rotas.len() as u16;
    tables.services.push(Service {
        protocol,
        port,
        idle_timeout: IDLE,
        transitory_timeout: TRANSITORY,
        rota,
        ..like
    });
    let first = tables.backends.len() as BackendId;
    for n in [0, 1] {
        let like = tables.backends[usize::from(via.backend(n))].clone();
        tables.backends.push(Backend { service: id, ..like });
    }
    let members = [0, 1].map(|n| {
        let place = usize::from(n);
        Member { id: first + n, address: via.server(place), weight: weights[place] }
    });
    let mut rotas = Rotas::default();
    rotas[via.family()] = Rota::new(Scheduler::RoundRobin, members.into(), &mut Maglevs::default());
    tables.rotas.push(rotas);
}

/// A connection between a client and a server.
#[derive(Debug, Clone)]
pub struct Line {
    /// The mode.
    pub via: Via,
    /// The client.
    pub client: SocketAddr,
    /// What it talks to.
    pub vip: SocketAddr,
    /// Who answers.
    pub server: SocketAddr,
    /// What that sees as the client.
    pub seen_as: SocketAddr,
    /// The next numbers of the client and of the server.
    pub next: [u32; 2],
}

/// Ticks that a closed connection is kept.
pub const LINGER: u32 = 600;

/// The first numbers of clients and servers: they wrap soon.
pub const FIRST: [u32; 2] = [u32::MAX - 20, u32::MAX - 50];

impl Line {
    /// One that is to be opened, to this port; who answers is yet to be seen.
    pub fn new(via: Via, client: SocketAddr, port: u16) -> Line {
        let vip = SocketAddr::new(via.vip().ip(), port);
        Line { via, client, vip, server: vip, seen_as: client, next: FIRST }
    }

    /// Opens a connection to this port; the server answers where its answers come through us, and the client confirms.
    ///
    /// # Panics
    ///
    /// The gate does not pass that on as it should.
    #[track_caller]
    pub fn open(gate: &mut Gate, via: Via, client: SocketAddr, port: u16) -> Line {
        Line::new(via, client, port).opened(gate)
    }

    /// Opens it from its numbers on.
    ///
    /// # Panics
    ///
    /// As [`Line::open`].
    #[must_use]
    #[track_caller]
    pub fn opened(mut self, gate: &mut Gate) -> Line {
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

    /// The client asks for TLS, and the server agrees: nobody reads what they say from then on.
    #[track_caller]
    pub fn goes_dark(&mut self, gate: &mut Gate) {
        self.client_says(gate, "AP", "AUTH TLS\r\n");
        if !self.via.is_dsr() {
            self.server_says(gate, "AP", "234 Proceed with negotiation.\r\n");
        }
    }

    /// The server has seen this.
    pub fn seen(&mut self, segment: Segment) {
        (self.seen_as, self.server) = (segment.source, segment.destination);
        if self.via.is_dsr() {
            let server = [0, 1].map(|n| self.via.server(n));
            let at = server.into_iter().find(|&at| mac(at) == segment.to).expect("a server");
            self.server.set_ip(at);
        }
    }

    /// The client says this.
    pub fn from_client(&self, flags: &str, text: &str) -> Segment {
        let ends = (self.client, self.vip);
        self.segment(ends, [self.next[0], self.next[1]], flags, text)
    }

    /// The server says this.
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

    /// The server says this, and the client hears it.
    #[track_caller]
    pub fn server_says(&mut self, gate: &mut Gate, flags: &str, text: &str) -> Segment {
        let heard = gate.take(self.from_server(flags, text)).sent_segment();
        self.goes_on(1, flags, text);
        heard
    }

    /// The client says this, and the server hears it.
    #[track_caller]
    pub fn client_says(&mut self, gate: &mut Gate, flags: &str, text: &str) -> Segment {
        let heard = gate.take(self.from_client(flags, text)).sent_segment();
        self.goes_on(0, flags, text);
        heard
    }

    /// One side, the client (0) or the server (1), has said this.
    pub fn goes_on(&mut self, side: usize, flags: &str, text: &str) {
        let len = text.len() as u32 + u32::from(flags.contains(['S', 'F']));
        self.next[side] = self.next[side].wrapping_add(len);
    }
}
