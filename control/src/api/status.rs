//! Answers with the state of the daemon, its services and its backends.

use super::stats::Counts;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The daemon as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Tidegate's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime: u64,
    /// The workers.
    pub workers: Vec<Worker>,
    /// The interfaces, in the configuration's order.
    pub interfaces: Vec<Interface>,
    /// Transfers and connections now.
    pub transfers: u64,
    /// The last reload, whoever asked for it; `null` before the first one.
    #[serde(default)]
    pub last_reload: Option<LastReload>,
    /// Whether the operator has drained the gate.
    #[serde(default)]
    pub drained: bool,
    /// Addresses that both gates of a pair hold.
    #[serde(default)]
    pub pair_conflicts: usize,
}

/// The outcome of the last reload. One that only checks is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReload {
    /// Whether the file is in force. If not, the configuration before it still is.
    pub successful: bool,
    /// The time of its end, in seconds since 1970 (Unix time).
    pub at: u64,
}

/// A worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Worker {
    /// The CPU core that the worker is pinned on.
    pub core: u16,
    /// Frames from the devices.
    pub received: u64,
    /// Frames forwarded.
    pub transmitted: u64,
    /// Frames dropped.
    pub dropped: u64,
    /// Seconds of turns that moved frames.
    #[serde(default)]
    pub busy: f64,
    /// Seconds of turns that found no frames.
    #[serde(default)]
    pub idle: f64,
}

/// An interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Interface {
    /// The interface's TAP in Linux.
    pub name: String,
    /// The device as configured.
    pub device: String,
    /// The interface's VLANs on the device, the outer one first.
    pub vlans: Vec<u16>,
    /// DPDK's driver.
    pub driver: String,
    /// The hardware address.
    pub mac: String,
    /// The largest IP packet.
    pub mtu: u16,
    /// Receive queues in use.
    pub queues: u16,
    /// How the device spreads frames over its queues: `by source` or `by destination` address, so that a client's
    /// frames arrive at their worker; `its own way` or `none`, and frames are handed over in software; `-` with one
    /// queue.
    pub rss: String,
    /// Traffic of the TAP, in frames.
    pub tap: Tap,
    /// Frames that the device lost.
    pub lost: Lost,
    /// The device's link.
    #[serde(default)]
    pub link: Link,
    /// Other hosts that claim addresses of ours.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
}

/// A conflict: another host on the link claims an address that the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The address.
    pub address: IpAddr,
    /// The other host's hardware address.
    pub mac: String,
}

/// The state of a device's link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whether the link is up.
    #[serde(rename = "up")]
    pub is_up: bool,
    /// The speed in bytes per second; `null`: the device does not tell it.
    pub speed: Option<u64>,
}

/// Frames that a device lost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Lost {
    /// Frames that arrived while the receive queues were full.
    pub missed: u64,
    /// Frames that arrived broken.
    pub broken: u64,
    /// Frames that arrived while no buffer was free.
    pub no_buffer: u64,
    /// Received frames that were larger than the MTU.
    pub oversized: u64,
    /// Frames that could not be sent.
    pub unsent: u64,
}

/// Traffic of one TAP, in frames.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tap {
    /// Frames passed to the kernel.
    pub to_kernel: u64,
    /// Frames that the kernel refused.
    pub refused: u64,
    /// Frames from the kernel.
    pub from_kernel: u64,
    /// Frames from the kernel that were dropped: no buffer was free, or the ring was full.
    pub no_room: u64,
}

/// A service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// The service's name.
    pub name: String,
    /// The service's VIPs.
    pub vips: Vec<IpAddr>,
    /// The port; 0: all ports.
    pub port: u16,
    /// The protocol: `tftp`, `ftp`, `tcp`, `udp` or `any`.
    pub protocol: String,
    /// The mode: `dsr`, `nat` or `nat + snat`.
    pub mode: String,
    /// The party that adds the VIPs and SNAT addresses to the kernel: `ours` or `elsewhere`.
    #[serde(default)]
    pub addresses: String,
    /// The state: `live` while the kernel holds all VIPs, `vip down` while it holds none, else `partly live`. With
    /// `addresses` elsewhere it is `elsewhere` while the kernel holds none. `withdrawn`: Tidegate has taken all of them off,
    /// as no backend serves or the gate is drained. `pool down`: it holds VIPs, and no address of
    /// the SNAT pool, or none of an address family.
    pub state: String,
    /// Other hosts that claim the service's addresses.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// Transfers and connections now.
    pub transfers: u64,
    /// Counters.
    pub totals: Counts,
    /// Requests that were refused, by reason.
    pub refused: Counts,
}

/// A backend.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backend {
    /// The backend's service.
    pub service: String,
    /// The backend's name.
    pub name: String,
    /// The backend's address.
    pub address: IpAddr,
    /// The weight in force.
    pub weight: u16,
    /// The weight in the file.
    pub file_weight: u16,
    /// The most transfers and connections at a time; `null`: no limit.
    #[serde(default)]
    pub max_transfers: Option<u32>,
    /// The state: `draining` or `disabled` by order; `unresolved` while the next hop is not known; `down` by health
    /// checks; `suspected` or `ejected` by passive health; else `up`. `removed`: the configuration no longer has the
    /// backend, and transfers still run.
    pub state: String,
    /// The verdict of health checks; `null` without any.
    pub check: Option<Check>,
    /// The next hop's hardware address.
    pub next_hop: Option<String>,
    /// Transfers and connections now.
    pub transfers: u64,
    /// Counters.
    pub totals: Counts,
}

/// The verdict of a backend's health checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// The verdict: `passed`, `failed`, or `pending` before the first one.
    pub verdict: String,
    /// Seconds since that verdict.
    pub since: Option<u64>,
    /// The last check's finding in a few words, which may be empty.
    pub last: String,
}
