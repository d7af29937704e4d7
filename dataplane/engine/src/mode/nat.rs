//! Destination NAT: what the client sees becomes what the backend sees, and back. The backend sees
//! the client's own address and routes its answers through us.

use super::{Pools, Rules};
use crate::flow::record::Flow;
use crate::reason::Reason;
use crate::stage::admit::Datagram;
use crate::tables::Tables;
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

    fn to_backend(
        &self,
        packet: &mut Datagram,
        flow: &Flow,
        port: u16,
        tables: &Tables,
    ) -> Step<()> {
        let backend = tables.backends[usize::from(flow.backend)].address;
        rewrite(packet, flow.seen_as(), SocketAddrV4::new(backend, port))
    }

    fn to_client(&self, packet: &mut Datagram, flow: &Flow, tables: &Tables) -> Step<()> {
        let vip = tables.vips[usize::from(flow.vip)].address;
        let from = SocketAddrV4::new(vip, packet.udp.source());
        rewrite(packet, from, flow.client())
    }
}

/// Gives the packet other endpoints and takes a hop off, as a router does.
pub fn rewrite(packet: &mut Datagram, source: SocketAddrV4, destination: SocketAddrV4) -> Step<()> {
    let addresses =
        packet.ip.forward(*source.ip(), *destination.ip()).ok_or(Reason::TtlExpired)?;
    packet.udp.set_ports(source.port(), destination.port(), addresses);
    Ok(())
}
