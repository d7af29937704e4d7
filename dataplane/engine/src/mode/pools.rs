//! The rules of a mode, and the ports of SNAT pools that a mode allocates.

use crate::alg::tftp::earlier::Earlier;
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::port_allocator::{Holder, Rest, SnatAddress, Taken, Taker, Turn, kind};
use crate::snapshot::Backend;
use crate::types::id::{ServerId, SnatId};
use crate::types::verdict::Step;

/// A mode's decisions for its service's transfers.
pub trait Rules {
    /// Whether the backend's answers pass the gate.
    fn answers_seen(&self) -> bool;

    /// The endpoint that this backend sees as the client, for one transfer by this IP protocol.
    fn seen_as(
        &self,
        client: Endpoint,
        backend: &Backend,
        protocol: u8,
        pools: &mut Pools,
    ) -> Step<SeenAs>;

    /// Releases the endpoint of an ended transfer; `rest` says which packets may still come to it.
    fn release(&self, seen_as: Endpoint, protocol: u8, rest: Rest, pools: &mut Pools);
}

/// The endpoint that a backend sees as the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenAs {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Earlier transfers whose packets the backend may still send there.
    pub earlier: Earlier,
}

impl From<Endpoint> for SeenAs {
    fn from(endpoint: Endpoint) -> SeenAs {
        SeenAs { endpoint, earlier: Earlier::NONE }
    }
}

/// SNAT ports, as one worker allocates them at one moment.
pub struct Pools<'a> {
    /// SNAT addresses, by [`crate::types::id::SnatId`].
    pub snat: &'a [SnatAddress],
    /// `HostId`s of the SNAT addresses.
    pub hosts: &'a [HostId],
    /// This worker's allocation state, by [`kind`].
    pub turns: &'a mut [[Turn; 2]],
    /// The worker and the moment.
    pub by: Taker,
}

impl Pools<'_> {
    /// Allocates a port of the SNAT address `id`, for a connection or transfer with this server.
    pub fn take(&mut self, id: SnatId, protocol: u8, server: ServerId) -> Option<SeenAs> {
        let turn = &mut self.turns[id.index()][kind(protocol)];
        let Taken { port, earlier } =
            self.snat[id.index()].of(protocol).take(turn, server, self.by)?;
        Some(SeenAs { endpoint: Endpoint { host: self.hosts[id.index()], port }, earlier })
    }

    /// Allocates a port of the SNAT address `host`, for a connection or transfer with this server.
    pub fn take_of(&mut self, host: HostId, protocol: u8, server: ServerId) -> Option<SeenAs> {
        let id = self.number(host)?;
        self.take(id, protocol, server)
    }

    /// Releases a port, if the endpoint is at a SNAT address.
    pub fn give_back(&mut self, endpoint: Endpoint, protocol: u8, rest: Rest) {
        if let Some(id) = self.number(endpoint.host) {
            let turn = &mut self.turns[id.index()][kind(protocol)];
            self.snat[id.index()].of(protocol).give_back(turn, endpoint.port, rest, self.by);
        }
    }

    /// Notes the holder of an allocated port, if the endpoint is at a SNAT address.
    pub fn note(&self, endpoint: Endpoint, protocol: u8, holder: Holder) {
        if let Some(id) = self.number(endpoint.host) {
            self.snat[id.index()].of(protocol).note(endpoint.port, holder);
        }
    }

    fn number(&self, host: HostId) -> Option<SnatId> {
        let place = self.hosts.iter().position(|&known| known == host);
        place.map(|place| SnatId(place as u16))
    }
}
