//! The snapshot: read-only tables that control builds from the configuration and the kernel's addresses, neighbours and
//! routes, and publishes to every worker.

pub mod access;
pub mod backend;
pub mod interface;
pub mod log_policy;
pub mod option_limits;
pub mod protocol;
pub mod rule;
pub mod service;
pub mod vip;

pub use backend::{Backend, BackendState};
pub use protocol::{Ftp, NatRule, Protocol};

use crate::flow::port_allocator::SnatAddress;
use crate::net::address_map::{AddressMap, Owner};
use crate::net::origin::{Origin, Server};
use crate::net::route_table::{RouteTable, Unresolved};
use crate::scheduler::backend_group::Algorithm;
use crate::snapshot::interface::Interface;
use crate::snapshot::service::{BackendGroups, Service};
use crate::snapshot::vip::Vip;
use crate::types::id::{BackendId, GroupId, InterfaceId, ServerId, ServiceId, SnatId, VipId};
use crate::types::mode::Mode;
use crate::types::next_hop::NextHop;
use crate::types::tick::Tick;
use ipnet::IpNet;
use std::net::IpAddr;
use std::ops::{Index, IndexMut};
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

/// Most SNAT addresses, removed ones included.
pub const MOST_SNAT: usize = 1024;

/// The snapshot. Ids stay valid for the life of the process, also for removed items, because flows hold them. Lists
/// only grow.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Interfaces, in the configuration's order; also the order of a worker's ports.
    pub interfaces: Vec<Interface>,
    /// Services, by id.
    pub services: Vec<Service>,
    /// Backends of all services, by id.
    pub backends: Vec<Backend>,
    /// Servers, by id.
    pub servers: Vec<Server>,
    /// Backend groups, by id.
    pub groups: Vec<BackendGroups>,
    /// VIPs, by id; one for each address, however many services share it.
    pub vips: Vec<Vip>,
    /// SNAT addresses, by id; one for each address.
    pub snat: Vec<SnatAddress>,
    /// Owners of addresses.
    pub addresses: AddressMap,
    /// Egress NAT rules for servers' own connections; the first match wins.
    pub nat: Vec<NatRule>,
    /// Whether there are or were egress NAT rules: connections by them may still exist.
    pub has_rules: bool,
    /// The kernel's routes, for packets to other hosts than clients and backends.
    pub routes: RouteTable,
    /// Addresses whose next hop a worker needed and did not have.
    pub unresolved: Unresolved,
    /// Whether some service has another protocol than TFTP.
    pub has_connections: bool,
    /// Drained and removed backends, and when their UDP connections are moved elsewhere, even though nothing has ended.
    pub leave_by: Vec<(BackendId, Tick)>,
    /// The time from which senders of segments that are unknown here are told so; `None`: always. The other gate of a pair may
    /// yet tell the flows of addresses that this one has got.
    pub resets_from: Option<Tick>,
    /// Most messages that a worker originates per tick ([`crate::state::originate_queue`]).
    pub originate_rate: u32,
}

impl Snapshot {
    /// The service of a VIP on a port of this IP protocol.
    #[inline]
    pub fn service(&self, vip: VipId, protocol: u8, port: u16) -> Option<ServiceId> {
        let vip = &self[vip];
        let services = match protocol {
            PROTOCOL_UDP => &vip.udp,
            PROTOCOL_TCP => &vip.tcp,
            _ => return None,
        };
        services.iter().find(|&&(known, _)| known == port).map(|&(_, service)| service)
    }

    /// Whether the service adopts flows of this client in their middle: the client's address alone tells where another
    /// gate has sent them, and the server gets them as they are.
    pub fn adopts(&self, service: ServiceId, client: IpAddr) -> bool {
        self.goes_by_address(service, client.is_ipv6()) && self[service].access.admits(client)
    }

    /// Whether packets of the service go to the backend that the client's address alone tells, and as they are; `is_v6`:
    /// those of IPv6.
    fn goes_by_address(&self, service: ServiceId, is_v6: bool) -> bool {
        let service = &self[service];
        let group = &self[service.group][usize::from(is_v6)];
        service.mode == Mode::Dsr
            && service.rules.is_empty()
            && matches!(group.algorithm(), Algorithm::SourceHash(_))
    }

    /// Whether the kernel holds the VIP on an interface of the gate.
    pub fn is_live(&self, vip: VipId) -> bool {
        self.addresses.get(self[vip].address) == Some(Owner::Vip(vip))
    }

    /// Whether several gates may hold the VIP at the same time: pools tell whose its flows are, or any gate goes on with
    /// them.
    pub fn is_shareable(&self, vip: VipId) -> bool {
        let vip = &self[vip];
        vip.services().all(|service| {
            matches!(self[service].mode, Mode::Snat(_))
                || self.goes_by_address(service, vip.address.is_ipv6())
        })
    }

    /// Sets whether the kernel holds the VIP. A VIP is not live until then.
    pub fn set_live(&mut self, vip: VipId, live: bool) {
        let owner = if live { Owner::Vip(vip) } else { Owner::Down };
        self.addresses.insert(self[vip].address, owner);
    }

    /// Sets whether the kernel holds the SNAT address. Which addresses new flows use, the services' pools say.
    pub fn set_snat_live(&mut self, snat: SnatId, live: bool) {
        let owner = if live { Owner::Snat(snat) } else { Owner::Down };
        self.addresses.insert(self[snat].address, owner);
    }

    /// Whether the kernel holds the SNAT address on an interface of the gate.
    pub fn is_snat_live(&self, snat: SnatId) -> bool {
        self.addresses.get(self[snat].address) == Some(Owner::Snat(snat))
    }

    /// Whether frames of our own may have this source: not if another gate has our address now.
    pub fn may_send_from(&self, source: IpAddr) -> bool {
        self.addresses.get(source) != Some(Owner::Down)
    }

    /// Whether some service has persistence.
    pub fn is_sticky(&self) -> bool {
        self.services.iter().any(|service| service.persistence.is_some())
    }

    /// Whether some service limits its clients' request rate.
    pub fn is_rated(&self) -> bool {
        self.services.iter().any(|service| service.access.max_requests.is_some())
    }

    /// Whether some service limits its clients' connections.
    pub fn has_quotas(&self) -> bool {
        self.services.iter().any(|service| service.access.max_connections.is_some())
    }

    /// Addresses of the gate's interfaces with their networks.
    pub fn local(&self) -> impl Iterator<Item = &IpNet> {
        self.interfaces.iter().flat_map(|interface| &interface.addresses)
    }

    /// The kernel's next hop to `to`; if it is unresolved, control will have the kernel resolve it.
    pub fn hop_or_seek(&self, to: IpAddr) -> Option<NextHop> {
        let hop = self.routes.hop(to);
        if hop.is_none() {
            self.unresolved.note(to);
        }
        hop
    }

    /// Whether packets of this server are expected from this origin.
    pub fn is_server_at(&self, server: ServerId, origin: Origin) -> bool {
        self.find_server(server).is_none_or(|server| server.is_at(origin))
    }

    /// Whether the backend's UDP connections have to be moved by now.
    pub fn is_left(&self, backend: BackendId, now: Tick) -> bool {
        self.leave_by.iter().any(|&(id, time)| id == backend && time.is_due(now))
    }

    /// The VIPs with their ids.
    pub fn numbered_vips(&self) -> impl Iterator<Item = (VipId, &Vip)> {
        (0..).map(VipId).zip(&self.vips)
    }

    /// The backends with their ids.
    pub fn numbered_backends(&self) -> impl Iterator<Item = (BackendId, &Backend)> + Clone {
        (0..).map(BackendId).zip(&self.backends)
    }

    /// The backend with this id, if there is one.
    #[inline(always)]
    pub fn find_backend(&self, id: BackendId) -> Option<&Backend> {
        self.backends.get(id.index())
    }

    /// The server with this id, if there is one.
    #[inline(always)]
    pub fn find_server(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(id.index())
    }

    /// The service of a backend.
    #[inline]
    pub fn service_of(&self, backend: BackendId) -> &Service {
        &self[self[backend].service]
    }
}

macro_rules! indexed {
    ($($id:ident: $list:ident of $entry:ident,)+) => {$(
        impl Index<$id> for Snapshot {
            type Output = $entry;

            #[inline(always)]
            fn index(&self, id: $id) -> &$entry {
                &self.$list[id.index()]
            }
        }

        impl IndexMut<$id> for Snapshot {
            #[inline(always)]
            fn index_mut(&mut self, id: $id) -> &mut $entry {
                &mut self.$list[id.index()]
            }
        }
    )+};
}

indexed! {
    InterfaceId: interfaces of Interface,
    ServiceId: services of Service,
    BackendId: backends of Backend,
    VipId: vips of Vip,
    GroupId: groups of BackendGroups,
    SnatId: snat of SnatAddress,
}
