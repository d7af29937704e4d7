//! A packet on the slow path of connections: what is known of it, and its headers without parsing them again.

use super::segment::tuple;
use crate::context::BurstContext;
use crate::flow::key::KeyPeer;
use crate::flow::tuple::Tuple;
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::stage::classify::{Ends, between, check_owner, check_source, is_anything};
use crate::stage::parse::{Offsets, Packet};
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::id::ServerId;
use crate::types::next_hop::NextHop;
use crate::types::verdict::{Step, Unclaimed, Verdict};
use std::net::IpAddr;
use wire::ethernet::Mac;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP, Split};
use wire::tcp::{Flags, Tcp};
use wire::udp::Udp;

/// In place of a server: a host that is nobody's backend.
pub const NO_SERVER: ServerId = ServerId::MAX;

/// A packet.
#[derive(Debug, Clone)]
pub struct ConnectionPacket<A> {
    /// The frame's index in the burst.
    pub index: usize,
    /// Which way the packet goes.
    pub direction: Direction,
    /// The tuple by which the packet's connection is found.
    pub tuple: Tuple,
    /// The sender's and the receiver's address.
    pub addresses: [A; 2],
    /// The ports of both; 0: the protocol has none.
    pub ports: [u16; 2],
    /// The TCP header, of a segment.
    pub tcp: Option<Tcp>,
    /// Bytes of data behind the TCP header.
    pub len: u32,
    /// Offsets of the headers in the frame.
    pub offsets: Offsets,
    /// The MAC address of the previous hop.
    pub source_mac: Mac,
}

impl<A: Copy> ConnectionPacket<A> {
    /// The packet with these headers.
    ///
    /// # Errors
    ///
    /// The headers behind IP's are broken, or the packet is not for this worker's connections.
    pub fn of<H: IpFamily<Address = A>>(
        Packet { ethernet, split }: Packet<H>,
        index: usize,
        ctx: &BurstContext,
        state: &WorkerState,
    ) -> Step<ConnectionPacket<A>> {
        let offsets = Offsets::of(&split);
        let is_fragment = offsets.is_fragment();
        // A fragment that needs no ports goes to the `any` service, as all packets of its client do.
        let protocol = if is_fragment && is_anything(&split, ctx) { 0 } else { split.protocol };
        let Split { ip, body, .. } = split;
        let is_passing = H::owner(ip.destination(), ctx.snapshot).is_none();
        let (ports, tcp, len) = layer_4(ip, protocol, is_fragment, body).map_err(|why_not| {
            // What is broken on its way through is the kernel's to judge.
            if is_passing { Verdict::Kernel } else { why_not.into() }
        })?;
        let ends = whose(&*ip, protocol, (ports[0], ports[1]), ctx)?;
        let tuple = tuple::<H>(&ends, (ports[0], ports[1]), protocol, &state.hosts);
        Ok(ConnectionPacket {
            index,
            direction: ends.direction,
            tuple,
            addresses: [ip.source(), ip.destination()],
            ports,
            tcp,
            len,
            offsets,
            source_mac: ethernet.source,
        })
    }

    /// The previous hop.
    pub fn hop(&self, ctx: &BurstContext) -> NextHop {
        NextHop { mac: self.source_mac, interface: ctx.interface }
    }

    /// The next hop for answers to a client that begins with this packet.
    pub fn way_back(&self, ctx: &BurstContext) -> NextHop
    where
        A: Into<IpAddr>,
    {
        ctx.way_back(self.addresses[0].into(), self.hop(ctx))
    }

    /// Whether the packet has an expected origin, if a backend's server sent it.
    pub fn is_from_its_server(&self, ctx: &BurstContext) -> bool {
        self.is_by_client()
            || self.tuple.server() == NO_SERVER
            || ctx.snapshot.is_server_at(self.tuple.server(), self.hop(ctx).into())
    }

    /// Whether the packet can begin a connection.
    pub fn opens(&self) -> bool {
        self.tcp.is_none_or(|tcp| {
            let flags = tcp.flags();
            flags.has(Flags::SYN) && !self.has(Flags::ACK) && !self.ends()
        })
    }

    /// Whether the packet ends one direction of a connection, or both.
    pub fn ends(&self) -> bool {
        self.has(Flags::FIN) || self.has(Flags::RST)
    }

    /// Whether the packet is a segment with all of these flags.
    pub fn has(&self, flags: Flags) -> bool {
        self.tcp.is_some_and(|tcp| tcp.flags().has(flags))
    }

    /// Whether the client sent the packet: the host that talks to the VIP.
    pub fn is_by_client(&self) -> bool {
        self.direction.is_to_server()
    }
}

/// Ports, and of TCP the header and how much data is behind it. A damaged segment that would begin or end a connection is
/// none: its receiver drops it.
fn layer_4<H: IpFamily>(
    ip: &H,
    protocol: u8,
    is_fragment: bool,
    body: &mut [u8],
) -> Result<([u16; 2], Option<Tcp>, u32), DropReason> {
    match protocol {
        PROTOCOL_TCP => {
            let (tcp, options, data) = Tcp::split(body).ok_or(DropReason::BadTcp)?;
            if !tcp.flags().is_midstream() && !tcp.is_right(ip, options, data) {
                return Err(DropReason::BadTcp);
            }
            let ports = [tcp.source(), tcp.destination()];
            let len = data.len() as u32;
            if ports.contains(&0) { Err(DropReason::BadTcp) } else { Ok((ports, Some(*tcp), len)) }
        }
        PROTOCOL_UDP => {
            let split = if is_fragment { Udp::split_fragment::<H>(body) } else { Udp::split(body) };
            let (udp, data) = split.ok_or(DropReason::BadUdp)?;
            let ports = [udp.source(), udp.destination()];
            let len = data.len() as u32;
            if ports.contains(&0) { Err(DropReason::BadUdp) } else { Ok((ports, None, len)) }
        }
        _ => Ok(([0; 2], None, body.len() as u32)),
    }
}

/// Between whom it goes; of what is nobody's so far, a rule may say that it leaves as a VIP.
pub fn whose<H: IpFamily>(
    ip: &H,
    protocol: u8,
    ports: (u16, u16),
    ctx: &BurstContext,
) -> Step<Ends<H::Address>> {
    match between(ip, protocol, ports, ctx, |ends| ends) {
        Ok(ends) if ends.direction.is_to_server() => {
            check_source(ip, ctx)?;
            Ok(ends)
        }
        Ok(ends) => Ok(ends),
        Err(Unclaimed::Foreign) if ctx.snapshot.has_rules => {
            let server = match H::owner(ip.source(), ctx.snapshot) {
                Some(Owner::Routed(server) | Owner::Answering(server)) => server,
                Some(_) | None => NO_SERVER,
            };
            check_owner(H::worker(ip.destination(), ctx.workers), ctx)?;
            let near = ip.destination();
            Ok(Ends {
                direction: Direction::ToClient,
                near,
                port: ports.1,
                far: KeyPeer::Server(server),
            })
        }
        Err(unclaimed) => Err(unclaimed.into()),
    }
}
