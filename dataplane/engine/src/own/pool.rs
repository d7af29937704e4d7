//! Ports of SNAT pools: what a worker's transfers and connections take, and which of these give theirs way when no port
//! is left. Anybody can ask in another's name; so whoever was not heard again keeps nobody out.

use super::Own;
use super::evict::{HEARING, Row};
use crate::flow::hosts::{Endpoint, Host};
use crate::flow::key::{Key, KeyKind};
use crate::flow::ports::{Holder, Pending, Taker, kind};
use crate::here::Here;
use crate::mode::{SeenAs, rules};
use crate::reason::Reason;
use crate::tables::{BackendId, Mode, SnatId};
use crate::verdict::Step;
use wire::ip::PROTOCOL_UDP;

/// Who is to be seen as what.
#[derive(Debug, Clone, Copy)]
pub struct Facing {
    /// The client.
    pub client: Endpoint,
    /// The backend that sees it.
    pub backend: BackendId,
    /// The protocol of IP's.
    pub protocol: u8,
    /// The address of ours that it is to see, of several.
    pub ours: Option<Host>,
}

/// As many of a backend's are looked at for one with a port of the pool's.
const FEW: usize = 64;

impl Own {
    /// What a backend is to see as a client, for one transfer or connection.
    #[inline(always)]
    pub fn seen_as(&mut self, facing: &Facing, here: &Here) -> Step<SeenAs> {
        match self.take_port(facing, here) {
            Ok(seen_as) => Ok(seen_as),
            // There is but one reason.
            Err(_) if self.give_port_up(facing, here) => self.take_port(facing, here),
            Err(is_empty) => Err(is_empty),
        }
    }

    #[inline(always)]
    fn take_port(&mut self, facing: &Facing, here: &Here) -> Step<SeenAs> {
        let &Facing { client, backend, protocol, ours } = facing;
        let backend = here.backend(backend);
        let mode = &here.tables.services[usize::from(backend.service)].mode;
        match (mode, ours) {
            (Mode::Snat(_), Some(host)) => {
                let taken = self.pools(here).take_of(host, protocol, backend.server);
                taken.ok_or(Reason::SnatPoolEmpty.into())
            }
            (Mode::Dsr | Mode::Nat | Mode::Snat(_), _) => {
                rules(mode).seen_as(client, backend, protocol, &mut self.pools(here))
            }
        }
    }

    /// Has something that is over, or whose client was not heard again, give its port up, for one that can be used towards
    /// this backend at once. Answers whether there was one.
    #[cold]
    fn give_port_up(&mut self, facing: &Facing, here: &Here) -> bool {
        let Mode::Snat(pool) = &here.tables.service_of(facing.backend).mode else { return false };
        let long_held = pool.iter().find_map(|&id| self.long_held(id, facing, here));
        let row = long_held.or_else(|| self.oldest_in_pool(pool, facing, here));
        row.into_iter().for_each(|row| self.evict(row, here));
        row.is_some()
    }

    /// What gives up a port of this address, among some that have had theirs for longest.
    fn long_held(&mut self, id: SnatId, facing: &Facing, here: &Here) -> Option<Row> {
        let (id, kind) = (usize::from(id), kind(facing.protocol));
        let by = Taker { worker: self.worker, workers: self.workers, now: here.now };
        let host = self.snat[id];
        let mut turn = self.turns[id][kind];
        let row =
            here.tables.snat[id].of(facing.protocol).expendable(&mut turn, by, |port, holder| {
                let row = match holder {
                    Holder::Transfer(server) => {
                        let key = Key::new(Endpoint { host, port }, server);
                        Row::Transfer(self.flows.find(KeyKind::Server, key)?)
                    }
                    Holder::Connection(id) => Row::Connection(id),
                };
                self.gives_up(row, Endpoint { host, port }, facing, here).then_some(row)
            });
        self.turns[id][kind] = turn;
        row
    }

    /// The oldest that gives up a port of this pool, or one that is nearly as old, among those whose clients were not
    /// heard again. Where nearly all ports are those of what runs, the others are not found by their age alone.
    fn oldest_in_pool(&self, pool: &[SnatId], facing: &Facing, here: &Here) -> Option<Row> {
        let all = (0..).zip(&here.tables.backends);
        let backends = all.filter(|(_, backend)| {
            let mode = &here.tables.services[usize::from(backend.service)].mode;
            matches!(mode, Mode::Snat(other) if other.iter().any(|id| pool.contains(id)))
        });
        let backends = backends.map(|(id, _)| id);
        let transfers = backends.clone().flat_map(|id| self.flows.unassured().of(id).take(FEW));
        let transfers = self.oldest_transfer(backends.clone()).into_iter().chain(transfers);
        let others = backends.clone().flat_map(|id| self.connections.unassured().of(id).take(FEW));
        let others = self.oldest_connection(backends).into_iter().chain(others);
        let mut rows = transfers.map(Row::Transfer).chain(others.map(Row::Connection));
        rows.find(|&row| {
            let seen_as = match row {
                Row::Transfer(id) => self.flows[id].seen_as(),
                Row::Connection(id) => self.connections[id].seen_as(),
            };
            let mut pool = pool.iter().map(|&id| self.snat[usize::from(id)]);
            pool.any(|host| host == seen_as.host) && self.gives_up(row, seen_as, facing, here)
        })
    }

    /// Whether a row gives up this port of its, and it can be used at once.
    fn gives_up(&self, row: Row, port: Endpoint, facing: &Facing, here: &Here) -> bool {
        let backend = here.backend(facing.backend);
        let (protocol, seen_as, is_left, rest) = match row {
            Row::Transfer(id) => {
                let (flow, detail) = (&self.flows[id], self.flows.detail(id));
                let is_young = here.now.since(detail.begun) < HEARING;
                let is_left = flow.state.is_over() || !(flow.progress.is_assured() || is_young);
                (
                    PROTOCOL_UDP,
                    flow.seen_as(),
                    is_left,
                    flow.rest(detail, flow.server_key().map_or(0, Key::other)),
                )
            }
            Row::Connection(id) => {
                let Some(one) = self.connections.get(id) else { return false };
                let is_left = one.is_over() || one.is_unassured();
                (one.client().protocol, one.seen_as(), is_left, one.rest())
            }
        };
        protocol == facing.protocol
            && seen_as == port
            && is_left
            && facing.ours.is_none_or(|ours| ours == port.host)
            && port.host.is_v6() == backend.address.is_ipv6()
            && rest.pending(backend.server, here.now) != Pending::Anything
    }
}
