//! Orders to the gate as a whole.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An order to the gate, in force until another order or the end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToGate {
    /// The order.
    pub order: GateOrder,
}

/// The kinds of orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateOrder {
    /// The gate serves.
    Enable,
    /// The gate gives up its addresses.
    Drain,
}

/// The gate after an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Whether the gate is drained.
    pub drained: bool,
    /// VIPs and SNAT addresses that the kernel holds.
    pub held: Vec<IpAddr>,
    /// Transfers and connections now.
    pub transfers: u64,
    /// Whether the other gate of a pair knows them; `null`: there is no pair.
    pub in_step: Option<bool>,
    /// Whether a drained gate can be stopped: it holds no address, and has no transfer that the other gate does not know.
    pub done: bool,
}
