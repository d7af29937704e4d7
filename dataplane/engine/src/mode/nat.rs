//! Destination NAT: the backend sees the client's own address and routes its answers through us.

use super::{Pools, Rules, SeenAs};
use crate::flow::hosts::Endpoint;
use crate::flow::ports::Rest;
use crate::tables::Backend;
use crate::verdict::Step;

/// The mode `nat` without a SNAT pool.
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
