//! Snapshots of the gate that habits occur at.

use engine::net::address_map::Owner;
use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::option_limits::OptionLimits;
use engine::snapshot::{Ftp, Protocol, Snapshot};
use kit::connections::add;
use kit::topology::{self, OUTSIDE, Via};
use std::net::{IpAddr, Ipv4Addr};

/// The port of SSH.
pub const SSH: u16 = 22;
/// The port of FTP.
pub const FTP: u16 = 21;

/// A snapshot whose services have one server each.
pub fn one_server() -> Snapshot {
    let mut snapshot = topology::snapshot();
    for (via, groups) in Via::ALL.into_iter().zip(&mut snapshot.groups) {
        *groups = topology::groups(via, Scheduler::RoundRobin, ONE);
    }
    let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
    for (protocol, port) in [(Protocol::Tcp, SSH), (ftp, FTP)] {
        add(&mut snapshot, protocol, port, ONE);
    }
    snapshot
}

/// An alias of the server.
pub fn alias(via: Via) -> IpAddr {
    via.at_server().host(u8::from(!via.is_snat()), 200)
}

/// The server has its alias.
pub fn aliases(snapshot: &mut Snapshot, via: Via) {
    let server = snapshot.addresses.get(via.server(0)).expect("a server");
    snapshot.addresses.insert(alias(via), server);
    snapshot[via.backend(0)].aliases = vec![alias(via)];
}

/// Two servers in round robin, beginning with the first.
pub fn two_servers(snapshot: &mut Snapshot, via: Via) {
    snapshot[via.group()] = topology::groups(via, Scheduler::LeastTransfers, [2, 1]);
}

/// The option `multicast` is taken out of requests.
pub fn no_multicast(snapshot: &mut Snapshot, via: Via) {
    let strip = vec!["multicast".to_owned()];
    let options = OptionLimits { strip, ..OptionLimits::default() };
    snapshot[via.service()].options = options;
}

/// Two servers with limits of one and two transfers.
pub fn limits(snapshot: &mut Snapshot, via: Via) {
    snapshot[via.group()] = topology::groups(via, Scheduler::LeastTransfers, [2, 1]);
    for (n, most) in [(0, 1), (1, 2)] {
        let cap = TransferLimit::new(most, Places::default());
        snapshot[via.backend(n)].cap = Some(cap);
    }
}

/// The VIP takes requests that are sent to everybody.
pub fn broadcast(snapshot: &mut Snapshot, via: Via) {
    snapshot[OUTSIDE].broadcast = Some(via.vip_id());
    snapshot.addresses.insert(EVERYBODY, Owner::Everybody);
}

/// The destination of a client that does not know its server.
pub const EVERYBODY: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// Weights by which only the first of two servers is chosen.
const ONE: [u16; 2] = [1, 0];
