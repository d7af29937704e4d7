//! A TCP segment that may be part of a connection of this worker's.

use crate::family::Family;
use crate::flow::hosts::{Endpoint, Hosts};
use crate::flow::tuple::Tuple;
use crate::flow::{FlowId, NO_FLOW, Spot};
use crate::here::Here;
use crate::own::Own;
use crate::stage::classify::{Ends, Side, between};
use crate::verdict::Step;
use wire::ethernet::Ethernet;
use wire::ip::PROTOCOL_TCP;
use wire::tcp::Tcp;

/// A segment.
pub struct Segment<'a, H> {
    /// Its Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// Its IP header.
    pub ip: &'a mut H,
    /// Its TCP header, without the options.
    pub tcp: &'a mut Tcp,
    /// Bytes of data.
    pub len: u32,
    /// Who sent it.
    pub side: Side,
    /// What its connection is found by.
    pub tuple: Tuple,
    /// Where its connection is looked for.
    pub spot: Spot,
    /// Its place in the burst.
    pub place: usize,
    /// Perhaps its connection, or [`NO_FLOW`].
    pub guess: FlowId,
}

impl<'a, H: Family> Segment<'a, H> {
    /// Sorts a segment out.
    #[inline(always)]
    pub fn classify(
        (ethernet, ip, tcp): (&'a mut Ethernet, &'a mut H, &'a mut Tcp),
        len: u32,
        place: usize,
        here: &Here,
        own: &Own,
    ) -> Step<Segment<'a, H>> {
        let ports = (tcp.source(), tcp.destination());
        let (side, tuple) = between(&*ip, PROTOCOL_TCP, ports, here, |ends| {
            (ends.side, tuple::<H>(&ends, ports, PROTOCOL_TCP, &own.hosts))
        })?;
        let spot = own.connections.expect(&tuple);
        Ok(Segment { ethernet, ip, tcp, len, side, tuple, spot, place, guess: NO_FLOW })
    }

    /// The packets before this one in its burst may have given names to hosts and taken them.
    #[inline]
    pub fn name_anew(&mut self, hosts: &Hosts) {
        if H::NAMES_CHANGE {
            let near = match self.side {
                Side::Client(_) => self.ip.source(),
                Side::Server | Side::ServerToClient => self.ip.destination(),
            };
            self.tuple = self.tuple.with(H::name(near, hosts));
        }
    }
}

/// What a packet between these ends and ports is found by.
#[inline(always)]
pub fn tuple<H: Family>(
    ends: &Ends<H::Address>,
    (from, to): (u16, u16),
    protocol: u8,
    hosts: &Hosts,
) -> Tuple {
    let near = Endpoint { host: H::name(ends.near, hosts), port: ends.port };
    match ends.side {
        Side::Client(vip) => Tuple::at_vip(near, vip, to, protocol),
        Side::Server | Side::ServerToClient => Tuple::at_server(near, ends.far, from, protocol),
    }
}
