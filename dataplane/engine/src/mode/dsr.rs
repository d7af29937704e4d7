//! Direct server return: only the Ethernet header is rewritten. The backend has the VIP on its loopback interface and
//! answers the client directly.

use super::pools::{Pools, Rules, SeenAs};
use crate::flow::endpoint::Endpoint;
use crate::flow::port_allocator::Rest;
use crate::snapshot::Backend;
use crate::types::verdict::Step;

/// Rules of the mode `dsr`.
pub struct Dsr;

impl Rules for Dsr {
    fn answers_seen(&self) -> bool {
        false
    }

    fn seen_as(&self, client: Endpoint, _: &Backend, _: u8, _: &mut Pools) -> Step<SeenAs> {
        Ok(client.into())
    }

    fn release(&self, _: Endpoint, _: u8, _: Rest, _: &mut Pools) {}
}
