//! What the rows that an earlier process has left must agree with: numbers of things that there are, and ends that can
//! talk to each other. A row that was damaged is given up before any of its numbers is used.

use crate::flow::hosts::{Endpoint, Host, Hosts};
use crate::flow::ports::SnatAddress;
use crate::here::Here;
use crate::tables::{BackendId, Hop, Mode, VipId};
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
    pub fn fit(&self, protocol: u8, here: &Here, hosts: &Hosts) -> bool {
        let tables = here.tables;
        let vip = tables.vips.get(usize::from(self.vip));
        let backend = tables.backends.get(usize::from(self.backend));
        let (Some(vip), Some(backend)) = (vip, backend) else { return false };
        is_of(self.client.host, &vip.address)
            && match &tables.service_of(self.backend).mode {
                Mode::Dsr => true,
                Mode::Nat => {
                    self.seen_as == self.client && is_of(self.client.host, &backend.address)
                }
                Mode::Snat(_) => {
                    let seen_as = hosts.socket_address(self.seen_as).ip();
                    let ours = tables.snat.iter().find(|one| one.address == seen_as);
                    let has = |one: &SnatAddress| {
                        one.of(protocol).can_be_of(self.seen_as.port, here.worker)
                    };
                    is_of(self.seen_as.host, &backend.address) && ours.is_some_and(has)
                }
            }
    }
}

/// Whether the host is of the address's version of IP.
pub fn is_of(host: Host, address: &IpAddr) -> bool {
    host.is_v6() == address.is_ipv6()
}

/// Whether the next hop is behind an interface that there is.
pub fn is_reachable(hop: &Hop, here: &Here) -> bool {
    usize::from(hop.interface) < here.tables.interfaces.len()
}
