//! What is seen of a packet on the long way.

use super::segment::tuple;
use crate::family::Family;
use crate::flow::tuple::Tuple;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::apart::is_anything;
use crate::stage::classify::{Ends, Side, between, check_source, mine};
use crate::tables::{Hop, Owner, ServerId};
use crate::verdict::{Step, Verdict};
use std::net::IpAddr;
use wire::ethernet::{Ethernet, Mac};
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP, Split};
use wire::tcp::{Flags, Tcp};
use wire::udp::Udp;
use zerocopy::FromBytes;

/// In place of a server: a host that is nobody's backend.
pub const NO_SERVER: ServerId = ServerId::MAX;

/// A packet.
#[derive(Debug, Clone)]
pub struct Seen<A> {
    /// Its place in the burst.
    pub place: usize,
    /// Who sent it.
    pub side: Side,
    /// What its connection is found by.
    pub tuple: Tuple,
    /// Its sender's and its receiver's address.
    pub addresses: [A; 2],
    /// Their ports; 0: the protocol has none.
    pub ports: [u16; 2],
    /// Its TCP header.
    pub tcp: Option<Tcp>,
    /// Bytes of data behind that.
    pub len: u32,
    /// Bytes of the whole packet.
    pub total_len: usize,
    /// Whether it is a part of a datagram.
    pub is_part: bool,
    /// The station that it comes from.
    pub station: Mac,
}

impl<A: Copy> Seen<A> {
    /// The packet in this frame.
    pub fn of<H: Family<Address = A>>(
        frame: &mut [u8],
        place: usize,
        here: &Here,
        own: &Own,
    ) -> Step<Seen<A>> {
        let (ethernet, rest) = Ethernet::mut_from_prefix(frame).map_err(|_| Reason::Truncated)?;
        let split: Split<H> = H::split(rest).map_err(|_| H::BAD)?;
        let is_part = split.fragment.is_some();
        // A part that does not wait for the ports goes where all goes that its client sends.
        let protocol = if is_part && is_anything(&split, here) { 0 } else { split.protocol };
        let Split { ip, body, .. } = split;
        let is_passing = H::owner(ip.destination(), here.tables).is_none();
        let (ports, tcp, len) = layer_4(ip, protocol, is_part, body).map_err(|why_not| {
            // What is broken on its way through is the kernel's to judge.
            if is_passing { Verdict::Kernel } else { why_not.into() }
        })?;
        let ends = whose(&*ip, protocol, (ports[0], ports[1]), here)?;
        let tuple = tuple::<H>(&ends, (ports[0], ports[1]), protocol, &own.hosts);
        Ok(Seen {
            place,
            side: ends.side,
            tuple,
            addresses: [ip.source(), ip.destination()],
            ports,
            tcp,
            len,
            total_len: ip.total_len(),
            is_part,
            station: ethernet.source,
        })
    }

    /// The station that it comes from, on this link.
    pub fn hop(&self, here: &Here) -> Hop {
        Hop { mac: self.station, interface: here.from }
    }

    /// The station that answers to a client that begins with it go to.
    pub fn way_back(&self, here: &Here) -> Hop
    where
        A: Into<IpAddr>,
    {
        here.tables.routes.back_to(self.addresses[0].into(), self.hop(here))
    }

    /// Whether it comes from where its server is, if a backend's server sent it.
    pub fn is_from_its_server(&self, here: &Here) -> bool {
        self.is_by_client()
            || self.tuple.far() == NO_SERVER
            || here.tables.is_server_at(self.tuple.far(), self.hop(here).into())
    }

    /// Whether it can begin a connection.
    pub fn opens(&self) -> bool {
        self.tcp.is_none_or(|tcp| {
            let flags = tcp.flags();
            flags.has(Flags::SYN) && !self.has(Flags::ACK) && !self.ends()
        })
    }

    /// Whether it says that something is over.
    fn ends(&self) -> bool {
        self.has(Flags::FIN) || self.has(Flags::RST)
    }

    /// Whether it is a segment with all of these flags.
    pub fn has(&self, flags: Flags) -> bool {
        self.tcp.is_some_and(|tcp| tcp.flags().has(flags))
    }

    /// Whether the client sent it: who talks to the VIP.
    pub fn is_by_client(&self) -> bool {
        matches!(self.side, Side::Client(_))
    }
}

/// Ports, and of TCP the header and how much data is behind it. A damaged segment that would begin or end a connection is
/// none: its receiver drops it.
fn layer_4<H: Family>(
    ip: &H,
    protocol: u8,
    is_part: bool,
    body: &mut [u8],
) -> Result<([u16; 2], Option<Tcp>, u32), Reason> {
    match protocol {
        PROTOCOL_TCP => {
            let (tcp, options, data) = Tcp::split(body).ok_or(Reason::BadTcp)?;
            if !tcp.flags().is_routine() && !tcp.is_right(ip, options, data) {
                return Err(Reason::BadTcp);
            }
            let ports = [tcp.source(), tcp.destination()];
            let len = data.len() as u32;
            if ports.contains(&0) { Err(Reason::BadTcp) } else { Ok((ports, Some(*tcp), len)) }
        }
        PROTOCOL_UDP => {
            let split = if is_part { Udp::split_part::<H>(body) } else { Udp::split(body) };
            let (udp, data) = split.ok_or(Reason::BadUdp)?;
            let ports = [udp.source(), udp.destination()];
            let len = data.len() as u32;
            if ports.contains(&0) { Err(Reason::BadUdp) } else { Ok((ports, None, len)) }
        }
        _ => Ok(([0; 2], None, body.len() as u32)),
    }
}

/// Between whom it goes; of what is nobody's so far, a rule may say that it leaves as a VIP.
fn whose<H: Family>(
    ip: &H,
    protocol: u8,
    ports: (u16, u16),
    here: &Here,
) -> Step<Ends<H::Address>> {
    match between(ip, protocol, ports, here, |ends| ends) {
        Err(Verdict::Kernel) if here.tables.has_rules => {
            let server = match H::owner(ip.source(), here.tables) {
                Some(Owner::Routed(server) | Owner::Answering(server)) => server,
                Some(_) | None => NO_SERVER,
            };
            if H::owner(ip.destination(), here.tables).is_some_and(Owner::is_ours) {
                return Err(Verdict::Kernel);
            }
            mine(H::worker(ip.destination(), here.workers), here)?;
            let near = ip.destination();
            Ok(Ends { side: Side::ServerToClient, near, port: ports.1, far: server })
        }
        Ok(ends) if matches!(ends.side, Side::Client(_)) => {
            check_source(ip, here)?;
            Ok(ends)
        }
        other => other,
    }
}
