//! NAT rules for connections that servers open, the kernel's routes, and the choice of a backend.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A NAT rule for connections that servers open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatRule {
    /// The servers' network.
    pub from: IpNet,
    /// The protocol: `tcp` or `udp`.
    pub protocol: String,
    /// The source port; `null`: any.
    pub source_port: Option<u16>,
    /// The VIP that becomes the source address.
    pub to: IpAddr,
    /// Connections under the rule so far.
    pub hits: u64,
}

/// A limit for lists of routes or clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Few {
    /// The most entries of each list; [`super::DEFAULT_LIMIT`] if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The kernel's routes over our interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// The number of routes, even if fewer are listed.
    pub matching: usize,
    /// The routes, ordered by address.
    pub routes: Vec<Route>,
}

/// A route over one of our interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination. A neighbour on a link is a route to itself.
    pub to: IpNet,
    /// The gateway; `null`: the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub interface: String,
    /// The next hop's hardware address; `null` while the kernel does not know it.
    pub mac: Option<String>,
}

/// A client and a service, for which a backend would be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asker {
    /// The service.
    pub service: String,
    /// The client's address.
    pub client: IpAddr,
}

/// The backend that a client would get now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The service.
    pub service: String,
    /// The client's address.
    pub client: IpAddr,
    /// The worker that the client belongs to.
    pub worker: u16,
    /// The backend; `null`: none.
    pub backend: Option<String>,
    /// The rule that decides: `bound`, by open control connections or datagrams to an `any` service; `persistence`;
    /// `round-robin`, `least-transfers` or `source-hash`; `file-hash`, where the file decides; or `access`: the
    /// client is not allowed.
    pub by: String,
    /// Backends that would come before the chosen one: the remembered one, and the scheduler's next. If none is
    /// chosen: the one that the client is bound to, or all backends for this client.
    pub passed_over: Vec<PassedOver>,
}

/// A backend that a client does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// The backend's name.
    pub backend: String,
    /// The reason: a [`super::Backend::state`], `full`, `warming up` or `weight 0`; `up` if the reason is gone by
    /// now.
    pub why: String,
}
