//! The rules of a mode, and the ports of SNAT pools that a mode allocates.

use crate::alg::tftp::earlier::Earlier;
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::host_table::HostTable;
use crate::flow::port_allocator::{Holder, Rest, SnatAddress, Taken, Taker, Turns};
use crate::snapshot::Backend;
use crate::types::id::{ServerId, SnatId};
use crate::types::tick::Tick;
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
    /// The addresses of all `HostId`s.
    pub names: &'a HostTable,
    /// This worker's allocation positions, by [`crate::types::id::SnatId`].
    pub turns: &'a mut [Turns],
    /// The worker, and the number of all.
    pub worker: (u16, u16),
    /// The time.
    pub now: Tick,
}

impl Pools<'_> {
    /// Allocates a port of the SNAT address `id`, for a client's connection or transfer with this server.
    pub fn take(
        &mut self,
        id: SnatId,
        protocol: u8,
        client: HostId,
        server: ServerId,
    ) -> Option<SeenAs> {
        let by = Taker { entry: self.names.rss_entry(client), now: self.now };
        let turn = self.turns[id.index()].of(protocol, by.entry);
        let Taken { port, earlier } = self.snat[id.index()].of(protocol).take(turn, server, by)?;
        Some(SeenAs { endpoint: Endpoint { host: self.hosts[id.index()], port }, earlier })
    }

    /// Releases a port, if the endpoint is at a SNAT address, and the port one of this worker's.
    pub fn give_back(&mut self, endpoint: Endpoint, protocol: u8, rest: Rest) {
        let Some(id) = self.number(endpoint.host) else { return };
        let ports = self.snat[id.index()].of(protocol);
        let (worker, workers) = self.worker;
        let owner = ports.owner(endpoint.port);
        if let Some(entry) = owner.filter(|entry| entry.worker(workers) == worker) {
            ports.give_back(self.turns[id.index()].of(protocol, entry), endpoint.port, rest);
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
