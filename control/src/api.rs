//! The socket's whole protocol: JSON-RPC 2.0, a line a message. One enum of requests, a struct for
//! each answer, one enum of errors.

mod flows;
mod ways;

pub use flows::{Connection, DEFAULT_LIMIT, Flow, Flows, MAX_LIMIT, Which};
pub use ways::{Asker, Choice, Few, NatRule, PassedOver, Route, Routes};

use crate::config::Change;
use crate::standing;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::net::IpAddr;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "lowercase")]
pub enum Request {
    /// Answered by [`Status`].
    Status {},
    /// Answered by a list of [`Service`].
    Services {},
    /// Answered by a list of [`Backend`].
    Backends {},
    /// Answered by [`Flows`].
    Flows(Which),
    /// Answered by [`Stats`].
    Stats {},
    /// Answered by a list of [`NatRule`], in the configuration's order.
    Nat {},
    /// Answered by [`Routes`].
    Routes(Few),
    /// Answered by [`Choice`].
    Hash(Asker),
    /// Gives a backend an order; answered by its [`Backend`].
    Order(Order),
    /// Gives a backend a weight; answered by its [`Backend`].
    Weight(Weight),
    /// Reads the configuration's file again; answered by [`Reload`].
    Reload(How),
}

/// An order to a backend, in force until another order, whatever the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The backend's service.
    pub service: String,
    /// The backend's name there.
    pub backend: String,
    /// The order.
    pub order: standing::Order,
}

/// A backend's share of new transfers, in force until another order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The backend's service.
    pub service: String,
    /// The backend's name there.
    pub backend: String,
    /// From 0 to [`MOST_WEIGHT`]; the file's: as if there had been no order.
    pub weight: u16,
}

/// The largest weight.
pub const MOST_WEIGHT: u16 = 1000;

/// How the file is to be read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct How {
    /// Only to see what would change.
    #[serde(default)]
    pub check: bool,
}

/// The outcome of reading the file again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reload {
    /// How it differs from the configuration that was in force.
    pub changes: Vec<Change>,
    /// Settings changed by command, which stay so.
    pub kept: Vec<String>,
    /// Losses of ours in the kernel, a line for each interface and device. It has them again, unless it was only
    /// looked at; the log says what could not be put back.
    #[serde(default)]
    pub lost: Vec<String>,
    /// Whether it is in force now.
    pub applied: bool,
}

/// The daemon as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Of Tidegate.
    pub version: String,
    /// Seconds since the start.
    pub uptime: u64,
    /// CPU cores, by worker.
    pub workers: Vec<Worker>,
    /// In the configuration's order.
    pub interfaces: Vec<Interface>,
    /// Transfers and connections now.
    pub transfers: u64,
}

/// A worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Worker {
    /// The CPU core that it is pinned on.
    pub core: u16,
    /// Frames from the devices.
    pub received: u64,
    /// Frames forwarded.
    pub transmitted: u64,
    /// Frames dropped.
    pub dropped: u64,
}

/// An interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Interface {
    /// The interface's TAP in Linux.
    pub name: String,
    /// The device as configured.
    pub device: String,
    /// The VLANs that it is in there, the outer one first.
    pub vlans: Vec<u16>,
    /// DPDK's driver.
    pub driver: String,
    /// The hardware address.
    pub mac: String,
    /// Largest IP packet.
    pub mtu: u16,
    /// Receive queues in use.
    pub queues: u16,
    /// How the device spreads frames over them: `by source` or `by destination` address, so that a
    /// client's arrive at their worker; `its own way` or `none`, and they are handed over; `-` with one
    /// queue.
    pub rss: String,
    /// Traffic of the TAP, in frames.
    pub tap: Tap,
    /// Losses of the device, before a worker saw the frame or after.
    pub lost: Lost,
}

/// Frames that a device lost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Lost {
    /// Received while its queues were full.
    pub missed: u64,
    /// Received broken.
    pub broken: u64,
    /// Received while no buffer was free.
    pub no_buffer: u64,
    /// Received, larger than the MTU.
    pub oversized: u64,
    /// Not sent.
    pub unsent: u64,
}

/// Traffic of one TAP, in frames.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tap {
    /// Given to the kernel.
    pub to_kernel: u64,
    /// Refused by the kernel.
    pub refused: u64,
    /// From the kernel.
    pub from_kernel: u64,
    /// From the kernel, dropped for want of a buffer or a place.
    pub no_room: u64,
}

/// A service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// As configured.
    pub name: String,
    /// Where clients find it.
    pub vips: Vec<IpAddr>,
    /// The port that they go to; 0: to all.
    pub port: u16,
    /// `tftp`, `ftp`, `tcp`, `udp` or `any`.
    pub protocol: String,
    /// `dsr`, `nat` or `nat + snat`.
    pub mode: String,
    /// `live` while the kernel holds all its VIPs, `vip down` while it holds none, else `partly live`.
    pub state: String,
    /// Transfers and connections now.
    pub transfers: u64,
    /// Since the start.
    pub totals: Counts,
    /// Requests that it refused since the start, by what they were refused for.
    pub refused: Counts,
}

/// A backend.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backend {
    /// The backend's service.
    pub service: String,
    /// As configured.
    pub name: String,
    /// The backend's address.
    pub address: IpAddr,
    /// The backend's share of new transfers.
    pub weight: u16,
    /// The share that the file says.
    pub file_weight: u16,
    /// `draining` or `disabled` by order; `unresolved` while its next hop is not known; `down` by its health checks;
    /// `suspected` or `ejected` when it leaves clients without an answer; else `up`. `removed` while transfers still
    /// run on one that the configuration no longer has.
    pub state: String,
    /// The verdict of health checks; `null` without any.
    pub check: Option<Check>,
    /// The next hop's hardware address.
    pub next_hop: Option<String>,
    /// Transfers and connections now.
    pub transfers: u64,
    /// Since the start.
    pub totals: Counts,
}

/// The verdict of a backend's health checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// `passed`, `failed`, or `pending` before the first verdict.
    pub verdict: String,
    /// Seconds since that verdict.
    pub since: Option<u64>,
    /// The last check's finding, in a few words; empty: there is nothing to say.
    pub last: String,
}

/// Counters by name, in the order of the dataplane's list.
pub type Counts = serde_json::Map<String, Value>;

/// Counters since the start. Received, taken over and from the kernel add up to transmitted,
/// answered, to the kernel, handed over and all drops.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stats {
    /// Packets, of all workers.
    pub packets: Counts,
    /// Dropped packets by reason, of all workers.
    pub drops: Counts,
    /// The same for each worker.
    pub workers: Vec<WorkerStats>,
    /// Outcomes of transfers, of all services.
    pub transfers: Counts,
    /// Requests that services refused, by what they were refused for.
    pub refused: Counts,
    /// How long frames stayed in a worker, over all of them.
    pub latency: Latency,
    /// Of the frames from devices, the share that another worker owned, 0 to 1.
    pub handed_over_share: f64,
}

/// How long frames stayed in a worker: from before the receive call that brought them until after the
/// device had taken what became of them. In nanoseconds, to two digits, one time for each turn of a
/// worker that had frames: a burst, or up to four while they are full.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Turns with frames.
    pub turns: u64,
    /// Half of them took at most this long.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p99_9: u64,
    /// The longest.
    pub max: u64,
}

/// One worker's counters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerStats {
    /// The worker's CPU core.
    pub core: u16,
    /// Packets.
    pub packets: Counts,
    /// Dropped packets by reason.
    pub drops: Counts,
    /// How long frames stayed in it.
    pub latency: Latency,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No JSON.
    Parse(String),
    /// No request of JSON-RPC 2.0.
    Request(String),
    /// A method that there is not.
    Method(String),
    /// Parameters that the method does not take.
    Params(String),
    /// A name that the configuration does not have.
    Unknown(String),
    /// A worker does not answer.
    Silent(String),
    /// The request can't be fulfilled; nothing was changed.
    Refused(String),
    /// The line is too long, or there are too many connections.
    Limit(String),
}

impl Error {
    /// The error's number: JSON-RPC's own, or one of ours.
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
