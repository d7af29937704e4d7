//! What binds a client to a backend of a VIP, whatever the ports: all that it sends to a service that takes
//! everything; and, as long as it has a control connection, where data goes that nobody announces.

use super::seen::Seen;
use crate::alg::End;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag};
use crate::flow::hosts::{Host, NoRoom};
use crate::flow::tuple::{Tuple, Tuples};
use crate::flow::view::{ConnectionKind, Stage};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::select::candidates::Avoid;
use crate::select::choice::{Wish, choose};
use crate::tables::{BackendId, Mode, Protocol, ServiceId, VipId};
use crate::verdict::Step;
use wire::ip::PROTOCOL_TCP;

/// In place of a protocol: all.
pub const ANY: u8 = 0;

/// What binds a client of a service that takes everything.
pub fn any<H: Family>(
    service: ServiceId,
    vip: VipId,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    let known = own.bond(seen.tuple.near().host, vip, ANY);
    if let Some(id) = known
        && here.backend(own.connections[id].backend).serves()
    {
        return Ok(id);
    }
    if let Some(id) = known {
        own.end_connection(id, End::Lost, here);
    }
    let client = seen.addresses[0].into();
    if !here.tables.services[usize::from(service)].access.admits(client) {
        own.counters.refusals[usize::from(service)].client.add(1);
        return Err(Reason::Refused.into());
    }
    let host = own.hosts.enter(client).map_err(|NoRoom| Reason::FlowTableFull)?;
    let wish = Wish { client, family: H::PLACE, service, request: None };
    let backend = choose(&wish, Avoid::Nobody, here, own).inspect_err(|_| own.hosts.leave(host))?;
    let bond = Connection {
        stage: Stage::HalfOpen,
        back: seen.way_back(here),
        ..bond(Tuple::of_bond(host, vip, ANY), backend, here)
    };
    own.enter_connection(&bond, here)
}

fn bond(tuple: Tuple, backend: BackendId, here: &Here) -> Connection {
    Connection {
        tuples: Tuples::of_client(tuple),
        last_packet: here.now,
        begun: here.now,
        backend,
        stage: Stage::Open,
        flags: flag::BY_CLIENT_TUPLE | flag::BOND,
        ..Connection::FREE
    }
}

/// What binds a client of FTP at this backend of a VIP: to that backend alone, where some of the VIP's ports lead to it.
/// Direct server return has no two backends of a client.
fn bond_of(client: Host, vip: VipId, backend: BackendId, here: &Here) -> Tuple {
    let ranges = &here.tables.vips[usize::from(vip)].passive;
    let has_range = ranges.iter().any(|&(_, owner)| owner == backend);
    if has_range && here.tables.service_of(backend).mode != Mode::Dsr {
        return Tuple::of_bond_at(client, vip, backend);
    }
    Tuple::of_bond(client, vip, PROTOCOL_TCP)
}

impl Own {
    /// The backend that a new control connection to this service goes to, as its client is bound to it: there is a
    /// place for one more.
    ///
    /// # Errors
    ///
    /// It is full.
    pub(super) fn bound_backend(
        &mut self,
        client: Host,
        vip: VipId,
        service: ServiceId,
        here: &Here,
    ) -> Option<Step<BackendId>> {
        let id = self.bound(client, vip, service, here)?;
        let takes = here.backend(id).take_place()
            || (self.make_room([id].into_iter(), here) && here.backend(id).take_place());
        Some(if takes { Ok(id) } else { Err(Reason::BackendsFull.into()) })
    }

    /// The backend that a client of this service is bound to. Of FTP whose data has to follow, it is so by what is
    /// under way. One that is draining is no exception: the bond would move away from under what is there.
    pub fn bound(
        &self,
        client: Host,
        vip: VipId,
        service: ServiceId,
        here: &Here,
    ) -> Option<BackendId> {
        let known = &here.tables.services[usize::from(service)];
        let protocol = match (known.protocol, &known.mode) {
            (Protocol::Ftp(_), Mode::Dsr) => PROTOCOL_TCP,
            (Protocol::Any, _) => ANY,
            (Protocol::Ftp(_) | Protocol::Tcp | Protocol::Udp | Protocol::Tftp, _) => return None,
        };
        let bond = &self.connections[self.bond(client, vip, protocol)?];
        let backend = here.backend(bond.backend);
        let is_ours = backend.service == service && (protocol == ANY || bond.under_way > 0);
        (is_ours && backend.serves()).then_some(bond.backend)
    }

    /// Enters a control connection, and binds its client to its backend.
    pub(super) fn enter_control(&mut self, connection: Connection, here: &Here) -> Step<FlowId> {
        let id = self.enter_connection(&connection, here)?;
        self.bind_control(id, here);
        Ok(id)
    }

    /// The connection whose number a bond has, if it is still one of its client's.
    pub(super) fn latest_control(&self, bond: FlowId) -> Option<FlowId> {
        let bond = &self.connections[bond];
        let control = self.connections.get(bond.parent)?;
        let is_its = control.client().near().host == bond.client().near().host
            && control.vip() == bond.vip()
            && control.kind == ConnectionKind::Client;
        is_its.then_some(bond.parent)
    }

    /// Binds a control connection's client to its backend.
    pub fn bind_control(&mut self, id: FlowId, here: &Here) {
        let connection = self.connections[id].clone();
        let (client, vip) = (connection.client().near().host, connection.vip());
        let tuple = bond_of(client, vip, connection.backend, here);
        let bond = self.connections.find(&tuple).or_else(|| self.bind(tuple, &connection, here));
        if let Some(bond) = bond {
            self.connections[id].parent = bond;
            self.connections[bond].parent = id;
            self.connections[bond].backend = connection.backend;
            self.join(bond, &connection);
            self.note_unread(id, false);
        }
    }

    /// The address of the pool by which this backend is to see a new control connection of FTP whose data it may not hear
    /// announced: the one by which servers see its client's others; else the one that has the fewest clients, since a server tells
    /// one client's data from another's by that address.
    pub(super) fn own_host(
        &self,
        client: Host,
        vip: VipId,
        to: BackendId,
        here: &Here,
    ) -> Option<Host> {
        let service = here.tables.service_of(to);
        let (Protocol::Ftp(_), Mode::Snat(pool)) = (service.protocol, &service.mode) else {
            return None;
        };
        let tuple = bond_of(client, vip, to, here);
        if tuple == Tuple::of_bond(client, vip, PROTOCOL_TCP) {
            return None;
        }
        let v6 = here.backend(to).address.is_ipv6();
        let others = here.tables.vips[usize::from(vip)].passive.iter().map(|&(_, other)| other);
        let others = others.map(|other| Tuple::of_bond_at(client, vip, other));
        let mut known = [tuple].into_iter().chain(others).filter_map(|tuple| {
            let bond = self.connections.find(&tuple)?;
            Some(self.connections[bond].seen_as().host).filter(|host| host.is_v6() == v6)
        });
        known.next().or_else(|| self.least_shared(pool, v6))
    }

    /// The bond of data that an earlier process has left.
    pub fn bond_of_data(&self, data: &Connection, here: &Here) -> Option<FlowId> {
        let client = data.client().near().host;
        self.connections.find(&bond_of(client, data.vip(), data.backend, here))
    }

    /// What binds a client's data to this backend of a VIP.
    pub(super) fn bond_at(&self, client: Host, vip: VipId, backend: BackendId) -> Option<FlowId> {
        let own = self.connections.find(&Tuple::of_bond_at(client, vip, backend));
        // When its control connection began, the backend had no ports for data yet.
        let usual = || self.bond(client, vip, PROTOCOL_TCP);
        own.or_else(usual).filter(|&bond| self.connections[bond].backend == backend)
    }

    /// The bond is of this connection too, which has its number.
    pub fn join(&mut self, bond: FlowId, connection: &Connection) {
        let bond = &mut self.connections[bond];
        bond.children += 1;
        bond.data += u32::from(connection.kind == ConnectionKind::Data);
        bond.under_way += u32::from(connection.is_under_way());
        // Those that an earlier process has left come in any order.
        if connection.begun.is_due(bond.begun) {
            bond.begun = connection.begun;
        }
    }

    /// Binds a control connection's client to its backend; without room, its data is not found.
    fn bind(&mut self, tuple: Tuple, control: &Connection, here: &Here) -> Option<FlowId> {
        let address = self.hosts.socket_address(control.client().near()).ip();
        // It has a name already.
        self.hosts.enter(address).ok()?;
        let mut bond = bond(tuple, control.backend, here);
        if let Mode::Snat(_) = here.tables.service_of(control.backend).mode {
            bond.tuples = bond.tuples.with_own_host(control.seen_as().host);
            self.tenants(&bond).into_iter().for_each(|tenants| *tenants += 1);
        }
        self.enter_connection(&bond, here).ok()
    }
}
