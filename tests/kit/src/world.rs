//! A small world: one VIP in each mode, over IPv4 and over IPv6, two backends behind each, two
//! interfaces.
//!
//! ```text
//!  clients 10.0.0.0/24, 192.168.0.0/16 ── OUTSIDE ┐        ┌ INSIDE ── nat backends 10.1.0.30, .31
//!  dsr backends 10.0.0.30, .31 ───────────────────┤  gate  │
//!  snat backends 10.0.0.50, .51 ──────────────────┘        ┘
//! ```
//!
//! Over IPv6 all have the same numbers in fd00::/96. Behind two more VIPs are `snat` backends, 10.0.0.60
//! and .61, of the other version than their clients. Every station's hardware address is made of its
//! IP address.

use engine::origin::{Expected, Server};
use engine::policy::{Access, OptionLimits};
use engine::select::maglev::Maglevs;
use engine::select::rota::{Member, Rota, Scheduler};
use engine::steer;
use engine::tables::{
    Backend, BackendId, Duty, Hop, Interface, InterfaceId, Mode, Owner, Protocol, Rotas, Service,
    ServiceId, Tables, Vip,
};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::ethernet::Mac;

/// The interface that clients come in by.
pub const OUTSIDE: InterfaceId = 0;
/// The interface that the `nat` backends are behind.
pub const INSIDE: InterfaceId = 1;
/// The source NAT address over IPv4.
pub const SNAT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 110));
/// The port of every service.
pub const TFTP: u16 = 69;
/// Ticks until a silent transfer is given up.
pub const IDLE: u32 = 600;
/// What a worker may say of its own accord in a tick.
pub const SPEECH: u32 = 50;
/// Places for transfers.
pub const FLOWS: u32 = 128;

/// How a service's packets reach its backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Direct server return.
    Dsr,
    /// Destination NAT.
    Nat,
    /// Full NAT.
    Snat,
    /// Direct server return over IPv6.
    Dsr6,
    /// Destination NAT over IPv6.
    Nat6,
    /// Full NAT over IPv6.
    Snat6,
    /// Full NAT from clients over IPv4 to servers over IPv6.
    Snat46,
    /// Full NAT from clients over IPv6 to servers over IPv4.
    Snat64,
}

impl Via {
    /// All of them, in the order of the services.
    pub const ALL: [Via; 8] =
        [Via::Dsr, Via::Nat, Via::Snat, Via::Dsr6, Via::Nat6, Via::Snat6, Via::Snat46, Via::Snat64];
    /// Those over IPv4.
    pub const V4: [Via; 3] = [Via::Dsr, Via::Nat, Via::Snat];
    /// Those whose answers come through us.
    pub const SEEN: [Via; 6] =
        [Via::Nat, Via::Snat, Via::Nat6, Via::Snat6, Via::Snat46, Via::Snat64];
    /// Those where both sides are of one version of IP.
    pub const ALIKE: [Via; 6] = [Via::Dsr, Via::Nat, Via::Snat, Via::Dsr6, Via::Nat6, Via::Snat6];

    /// Whether answers pass us by.
    pub fn is_dsr(self) -> bool {
        matches!(self, Via::Dsr | Via::Dsr6)
    }

    /// Whether servers see an address of ours.
    pub fn is_snat(self) -> bool {
        matches!(self, Via::Snat | Via::Snat6 | Via::Snat46 | Via::Snat64)
    }

    /// Whether its clients are over IPv6.
    pub fn is_v6(self) -> bool {
        matches!(self, Via::Dsr6 | Via::Nat6 | Via::Snat6 | Via::Snat64)
    }

    /// Whether its clients and its servers are of different versions of IP.
    pub fn crosses(self) -> bool {
        matches!(self, Via::Snat46 | Via::Snat64)
    }

    /// The same with clients of the servers' version.
    pub fn at_server(self) -> Via {
        match self {
            Via::Snat46 => Via::Snat6,
            Via::Snat64 => Via::Snat,
            alike => alike,
        }
    }

    /// The place of its version of IP ([`engine::family::Family::PLACE`]).
    pub fn family(self) -> usize {
        usize::from(self.is_v6())
    }

    /// Bytes of an IP header without options.
    pub fn ip_header(self) -> usize {
        if self.is_v6() { 40 } else { 20 }
    }

    /// The address with this number in its version of IP.
    pub fn address(self, number: impl Into<Ipv4Addr>) -> IpAddr {
        let address = number.into();
        if self.is_v6() { v6(address) } else { address.into() }
    }

    /// The station with these numbers among ours.
    pub fn station(self, net: u8, host: u8) -> IpAddr {
        self.address([10, net, 0, host])
    }

    /// The endpoint that clients ask.
    pub fn vip(self) -> SocketAddr {
        SocketAddr::new(self.station(0, 100 + self as u8), TFTP)
    }

    /// The client of most stories.
    pub fn client(self) -> SocketAddr {
        SocketAddr::new(self.station(0, 9), 2070)
    }

    /// The source NAT address.
    pub fn snat(self) -> IpAddr {
        self.at_server().station(0, 110)
    }

    /// The service, which has the number of its VIP.
    pub fn service(self) -> ServiceId {
        self as ServiceId
    }

    /// One of the two backends.
    pub fn backend(self, n: usize) -> BackendId {
        2 * self as BackendId + n as BackendId
    }

    /// Its address.
    pub fn server(self, n: usize) -> IpAddr {
        let n = n as u8;
        let of = self.at_server();
        match self {
            Via::Dsr | Via::Dsr6 => of.station(0, 30 + n),
            Via::Nat | Via::Nat6 => of.station(1, 30 + n),
            Via::Snat | Via::Snat6 => of.station(0, 50 + n),
            Via::Snat46 | Via::Snat64 => of.station(0, 60 + n),
        }
    }

    fn mode(self) -> Mode {
        match self {
            Via::Dsr | Via::Dsr6 => Mode::Dsr,
            Via::Nat | Via::Nat6 => Mode::Nat,
            Via::Snat | Via::Snat64 => Mode::Snat(vec![0]),
            Via::Snat6 | Via::Snat46 => Mode::Snat(vec![1]),
        }
    }
}

/// The address with the same number in fd00::/96.
pub fn v6(address: Ipv4Addr) -> IpAddr {
    Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(address.to_bits())).into()
}

/// The worker that owns a client.
pub fn owner(client: IpAddr, workers: u16) -> u16 {
    match client {
        IpAddr::V4(client) => steer::owner(client, workers),
        IpAddr::V6(client) => steer::owner_v6(client, workers),
    }
}

/// What stands for an address in a hardware address.
fn number(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => (address.to_bits() as u32).to_be_bytes(),
    }
}

/// The hardware address of the station that has this address.
pub fn mac(address: impl Into<IpAddr>) -> Mac {
    let address = address.into();
    let [a, b, c, d] = number(address);
    Mac([2, if address.is_ipv6() { 6 } else { 0 }, a, b, c, d])
}

/// The gate's hardware address on an interface.
pub fn gate_mac(interface: InterfaceId) -> Mac {
    Mac([2, 0xff, 0, 0, 0, interface + 1])
}

/// The interface that a station is behind.
pub fn interface(address: impl Into<IpAddr>) -> InterfaceId {
    if number(address.into())[..2] == [10, 1] { INSIDE } else { OUTSIDE }
}

/// The way to a station.
pub fn hop(address: IpAddr) -> Hop {
    Hop { interface: interface(address), mac: mac(address) }
}

/// A backend's server is at these stations.
pub fn origins(tables: &mut Tables, backend: BackendId, stations: &[IpAddr]) {
    let server = tables.backends[usize::from(backend)].server;
    let all = stations.iter().map(|&station| Expected::station(hop(station)));
    tables.servers[usize::from(server)] = Server::new(all);
}

/// The snapshot of this world.
pub fn tables() -> Tables {
    let mut tables = Tables {
        interfaces: [OUTSIDE, INSIDE].map(interface_of_gate).into(),
        snat: [Via::Snat, Via::Snat6].map(|via| via.snat().into()).into(),
        speech: SPEECH,
        ..Tables::default()
    };
    for (id, one) in (0..).zip(&tables.snat) {
        tables.addresses.insert(one.address, Owner::Snat(id));
    }
    for via in Via::ALL {
        add(&mut tables, via);
    }
    tables
}

/// All that the gate has is outside; there it is the second host.
fn interface_of_gate(id: InterfaceId) -> Interface {
    let mut interface = Interface { mac: gate_mac(id), mtu: 1500, ..Interface::default() };
    if id == OUTSIDE {
        let own = [(Via::Nat, 24), (Via::Nat6, 120)];
        let own = own.map(|(via, length)| IpNet::new(via.station(0, 2), length));
        interface.addresses = own.map(|net| net.expect("a length")).into();
        let vips = Via::ALL.into_iter().map(|via| via.vip().ip());
        interface.held = vips.chain([Via::Snat, Via::Snat6].map(Via::snat)).collect();
    }
    interface
}

/// A service's clients are dealt to its two backends like this, with these weights.
pub fn rotas(via: Via, scheduler: Scheduler, weights: [u16; 2]) -> Rotas {
    let members =
        [0, 1].map(|n| Member { id: via.backend(n), address: via.server(n), weight: weights[n] });
    let mut rotas = Rotas::default();
    rotas[via.family()] = Rota::new(scheduler, members.into(), &mut Maglevs::default());
    rotas
}

fn add(tables: &mut Tables, via: Via) {
    let id = via.service();
    let (vip, port) = (via.vip().ip(), via.vip().port());
    tables.vips.push(Vip { udp: vec![(port, id)], ..Vip::new(vip) });
    tables.set_live(id, true);
    tables.rotas.push(rotas(via, Scheduler::RoundRobin, [1, 1]));
    tables.services.push(Service {
        protocol: Protocol::Tftp,
        port,
        mode: via.mode(),
        idle_timeout: IDLE,
        transitory_timeout: IDLE,
        persistence: None,
        failover: true,
        access: Access::default(),
        options: OptionLimits::default(),
        rules: vec![],
        rota: id,
    });
    for address in [0, 1].map(|n| via.server(n)) {
        let server = tables.backends.len() as BackendId;
        let hop = hop(address);
        tables.servers.push(Server::new([Expected::station(hop)]));
        tables.backends.push(Backend {
            address,
            aliases: vec![],
            service: id,
            server,
            hop: Some(hop),
            duty: Duty::Serving,
            cap: None,
            slow_start: None,
        });
        match via {
            Via::Dsr | Via::Dsr6 => {}
            Via::Nat | Via::Nat6 => tables.addresses.insert(address, Owner::Routed(server)),
            Via::Snat | Via::Snat6 | Via::Snat46 | Via::Snat64 => {
                tables.addresses.insert(address, Owner::Answering(server))
            }
        }
    }
}
