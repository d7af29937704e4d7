//! Checks of the rows that an earlier process has left: ids must exist, and ends must be able to talk to each other. A damaged
//! row is given up before any of its ids is used.

use crate::context::Env;
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::host_table::HostTable;
use crate::flow::port_allocator::SnatAddress;
use crate::types::id::{BackendId, VipId};
use crate::types::mode::Mode;
use crate::types::next_hop::NextHop;
use std::net::IpAddr;

/// Between whom a row's packets go, by its own account.
pub struct Ends {
    /// The client's endpoint.
    pub client: Endpoint,
    /// The VIP that the client talks to.
    pub vip: VipId,
    /// The endpoint that the server sees as the client.
    pub seen_as: Endpoint,
    /// The backend that serves it.
    pub backend: BackendId,
}

impl Ends {
    /// Whether a row of this protocol of IP's with these ends can be a worker's: the address families of both sides
    /// agree, and the server sees what the service's mode shows it.
    pub fn fit(&self, protocol: u8, env: &Env, hosts: &HostTable) -> bool {
        let snapshot = env.snapshot;
        let vip = snapshot.vips.get(self.vip.index());
        let backend = snapshot.find_backend(self.backend);
        let (Some(vip), Some(backend)) = (vip, backend) else { return false };
        is_of(self.client.host, &vip.address)
            && match &snapshot.service_of(self.backend).mode {
                Mode::Dsr => true,
                Mode::Nat => {
                    self.seen_as == self.client && is_of(self.client.host, &backend.address)
                }
                Mode::Snat(_) => {
                    let seen_as = hosts.socket_address(self.seen_as).ip();
                    let ours = snapshot.snat.iter().find(|one| one.address == seen_as);
                    let entry = hosts.rss_entry(self.client.host);
                    let has =
                        |one: &SnatAddress| one.of(protocol).can_be_of(self.seen_as.port, entry);
                    is_of(self.seen_as.host, &backend.address) && ours.is_some_and(has)
                }
            }
    }
}

/// Whether the host is of the address's address family.
pub fn is_of(host: HostId, address: &IpAddr) -> bool {
    host.is_v6() == address.is_ipv6()
}

/// Whether the next hop is behind an interface that there is.
pub fn is_reachable(hop: &NextHop, env: &Env) -> bool {
    usize::from(hop.interface) < env.snapshot.interfaces.len()
}
