//! Direct server return: the packet stays as it is, TTL included, and only its Ethernet header is
//! written. The backend has the VIP on its loopback and answers past us.

use super::{Pools, Rules};
use crate::flow::record::Flow;
use crate::reason::Reason;
use crate::stage::admit::Datagram;
use crate::tables::Tables;
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

    fn to_backend(&self, _: &mut Datagram, _: &Flow, _: u16, _: &Tables) -> Step<()> {
        Ok(())
    }

    fn to_client(&self, _: &mut Datagram, _: &Flow, _: &Tables) -> Step<()> {
        Err(Reason::NoTransfer.into())
    }
}
