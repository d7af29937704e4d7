//! Destination NAT: the backend sees the client's address and routes its answers through the gate.

use super::pools::{Pools, Rules, SeenAs};
use crate::flow::endpoint::Endpoint;
use crate::flow::port_allocator::Rest;
use crate::snapshot::Backend;
use crate::types::verdict::Step;

/// Rules of the mode `nat` without SNAT pool.
pub struct Nat;

impl Rules for Nat {
    fn answers_seen(&self) -> bool {
        true
    }

    fn seen_as(&self, client: Endpoint, _: &Backend, _: u8, _: &mut Pools) -> Step<SeenAs> {
        Ok(client.into())
    }

    fn release(&self, _: Endpoint, _: u8, _: Rest, _: &mut Pools) {}
}
