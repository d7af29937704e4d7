//! Ports of SNAT pools: what a worker's transfers and connections take, and which of these give theirs way when no port
//! is left. Anybody can ask in another's name; so a client that was not heard again keeps nobody out.

use super::evict::{HEARING, Row};
use crate::context::Env;
use crate::flow::connection::{Connection, flag};
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::key::Key;
use crate::flow::port_allocator::{Holder, Pending, Taker};
use crate::flow::tuple::Tuple;
use crate::mode::{SeenAs, rules};
use crate::state::WorkerState;
use crate::types::direction::KeyKind;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::{BackendId, ServerId, SnatId};
use crate::types::mode::Mode;
use crate::types::verdict::{Step, Verdict};
use wire::ip::PROTOCOL_UDP;

/// A client and the backend that must see it as something.
#[derive(Debug, Clone, Copy)]
pub struct Facing {
    /// The client.
    pub client: Endpoint,
    /// The backend that sees it.
    pub backend: BackendId,
    /// The protocol of IP's.
    pub protocol: u8,
    /// The address of ours that the backend must see, of several.
    pub ours: Option<HostId>,
}

/// The pool has no free port.
const EMPTY: Verdict = Verdict::Drop(DropReason::SnatPoolEmpty);

/// As many of a backend's are looked at for one with a port of the pool's.
const FEW: usize = 64;

impl WorkerState {
    /// Takes the endpoint that a backend sees as the client, for one transfer or connection.
    #[inline(always)]
    pub fn seen_as(&mut self, facing: &Facing, env: &Env) -> Step<SeenAs> {
        match self.take_port(facing, env) {
            Err(EMPTY) if self.give_port_up(facing, env) => self.take_port(facing, env),
            taken => taken,
        }
    }

    #[inline(always)]
    fn take_port(&mut self, facing: &Facing, env: &Env) -> Step<SeenAs> {
        let &Facing { client, backend, protocol, ours } = facing;
        let backend = env.backend(backend);
        let mode = &env.snapshot[backend.service].mode;
        match (mode, ours) {
            (Mode::Snat(_), Some(host)) => {
                let id = self.live_snat(host, env).ok_or(DropReason::SnatDown)?;
                self.pools(env).take(id, protocol, client.host, backend.server).ok_or(EMPTY)
            }
            (Mode::Dsr | Mode::Nat | Mode::Snat(_), _) => {
                rules(mode).seen_as(client, backend, protocol, &mut self.pools(env))
            }
        }
    }

    /// The SNAT address with this host id, if the kernel holds it.
    pub fn live_snat(&self, host: HostId, env: &Env) -> Option<SnatId> {
        let place = self.snat.hosts.iter().position(|&known| known == host)?;
        Some(SnatId(place as u16)).filter(|&id| env.snapshot.is_snat_live(id))
    }

    /// Has something that is over, or whose client was not heard again, give its port up, for one that can be used towards
    /// this backend at once. Answers whether there was one.
    #[cold]
    fn give_port_up(&mut self, facing: &Facing, env: &Env) -> bool {
        let Mode::Snat(pool) = &env.snapshot.service_of(facing.backend).mode else { return false };
        let long_held = pool.iter().find_map(|&id| self.long_held(id, facing, env));
        let row = long_held.or_else(|| self.oldest_in_pool(pool, facing, env));
        row.into_iter().for_each(|row| self.evict(row, env));
        row.is_some()
    }

    /// The row that gives up a port of this address, among some that have had theirs for longest.
    fn long_held(&mut self, id: SnatId, facing: &Facing, env: &Env) -> Option<Row> {
        let by = Taker { entry: self.hosts.rss_entry(facing.client.host), now: env.now };
        let host = self.snat.hosts[id.index()];
        let mut turn = *self.snat.turns[id.index()].of(facing.protocol, by.entry);
        let row = env.snapshot[id].of(facing.protocol).expendable(&mut turn, by, |port, holder| {
            let row = match holder {
                Holder::Transfer(server) => {
                    let key = Key::of_server(Endpoint { host, port }, server);
                    Row::Transfer(self.transfers.find(KeyKind::Server, key)?)
                }
                Holder::Connection(id) => Row::Connection(id),
            };
            self.gives_up(row, Endpoint { host, port }, facing, env).then_some(row)
        });
        *self.snat.turns[id.index()].of(facing.protocol, by.entry) = turn;
        row
    }

    /// The oldest that gives up a port of this pool, or one that is nearly as old, among those whose clients were not
    /// heard again. Where nearly all ports are those of what runs, the others are not found by their age alone. Ports of
    /// other RSS entries stay where they are: the client could not have them.
    fn oldest_in_pool(&self, pool: &[SnatId], facing: &Facing, env: &Env) -> Option<Row> {
        let all = env.snapshot.numbered_backends();
        let backends = all.filter(|(_, backend)| {
            let mode = &env.snapshot[backend.service].mode;
            matches!(mode, Mode::Snat(other) if other.iter().any(|id| pool.contains(id)))
        });
        let backends = backends.map(|(id, _)| id);
        let transfers = backends.clone().flat_map(|id| self.transfers.unassured().of(id).take(FEW));
        let transfers = self.oldest_transfer(backends.clone()).into_iter().chain(transfers);
        let others = backends.clone().flat_map(|id| self.connections.unassured().of(id).take(FEW));
        let others = self.oldest_connection(backends).into_iter().chain(others);
        let mut rows = transfers.map(Row::Transfer).chain(others.map(Row::Connection));
        let entry = Some(self.hosts.rss_entry(facing.client.host));
        rows.find(|&row| {
            let seen_as = match row {
                Row::Transfer(id) => self.transfers[id].seen_as(),
                Row::Connection(id) => self.connections[id].seen_as(),
            };
            let mut pool = pool.iter().filter(|id| self.snat.hosts[id.index()] == seen_as.host);
            pool.any(|&id| env.snapshot[id].of(facing.protocol).owner(seen_as.port) == entry)
                && self.gives_up(row, seen_as, facing, env)
        })
    }

    /// Whether a row gives up this port of its, and it can be used at once.
    fn gives_up(&self, row: Row, port: Endpoint, facing: &Facing, env: &Env) -> bool {
        let backend = env.backend(facing.backend);
        let (protocol, seen_as, is_left, rest) = match row {
            Row::Transfer(id) => {
                let (flow, detail) = (&self.transfers[id], self.transfers.detail(id));
                let is_young = env.now.since(detail.begun) < HEARING;
                let is_left = flow.state.is_over() || !(flow.progress.is_assured() || is_young);
                (
                    PROTOCOL_UDP,
                    flow.seen_as(),
                    is_left,
                    flow.rest(detail, flow.server_key().map_or(ServerId(0), Key::server)),
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
            && rest.pending(backend.server, env.now) != Pending::Anything
    }

    /// Settles what a connection's backend sees of it, at this port of its: of several addresses of ours this one, if
    /// it is said.
    pub fn face_server(
        &mut self,
        connection: &mut Connection,
        port: u16,
        pool_host: Option<HostId>,
        env: &Env,
    ) -> Step<()> {
        let backend = env.backend(connection.backend);
        if env.snapshot.service_of(connection.backend).mode == Mode::Dsr {
            return Ok(());
        }
        let Tuple { protocol, .. } = connection.client();
        let client = connection.client().near();
        let facing = Facing { client, backend: connection.backend, protocol, ours: pool_host };
        let seen_as = self.seen_as(&facing, env)?.endpoint;
        let server = Tuple::at_server(seen_as, backend.server, port, protocol);
        connection.tuples = connection.tuples.with_server(server);
        connection.flags |= flag::BY_SERVER_TUPLE;
        // The same server can see the same endpoint through two VIPs. A running connection is not given up for one that
        // says to be its client.
        if let Some(twin) = self.connections.find(&server) {
            if self.connections[twin].has_more_to_hear() {
                return Err(DropReason::BackendsFull.into());
            }
            self.end_connection(twin, EndReason::Replaced, env);
        }
        Ok(())
    }
}
