//! Connections that servers open by themselves: by a rule they leave as a VIP; all others are the kernel's to route.

use super::seen::Seen;
use super::way_back;
use crate::alg::End;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag};
use crate::flow::hosts::{Endpoint, Host, NoRoom};
use crate::flow::tuple::{Tuple, Tuples};
use crate::flow::view::{ConnectionKind, Stage};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::{Hop, NatRule, VipId};
use crate::verdict::{Step, Verdict};
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use wire::ip::PROTOCOL_TCP;

/// Ports of the VIP that are tried, before there is none.
const TRIES: u32 = 64;

/// The connection of a server's packet that is of no backend's; a rule may have it begin.
pub fn lookup<H: Family>(seen: &Seen<H::Address>, here: &Here, own: &mut Own) -> Step<FlowId> {
    if !here.tables.has_rules {
        return Err(Verdict::Kernel);
    }
    let [server, _] = seen.addresses;
    let near = seen.tuple.near();
    let server = Endpoint { host: H::name(server, &own.hosts), port: seen.ports[0] };
    let tuple = Tuple::at_host(near, server, seen.tuple.protocol);
    if let Some(id) = own.connections.find(&tuple) {
        way_back::settle_server(seen, id, here, own)?;
        if !(seen.opens() && own.connections[id].is_over()) {
            return Ok(id);
        }
        own.end_connection(id, End::Replaced, here);
    }
    let [from, to] = seen.addresses.map(Into::into);
    let is_for_peer = H::is_host(seen.addresses[1]) && !is_local(to, here);
    match rule(from, seen, here) {
        Some(rule) if is_for_peer && seen.opens() => begin::<H>(rule, seen, here, own),
        Some(_) | None => Err(Verdict::Kernel),
    }
}

/// Whether the kernel has this address, or all stations of one of our networks have it.
fn is_local(address: IpAddr, here: &Here) -> bool {
    here.tables.local().any(|net| net.addr() == address || net.broadcast() == address)
}

/// The first rule for this packet.
fn rule<'a, A: Copy>(from: IpAddr, seen: &Seen<A>, here: &'a Here) -> Option<&'a NatRule> {
    here.tables.nat.iter().find(|rule| {
        rule.from.contains(&from)
            && rule.protocol == seen.tuple.protocol
            && rule.source_port.is_none_or(|port| port == seen.ports[0])
            && here.tables.is_live(rule.to)
    })
}

fn begin<H: Family>(
    rule: &NatRule,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    let [server, peer] = seen.addresses.map(Into::into);
    let link = here.tables.routes.hop(server).map(|hop| hop.interface);
    if link.is_some_and(|link| link != here.from) || !seen.is_from_its_server(here) {
        return Err(Reason::WrongOrigin.into());
    }
    // Without one the server tries again; by then the kernel may have found it.
    let way = own.way_to(seen.tuple.near().host, rule.to, peer, here);
    let back = way.ok_or(Reason::NoRoute)?;
    let peer_host = own.hosts.enter(peer).map_err(|NoRoom| Reason::FlowTableFull)?;
    let Ok(server_host) = own.hosts.enter(server) else {
        own.hosts.leave(peer_host);
        return Err(Reason::FlowTableFull.into());
    };
    let near = Endpoint { host: peer_host, port: seen.ports[1] };
    let far = Endpoint { host: server_host, port: seen.ports[0] };
    let Some(client) = own.tuple_of_ours(near, rule.to, seen) else {
        own.hosts.leave(peer_host);
        own.hosts.leave(server_host);
        return Err(Reason::SnatPoolEmpty.into());
    };
    let server = Tuple::at_host(near, far, seen.tuple.protocol);
    let mut connection = Connection {
        tuples: Tuples::of_client(client).with_server(server),
        last_packet: here.now,
        begun: here.now,
        back,
        kind: ConnectionKind::Policy,
        stage: Stage::HalfOpen,
        flags: flag::BY_CLIENT_TUPLE | flag::BY_SERVER_TUPLE | flag::BY_SERVER,
        ..Connection::FREE
    };
    connection.set_fore(seen.hop(here));
    let id = own.enter_connection(&connection, here)?;
    rule.hits.fetch_add(1, Relaxed);
    Ok(id)
}

impl Own {
    /// The station by which a host is reached: the one that it has come from as a client; else, as the kernel says.
    fn way_to(&self, host: Host, vip: VipId, address: IpAddr, here: &Here) -> Option<Hop> {
        let ranges = here.tables.vips[usize::from(vip)].passive.iter();
        let usual = || self.bond(host, vip, PROTOCOL_TCP);
        let mut bonds = ranges.filter_map(|&(_, owner)| self.bond_at(host, vip, owner));
        let control = bonds.next().or_else(usual).and_then(|bond| self.latest_control(bond));
        control
            .map(|control| self.connections[control].back)
            .or_else(|| here.tables.hop_or_seek(address))
    }

    /// A connection's ends as its peer is to see them: from the server's own port, if no other one has it.
    fn tuple_of_ours<A>(&self, peer: Endpoint, vip: VipId, seen: &Seen<A>) -> Option<Tuple> {
        let own = seen.ports[0];
        let others = (1..TRIES).map(|n| own.wrapping_add((n * 977) as u16) | 1 << 15);
        let tuples = [own].into_iter().chain(others);
        tuples
            .map(|port| Tuple::at_vip(peer, vip, port, seen.tuple.protocol))
            .find(|tuple| self.connections.find(tuple).is_none())
    }
}
