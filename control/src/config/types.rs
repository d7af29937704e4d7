//! What a checked configuration says: only what can be true.

use engine::policy::{Access, OptionLimits, Rule};
use engine::select::rota::Scheduler;
use engine::select::sticky;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
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

    /// What each interface is on its device, by the place in [`Config::devices`].
    pub fn links(&self) -> Vec<Link> {
        let devices = self.devices();
        let link = |interface: &Interface| {
            let port = devices.iter().position(|first| first.device == interface.device);
            Link { port: port.unwrap_or_default(), vlans: interface.vlans }
        };
        self.interfaces.iter().map(link).collect()
    }

    /// The MTU that a device needs: the largest of its interfaces', and room for their tags. For a single one devices
    /// allow, and so does Linux, but not for a provider's.
    pub fn device_mtu(&self, device: &Device) -> u16 {
        let on = self.interfaces.iter().filter(|interface| interface.device == *device);
        let needs = |interface: &Interface| match interface.vlans.size() {
            vlan::TAG => interface.mtu,
            tags => interface.mtu + tags as u16,
        };
        on.map(needs).max().unwrap_or_default()
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
    /// What DPDK drives.
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

/// What DPDK drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A network card, by its whole PCI address.
    Pci(String),
    /// A virtual device.
    Virtual {
        /// Driver and number: `net_af_packet0`.
        name: String,
        /// What stands behind the first comma: `iface=eth1,qpairs=2`.
        arguments: String,
    },
}

impl Device {
    /// What DPDK knows the device by.
    pub fn name(&self) -> &str {
        match self {
            Device::Pci(name) | Device::Virtual { name, .. } => name,
        }
    }

    /// The Linux interface that a virtual device works on.
    pub fn linux_interface(&self) -> Option<&str> {
        match self {
            Device::Virtual { name, arguments } if is_on_linux(name) => {
                arguments.split(',').find_map(|argument| argument.strip_prefix("iface="))
            }
            Device::Virtual { .. } | Device::Pci(_) => None,
        }
    }

    /// The pairs of queues that an af_packet device always has.
    pub fn queue_pairs(&self) -> Option<usize> {
        match self {
            Device::Virtual { name, arguments } if name.starts_with("net_af_packet") => {
                let written = arguments.split(',').find_map(|one| one.strip_prefix("qpairs="));
                Some(written.and_then(|pairs| pairs.parse().ok()).unwrap_or(1))
            }
            Device::Virtual { .. } | Device::Pci(_) => None,
        }
    }

    /// Whether the kernel gets a copy of each frame that the device receives.
    pub fn kernel_sees_frames(&self) -> bool {
        self.name().starts_with("net_af_packet")
    }
}

fn is_on_linux(name: &str) -> bool {
    name.starts_with("net_af_packet") || name.starts_with("net_af_xdp")
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Virtual { name, arguments } if !arguments.is_empty() => {
                write!(f, "{name},{arguments}")
            }
            Device::Virtual { name, .. } | Device::Pci(name) => f.write_str(name),
        }
    }
}

/// One protocol on one VIP and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// For operators.
    pub name: String,
    /// Where clients find it; at least one.
    pub vips: Vec<Held>,
    /// The UDP port that requests go to.
    pub port: u16,
    /// How packets reach the backends.
    pub mode: Mode,
    /// How it chooses among its backends.
    pub scheduler: Scheduler,
    /// How long a backend that comes back gets less than its share.
    pub slow_start: Option<Duration>,
    /// Silence after which a transfer is given up.
    pub idle_timeout: Duration,
    /// How a client stays with its backend.
    pub persistence: Option<Persistence>,
    /// Whether its clients may send to everybody on the VIPs' interfaces.
    pub broadcast: bool,
    /// Whether another backend goes on with the downloads of one that dies.
    pub failover: bool,
    /// What its clients may ask for.
    pub access: Access,
    /// What becomes of their requests' options.
    pub options: OptionLimits,
    /// Which requests are for some of its backends alone, and for which: by their places among them.
    pub rules: Vec<(Rule, Vec<usize>)>,
    /// How its backends are checked; `None`: not at all.
    pub health: Option<Health>,
    /// At least one with a weight above zero.
    pub backends: Vec<Backend>,
}

/// How backends are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is tried.
    pub probe: Probe,
    /// The port that it goes to; an echo goes to none.
    pub port: u16,
    /// How often.
    pub interval: Duration,
    /// Silence after which it has failed; no longer than the interval.
    pub timeout: Duration,
    /// So many in a row must pass for a dead backend to live.
    pub rise: u32,
    /// So many in a row must fail for it to be dead.
    pub fall: u32,
}

/// What is tried at a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A file is fetched.
    Tftp(Canary),
    /// A greeting, a login if there is one, and a command that does nothing.
    Ftp(Option<Login>),
    /// A greeting.
    Ssh,
    /// A connection.
    Tcp,
    /// An echo.
    Icmp,
    /// A program and its arguments, in which `HOST` and `PORT` stand for the backend's.
    Command(Vec<String>),
}

/// A file that is fetched to see whether that goes well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// Its name.
    pub file: String,
    /// The bytes that it has.
    pub size: Option<u64>,
    /// Its digest.
    pub sha256: Option<[u8; 32]>,
}

impl Canary {
    /// It has no more bytes than this: it is fetched at every check.
    pub const MOST: u64 = 1 << 20;
}

/// Who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
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
    /// Its address.
    pub address: IpAddr,
    /// Other addresses that it may answer from.
    pub aliases: Vec<IpAddr>,
    /// Its hardware address, if the kernel is not to be asked for it.
    pub mac: Option<Mac>,
    /// Its share of new transfers.
    pub weight: u16,
    /// The most transfers that it has at a time.
    pub max_transfers: Option<u32>,
    /// The interface that reaches it.
    pub interface: usize,
}
