//! The topology of most tests: one VIP in each mode and address family, two backends behind each, two interfaces.
//!
//! ```text
//!  clients 10.0.0.0/24, 192.168.0.0/16 ── OUTSIDE ┐        ┌ INSIDE ── nat backends 10.1.0.30, .31
//!  dsr backends 10.0.0.30, .31 ───────────────────┤  gate  │
//!  snat backends 10.0.0.50, .51 ──────────────────┘        ┘
//! ```
//!
//! IPv6 addresses have the same numbers in fd00::/96. Two more VIPs have `snat` backends of the other address family,
//! 10.0.0.60 and .61. Each host's hardware address is derived from its IP address.

use crate::records::EVERYTHING;
use engine::net::address_map::Owner;
use engine::net::origin::{ExpectedOrigin, Server};
use engine::net::rss::RssEntry;
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::snapshot::access::Access;
use engine::snapshot::interface::Interface;
use engine::snapshot::option_limits::OptionLimits;
use engine::snapshot::service::{BackendGroups, Service};
use engine::snapshot::vip::Vip;
use engine::snapshot::{Backend, BackendState, Protocol, Snapshot};
use engine::types::id::{BackendId, GroupId, InterfaceId, ServerId, ServiceId, SnatId, VipId};
use engine::types::mode::Mode;
use engine::types::next_hop::NextHop;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::ethernet::Mac;

/// The interface towards clients.
pub const OUTSIDE: InterfaceId = InterfaceId(0);
/// The interface towards `nat` backends.
pub const INSIDE: InterfaceId = InterfaceId(1);
/// The IPv4 SNAT address.
pub const SNAT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 110));
/// The port of every service.
pub const TFTP: u16 = 69;
/// Idle timeout in ticks.
pub const IDLE: u32 = 600;
/// Most messages that a worker originates per tick.
pub const ORIGINATE_RATE: u32 = 50;
/// Rows for transfers.
pub const FLOWS: u32 = 128;

/// A service's mode and address families.
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
    /// All services, in the order of their ids.
    pub const ALL: [Via; 8] =
        [Via::Dsr, Via::Nat, Via::Snat, Via::Dsr6, Via::Nat6, Via::Snat6, Via::Snat46, Via::Snat64];
    /// Services with IPv4 clients and servers.
    pub const V4: [Via; 3] = [Via::Dsr, Via::Nat, Via::Snat];
    /// Services whose answers pass the gate.
    pub const SEEN: [Via; 6] =
        [Via::Nat, Via::Snat, Via::Nat6, Via::Snat6, Via::Snat46, Via::Snat64];
    /// Services whose clients and servers have the same address family.
    pub const ALIKE: [Via; 6] = [Via::Dsr, Via::Nat, Via::Snat, Via::Dsr6, Via::Nat6, Via::Snat6];

    /// Whether the mode is `dsr`: answers bypass the gate.
    pub fn is_dsr(self) -> bool {
        matches!(self, Via::Dsr | Via::Dsr6)
    }

    /// Whether the mode is `snat`.
    pub fn is_snat(self) -> bool {
        matches!(self, Via::Snat | Via::Snat6 | Via::Snat46 | Via::Snat64)
    }

    /// Whether clients use IPv6.
    pub fn is_v6(self) -> bool {
        matches!(self, Via::Dsr6 | Via::Nat6 | Via::Snat6 | Via::Snat64)
    }

    /// Whether clients and servers have different address families.
    pub fn translates(self) -> bool {
        matches!(self, Via::Snat46 | Via::Snat64)
    }

    /// The service with clients of the servers' address family.
    pub fn at_server(self) -> Via {
        match self {
            Via::Snat46 => Via::Snat6,
            Via::Snat64 => Via::Snat,
            alike => alike,
        }
    }

    /// Index of the clients' address family ([`engine::ip_family::IpFamily::PLACE`]).
    pub fn family(self) -> usize {
        usize::from(self.is_v6())
    }

    /// Bytes of an IP header without options.
    pub fn ip_header(self) -> usize {
        if self.is_v6() { 40 } else { 20 }
    }

    /// The address with this number in the clients' address family.
    pub fn address(self, number: impl Into<Ipv4Addr>) -> IpAddr {
        let address = number.into();
        if self.is_v6() { v6(address) } else { address.into() }
    }

    /// The host with these numbers.
    pub fn host(self, net: u8, host: u8) -> IpAddr {
        self.address([10, net, 0, host])
    }

    /// The endpoint of the service.
    pub fn vip(self) -> SocketAddr {
        SocketAddr::new(self.host(0, 100 + self as u8), TFTP)
    }

    /// The client of most tests.
    pub fn client(self) -> SocketAddr {
        SocketAddr::new(self.host(0, 9), 2070)
    }

    /// The SNAT address.
    pub fn snat(self) -> IpAddr {
        self.at_server().host(0, 110)
    }

    /// The service's id, equal to its VIP's.
    pub fn service(self) -> ServiceId {
        ServiceId(self as u16)
    }

    /// The VIP's id, equal to its service's.
    pub fn vip_id(self) -> VipId {
        VipId(self as u16)
    }

    /// The backend group's id, equal to its service's.
    pub fn group(self) -> GroupId {
        GroupId(self as u16)
    }

    /// A backend's id.
    pub fn backend(self, n: usize) -> BackendId {
        BackendId(2 * self as u16 + n as u16)
    }

    /// A backend's address.
    pub fn server(self, n: usize) -> IpAddr {
        let n = n as u8;
        let of = self.at_server();
        match self {
            Via::Dsr | Via::Dsr6 => of.host(0, 30 + n),
            Via::Nat | Via::Nat6 => of.host(1, 30 + n),
            Via::Snat | Via::Snat6 => of.host(0, 50 + n),
            Via::Snat46 | Via::Snat64 => of.host(0, 60 + n),
        }
    }

    /// The mode, with the whole pool.
    pub fn mode(self) -> Mode {
        match self {
            Via::Dsr | Via::Dsr6 => Mode::Dsr,
            Via::Nat | Via::Nat6 => Mode::Nat,
            Via::Snat | Via::Snat64 => Mode::Snat(vec![SnatId(0)]),
            Via::Snat6 | Via::Snat46 => Mode::Snat(vec![SnatId(1)]),
        }
    }
}

/// The address with the same number in fd00::/96.
pub fn v6(address: Ipv4Addr) -> IpAddr {
    Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(address.to_bits())).into()
}

/// The worker that owns a client.
pub fn owner(client: IpAddr, workers: u16) -> u16 {
    RssEntry::of(client).worker(workers)
}

/// The first port that a client gets at a SNAT address: its RSS entry begins with 256 ports of its own.
pub fn first_port(client: IpAddr) -> u16 {
    1024 + 256 * RssEntry::of(client).place()
}

/// The number of an address within a hardware address.
fn number(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => (address.to_bits() as u32).to_be_bytes(),
    }
}

/// The hardware address of a host.
pub fn mac(address: impl Into<IpAddr>) -> Mac {
    let address = address.into();
    let [a, b, c, d] = number(address);
    Mac([2, if address.is_ipv6() { 6 } else { 0 }, a, b, c, d])
}

/// The gate's hardware address on an interface.
pub fn gate_mac(interface: InterfaceId) -> Mac {
    Mac([2, 0xff, 0, 0, 0, interface.0 + 1])
}

/// The interface towards a host.
pub fn interface(address: impl Into<IpAddr>) -> InterfaceId {
    if number(address.into())[..2] == [10, 1] { INSIDE } else { OUTSIDE }
}

/// The next hop to a host.
pub fn hop(address: IpAddr) -> NextHop {
    NextHop { interface: interface(address), mac: mac(address) }
}

/// Sets the expected origins of a backend's server.
pub fn origins(snapshot: &mut Snapshot, backend: BackendId, hosts: &[IpAddr]) {
    let server = snapshot[backend].server;
    let all = hosts.iter().map(|&host| ExpectedOrigin::previous_hop(hop(host)));
    snapshot.servers[server.index()] = Server::new(all);
}

/// The snapshot of this topology.
pub fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot {
        interfaces: [OUTSIDE, INSIDE].map(interface_of_gate).into(),
        snat: [Via::Snat, Via::Snat6].map(|via| via.snat().into()).into(),
        originate_rate: ORIGINATE_RATE,
        ..Snapshot::default()
    };
    for (id, one) in (0..).map(SnatId).zip(&snapshot.snat) {
        snapshot.addresses.insert(one.address, Owner::Snat(id));
    }
    for via in Via::ALL {
        add(&mut snapshot, via);
    }
    snapshot
}

/// A gate whose addresses are all outside, where it is the second host.
fn interface_of_gate(id: InterfaceId) -> Interface {
    let mut interface = Interface { mac: gate_mac(id), mtu: 1500, ..Interface::default() };
    if id == OUTSIDE {
        let state = [(Via::Nat, 24), (Via::Nat6, 120)];
        let state = state.map(|(via, length)| IpNet::new(via.host(0, 2), length));
        interface.addresses = state.map(|net| net.expect("a length")).into();
        let vips = Via::ALL.into_iter().map(|via| via.vip().ip());
        let held = vips.chain([Via::Snat, Via::Snat6].map(Via::snat));
        interface.held = held.map(|address| (address, interface.mac)).collect();
    }
    interface
}

/// A service's backend groups with this scheduler and these weights.
pub fn groups(via: Via, scheduler: Scheduler, weights: [u16; 2]) -> BackendGroups {
    let members =
        [0, 1].map(|n| Member { id: via.backend(n), address: via.server(n), weight: weights[n] });
    let mut groups = BackendGroups::default();
    groups[via.family()] = BackendGroup::new(scheduler, members.into(), &mut Maglevs::default());
    groups
}

fn add(snapshot: &mut Snapshot, via: Via) {
    let id = via.service();
    let (vip, port) = (via.vip().ip(), via.vip().port());
    snapshot.vips.push(Vip { udp: vec![(port, id)], ..Vip::new(vip) });
    snapshot.set_live(via.vip_id(), true);
    snapshot.groups.push(groups(via, Scheduler::RoundRobin, [1, 1]));
    snapshot.services.push(Service {
        protocol: Protocol::Tftp,
        port,
        mode: via.mode(),
        idle_timeout: IDLE,
        transitory_timeout: IDLE,
        persistence: None,
        failover: true,
        access: Access::default(),
        options: OptionLimits::default(),
        log: EVERYTHING,
        rules: vec![],
        group: via.group(),
    });
    for address in [0, 1].map(|n| via.server(n)) {
        let server = ServerId(snapshot.backends.len() as u16);
        let hop = hop(address);
        snapshot.servers.push(Server::new([ExpectedOrigin::previous_hop(hop)]));
        snapshot.backends.push(Backend {
            address,
            aliases: vec![],
            service: id,
            server,
            hop: Some(hop),
            state: BackendState::Active,
            cap: None,
            slow_start: None,
        });
        match via {
            Via::Dsr | Via::Dsr6 => {}
            Via::Nat | Via::Nat6 => snapshot.addresses.insert(address, Owner::Routed(server)),
            Via::Snat | Via::Snat6 | Via::Snat46 | Via::Snat64 => {
                snapshot.addresses.insert(address, Owner::Answering(server))
            }
        }
    }
}
