//! Client affinity: what binds a client to a backend of a VIP, whatever the ports.

use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag};
use crate::flow::endpoint::HostId;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::flow::tuple::{ANY_PROTOCOL, Tuple, Tuples};
use crate::snapshot::Protocol;
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::id::{BackendId, ServiceId, VipId};
use crate::types::mode::Mode;
use crate::types::next_hop::NextHop;
use crate::types::selection_reason::SelectionReason;
use crate::types::verdict::Step;
use std::net::IpAddr;
use wire::ip::PROTOCOL_TCP;

/// The affinity of this tuple to this backend.
pub fn affinity(tuple: Tuple, backend: BackendId, env: &Env) -> Connection {
    Connection {
        tuples: Tuples::of_client(tuple),
        last_packet: env.now,
        begun: env.now,
        backend,
        state: ConnectionState::Open,
        flags: flag::BY_CLIENT_TUPLE | flag::AFFINITY,
        ..Connection::FREE
    }
}

/// The tuple of a client's affinity to this backend of a VIP: to that backend alone, where some of the VIP's ports lead to it.
/// In `dsr` a client has one backend.
fn tuple_to(client: HostId, vip: VipId, backend: BackendId, env: &Env) -> Tuple {
    let ranges = &env.snapshot[vip].passive;
    let has_range = ranges.iter().any(|&(_, owner)| owner == backend);
    if has_range && env.snapshot.service_of(backend).mode != Mode::Dsr {
        return Tuple::of_affinity_at(client, vip, backend);
    }
    Tuple::of_affinity(client, vip, PROTOCOL_TCP)
}

impl WorkerState {
    /// The backend that a new control connection to this service goes to, as its client is bound to it: there is a
    /// place for one more.
    ///
    /// # Errors
    ///
    /// The backend is full.
    pub fn bound_backend(
        &mut self,
        client: HostId,
        vip: VipId,
        service: ServiceId,
        env: &Env,
    ) -> Option<Step<BackendId>> {
        let id = self.bound_to(client, vip, service, env)?;
        let takes = env.backend(id).acquire()
            || (self.make_room([id].into_iter(), env) && env.backend(id).acquire());
        self.choose.reason = SelectionReason::Affinity;
        Some(if takes { Ok(id) } else { Err(DropReason::BackendsFull.into()) })
    }

    /// The backend that a client of this service is bound to. Of FTP whose data has to follow, it is so by what is
    /// under way. One that is draining is no exception: the affinity would move away from under what is there.
    pub fn bound_to(
        &self,
        client: HostId,
        vip: VipId,
        service: ServiceId,
        env: &Env,
    ) -> Option<BackendId> {
        let known = &env.snapshot[service];
        let protocol = match (known.protocol, &known.mode) {
            (Protocol::Ftp(_), Mode::Dsr) => PROTOCOL_TCP,
            (Protocol::Any, _) => ANY_PROTOCOL,
            (Protocol::Ftp(_) | Protocol::Tcp | Protocol::Udp | Protocol::Tftp, _) => return None,
        };
        let affinity = &self.connections[self.affinity(client, vip, protocol)?];
        let backend = env.backend(affinity.backend);
        let is_ours =
            backend.service == service && (protocol == ANY_PROTOCOL || affinity.under_way > 0);
        (is_ours && backend.serves()).then_some(affinity.backend)
    }

    /// Enters a control connection, and binds its client to its backend.
    pub fn enter_control(&mut self, connection: Connection, env: &Env) -> Step<FlowId> {
        let id = self.enter_connection(&connection, env)?;
        self.bind_control(id, env);
        Ok(id)
    }

    /// The control connection that an affinity was made by last, if it is still one of its client's.
    pub fn latest_control(&self, affinity: FlowId) -> Option<FlowId> {
        let affinity = &self.connections[affinity];
        let control = self.connections.get(affinity.parent)?;
        let is_its = control.client().near().host == affinity.client().near().host
            && control.vip() == affinity.vip()
            && control.kind == ConnectionKind::Client;
        is_its.then_some(affinity.parent)
    }

    /// Binds a control connection's client to its backend.
    pub fn bind_control(&mut self, id: FlowId, env: &Env) {
        let connection = self.connections[id].clone();
        let (client, vip) = (connection.client().near().host, connection.vip());
        let tuple = tuple_to(client, vip, connection.backend, env);
        let affinity = self.connections.find(&tuple).or_else(|| self.bind(tuple, &connection, env));
        if let Some(affinity) = affinity {
            self.connections[id].parent = affinity;
            self.connections[affinity].parent = id;
            self.connections[affinity].backend = connection.backend;
            self.join(affinity, &connection);
            self.note_unread(id, false);
        }
    }

    /// The address of the pool by which this backend sees a new control connection of FTP whose data it may not hear
    /// announced: the one by which servers see its client's others; else the one that has the fewest clients, since a server tells
    /// one client's data from another's by that address.
    pub fn pool_host(
        &self,
        client: HostId,
        vip: VipId,
        to: BackendId,
        env: &Env,
    ) -> Option<HostId> {
        let service = env.snapshot.service_of(to);
        let (Protocol::Ftp(_), Mode::Snat(pool)) = (service.protocol, &service.mode) else {
            return None;
        };
        let tuple = tuple_to(client, vip, to, env);
        if tuple == Tuple::of_affinity(client, vip, PROTOCOL_TCP) {
            return None;
        }
        let v6 = env.backend(to).address.is_ipv6();
        let others = env.snapshot[vip].passive.iter().map(|&(_, other)| other);
        let others = others.map(|other| Tuple::of_affinity_at(client, vip, other));
        let mut known = [tuple].into_iter().chain(others).filter_map(|tuple| {
            let affinity = self.connections.find(&tuple)?;
            let host = self.connections[affinity].seen_as().host;
            (host.is_v6() == v6 && self.live_snat(host, env).is_some()).then_some(host)
        });
        known.next().or_else(|| self.least_shared(pool, v6))
    }

    /// The affinity of data that an earlier process has left.
    pub fn affinity_of_data(&self, data: &Connection, env: &Env) -> Option<FlowId> {
        let client = data.client().near().host;
        self.connections.find(&tuple_to(client, data.vip(), data.backend, env))
    }

    /// The affinity of a client's data to this backend of a VIP.
    pub fn affinity_at(&self, client: HostId, vip: VipId, backend: BackendId) -> Option<FlowId> {
        let at_backend = self.connections.find(&Tuple::of_affinity_at(client, vip, backend));
        // When its control connection began, the backend had no ports for data yet.
        let usual = || self.affinity(client, vip, PROTOCOL_TCP);
        at_backend.or_else(usual).filter(|&affinity| self.connections[affinity].backend == backend)
    }

    /// Adds a connection to the affinity, whose id the connection has as its parent.
    pub fn join(&mut self, affinity: FlowId, connection: &Connection) {
        let affinity = &mut self.connections[affinity];
        affinity.children += 1;
        affinity.data += u32::from(connection.kind == ConnectionKind::Data);
        affinity.under_way += u32::from(connection.is_under_way());
        // Those that an earlier process has left come in any order.
        if connection.begun.is_due(affinity.begun) {
            affinity.begun = connection.begun;
        }
    }

    /// Binds a control connection's client to its backend; without room, its data is not found.
    fn bind(&mut self, tuple: Tuple, control: &Connection, env: &Env) -> Option<FlowId> {
        let address = self.hosts.socket_address(control.client().near()).ip();
        // It has a name already.
        self.hosts.intern(address).ok()?;
        let mut affinity = affinity(tuple, control.backend, env);
        if let Mode::Snat(_) = env.snapshot.service_of(control.backend).mode {
            affinity.tuples = affinity.tuples.with_seen_as(control.seen_as().host);
            self.tenants(&affinity).into_iter().for_each(|tenants| *tenants += 1);
        }
        self.enter_connection(&affinity, env).ok()
    }

    /// The next hop to a host: the one by which its packets came as a client's; else the kernel's route.
    pub fn way_to(&self, host: HostId, vip: VipId, address: IpAddr, env: &Env) -> Option<NextHop> {
        let ranges = env.snapshot[vip].passive.iter();
        let usual = || self.affinity(host, vip, PROTOCOL_TCP);
        let mut affinities = ranges.filter_map(|&(_, owner)| self.affinity_at(host, vip, owner));
        let control =
            affinities.next().or_else(usual).and_then(|affinity| self.latest_control(affinity));
        control
            .map(|control| self.connections[control].back)
            .or_else(|| env.snapshot.hop_or_seek(address))
    }
}
