//! Full NAT: as [`super::nat`], and the backend sees an address of ours. The pair of that address
//! and a port is one transfer's alone, so whatever TID answers it names its transfer.

use super::{Pools, Rules};
use crate::flow::hosts::Endpoint;
use crate::reason::Reason;
use crate::tables::SnatId;
use crate::verdict::Step;
use std::net::IpAddr;

impl Rules for Vec<SnatId> {
    fn answers_seen(&self) -> bool {
        true
    }

    /// Clients spread over the pool's addresses of the backend's version of IP; one whose address has no
    /// port left goes to the next.
    fn seen_as(&self, client: Endpoint, by: &IpAddr, pools: &mut Pools) -> Step<Endpoint> {
        // A service that was removed has no pool left.
        let start = (client.host.to_bits() as usize).checked_rem(self.len()).unwrap_or_default();
        self[start..]
            .iter()
            .chain(&self[..start])
            .map(|&id| usize::from(id))
            .filter(|&id| pools.hosts[id].is_v6() == by.is_ipv6())
            .find_map(|id| {
                let port = pools.ports[id].take(pools.now)?;
                Some(Endpoint { host: pools.hosts[id], port })
            })
            .ok_or(Reason::SnatPoolEmpty.into())
    }

    /// The address may have left the pool since.
    fn release(&self, seen_as: Endpoint, ended_well: bool, pools: &mut Pools) {
        if let Some(id) = pools.hosts.iter().position(|&host| host == seen_as.host) {
            pools.ports[id].give_back(seen_as.port, ended_well, pools.now);
        }
    }
}
