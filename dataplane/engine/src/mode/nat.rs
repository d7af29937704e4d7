//! Destination NAT: the backend sees the client's own address and routes its answers through us.

use super::{Pools, Rules};
use crate::flow::hosts::Endpoint;
use crate::verdict::Step;
use std::net::IpAddr;

/// The mode `nat` without a SNAT pool.
pub struct Nat;

impl Rules for Nat {
    fn answers_seen(&self) -> bool {
        true
    }

    fn seen_as(&self, client: Endpoint, _: &IpAddr, _: &mut Pools) -> Step<Endpoint> {
        Ok(client)
    }

    fn release(&self, _: Endpoint, _: bool, _: &mut Pools) {}
}
