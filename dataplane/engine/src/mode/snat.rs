//! Full NAT: as [`super::nat`], and the backend sees a SNAT address. A pair of SNAT address and port belongs to one
//! transfer, so that an answer to it names its transfer, whatever the TID.

use super::pools::{Pools, Rules, SeenAs};
use crate::flow::endpoint::Endpoint;
use crate::flow::port_allocator::Rest;
use crate::snapshot::Backend;
use crate::types::drop_reason::DropReason;
use crate::types::id::SnatId;
use crate::types::verdict::Step;

impl Rules for Vec<SnatId> {
    fn answers_seen(&self) -> bool {
        true
    }

    /// Clients are spread over the pool's addresses of the backend's address family; if an address has no free port,
    /// the next one is tried. The pool has those that the kernel holds.
    fn seen_as(
        &self,
        client: Endpoint,
        backend: &Backend,
        protocol: u8,
        pools: &mut Pools,
    ) -> Step<SeenAs> {
        // A pool that is away is empty, and so is that of a removed service.
        let start = (client.host.to_bits() as usize).checked_rem(self.len()).unwrap_or_default();
        let mut none = DropReason::SnatDown;
        for &id in self[start..].iter().chain(&self[..start]) {
            if pools.hosts[id.index()].is_v6() == backend.address.is_ipv6() {
                if let Some(seen_as) = pools.take(id, protocol, client.host, backend.server) {
                    return Ok(seen_as);
                }
                none = DropReason::SnatPoolEmpty;
            }
        }
        Err(none.into())
    }

    /// The address may have left the pool since.
    fn release(&self, seen_as: Endpoint, protocol: u8, rest: Rest, pools: &mut Pools) {
        pools.give_back(seen_as, protocol, rest);
    }
}
