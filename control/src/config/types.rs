//! The checked configuration: only what can be true.

mod device;
mod health;
mod protocol;

pub use device::Device;
pub use health::{Canary, Health, Login, Probe, Program, User};
pub use protocol::{Ftp, Protocol};

use engine::policy::{Access, OptionLimits, Rule};
use engine::select::rota::Scheduler;
use engine::select::sticky;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use wire::ethernet::Mac;
use wire::vlan::{self, Vlans};
use worker::links::Link;

/// The whole configuration. `interface` fields are indices into [`Config::interfaces`]: the
/// interface that reaches the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The dataplane as a whole.
    pub dataplane: Dataplane,
    /// The operator's way in.
    pub control: Control,
    /// At least one.
    pub interfaces: Vec<Interface>,
    /// At least one.
    pub services: Vec<Service>,
    /// Rules for servers' own connections; the first one that fits counts.
    pub nat: Vec<NatRule>,
}

impl Config {
    /// The interface that is the first one on each device. What is the device's own is said there.
    pub fn devices(&self) -> Vec<&Interface> {
        let mut devices: Vec<&Interface> = vec![];
        for interface in &self.interfaces {
            if devices.iter().all(|other| other.device != interface.device) {
                devices.push(interface);
            }
        }
        devices
    }

    /// The place of each interface on its device, by the place in [`Config::devices`].
    pub fn links(&self) -> Vec<Link> {
        let devices = self.devices();
        let link = |interface: &Interface| {
            let port = devices.iter().position(|first| first.device == interface.device);
            Link { port: port.unwrap_or_default(), vlans: interface.vlans }
        };
        self.interfaces.iter().map(link).collect()
    }

    /// The MTU that a device needs: the largest of its interfaces', and room for their tags.
    pub fn device_mtu(&self, device: &Device) -> u16 {
        let on = self.interfaces.iter().filter(|interface| interface.device == *device);
        on.map(|interface| interface.mtu + interface.tag_room()).max().unwrap_or_default()
    }
}

/// Cores and memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataplane {
    /// A CPU core for each worker; at least one, none twice.
    pub workers: Vec<u16>,
    /// Whether DPDK's memory lies in hugepages.
    pub hugepages: bool,
    /// DPDK's memory in MiB.
    pub memory_mib: u32,
    /// Transfers that each worker has room for.
    pub max_flows: u32,
    /// Blocks a second, over all downloads that another server goes on with after their own has died, up to where
    /// their clients are.
    pub failover_rate: u32,
    /// Further arguments for DPDK.
    pub eal_args: Vec<String>,
}

/// The operator's way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The Unix socket.
    pub socket: PathBuf,
}

/// A port of the appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The TAP that Linux sees.
    pub name: String,
    /// The device that DPDK drives.
    pub device: Device,
    /// The VLANs that it is in on its device.
    pub vlans: Vlans,
    /// At least one; the subnets of different interfaces don't overlap.
    pub addresses: Vec<IpNet>,
    /// The routers to everywhere else, at most one of each version of IP; neighbours.
    pub gateways: Vec<IpAddr>,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
    /// Receive queues; `None`: one for each worker.
    pub queues: Option<u16>,
    /// Places in each receive queue.
    pub rx_ring: u16,
    /// Places in each transmit queue.
    pub tx_ring: u16,
    /// Frames that are taken from a queue at once.
    pub burst: u16,
}

impl Interface {
    /// The part of its device's MTU that its tags take. For a single one devices have room beside it, and so has
    /// Linux, but not for a provider's.
    pub fn tag_room(&self) -> u16 {
        match self.vlans.size() {
            vlan::TAG => 0,
            tags => tags as u16,
        }
    }
}

/// One protocol on one VIP and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// For operators.
    pub name: String,
    /// The protocol of its clients.
    pub protocol: Protocol,
    /// Where clients find it; at least one.
    pub vips: Vec<Held>,
    /// The port that its clients go to; 0: all.
    pub port: u16,
    /// How packets reach the backends.
    pub mode: Mode,
    /// How it chooses among its backends.
    pub scheduler: Scheduler,
    /// How long a backend that comes back gets less than its share.
    pub slow_start: Option<Duration>,
    /// Silence after which a transfer or connection is given up.
    pub idle_timeout: Duration,
    /// The same for a TCP connection that is not yet open, or about to be closed.
    pub transitory_timeout: Duration,
    /// How long clients' datagrams go on to a backend that drains; `None`: transfers and connections end by themselves.
    pub drain_timeout: Option<Duration>,
    /// How a client stays with its backend.
    pub persistence: Option<Persistence>,
    /// Whether its clients may send to everybody on the VIPs' interfaces.
    pub broadcast: bool,
    /// Whether another backend goes on with the downloads of one that dies.
    pub failover: bool,
    /// The limits of what its clients may ask for.
    pub access: Access,
    /// The limits of their requests' options.
    pub options: OptionLimits,
    /// Which requests are for some of its backends alone, and for which: by their places among them.
    pub rules: Vec<(Rule, Vec<usize>)>,
    /// How its backends are checked; `None`: not at all.
    pub health: Option<Health>,
    /// At least one with a weight above zero.
    pub backends: Vec<Backend>,
}

impl Service {
    /// Whether clients of this VIP go to this backend. Behind a pool their version of IP does not matter to it.
    pub fn leads_to(&self, vip: IpAddr, backend: &Backend) -> bool {
        match self.mode {
            Mode::Snat(_) => true,
            Mode::Dsr | Mode::Nat => vip.is_ipv6() == backend.address.is_ipv6(),
        }
    }
}

/// How a client stays with its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    /// After its last request.
    pub length: Duration,
    /// All clients with so many bits of their addresses in common stay together: over IPv4, over IPv6.
    pub prefixes: [u8; 2],
}

impl Persistence {
    /// Whether networks stay together, and not only each client, over IPv4 or over IPv6.
    pub fn is_of_networks(&self, v6: bool) -> bool {
        let place = usize::from(v6);
        self.prefixes[place] < sticky::WHOLE[place]
    }
}

/// How packets reach a service's backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Direct server return.
    Dsr,
    /// Destination NAT.
    Nat,
    /// Destination NAT and source NAT with these addresses.
    Snat(Vec<Held>),
}

/// An address that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The address.
    pub address: IpAddr,
    /// The interface that holds it.
    pub interface: usize,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// For operators; unique in its service.
    pub name: String,
    /// The backend's address.
    pub address: IpAddr,
    /// Other addresses that it may answer from.
    pub aliases: Vec<IpAddr>,
    /// The backend's hardware address, if the kernel is not to be asked for it.
    pub mac: Option<Mac>,
    /// Others that it sends from then.
    pub also_from: Vec<Mac>,
    /// The backend's share of new transfers.
    pub weight: u16,
    /// The most transfers that it has at a time.
    pub max_transfers: Option<u32>,
    /// The ports that its clients' data connections go to.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// The interface that reaches it.
    pub interface: usize,
}

/// A rule for connections that a server opens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NatRule {
    /// From here.
    pub from: IpNet,
    /// The protocol of IP's.
    pub protocol: u8,
    /// From this port; `None`: from any.
    pub source_port: Option<u16>,
    /// The VIP that they leave as.
    pub to: IpAddr,
}
