//! How packets reach a service's backends and how the answers come back: one file a mode. A mode
//! settles, once a transfer, what its server sees; the packets then only follow their flow.

mod dsr;
mod nat;
mod snat;

use crate::flow::hosts::{Endpoint, Host};
use crate::flow::ports::Ports;
use crate::tables::Mode;
use crate::tick::Tick;
use crate::verdict::Step;
use std::net::IpAddr;

/// What a mode settles for its service's transfers.
pub trait Rules {
    /// Whether the backend's answers come through us.
    fn answers_seen(&self) -> bool;

    /// The endpoint that the backend at this address is to see as this client, for one transfer.
    fn seen_as(&self, client: Endpoint, by: &IpAddr, pools: &mut Pools) -> Step<Endpoint>;

    /// The transfer that had this endpoint is over.
    fn release(&self, seen_as: Endpoint, ended_well: bool, pools: &mut Pools);
}

/// The rules of a mode.
pub fn rules(mode: &Mode) -> &dyn Rules {
    match mode {
        Mode::Dsr => &dsr::Dsr,
        Mode::Nat => &nat::Nat,
        Mode::Snat(pool) => pool,
    }
}

/// The ports of all SNAT addresses that are this worker's, at one moment.
pub struct Pools<'a> {
    /// By [`crate::tables::SnatId`].
    pub ports: &'a mut [Ports],
    /// The addresses that they are of.
    pub hosts: &'a [Host],
    /// The moment.
    pub now: Tick,
}

impl Pools<'_> {
    /// A port of this address of ours.
    pub fn take_of(&mut self, host: Host) -> Option<Endpoint> {
        let id = self.hosts.iter().position(|&known| known == host)?;
        let port = self.ports[id].take(self.now)?;
        Some(Endpoint { host, port })
    }
}
