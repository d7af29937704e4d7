//! Whose packet is it: a client's, a server's, or the kernel's? And which worker owns it?

use super::admit::{Datagram, Packet, is_host};
use super::answer;
use crate::flow::key::{self, Key};
use crate::flow::ports;
use crate::here::Here;
use crate::reason::Reason;
use crate::tables::{Owner, VipId};
use crate::verdict::{Step, Verdict};
use std::net::SocketAddrV4;
use wire::ipv4::{PROTOCOL_ICMP, PROTOCOL_UDP};

/// A datagram that may be part of a transfer of this worker's.
pub struct Parcel<'a> {
    /// The datagram.
    pub packet: Datagram<'a>,
    /// Who sent it.
    pub side: Side,
    /// What its transfer is found by.
    pub key: Key,
}

/// Who sent a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A client, to this VIP.
    Client(VipId),
    /// A server, to an address of ours.
    Server,
    /// A server, to somebody behind us: perhaps a client.
    ServerToClient,
}

/// Sorts a packet out.
pub fn classify<'a>(packet: Packet<'a>, here: &Here) -> Step<Parcel<'a>> {
    let addresses = &here.tables.addresses;
    match addresses.get(&packet.ip.destination()) {
        Some(&Owner::Vip(vip)) => from_client(packet, vip, here),
        Some(Owner::Snat(_)) => from_server(packet, here),
        Some(Owner::Backend) | None => match addresses.get(&packet.ip.source()) {
            Some(Owner::Backend) => from_server_to_client(packet, here),
            Some(Owner::Vip(_) | Owner::Snat(_)) => Err(Reason::BadSource.into()),
            None => Err(Verdict::Kernel),
        },
    }
}

fn from_client<'a>(packet: Packet<'a>, vip: VipId, here: &Here) -> Step<Parcel<'a>> {
    if !here.tables.vips[usize::from(vip)].live {
        return Err(Reason::VipDown.into());
    }
    let packet = own_datagram(packet, here)?;
    let client = SocketAddrV4::new(packet.ip.source(), packet.udp.source());
    mine(key::owner(*client.ip(), here.workers), here)?;
    Ok(Parcel { packet, side: Side::Client(vip), key: Key::client_side(client, vip) })
}

fn from_server<'a>(packet: Packet<'a>, here: &Here) -> Step<Parcel<'a>> {
    let packet = own_datagram(packet, here)?;
    mine(ports::owner(packet.udp.destination(), here.workers), here)?;
    Ok(Parcel { key: server_key(&packet), packet, side: Side::Server })
}

/// Servers that route through us send other things too: those are the kernel's to forward, and so
/// is a fragment, which does not show whose it is.
fn from_server_to_client<'a>(packet: Packet<'a>, here: &Here) -> Step<Parcel<'a>> {
    if packet.ip.protocol != PROTOCOL_UDP || packet.ip.is_fragment() {
        return Err(Verdict::Kernel);
    }
    let packet = packet.datagram()?;
    mine(key::owner(packet.ip.destination(), here.workers), here)?;
    Ok(Parcel { key: server_key(&packet), packet, side: Side::ServerToClient })
}

fn server_key(packet: &Datagram) -> Key {
    let seen_as = SocketAddrV4::new(packet.ip.destination(), packet.udp.destination());
    Key::server_side(seen_as, packet.ip.source())
}

/// A datagram to an address that is a VIP or in a SNAT pool: there is nothing else for it to be,
/// save a ping.
fn own_datagram<'a>(packet: Packet<'a>, here: &Here) -> Step<Datagram<'a>> {
    let source = packet.ip.source();
    let ours = here.tables.addresses.get(&source);
    if !is_host(source) || matches!(ours, Some(Owner::Vip(_) | Owner::Snat(_))) {
        return Err(Reason::BadSource.into());
    }
    if packet.ip.is_fragment() {
        return Err(Reason::Fragment.into());
    }
    match packet.ip.protocol {
        PROTOCOL_UDP => packet.datagram(),
        PROTOCOL_ICMP => Err(answer::echo(packet, here.mac())),
        _ => Err(Reason::NoService.into()),
    }
}

fn mine(owner: u16, here: &Here) -> Step<()> {
    if owner == here.worker { Ok(()) } else { Err(Verdict::HandOver(owner)) }
}
