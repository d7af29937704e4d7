//! Where packets go, and why: rules for servers' own connections, the kernel's routes, and the choice of a backend.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A rule for connections that a server opens by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatRule {
    /// From here.
    pub from: IpNet,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// From this port; `null`: from any.
    pub source_port: Option<u16>,
    /// The VIP that they leave as.
    pub to: IpAddr,
    /// Connections so far.
    pub hits: u64,
}

/// How many routes are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Few {
    /// At most so many; [`super::DEFAULT_LIMIT`] if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The kernel's routes by our interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// All that there are, even if fewer are listed.
    pub matching: usize,
    /// By address.
    pub routes: Vec<Route>,
}

/// A route that leaves by one of our interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// To here. A station on a link is a route to itself.
    pub to: IpNet,
    /// By this router; `null`: it is on the link.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub interface: String,
    /// The next station's hardware address; `null` while the kernel does not know it.
    pub mac: Option<String>,
}

/// A client, whose choice of a backend is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asker {
    /// The service.
    pub service: String,
    /// The client's address.
    pub client: IpAddr,
}

/// Which backend a client would get now.
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
    /// The rule that decides: `bound`, which the client is by its control connections or by what it has sent to an `any`
    /// service; `persistence`, `round-robin`, `least-transfers`, `source-hash`, `file-hash`, which each file is dealt
    /// out by, or `access`: the client is not allowed to ask.
    pub by: String,
    /// The one that is remembered and the one whose turn it is, if it is another one; where there is no backend, the
    /// one that the client is bound to, or all that there are for this client.
    pub passed_over: Vec<PassedOver>,
}

/// A backend that a client does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// The backend's name.
    pub backend: String,
    /// A [`super::Backend::state`], `full`, `warming up` or `weight 0`; `up`, if nothing speaks against it any longer.
    pub why: String,
}
