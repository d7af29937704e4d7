//! How packets reach a service's backends and how the answers come back: one file a mode. A mode
//! settles, once a transfer, what its server sees; the packets then only follow their flow.

mod dsr;
mod nat;
mod snat;

use crate::alg::tftp::earlier::Earlier;
use crate::flow::hosts::{Endpoint, Host};
use crate::flow::ports::{Holder, Rest, SnatAddress, Taken, Taker, Turn, kind};
use crate::tables::{Backend, Mode, ServerId};
use crate::verdict::Step;

/// What a mode settles for its service's transfers.
pub trait Rules {
    /// Whether the backend's answers come through us.
    fn answers_seen(&self) -> bool;

    /// What this backend is to see as this client, for one transfer by this protocol of IP's.
    fn seen_as(
        &self,
        client: Endpoint,
        backend: &Backend,
        protocol: u8,
        pools: &mut Pools,
    ) -> Step<SeenAs>;

    /// The transfer that had this endpoint is over, and this may still come of it.
    fn release(&self, seen_as: Endpoint, protocol: u8, rest: Rest, pools: &mut Pools);
}

/// The rules of a mode.
pub fn rules(mode: &Mode) -> &dyn Rules {
    match mode {
        Mode::Dsr => &dsr::Dsr,
        Mode::Nat => &nat::Nat,
        Mode::Snat(pool) => pool,
    }
}

/// What a backend sees as its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenAs {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Transfers before, of which the backend may still send there.
    pub earlier: Earlier,
}

impl From<Endpoint> for SeenAs {
    fn from(endpoint: Endpoint) -> SeenAs {
        SeenAs { endpoint, earlier: Earlier::NONE }
    }
}

/// The ports of all SNAT addresses, as a worker takes them at one moment.
pub struct Pools<'a> {
    /// The addresses, by [`crate::tables::SnatId`].
    pub snat: &'a [SnatAddress],
    /// Their names.
    pub hosts: &'a [Host],
    /// How far this worker has got with them, by [`kind`].
    pub turns: &'a mut [[Turn; 2]],
    /// The worker and the moment.
    pub by: Taker,
}

impl Pools<'_> {
    /// A port of the address with this number, for a connection or transfer with this server.
    pub fn take(&mut self, id: usize, protocol: u8, server: ServerId) -> Option<SeenAs> {
        let turn = &mut self.turns[id][kind(protocol)];
        let Taken { port, earlier } = self.snat[id].of(protocol).take(turn, server, self.by)?;
        Some(SeenAs { endpoint: Endpoint { host: self.hosts[id], port }, earlier })
    }

    /// The same of the address with this name.
    pub fn take_of(&mut self, host: Host, protocol: u8, server: ServerId) -> Option<SeenAs> {
        let id = self.number(host)?;
        self.take(id, protocol, server)
    }

    /// Gives a port back, if it is one of an address of ours.
    pub fn give_back(&mut self, endpoint: Endpoint, protocol: u8, rest: Rest) {
        if let Some(id) = self.number(endpoint.host) {
            let turn = &mut self.turns[id][kind(protocol)];
            self.snat[id].of(protocol).give_back(turn, endpoint.port, rest, self.by);
        }
    }

    /// A port that was taken is this one's, if it is of an address of ours.
    pub fn note(&self, endpoint: Endpoint, protocol: u8, holder: Holder) {
        if let Some(id) = self.number(endpoint.host) {
            self.snat[id].of(protocol).note(endpoint.port, holder);
        }
    }

    fn number(&self, host: Host) -> Option<usize> {
        self.hosts.iter().position(|&known| known == host)
    }
}
