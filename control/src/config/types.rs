//! The checked configuration, which can only hold values that make sense.

mod device;
mod health;
mod listen;
mod log;
mod pair;

pub use device::Device;
pub use health::{Canary, Health, Login, Probe, Program, User};
pub use listen::{HttpAccess, Listen};
pub use log::{LogFormat, LogOutput, LogTarget, Outcomes, REFUSED, WantedOutcomes};
pub use pair::Pair;

use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::persistence;
use engine::snapshot::Protocol;
use engine::snapshot::access::Access;
use engine::snapshot::option_limits::OptionLimits;
use engine::snapshot::rule::Rule;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use wire::ethernet::Mac;
use wire::vlan::{self, Vlans};
use worker::vlan_ports::VlanPort;

/// The whole configuration. `interface` fields are indices into [`Config::interfaces`]: the
/// interface that reaches the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The dataplane as a whole.
    pub dataplane: Dataplane,
    /// The operator's access.
    pub control: Control,
    /// The interfaces, at least one.
    pub interfaces: Vec<Interface>,
    /// The services, at least one.
    pub services: Vec<Service>,
    /// NAT rules for connections that servers open; the first one that matches counts.
    pub nat: Vec<NatRule>,
    /// Outputs of the log of transfers.
    pub logs: Vec<LogOutput>,
    /// The other gate of a pair; `None`: the gate is alone.
    pub pair: Option<Pair>,
}

impl Config {
    /// The first interface on each device, which has the device's settings.
    pub fn devices(&self) -> Vec<&Interface> {
        let mut devices: Vec<&Interface> = vec![];
        for interface in &self.interfaces {
            if devices.iter().all(|other| other.device != interface.device) {
                devices.push(interface);
            }
        }
        devices
    }

    /// The interfaces on a device.
    pub fn interfaces_on(&self, device: &Device) -> Vec<usize> {
        let all = self.interfaces.iter().enumerate();
        all.filter(|(_, interface)| interface.device == *device).map(|(id, _)| id).collect()
    }

    /// The port of each interface; devices are indices into [`Config::devices`].
    pub fn vlan_ports(&self) -> Vec<VlanPort> {
        let devices = self.devices();
        let link = |interface: &Interface| {
            let port = devices.iter().position(|first| first.device == interface.device);
            VlanPort { port: port.unwrap_or_default(), vlans: interface.vlans }
        };
        self.interfaces.iter().map(link).collect()
    }

    /// The MTU that a device needs: the largest of its interfaces, and room for their tags.
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
    /// Rows of each worker's transfer table.
    pub max_flows: u32,
    /// The rate limit, in blocks per second, for fetching data again that clients already have when their server
    /// dies.
    pub failover_rate: u32,
    /// Further arguments for DPDK.
    pub eal_args: Vec<String>,
}

/// The operator's access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The address of the metrics; `None`: there are none.
    pub metrics: Option<Listen>,
    /// The address of the web page; `None`: there is none.
    pub web: Option<Listen>,
    /// The clients of addresses that other hosts reach; `None`: there is no such address.
    pub http_access: Option<HttpAccess>,
}

/// An interface of the load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The TAP that Linux sees.
    pub name: String,
    /// The device that DPDK drives.
    pub device: Device,
    /// The interface's VLANs on its device.
    pub vlans: Vlans,
    /// The interface's addresses, at least one; the subnets of different interfaces don't overlap.
    pub addresses: Vec<IpNet>,
    /// The default gateways, at most one of each address family.
    pub gateways: Vec<IpAddr>,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Receive queues; `None`: one for each worker.
    pub queues: Option<u16>,
    /// Descriptors of each receive queue.
    pub rx_ring: u16,
    /// Descriptors of each transmit queue.
    pub tx_ring: u16,
    /// Frames that are received from a queue at once.
    pub burst: u16,
}

impl Interface {
    /// Bytes of the device's MTU that the interface's tags take. For a single tag devices and Linux have room beyond
    /// the MTU, but not for a provider's tag.
    pub fn tag_room(&self) -> u16 {
        match self.vlans.size() {
            vlan::TAG => 0,
            tags => tags as u16,
        }
    }
}

/// A service: one protocol on VIPs and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The service's name, for operators.
    pub name: String,
    /// The protocol of the service's clients.
    pub protocol: Protocol,
    /// The VIPs, at least one.
    pub vips: Vec<Held>,
    /// The port; 0: all ports.
    pub port: u16,
    /// How packets reach the backends.
    pub mode: Mode,
    /// The party that adds the VIPs and SNAT addresses to the kernel.
    pub addresses: Addresses,
    /// When the VIPs are announced.
    pub announce: Announce,
    /// The scheduler, which chooses among the backends.
    pub scheduler: Scheduler,
    /// The time for which a backend that comes back gets less than its share.
    pub slow_start: Option<Duration>,
    /// Silence after which a transfer or connection is given up.
    pub idle_timeout: Duration,
    /// Silence after which a half-open or closing TCP connection is given up.
    pub transitory_timeout: Duration,
    /// The time for which datagrams still go to a draining backend; `None`: transfers and connections end by
    /// themselves.
    pub drain_timeout: Option<Duration>,
    /// Persistence of clients.
    pub persistence: Option<Persistence>,
    /// Whether clients may broadcast requests on the VIPs' interfaces.
    pub broadcast: bool,
    /// Whether another backend takes over the downloads of one that dies.
    pub failover: bool,
    /// Access control: the requests that clients may make.
    pub access: Access,
    /// Limits of the options in requests.
    pub options: OptionLimits,
    /// Rules that give some requests to some of the backends, which are indices into `backends`.
    pub rules: Vec<(Rule, Vec<usize>)>,
    /// Health checks of the backends; `None`: there are none.
    pub health: Option<Health>,
    /// The backends, at least one of them with a weight above zero.
    pub backends: Vec<Backend>,
}

impl Service {
    /// The VIPs and SNAT addresses.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        let pool = match &self.mode {
            Mode::Snat(pool) => &pool[..],
            Mode::Dsr | Mode::Nat => &[],
        };
        self.vips.iter().chain(pool)
    }

    /// Whether clients of this VIP go to this backend. Behind a SNAT pool their address family does not matter.
    pub fn leads_to(&self, vip: IpAddr, backend: &Backend) -> bool {
        match self.mode {
            Mode::Snat(_) => true,
            Mode::Dsr | Mode::Nat => vip.is_ipv6() == backend.address.is_ipv6(),
        }
    }
}

/// Persistence: a client stays with its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistence {
    /// The time since the client's last request.
    pub length: Duration,
    /// Prefix lengths over IPv4 and IPv6: all clients of a network stay together.
    pub prefixes: [u8; 2],
}

impl Persistence {
    /// Whether clients of a network stay together, over IPv4 or over IPv6.
    pub fn is_of_networks(&self, v6: bool) -> bool {
        let place = usize::from(v6);
        self.prefixes[place] < persistence::WHOLE[place]
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

/// The party that adds a service's addresses to the kernel, and removes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Addresses {
    /// Tidegate, which puts them back when a mishap has removed them.
    #[default]
    Ours,
    /// Another program, such as keepalived. Tidegate serves each address while the kernel holds it.
    Elsewhere,
}

impl Addresses {
    /// The value in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Addresses::Ours => "ours",
            Addresses::Elsewhere => "elsewhere",
        }
    }
}

/// When the kernel holds a service's VIPs, so that neighbours and routing daemons announce them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Announce {
    /// Always.
    #[default]
    Always,
    /// While a backend serves.
    WhileServed,
}

/// An address that the kernel holds for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The address.
    pub address: IpAddr,
    /// The interface that holds it.
    pub interface: usize,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The backend's name, unique in its service.
    pub name: String,
    /// The backend's address.
    pub address: IpAddr,
    /// Other addresses that the backend may answer from.
    pub aliases: Vec<IpAddr>,
    /// The backend's hardware address, if it is configured; else the kernel resolves it.
    pub mac: Option<Mac>,
    /// Further configured hardware addresses that the backend sends from.
    pub also_from: Vec<Mac>,
    /// The weight: the backend's share of new transfers.
    pub weight: u16,
    /// The most transfers at a time.
    pub max_transfers: Option<u32>,
    /// The ports of passive data connections.
    pub passive_ports: Option<RangeInclusive<u16>>,
    /// The interface that reaches the backend.
    pub interface: usize,
}

/// A NAT rule for connections that servers open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NatRule {
    /// The servers' network.
    pub from: IpNet,
    /// The IP protocol number.
    pub protocol: u8,
    /// The source port; `None`: any.
    pub source_port: Option<u16>,
    /// The VIP that becomes the source address.
    pub to: IpAddr,
}
