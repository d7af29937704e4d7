//! A small world: one VIP in each mode, two backends behind each, two interfaces.
//!
//! ```text
//!  clients 10.0.0.0/24, 192.168.0.0/16 ── OUTSIDE ┐        ┌ INSIDE ── nat backends 10.1.0.30, .31
//!  dsr backends 10.0.0.30, .31 ───────────────────┤  gate  │
//!  snat backends 10.0.0.50, .51 ──────────────────┘        ┘
//! ```
//!
//! Every station's hardware address is made of its IPv4 address.

use engine::select::round_robin::rota;
use engine::tables::{
    Backend, BackendId, Hop, Interface, InterfaceId, Mode, Owner, Service, ServiceId, Tables, Vip,
};
use std::net::{Ipv4Addr, SocketAddrV4};
use wire::ethernet::Mac;

/// The interface that clients come in by.
pub const OUTSIDE: InterfaceId = 0;
/// The interface that the `nat` backends are behind.
pub const INSIDE: InterfaceId = 1;
/// The source NAT address.
pub const SNAT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 110);
/// The port of every service.
pub const TFTP: u16 = 69;
/// Ticks until a silent transfer is given up.
pub const IDLE: u32 = 600;
/// Places for transfers.
pub const FLOWS: u32 = 64;

/// How a service's packets reach its backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Direct server return.
    Dsr,
    /// Destination NAT.
    Nat,
    /// Full NAT.
    Snat,
}

impl Via {
    /// All of them, in the order of the services.
    pub const ALL: [Via; 3] = [Via::Dsr, Via::Nat, Via::Snat];
    /// Those whose answers come through us.
    pub const SEEN: [Via; 2] = [Via::Nat, Via::Snat];

    /// The endpoint that clients ask.
    pub fn vip(self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 100 + self as u8), TFTP)
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
    pub fn server(self, n: usize) -> Ipv4Addr {
        let n = n as u8;
        match self {
            Via::Dsr => Ipv4Addr::new(10, 0, 0, 30 + n),
            Via::Nat => Ipv4Addr::new(10, 1, 0, 30 + n),
            Via::Snat => Ipv4Addr::new(10, 0, 0, 50 + n),
        }
    }

    fn mode(self) -> Mode {
        match self {
            Via::Dsr => Mode::Dsr,
            Via::Nat => Mode::Nat,
            Via::Snat => Mode::Snat(vec![0]),
        }
    }
}

/// The hardware address of the station that has this address.
pub fn mac(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    Mac([2, 0, a, b, c, d])
}

/// The gate's hardware address on an interface.
pub fn gate_mac(interface: InterfaceId) -> Mac {
    Mac([2, 0xff, 0, 0, 0, interface + 1])
}

/// The interface that a station is behind.
pub fn interface(address: Ipv4Addr) -> InterfaceId {
    if address.octets()[..2] == [10, 1] { INSIDE } else { OUTSIDE }
}

/// The way to a station.
pub fn hop(address: Ipv4Addr) -> Hop {
    Hop { interface: interface(address), mac: mac(address) }
}

/// The snapshot of this world.
pub fn tables() -> Tables {
    let interfaces = [OUTSIDE, INSIDE];
    let mut tables = Tables {
        interfaces: interfaces.map(|id| Interface { mac: gate_mac(id), mtu: 1500 }).into(),
        snat: vec![SNAT],
        ..Tables::default()
    };
    tables.addresses.insert(SNAT, Owner::Snat(0));
    for via in Via::ALL {
        add(&mut tables, via);
    }
    tables
}

fn add(tables: &mut Tables, via: Via) {
    let id = via.service();
    let (vip, port) = (*via.vip().ip(), via.vip().port());
    tables.vips.push(Vip { address: vip, services: vec![(port, id)] });
    tables.set_live(id, true);
    let backends = [0, 1].map(|n| via.backend(n));
    tables.services.push(Service {
        vip: id,
        port,
        mode: via.mode(),
        idle_timeout: IDLE,
        persistence: None,
        rota: rota(&backends.map(|backend| (backend, 1))),
    });
    for address in [0, 1].map(|n| via.server(n)) {
        let server = tables.backends.len() as BackendId;
        let hop = Some(hop(address));
        tables.backends.push(Backend { address, aliases: vec![], service: id, server, hop });
        match via {
            Via::Dsr => {}
            Via::Nat => tables.addresses.insert(address, Owner::Routed(server)),
            Via::Snat => tables.addresses.insert(address, Owner::Answering(server)),
        }
    }
}
