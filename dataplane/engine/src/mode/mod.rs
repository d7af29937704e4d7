//! How packets reach a service's backends and how the answers come back: one file a mode.

mod dsr;
mod nat;
mod snat;

use crate::flow::ports::Ports;
use crate::flow::record::Flow;
use crate::stage::admit::Datagram;
use crate::tables::{Mode, Tables};
use crate::tick::Tick;
use crate::verdict::Step;
use std::net::SocketAddrV4;

/// What a mode does with its service's packets.
pub trait Rules {
    /// Whether the backend's answers come through us.
    fn answers_seen(&self) -> bool;

    /// The endpoint that the backend is to see as this client, for one transfer.
    fn seen_as(&self, client: SocketAddrV4, pools: &mut Pools) -> Step<SocketAddrV4>;

    /// The transfer that had this endpoint is over.
    fn release(&self, seen_as: SocketAddrV4, ended_well: bool, pools: &mut Pools);

    /// Rewrites a client's packet for the backend, which listens on `port`.
    fn to_backend(
        &self,
        packet: &mut Datagram,
        flow: &Flow,
        port: u16,
        tables: &Tables,
    ) -> Step<()>;

    /// Rewrites a backend's packet for the client.
    fn to_client(&self, packet: &mut Datagram, flow: &Flow, tables: &Tables) -> Step<()>;
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
