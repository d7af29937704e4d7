//! The answer with the state of the pair.

use super::stats::Counts;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The pair, as this gate sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The endpoint that this gate listens on.
    pub listen: String,
    /// The other gate's endpoint.
    pub peer: String,
    /// The role: `active` while this gate holds all addresses, `standby` while it holds none, else `partly active`.
    pub role: String,
    /// Whether all flows of each gate were told to the other one, which has taken them in, to this moment but for a round or
    /// two.
    pub in_step: bool,
    /// The link on which this gate tells its flows.
    pub telling: PairLink,
    /// The link on which it hears of the peer's.
    pub hearing: PairLink,
    /// Rows of the peer's that were refused since the start, by reason.
    pub refused: Counts,
    /// Whether the peer refuses rows of this gate.
    pub refused_by_peer: bool,
    /// VIPs and SNAT addresses, and who holds them.
    pub addresses: Vec<PairAddress>,
    /// The interfaces by which clients' packets of the peer's flows go on to it, while both gates hold a VIP.
    pub second_chance_by: Vec<String>,
}

/// One direction of the link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairLink {
    /// The peer's version, while there is a link.
    pub version: Option<String>,
    /// Links since the start. Each begins with all flows.
    pub links: u64,
    /// Rows since the start.
    pub rows: u64,
    /// Seconds since the last round that came to its end; `null` before the first one.
    pub lag: Option<f64>,
}

/// An address of the pair's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairAddress {
    /// The address.
    pub address: IpAddr,
    /// Whether this gate's kernel holds it.
    pub held: bool,
    /// Whether the peer's does; `null`: the peer is not heard.
    pub held_by_peer: Option<bool>,
}
