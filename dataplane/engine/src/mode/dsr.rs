//! Direct server return: only the Ethernet header is written. The backend has the VIP on its
//! loopback and answers past us.

use super::{Pools, Rules};
use crate::verdict::Step;
use std::net::SocketAddrV4;

/// The mode `dsr`.
pub struct Dsr;

impl Rules for Dsr {
    fn answers_seen(&self) -> bool {
        false
    }

    fn seen_as(&self, client: SocketAddrV4, _: &mut Pools) -> Step<SocketAddrV4> {
        Ok(client)
    }

    fn release(&self, _: SocketAddrV4, _: bool, _: &mut Pools) {}
}
