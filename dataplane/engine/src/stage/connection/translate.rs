//! What the other side of a connection is to see.

use crate::family::Family;
use crate::flow::connection::{Connection, NO_BACKEND};
use crate::flow::hosts::Hosts;
use crate::here::Here;
use crate::stage::classify::Side;
use crate::stage::cross::Crossing;
use crate::stage::translate::Untranslated::{self, Expired, OtherVersion};
use crate::tables::Hop;
use std::net::{IpAddr, SocketAddr};
use wire::checksum::Delta;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};
use wire::tcp::Tcp;
use wire::udp::Udp;
use zerocopy::FromBytes;

/// A header with ports.
pub trait Ports {
    /// Rewrites both ports, and mends the checksum for that and for what happened to the addresses.
    fn set_ports(&mut self, source: u16, destination: u16, addresses: Delta);
}

impl Ports for Tcp {
    #[inline(always)]
    fn set_ports(&mut self, source: u16, destination: u16, addresses: Delta) {
        Tcp::set_ports(self, source, destination, addresses);
    }
}

/// The payload of an IP packet that has this number and this first part.
pub struct Body<'a>(pub u8, pub &'a mut [u8]);

impl Ports for Body<'_> {
    fn set_ports(&mut self, source: u16, destination: u16, addresses: Delta) {
        match self.0 {
            PROTOCOL_TCP => {
                if let Ok((tcp, _)) = Tcp::mut_from_prefix(self.1) {
                    tcp.set_ports(source, destination, addresses);
                }
            }
            PROTOCOL_UDP => {
                if let Ok((udp, _)) = Udp::mut_from_prefix(self.1) {
                    udp.set_ports(source, destination, addresses);
                }
            }
            _ => {}
        }
    }
}

/// Rewrites addresses, ports and checksums, and takes a hop off; or changes nothing.
#[inline(always)]
pub fn translate<H: Family>(
    (ip, ports): (&mut H, &mut impl Ports),
    side: Side,
    connection: &Connection,
    here: &Here,
    hosts: &Hosts,
) -> Result<(), Untranslated> {
    if !connection.answers_seen() {
        return Ok(());
    }
    let (source, destination, from, to) = match side {
        Side::Client(_) => {
            let seen_as = connection.seen_as();
            let server = match here.tables.backends.get(usize::from(connection.backend)) {
                Some(backend) => H::of(&backend.address).ok_or(OtherVersion)?,
                None => H::of(&server(connection, here, hosts).ip()).ok_or(OtherVersion)?,
            };
            let near = H::named(seen_as.host, hosts);
            (near, server, seen_as.port, connection.server().far_port())
        }
        Side::Server | Side::ServerToClient => {
            let vip = &here.tables.vips[usize::from(connection.vip())].address;
            let client = connection.client().near();
            let vip = H::of(vip).ok_or(OtherVersion)?;
            (vip, H::named(client.host, hosts), connection.client().far_port(), client.port)
        }
    };
    let addresses = ip.forward(source, destination).ok_or(Expired)?;
    ports.set_ports(from, to, addresses);
    Ok(())
}

/// How a packet is to cross to the other version of IP.
pub fn crossing(side: Side, connection: &Connection, here: &Here, hosts: &Hosts) -> Crossing {
    let (source, destination) = match side {
        Side::Client(_) => {
            (hosts.socket_address(connection.seen_as()), server(connection, here, hosts))
        }
        Side::Server | Side::ServerToClient => {
            (vip(connection, here), hosts.socket_address(connection.client().near()))
        }
    };
    Crossing { source, destination, id: None }
}

/// The endpoint that the client talks to.
pub fn vip(connection: &Connection, here: &Here) -> SocketAddr {
    let vip = here.tables.vips[usize::from(connection.vip())].address;
    SocketAddr::new(vip, connection.client().far_port())
}

/// The server's endpoint, where answers come through us.
pub fn server(connection: &Connection, here: &Here, hosts: &Hosts) -> SocketAddr {
    match connection.server().far_host() {
        Some(server) => hosts.socket_address(server),
        None => {
            let backend = here.backend(connection.backend);
            SocketAddr::new(backend.address, connection.server().far_port())
        }
    }
}

/// Where a packet of this side goes next, and the address of whoever it is for; `None`: nobody knows.
pub fn way(side: Side, connection: &Connection, here: &Here) -> Option<(Hop, IpAddr)> {
    match side {
        Side::Client(_) if connection.backend == NO_BACKEND => {
            // Both ends of a rule's connection are of the VIP's version.
            Some((connection.fore(), here.tables.vips[usize::from(connection.vip())].address))
        }
        Side::Client(_) => {
            let backend = here.backend(connection.backend);
            Some((backend.hop?, backend.address))
        }
        Side::Server | Side::ServerToClient => {
            Some((connection.back, here.tables.vips[usize::from(connection.vip())].address))
        }
    }
}
