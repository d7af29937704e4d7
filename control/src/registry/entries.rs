//! The registry's entries: the owners of numbers, as far as running transfers depend on them.

use super::stored_protocol::StoredProtocol;
use crate::config::{Held, Mode};
use engine::snapshot::Protocol;
use engine::types::id::{InterfaceId, ServerId, ServiceId, VipId};
use engine::types::next_hop::NextHop;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;
use wire::ethernet::Mac;

/// An entry of the registry, and whether it was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<T> {
    /// The owner of the number.
    pub what: T,
    /// The entry's presence in the configuration.
    pub presence: Presence,
}

impl<T> Entry<T> {
    /// Whether the entry was removed, and may still have transfers.
    pub fn is_leaving(&self) -> bool {
        self.presence == Presence::Leaving
    }

    /// Releases the entry if it is leaving and not used; returns whether it was released.
    pub(super) fn release(&mut self, used: bool) -> bool {
        let goes = self.is_leaving() && !used;
        if goes {
            self.presence = Presence::Gone;
        }
        goes
    }
}

/// The entries that are not gone, with their ids, made by `id`: first those that are leaving, so that configured ones
/// override them.
pub fn present<I, T>(id: fn(u16) -> I, entries: &[Entry<T>]) -> impl Iterator<Item = (I, &T)> {
    [Presence::Leaving, Presence::Configured].into_iter().flat_map(move |presence| {
        let some = (0..).zip(entries).filter(move |(_, entry)| entry.presence == presence);
        some.map(move |(number, entry)| (id(number), &entry.what))
    })
}

/// The presence of an entry in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// The configuration has it.
    Configured,
    /// The configuration no longer has it; transfers may still use it.
    Leaving,
    /// The configuration no longer has it, and no transfer uses it.
    Gone,
}

/// A service, as far as its running transfers depend on it. With another protocol, port or mode it is another
/// service: running transfers go on under the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The name, for operators.
    pub name: String,
    /// The protocol of the service's clients.
    #[serde(with = "StoredProtocol")]
    pub protocol: Protocol,
    /// The service's port.
    pub port: u16,
    /// The way packets reach the backends.
    pub means: Means,
    /// Silence after which a transfer is given up, as last configured.
    pub idle_timeout: Duration,
    /// Silence after which a half-open or closing TCP connection is given up.
    pub transitory_timeout: Duration,
    /// Clients whose data connections are still accepted; empty: all clients.
    pub allow_clients: Vec<IpNet>,
}

/// A mode without its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Means {
    /// Direct server return.
    Dsr,
    /// Destination NAT.
    Nat,
    /// Destination and source NAT.
    Snat,
}

impl Means {
    /// The mode of a configured service, without its addresses.
    pub fn of(mode: &Mode) -> Means {
        match mode {
            Mode::Dsr => Means::Dsr,
            Mode::Nat => Means::Nat,
            Mode::Snat(_) => Means::Snat,
        }
    }

    /// The name that operators see.
    pub fn name(self) -> &'static str {
        match self {
            Means::Dsr => "dsr",
            Means::Nat => "nat",
            Means::Snat => "nat + snat",
        }
    }
}

/// A backend, as far as its running transfers depend on it. With another address or other aliases it is another
/// backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The number of the backend's service.
    pub(super) service: u16,
    /// The name, for operators.
    pub name: String,
    /// The backend's address.
    pub address: IpAddr,
    /// Other addresses that the backend may answer from.
    pub aliases: Vec<IpAddr>,
    /// The server's number.
    pub(super) server: u16,
    /// The ports of passive data connections, and their VIPs.
    pub(super) data: Option<(RangeInclusive<u16>, Vec<u16>)>,
    /// The backend's interface and configured hardware address, if the kernel need not resolve it.
    pub(super) fixed: Option<(u8, [u8; 6])>,
    /// Further configured hardware addresses that the backend sends from.
    #[serde(default)]
    pub(super) also_from: Vec<[u8; 6]>,
}

impl Backend {
    /// The backend's service.
    pub fn service(&self) -> ServiceId {
        ServiceId(self.service)
    }

    /// The server that the backend is.
    pub fn server(&self) -> ServerId {
        ServerId(self.server)
    }

    /// The ports that the backend's clients' data connections go to, and on which VIPs.
    pub fn data(&self) -> Option<(&RangeInclusive<u16>, impl Iterator<Item = VipId>)> {
        let (ports, on) = self.data.as_ref()?;
        Some((ports, on.iter().copied().map(VipId)))
    }

    /// The configured next hop, which the kernel need not resolve.
    pub fn fixed_hop(&self) -> Option<NextHop> {
        self.fixed
            .map(|(interface, mac)| NextHop { interface: InterfaceId(interface), mac: Mac(mac) })
    }

    /// The configured hardware addresses that the backend sends from.
    pub fn fixed_macs(&self) -> impl Iterator<Item = Mac> {
        let first = self.fixed.map(|(_, mac)| mac);
        first.into_iter().chain(self.also_from.iter().copied()).map(Mac)
    }
}

/// A VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vip {
    /// The VIP's address and interface.
    pub held: Held,
    /// Whether clients may broadcast requests.
    pub broadcast: bool,
}

/// A group of backends: those of a rule, or of all other requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BackendGroup {
    pub(super) service: u16,
    /// The index of the rule; `None`: requests without a rule. A rule that moves loses its clients' persistence.
    pub(super) rule: Option<u16>,
}
