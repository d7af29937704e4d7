//! What the dataplane knows of the world: a snapshot that control builds from the configuration,
//! the kernel's neighbours and addresses, and hands to every worker. Workers only read it.

mod backend;
mod protocol;

pub use backend::{Backend, Duty, Hop};
pub use protocol::{Ftp, NatRule, Protocol};

use crate::addresses::Addresses;
use crate::flow::ports::SnatAddress;
use crate::origin::{Origin, Server};
use crate::policy::{Access, OptionLimits, Rule};
use crate::routes::{Routes, Sought};
use crate::select::rota::Rota;
use crate::select::sticky::Persistence;
use crate::tick::Tick;
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use wire::ethernet::Mac;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};
use wire::tftp::Request;

/// Index into [`Tables::interfaces`].
pub type InterfaceId = u8;
/// Index into [`Tables::services`].
pub type ServiceId = u16;
/// Index into [`Tables::backends`].
pub type BackendId = u16;
/// Index into [`Tables::vips`].
pub type VipId = u16;
/// Index into [`Tables::rotas`].
pub type RotaId = u16;
/// Index into [`Tables::snat`].
pub type SnatId = u16;
/// The number of a server: of an address, however many backends have it.
pub type ServerId = u16;

/// SNAT addresses at the most, those that were removed included.
pub const MOST_SNAT: usize = 1024;

/// The snapshot. What has a number keeps it for the life of the process, also after it was removed: flows
/// hold indices. Lists only become longer.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// In the configuration's order; also the order of the worker's ports.
    pub interfaces: Vec<Interface>,
    /// By number.
    pub services: Vec<Service>,
    /// All services' backends.
    pub backends: Vec<Backend>,
    /// All servers that are backends.
    pub servers: Vec<Server>,
    /// Among whom transfers are dealt out.
    pub rotas: Vec<Rotas>,
    /// Each address once, however many services share it.
    pub vips: Vec<Vip>,
    /// Each address of any SNAT pool once.
    pub snat: Vec<SnatAddress>,
    /// Whose an address is.
    pub addresses: Addresses,
    /// What servers' own connections leave as; the first one that fits counts.
    pub nat: Vec<NatRule>,
    /// Whether there are rules, or were: connections by them may still run.
    pub has_rules: bool,
    /// Where the kernel would send what goes to none of our clients or backends.
    pub routes: Routes,
    /// Those of them to whom there was no way when one was needed.
    pub sought: Sought,
    /// Whether some service is of another protocol than TFTP.
    pub has_connections: bool,
    /// When clients' datagrams go elsewhere, though nothing has ended where they went: of backends that are drained, or
    /// were removed.
    pub leave_by: Vec<(BackendId, Tick)>,
    /// How much each worker may say of its own accord in a tick ([`crate::outbox`]).
    pub speech: u32,
}

impl Tables {
    /// The service that a VIP has on a port of this protocol of IP's.
    #[inline]
    pub fn service(&self, vip: VipId, protocol: u8, port: u16) -> Option<ServiceId> {
        let vip = &self.vips[usize::from(vip)];
        let services = match protocol {
            PROTOCOL_UDP => &vip.udp,
            PROTOCOL_TCP => &vip.tcp,
            _ => return None,
        };
        services.iter().find(|&&(known, _)| known == port).map(|&(_, service)| service)
    }

    /// Whether the kernel holds a VIP on one of our interfaces.
    pub fn is_live(&self, vip: VipId) -> bool {
        self.addresses.get(self.vips[usize::from(vip)].address) == Some(Owner::Vip(vip))
    }

    /// Says whether the kernel holds a VIP. A VIP of which nothing was said yet is not live.
    pub fn set_live(&mut self, vip: VipId, live: bool) {
        let owner = if live { Owner::Vip(vip) } else { Owner::Down };
        self.addresses.insert(self.vips[usize::from(vip)].address, owner);
    }

    /// Whether clients of some service stay with their backend.
    pub fn is_sticky(&self) -> bool {
        self.services.iter().any(|service| service.persistence.is_some())
    }

    /// Whether some service counts its clients' requests.
    pub fn is_rated(&self) -> bool {
        self.services.iter().any(|service| service.access.max_requests.is_some())
    }

    /// Whether some service limits the connections of a client.
    pub fn has_quotas(&self) -> bool {
        self.services.iter().any(|service| service.access.max_connections.is_some())
    }

    /// Our own addresses, those of the kernel, with their networks.
    pub fn local(&self) -> impl Iterator<Item = &IpNet> {
        self.interfaces.iter().flat_map(|interface| &interface.addresses)
    }

    /// The kernel's next hop to somebody; where it knows none, control has it look for one.
    pub fn hop_or_seek(&self, to: IpAddr) -> Option<Hop> {
        let hop = self.routes.hop(to);
        if hop.is_none() {
            self.sought.note(to);
        }
        hop
    }

    /// Whether the packets of this server come from there.
    pub fn is_server_at(&self, server: ServerId, origin: Origin) -> bool {
        self.servers.get(usize::from(server)).is_none_or(|server| server.is_at(origin))
    }

    /// Whether datagrams have left this backend by now.
    pub fn is_left(&self, backend: BackendId, now: Tick) -> bool {
        self.leave_by.iter().any(|&(id, time)| id == backend && time.is_due(now))
    }

    /// The service that a backend belongs to.
    #[inline]
    pub fn service_of(&self, backend: BackendId) -> &Service {
        &self.services[usize::from(self.backends[usize::from(backend)].service)]
    }
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Clients send to it.
    Vip(VipId),
    /// A VIP too, but the kernel does not hold it on any of our interfaces.
    Down,
    /// All stations of a link have it. What is sent to it can be for a VIP
    /// ([`Interface::broadcast`]).
    Everybody,
    /// Servers answer to it.
    Snat(SnatId),
    /// A server ([`Backend::server`]) of a `nat` service that sees its clients' addresses: its packets
    /// to clients pass through us.
    Routed(ServerId),
    /// A server that answers to SNAT addresses alone.
    Answering(ServerId),
}

impl Owner {
    /// Whether we speak for it: nobody else may send from it.
    #[inline]
    pub fn is_ours(self) -> bool {
        matches!(self, Owner::Vip(_) | Owner::Down | Owner::Snat(_))
    }
}

/// A port of the appliance.
#[derive(Debug, Clone, Default)]
pub struct Interface {
    /// Of the device, and of the TAP that stands for it in Linux.
    pub mac: Mac,
    /// Largest IP packet it sends, in bytes.
    pub mtu: u16,
    /// The kernel's own addresses here, with their networks.
    pub addresses: Vec<IpNet>,
    /// VIPs and SNAT addresses that the kernel holds here.
    pub held: HashSet<IpAddr>,
    /// The VIP whose clients may send to all stations here instead.
    pub broadcast: Option<VipId>,
}

/// An address that clients send to.
#[derive(Debug, Clone)]
pub struct Vip {
    /// The address.
    pub address: IpAddr,
    /// The services on it, by UDP port.
    pub udp: Vec<(u16, ServiceId)>,
    /// Those by TCP port.
    pub tcp: Vec<(u16, ServiceId)>,
    /// The one that has all that these have not.
    pub any: Option<ServiceId>,
    /// TCP ports of data connections, and whose they are.
    pub passive: Vec<(RangeInclusive<u16>, BackendId)>,
}

impl Vip {
    /// Without any service.
    pub fn new(address: IpAddr) -> Vip {
        Vip { address, udp: vec![], tcp: vec![], any: None, passive: vec![] }
    }

    /// All services on it.
    pub fn services(&self) -> impl Iterator<Item = ServiceId> {
        self.udp.iter().chain(&self.tcp).map(|&(_, service)| service).chain(self.any)
    }
}

/// One protocol on one VIP and port.
#[derive(Debug, Clone)]
pub struct Service {
    /// What its clients speak.
    pub protocol: Protocol,
    /// The port that requests are sent to, on the VIP and on the backends.
    pub port: u16,
    /// How packets reach the backends.
    pub mode: Mode,
    /// Ticks after the last packet of either side until a transfer or connection is given up.
    pub idle_timeout: u32,
    /// The same for a TCP connection that is not yet open, or is about to be closed (RFC 5382, REQ-5).
    pub transitory_timeout: u32,
    /// How a client stays with its backend; `None`: not at all.
    pub persistence: Option<Persistence>,
    /// Whether another backend goes on with the downloads of one that dies.
    pub failover: bool,
    /// What its clients may ask for.
    pub access: Access,
    /// What becomes of their requests' options.
    pub options: OptionLimits,
    /// Which requests are for some of the backends alone; the first one that fits counts.
    pub rules: Vec<(Rule, RotaId)>,
    /// By what all others are dealt out.
    pub rota: RotaId,
}

impl Service {
    /// By what this request is dealt out.
    pub fn rota(&self, client: IpAddr, request: Option<&Request>) -> RotaId {
        let mut rules = self.rules.iter();
        let is_for = |rule: &Rule| request.is_some_and(|request| rule.is_for(client, request));
        rules.find(|(rule, _)| is_for(rule)).map_or(self.rota, |&(_, rota)| rota)
    }

    /// All that some request is dealt out by.
    pub fn rotas(&self) -> impl Iterator<Item = RotaId> {
        self.rules.iter().map(|&(_, rota)| rota).chain([self.rota])
    }
}

/// Among whom new transfers are dealt out, by their clients' version of IP
/// ([`crate::family::Family::PLACE`]).
pub type Rotas = [Rota; 2];

/// How packets reach a service's backends, and how the answers come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Direct server return: only the destination MAC is written.
    Dsr,
    /// Destination NAT: the backend sees the client's address and answers through us.
    Nat,
    /// Full NAT: the backend sees one of these addresses.
    Snat(Vec<SnatId>),
}
