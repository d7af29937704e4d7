//! The search for a free port of a VIP.

use super::WorkerState;
use crate::flow::endpoint::Endpoint;
use crate::flow::tuple::Tuple;
use crate::types::id::VipId;

/// Ports of a VIP that are tried, before there is none.
const TRIES: u16 = 64;
/// Between two ports that are tried: a prime, so that neighbours that are taken do not cost all tries.
const STEP: u16 = 977;

/// The ports to try: the wanted one, then others far from it.
pub fn ports_to_try(wanted: u16) -> impl Iterator<Item = u16> {
    (0..TRIES).map(move |n| wanted.wrapping_add(n.wrapping_mul(STEP)))
}

impl WorkerState {
    /// The tuple of a connection as its peer sees it: from the server's port, if no other connection has it.
    pub fn tuple_of_ours(
        &self,
        peer: Endpoint,
        vip: VipId,
        server_port: u16,
        protocol: u8,
    ) -> Option<Tuple> {
        let others = ports_to_try(server_port).skip(1).map(|port| port | 1 << 15);
        [server_port]
            .into_iter()
            .chain(others)
            .map(|port| Tuple::at_vip(peer, vip, port, protocol))
            .find(|tuple| self.connections.find(tuple).is_none())
    }
}
