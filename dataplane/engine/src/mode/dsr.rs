//! Direct server return: only the Ethernet header is written. The backend has the VIP on its
//! loopback and answers past us.

use super::{Pools, Rules};
use crate::flow::hosts::Endpoint;
use crate::verdict::Step;
use std::net::IpAddr;

/// The mode `dsr`.
pub struct Dsr;

impl Rules for Dsr {
    fn answers_seen(&self) -> bool {
        false
    }

    fn seen_as(&self, client: Endpoint, _: &IpAddr, _: &mut Pools) -> Step<Endpoint> {
        Ok(client)
    }

    fn release(&self, _: Endpoint, _: bool, _: &mut Pools) {}
}
