//! Full NAT: as [`super::nat`], and the backend sees an address of ours. The pair of that address
//! and a port is one transfer's alone, so whatever TID answers it names its transfer.

use super::{Pools, Rules};
use crate::reason::Reason;
use crate::tables::SnatId;
use crate::verdict::Step;
use std::net::SocketAddrV4;

impl Rules for Vec<SnatId> {
    fn answers_seen(&self) -> bool {
        true
    }

    /// Clients spread over the pool's addresses; one whose address has no port left goes to the next.
    fn seen_as(&self, client: SocketAddrV4, pools: &mut Pools) -> Step<SocketAddrV4> {
        let start = client.ip().to_bits() as usize % self.len();
        self[start..]
            .iter()
            .chain(&self[..start])
            .find_map(|&id| {
                let port = pools.ports[usize::from(id)].take(pools.now)?;
                Some(SocketAddrV4::new(pools.tables.snat[usize::from(id)], port))
            })
            .ok_or(Reason::SnatPoolEmpty.into())
    }

    fn release(&self, seen_as: SocketAddrV4, ended_well: bool, pools: &mut Pools) {
        let of = |id: &&SnatId| pools.tables.snat[usize::from(**id)] == *seen_as.ip();
        if let Some(&id) = self.iter().find(of) {
            pools.ports[usize::from(id)].give_back(seen_as.port(), ended_well, pools.now);
        }
    }
}
