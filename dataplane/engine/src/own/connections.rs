//! How connections begin and end in what a worker owns.

use super::{GLANCE, Own};
use crate::alg::End;
use crate::flow::connection::{Connection, NO_BACKEND, Turn, flag, mark};
use crate::flow::hosts::Host;
use crate::flow::ports::Holder;
use crate::flow::tuple::Tuple;
use crate::flow::view::{ConnectionKind, Stage};
use crate::flow::{FlowId, NO_FLOW};
use crate::here::Here;
use crate::mode::rules;
use crate::reason::Reason;
use crate::tables::{Duty, Tables, VipId};
use crate::tick::{PER_SECOND, Tick};
use crate::verdict::Step;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

/// Ticks that a connection is waited for that was announced, as Linux does; the latest one of its control connection is
/// waited for as long as that lives.
const EXPECTED: u32 = 300 * PER_SECOND;
/// Ticks that another one may follow to the same endpoint.
const REACHED: u32 = 30 * PER_SECOND;
/// Ticks that a closed connection is kept for late packets, unless its place or port is needed: as long as its server's
/// kernel keeps it.
const LINGER: u32 = 60 * PER_SECOND;
/// Ticks of silence after which a connection of a rule is given up: TCP's (RFC 5382, REQ-5), while it is half open or
/// closing, and UDP's (RFC 4787, REQ-5).
const TCP_IDLE: u32 = 124 * 60 * PER_SECOND;
const TRANSITORY: u32 = 4 * 60 * PER_SECOND;
const UDP_IDLE: u32 = 5 * 60 * PER_SECOND;
/// Ticks after which one is looked at again that others keep alive.
const KEPT_ALIVE: u32 = 10 * PER_SECOND;

impl Own {
    /// Enters a connection, which has a place at its backend, a name for each of its hosts, and a port of ours if it
    /// needs one: if it can't be entered, it gives these back. One for data has no place yet, and gets one in any
    /// case.
    pub fn enter_connection(&mut self, connection: &Connection, here: &Here) -> Step<FlowId> {
        if let Some(expendable) = self.expendable_for(connection) {
            self.end_connection(expendable, End::Evicted, here);
        }
        if connection.is_counted() {
            let cap = &here.backend(connection.backend).cap;
            let needs_place = connection.kind == ConnectionKind::Data;
            cap.iter().filter(|_| needs_place).for_each(|cap| cap.take_over(1));
            self.counters.backend(connection.backend).started.add(1);
        }
        let deadline = deadline(connection, here.tables);
        let entered = self.connections.insert(connection, deadline).map_err(|_full| {
            self.bury(connection, End::Evicted, here);
            Reason::FlowTableFull
        });
        let id = entered?;
        let server = connection.server();
        if connection.has(flag::BY_SERVER_TUPLE)
            && connection.backend != NO_BACKEND
            && !connection.has_mark(mark::BORROWS_PORT)
        {
            let holder = Holder::Connection(id);
            self.pools(here).note(server.near(), server.protocol, holder);
        }
        Ok(id)
    }

    /// What is to make room for this one. A bond is open at once, and made for one that may be half open: for a bond
    /// only what is over makes room.
    fn expendable_for(&self, connection: &Connection) -> Option<FlowId> {
        match connection.stage {
            Stage::HalfOpen => self.connections.expendable_for_stranger(),
            Stage::Expected => self.connections.expendable(),
            Stage::Open | Stage::Closing | Stage::Closed => {
                self.connections.over().next().filter(|_| self.connections.is_full())
            }
        }
    }

    /// One connection of this backend less, if it was one.
    fn count_connection_end(&self, connection: &Connection, end: End, here: &Here) {
        if connection.is_counted() {
            let transfers = self.counters.backend(connection.backend);
            transfers.ended.add(1);
            transfers.of(end).add(1);
            here.backend(connection.backend).give_place_back();
        }
    }

    /// The connection stands there now.
    pub fn advance(&mut self, id: FlowId, stage: Stage, here: &Here) {
        self.connections[id].last_packet = here.now;
        let before = self.connections[id].clone();
        let next = Connection { stage, ..before.clone() };
        self.connections.set_stage(id, stage, deadline(&next, here.tables));
        if next.is_over() {
            self.end_announced(id, here);
            self.count_connection_end(&before, how_it_ended(&before), here);
            self.connections[id].parent = NO_FLOW;
            self.leave_parent(&before, here);
            self.connections[id].mark(mark::UNREAD, false);
            self.quotas.leave(id);
            return;
        }
        if before.is_half_open() && !next.is_unassured() {
            self.quotas.assure(id, before.halves[0].next);
            self.note_reached(id, here);
        }
        // In `dsr` a server's end is not seen: the row stays for minutes, and its client has done with it.
        if stage == Stage::Closing && !next.answers_seen() {
            self.quotas.leave(id);
        }
        if before.is_under_way() && !next.is_under_way() {
            self.loosen_bond(&before);
        }
        self.note_unread(id, before.is_unread());
    }

    /// A control connection may be one whose data comes unannounced, from now on or no longer; of one that is read this
    /// is so if it can't be read any more.
    pub fn note_unread(&mut self, id: FlowId, is_opaque: bool) {
        let connection = &self.connections[id];
        let is_unread = connection.kind == ConnectionKind::Client
            && connection.stage == Stage::Open
            && !connection.has(flag::BOND)
            && (is_opaque || !connection.has(flag::READ));
        let Some(bond) = self.parent_of(connection).filter(|_| is_unread != connection.is_unread())
        else {
            return;
        };
        self.connections[id].mark(mark::UNREAD, is_unread);
        let unread = &mut self.connections[bond].again;
        *unread = if is_unread { *unread + 1 } else { unread.saturating_sub(1) };
    }

    /// A connection is no longer under way: its bond has one less of these, if it has one.
    fn loosen_bond(&mut self, connection: &Connection) {
        if let Some(parent) = self.parent_of(connection) {
            let under_way = &mut self.connections[parent].under_way;
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// What a connection carries data for, or what binds its client, is without it from now on.
    fn leave_parent(&mut self, connection: &Connection, here: &Here) {
        if connection.is_under_way() {
            self.loosen_bond(connection);
        }
        let Some(parent) = self.parent_of(connection) else { return };
        let is_data = connection.kind == ConnectionKind::Data;
        let known = &mut self.connections[parent];
        known.children -= 1;
        if connection.is_unread() {
            known.again = known.again.saturating_sub(1);
        }
        known.data = known.data.saturating_sub(u32::from(is_data));
        if is_data {
            known.last_packet = here.now;
        }
        if known.has(flag::BOND) && known.children == 0 {
            self.end_connection(parent, End::Completed, here);
        }
    }

    /// The connection is forgotten.
    pub fn end_connection(&mut self, id: FlowId, end: End, here: &Here) {
        self.end_announced(id, here);
        self.quotas.leave(id);
        let connection = self.connections.remove(id);
        self.depart_from_server(&connection, here);
        self.bury(&connection, end, here);
    }

    /// The client of some datagrams leaves its server, which may still be about to answer.
    fn depart_from_server(&mut self, connection: &Connection, here: &Here) {
        let (client, server) = (connection.client(), connection.server());
        let is_a_backend_s = connection.backend != NO_BACKEND && connection.answers_seen();
        if is_a_backend_s && client.protocol == PROTOCOL_UDP && server.near() == client.near() {
            let client = self.hosts.socket_address(client.near());
            self.departed.note(client, (server.far(), server.far_port()), 0, here.now);
        }
    }

    /// A connection that is in no row any more gives back what it holds.
    pub fn bury(&mut self, connection: &Connection, end: End, here: &Here) {
        if connection.has(flag::BOND) {
            self.tenants(connection)
                .into_iter()
                .for_each(|tenants| *tenants = tenants.saturating_sub(1));
        }
        self.count_connection_end(connection, end, here);
        self.let_go(connection, here);
        self.leave_parent(connection, here);
    }

    /// The connection that this one carries data for, or the bond that is of it; the number may be another one's by
    /// now.
    pub fn parent_of(&self, connection: &Connection) -> Option<FlowId> {
        let parent = self.connections.get(connection.parent)?;
        let is_it = parent.children > 0
            && parent.vip() == connection.vip()
            && parent.client().near().host == connection.client().near().host
            && parent.begun.is_due(connection.begun);
        is_it.then_some(connection.parent)
    }

    /// What a connection holds besides its place.
    fn let_go(&mut self, connection: &Connection, here: &Here) {
        self.sessions.leave(connection.session);
        self.release_port(connection, here);
        self.hosts.leave(connection.client().near().host);
        if let Some(server) = connection.server().far_host() {
            self.hosts.leave(server.host);
        }
    }

    /// A connection's port of ours is another one's, if it has one.
    pub fn release_port(&mut self, connection: &Connection, here: &Here) {
        let server = connection.server();
        let is_its_own = server.near().port != 0 && !connection.has_mark(mark::BORROWS_PORT);
        if connection.backend != NO_BACKEND && is_its_own {
            let rules = rules(&here.tables.service_of(connection.backend).mode);
            let rest = connection.rest();
            rules.release(server.near(), server.protocol, rest, &mut self.pools(here));
        }
    }

    /// What binds this client to a backend of the VIP.
    pub fn bond(&self, client: Host, vip: VipId, protocol: u8) -> Option<FlowId> {
        self.connections.find(&Tuple::of_bond(client, vip, protocol))
    }

    /// When a silent connection is looked at again, if others keep it alive: those that carry data for it; for one
    /// whose data is not known from that of its client's others, any of that. What is announced lives by its control
    /// connection, and not that by it.
    fn kept_alive(&self, id: FlowId, here: &Here) -> Option<Tick> {
        let connection = &self.connections[id];
        let later = here.now.after(KEPT_ALIVE);
        if connection.stage == Stage::Expected {
            return self.is_latest_announced(id).then_some(later);
        }
        if connection.children > self.announced_by(id).count() as u32 {
            return Some(later);
        }
        let may_have_data =
            connection.kind == ConnectionKind::Client && connection.stage == Stage::Open;
        let bond = self.parent_of(connection).filter(|_| may_have_data)?;
        let bond = &self.connections[bond];
        let until = if bond.data > 0 { later } else { deadline(bond, here.tables) };
        Some(until).filter(|until| !until.is_due(here.now))
    }

    /// Looks at some of the connections whose deadline has come.
    pub fn expire_connections(&mut self, here: &Here) {
        for _ in 0..GLANCE {
            let Some(id) = self.connections.due(here.now) else { return };
            let connection = &self.connections[id];
            let deadline = deadline(connection, here.tables);
            if !deadline.is_due(here.now) {
                self.connections.rearm(id, deadline);
            } else if let Some(later) = self.kept_alive(id, here) {
                self.connections.rearm(id, later);
            } else {
                let unanswered = connection.is_half_open();
                let end = if unanswered { End::Unanswered } else { End::TimedOut };
                self.end_connection(id, end, here);
            }
        }
    }

    /// Ends some of the connections that can't stay at their backend. Over TCP it is known to be dead, and their clients
    /// are told; of datagrams it is to be left by now, and the next one begins anew.
    pub fn look_for_cut_off(&mut self, here: &Here) {
        let counters = &self.counters;
        let mut backends = (0..).zip(&here.tables.backends).zip(&counters.backends);
        let is_needed = || {
            backends.any(|((id, backend), transfers)| {
                let is_lost = backend.duty == Duty::Down || here.tables.is_left(id, here.now);
                transfers.now() > 0 && is_lost
            })
        };
        for id in self.connection_sweep.places(GLANCE, here.now, is_needed) {
            let connection = self.connections.get(id).filter(|connection| connection.is_counted());
            let Some(connection) = connection else { continue };
            let is_dead = here.backend(connection.backend).duty == Duty::Down;
            if connection.may_be_left() && here.tables.is_left(connection.backend, here.now) {
                self.end_connection(id, End::Drained, here);
            } else if connection.client().is_tcp() && is_dead && self.resets.add(id) {
                self.connections[id].turn = Turn::CutOff;
                self.advance(id, Stage::Closed, here);
            }
        }
    }
}

/// How one ended that is closed.
fn how_it_ended(connection: &Connection) -> End {
    if connection.turn == Turn::CutOff {
        End::Lost
    } else if connection.has(flag::CLIENT_DONE | flag::SERVER_DONE) {
        End::Completed
    } else {
        End::Failed
    }
}

/// When a connection is given up unless another packet comes.
pub(super) fn deadline(connection: &Connection, tables: &Tables) -> Tick {
    let service = (connection.backend != NO_BACKEND).then(|| tables.service_of(connection.backend));
    let is_tcp = connection.client().protocol == PROTOCOL_TCP;
    let idle = || match (service, is_tcp) {
        (Some(service), _) => service.idle_timeout,
        (None, true) => TCP_IDLE,
        (None, false) => UDP_IDLE,
    };
    let transitory = || service.map_or(TRANSITORY, |service| service.transitory_timeout);
    connection.last_packet.after(match connection.stage {
        Stage::Expected if connection.has_mark(mark::REACHED) => REACHED,
        Stage::Expected => EXPECTED,
        Stage::HalfOpen if is_tcp => transitory(),
        Stage::HalfOpen | Stage::Open => idle(),
        Stage::Closing => transitory(),
        Stage::Closed => LINGER,
    })
}
