//! Destination NAT: the backend sees the client's own address and routes its answers through us.

use super::{Pools, Rules};
use crate::verdict::Step;
use std::net::SocketAddrV4;

/// The mode `nat` without a SNAT pool.
pub struct Nat;

impl Rules for Nat {
    fn answers_seen(&self) -> bool {
        true
    }

    fn seen_as(&self, client: SocketAddrV4, _: &mut Pools) -> Step<SocketAddrV4> {
        Ok(client)
    }

    fn release(&self, _: SocketAddrV4, _: bool, _: &mut Pools) {}
}
