//! Full NAT: as [`super::nat`], and the backend sees an address of ours. The pair of that address
//! and a port is one transfer's alone, so whatever TID answers it names its transfer.

use super::{Pools, Rules, SeenAs};
use crate::flow::hosts::Endpoint;
use crate::flow::ports::Rest;
use crate::reason::Reason;
use crate::tables::{Backend, SnatId};
use crate::verdict::Step;

impl Rules for Vec<SnatId> {
    fn answers_seen(&self) -> bool {
        true
    }

    /// Clients spread over the pool's addresses of the backend's version of IP; one whose address has no
    /// port left goes to the next.
    fn seen_as(
        &self,
        client: Endpoint,
        backend: &Backend,
        protocol: u8,
        pools: &mut Pools,
    ) -> Step<SeenAs> {
        // A service that was removed has no pool left.
        let start = (client.host.to_bits() as usize).checked_rem(self.len()).unwrap_or_default();
        self[start..]
            .iter()
            .chain(&self[..start])
            .map(|&id| usize::from(id))
            .filter(|&id| pools.hosts[id].is_v6() == backend.address.is_ipv6())
            .find_map(|id| pools.take(id, protocol, backend.server))
            .ok_or(Reason::SnatPoolEmpty.into())
    }

    /// The address may have left the pool since.
    fn release(&self, seen_as: Endpoint, protocol: u8, rest: Rest, pools: &mut Pools) {
        pools.give_back(seen_as, protocol, rest);
    }
}
