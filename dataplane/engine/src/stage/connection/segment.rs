//! A TCP segment that may be part of a connection of this worker's.

use crate::context::BurstContext;
use crate::flow::endpoint::Endpoint;
use crate::flow::host_table::HostTable;
use crate::flow::key::KeyPeer;
use crate::flow::tuple::Tuple;
use crate::flow::{BucketRef, FlowId, NO_FLOW};
use crate::ip_family::IpFamily;
use crate::stage::classify::{Ends, between};
use crate::state::WorkerState;
use crate::types::direction::Direction;
use crate::types::verdict::Unclaimed;
use wire::ethernet::Ethernet;
use wire::ip::PROTOCOL_TCP;
use wire::tcp::Tcp;

/// A segment.
pub struct Segment<'a, H> {
    /// The Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// The IP header.
    pub ip: &'a mut H,
    /// The TCP header, without options.
    pub tcp: &'a mut Tcp,
    /// Bytes of data.
    pub len: u32,
    /// Which way the segment goes.
    pub direction: Direction,
    /// The tuple by which the segment's connection is found.
    pub tuple: Tuple,
    /// Where its connection is looked for.
    pub bucket: BucketRef,
    /// The frame's index in the burst.
    pub index: usize,
    /// Perhaps its connection, or [`NO_FLOW`].
    pub candidate: FlowId,
}

impl<'a, H: IpFamily> Segment<'a, H> {
    /// Sorts a segment out.
    #[inline(always)]
    pub fn classify(
        (ethernet, ip, tcp): (&'a mut Ethernet, &'a mut H, &'a mut Tcp),
        len: u32,
        index: usize,
        ctx: &BurstContext,
        state: &WorkerState,
    ) -> Result<Segment<'a, H>, Unclaimed> {
        let ports = (tcp.source(), tcp.destination());
        let (direction, tuple) = between(&*ip, PROTOCOL_TCP, ports, ctx, |ends| {
            (ends.direction, tuple::<H>(&ends, ports, PROTOCOL_TCP, &state.hosts))
        })?;
        let bucket = state.connections.locate(&tuple);
        Ok(Segment { ethernet, ip, tcp, len, direction, tuple, bucket, index, candidate: NO_FLOW })
    }

    /// The packets before this one in its burst may have given names to hosts and taken them.
    #[inline]
    pub fn refresh_host_id(&mut self, hosts: &HostTable) {
        if H::HOST_IDS_CHANGE {
            let near = match self.direction {
                Direction::ToServer(_) => self.ip.source(),
                Direction::ToSnat | Direction::ToClient => self.ip.destination(),
            };
            self.tuple = self.tuple.with(H::host_id(near, hosts));
        }
    }
}

/// The tuple by which a packet between these ends and ports is found.
#[inline(always)]
pub fn tuple<H: IpFamily>(
    ends: &Ends<H::Address>,
    (from, to): (u16, u16),
    protocol: u8,
    hosts: &HostTable,
) -> Tuple {
    let near = Endpoint { host: H::host_id(ends.near, hosts), port: ends.port };
    match ends.far {
        KeyPeer::Vip(vip) => Tuple::at_vip(near, vip, to, protocol),
        KeyPeer::Server(server) => Tuple::at_server(near, server, from, protocol),
    }
}
