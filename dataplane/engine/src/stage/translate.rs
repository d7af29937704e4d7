//! Translation: where answers come through us, one side's view of a transfer or connection is rewritten into the other's. In
//! `dsr` a packet stays as it is, TTL included.

use super::peer::Peer;
use crate::context::Env;
use crate::flow::host_table::HostTable;
use crate::ip_family::IpFamily;
use crate::types::direction::Direction;
use Untranslated::{Expired, OtherFamily};
use wire::checksum::Delta;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};
use wire::tcp::Tcp;
use wire::udp::Udp;
use zerocopy::FromBytes;

/// Why a packet stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untranslated {
    /// The other side is of the other address family: [`super::xlat`].
    OtherFamily,
    /// No hop is left.
    Expired,
}

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

impl Ports for Udp {
    #[inline(always)]
    fn set_ports(&mut self, source: u16, destination: u16, addresses: Delta) {
        Udp::set_ports(self, source, destination, addresses);
    }
}

/// The payload of an IP packet of this protocol.
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

/// The facts of a packet that its translation depends on.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// The sender's port.
    pub from: u16,
    /// Whether the packet is a TFTP request.
    pub is_request: bool,
}

impl Sent {
    /// A packet of a connection, whose ports are all known.
    pub const SEGMENT: Sent = Sent { from: 0, is_request: false };
}

/// Rewrites addresses, ports and checksums, and takes a hop off, as a router does; or changes nothing.
#[inline(always)]
pub fn translate<H: IpFamily>(
    (ip, ports): (&mut H, &mut impl Ports),
    direction: Direction,
    sent: Sent,
    peer: &impl Peer,
    env: &Env,
    hosts: &HostTable,
) -> Result<(), Untranslated> {
    if !peer.answers_seen() {
        return Ok(());
    }
    let (source, destination, from, to) = match direction {
        Direction::ToServer(_) => {
            let (address, port) = peer.server(sent.is_request, env, hosts);
            let address = H::of(&address).ok_or(OtherFamily)?;
            let seen_as = peer.seen_as();
            (H::resolve(seen_as.host, hosts), address, seen_as.port, port)
        }
        Direction::ToSnat | Direction::ToClient => {
            let vip = H::of(&env.snapshot[peer.vip()].address);
            let vip = vip.ok_or(OtherFamily)?;
            let client = peer.client();
            let from = peer.vip_port().unwrap_or(sent.from);
            (vip, H::resolve(client.host, hosts), from, client.port)
        }
    };
    let addresses = ip.forward(source, destination).ok_or(Expired)?;
    ports.set_ports(from, to, addresses);
    Ok(())
}
