//! How packets reach a service's backends and how the answers come back: one file a mode. A mode
//! settles, once a transfer, what its server sees; the packets then only follow their flow.

mod dsr;
mod nat;
mod snat;

use crate::flow::ports::Ports;
use crate::tables::{Mode, Tables};
use crate::tick::Tick;
use crate::verdict::Step;
use std::net::SocketAddrV4;

/// What a mode settles for its service's transfers.
pub trait Rules {
    /// Whether the backend's answers come through us.
    fn answers_seen(&self) -> bool;

    /// The endpoint that the backend is to see as this client, for one transfer.
    fn seen_as(&self, client: SocketAddrV4, pools: &mut Pools) -> Step<SocketAddrV4>;

    /// The transfer that had this endpoint is over.
    fn release(&self, seen_as: SocketAddrV4, ended_well: bool, pools: &mut Pools);
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
    /// Which addresses they are of.
    pub tables: &'a Tables,
    /// The moment.
    pub now: Tick,
}
