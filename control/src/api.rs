//! The socket's whole protocol: JSON-RPC 2.0, a line a message. One enum of requests, a struct for
//! each answer, one enum of errors.

mod capture;
mod drops;
mod flows;
mod frame;
mod gate;
mod log;
mod pair;
mod ready;
mod routes;
mod stats;
mod status;

pub use capture::{AddressNames, CaptureFilter, CaptureStart, Captured, CapturedFrame, FrameFlow};
pub use drops::{DropCount, DroppedFrame, DroppedFrames, Reason};
pub use flows::{Connection, DEFAULT_LIMIT, Flow, Flows, MAX_LIMIT, Which};
pub use frame::FrameBytes;
pub use gate::{Gate, GateOrder, ToGate};
pub use log::{ClientCounts, ClientRow, Clients, Log, LogLine, Newer};
pub use pair::{Pair, PairAddress, PairLink};
pub use ready::{Needed, Readiness};
pub use routes::{Asker, Choice, Few, NatRule, PassedOver, Route, Routes};
pub use stats::{Counts, Latency, Stats, WorkerStats};
pub use status::{
    Backend, Check, Conflict, Interface, LastReload, Link, Lost, Service, Status, Tap, Worker,
};

use crate::backend_status;
use crate::config::Change;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "lowercase")]
pub enum Request {
    /// Asks for the daemon's [`Status`].
    Status {},
    /// Asks for the [`Readiness`].
    Ready(Needed),
    /// Asks for the [`Pair`].
    Pair {},
    /// Asks for a list of [`Service`].
    Services {},
    /// Asks for a list of [`Backend`].
    Backends {},
    /// Asks for [`Flows`].
    Flows(Which),
    /// Asks for the [`Log`].
    Log(Newer),
    /// Asks for the [`Clients`].
    Clients(Few),
    /// Asks for [`Stats`].
    Stats {},
    /// Asks for a list of [`DropCount`].
    Drops {},
    /// Asks for the [`DroppedFrames`] of a reason.
    Dropped(Reason),
    /// Asks for a [`CaptureStart`], and what follows it.
    Capture(CaptureFilter),
    /// Asks for a list of [`NatRule`], in the configuration's order.
    Nat {},
    /// Asks for [`Routes`].
    Routes(Few),
    /// Asks for the [`Choice`] of a backend.
    Hash(Asker),
    /// Sets a backend's administrative state; answered by its [`Backend`].
    Order(Order),
    /// Sets a backend's weight; answered by its [`Backend`].
    Weight(Weight),
    /// Drains the gate or enables it; answered by [`Gate`].
    Gate(ToGate),
    /// Reads the configuration file again; answered by [`Reload`].
    Reload(How),
}

/// A backend's administrative state, in force until another order, whatever the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The backend's service.
    pub service: String,
    /// The backend's name there.
    pub backend: String,
    /// The state.
    pub order: backend_status::AdminState,
}

/// A backend's weight, in force until another order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The backend's service.
    pub service: String,
    /// The backend's name there.
    pub backend: String,
    /// The weight, from 0 to [`MOST_WEIGHT`]. The file's weight undoes an order.
    pub weight: u16,
}

/// The largest weight.
pub const MOST_WEIGHT: u16 = 1000;

/// Options of a reload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct How {
    /// Whether to only show what would change.
    #[serde(default)]
    pub check: bool,
}

/// The outcome of a reload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reload {
    /// Differences from the configuration that was active.
    pub changes: Vec<Change>,
    /// Settings that were changed by command, and stay so.
    pub kept: Vec<String>,
    /// Addresses, routes and settings that the kernel had lost, a line for each interface and device. A reload
    /// restores them, a check does not; the log has those that could not be restored.
    #[serde(default)]
    pub lost: Vec<String>,
    /// Whether the new configuration is active now.
    pub applied: bool,
}

/// An error instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A line that is not JSON.
    Parse(String),
    /// A message that is not a request of JSON-RPC 2.0.
    Request(String),
    /// An unknown method.
    Method(String),
    /// Parameters that the method does not take.
    Params(String),
    /// A name that the configuration does not have.
    Unknown(String),
    /// A worker that does not answer.
    Silent(String),
    /// A request that can't be fulfilled; nothing was changed.
    Refused(String),
    /// A line that is too long, or too many connections.
    Limit(String),
}

impl Error {
    /// The error's code: one of JSON-RPC's, or one of ours.
    pub fn code(&self) -> i64 {
        match self {
            Error::Parse(_) => -32700,
            Error::Request(_) => -32600,
            Error::Method(_) => -32601,
            Error::Params(_) => -32602,
            Error::Unknown(_) => 1,
            Error::Silent(_) => 2,
            Error::Limit(_) => 3,
            Error::Refused(_) => 4,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Parse(what) => write!(f, "no JSON: {what}"),
            Error::Request(what) => write!(f, "no JSON-RPC 2.0 request: {what}"),
            Error::Method(name) => write!(f, "there is no method `{name}`"),
            Error::Params(what) => write!(f, "wrong parameters: {what}"),
            Error::Unknown(what)
            | Error::Silent(what)
            | Error::Limit(what)
            | Error::Refused(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}
