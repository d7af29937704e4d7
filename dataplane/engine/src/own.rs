//! What one worker alone owns: its transfers and connections, its turn at the SNAT ports, its place in every rota.

pub mod adopt;
mod announced;
mod answer;
pub mod connections;
pub mod departed;
pub mod evict;
mod help;
pub mod pool;
pub mod quota;
pub mod room;
mod transfers;
pub mod uses;

use crate::count::Counters;
use crate::flow::connection::Connection;
use crate::flow::connections::Connections;
use crate::flow::hosts::{Host, Hosts};
use crate::flow::key::Seed;
use crate::flow::ports::{Taker, Turn};
use crate::flow::quotas::Quotas;
use crate::flow::sessions::Sessions;
use crate::flow::store::Store;
use crate::flow::table::Table;
use crate::fragments::Fragments;
use crate::frame::Burst;
use crate::here::{By, Here};
use crate::mode::Pools;
use crate::notice::{Notice, Rate};
use crate::outbox::Outbox;
use crate::policy::Refusal;
use crate::select::rate::Rates;
use crate::select::round_robin::Cursor;
use crate::select::silence::Silences;
use crate::select::sticky::Sticky;
use crate::stage::cross::Crossing;
use crate::stage::edit::Edit;
use crate::sweep::Sweep;
use crate::tables::{InterfaceId, MOST_SNAT, SnatId, Tables, VipId};
use crate::tick::Tick;
use adopt::Adopted;
use departed::Departed;
use std::sync::Arc;

/// Names of IPv6 addresses beside those of the transfers' clients, of which each has one: one more can be made
/// before the oldest makes room, and SNAT addresses have theirs.
const ROOM_FOR_V6: u32 = 1 + MOST_SNAT as u32;

/// Bytes of the most data that a segment carries: a frame is always one buffer.
const LARGEST_SEGMENT: usize = 9216;

/// Flows looked at in one go, so that neither expiry nor a question for flows holds up packets.
const GLANCE: usize = 256;

/// One worker's state. All its memory is taken when it is made, or made by control ([`room::Room`]).
pub struct Own {
    /// This worker's number.
    pub worker: u16,
    /// How many workers there are.
    pub workers: u16,
    /// Its transfers.
    pub flows: Table,
    /// Its connections.
    pub connections: Connections,
    /// What is read of those.
    pub sessions: Sessions,
    /// How many of them each client has.
    pub quotas: Quotas,
    /// Where a segment is rewritten.
    pub scratch: Box<[u8]>,
    /// The names of their clients, and of the SNAT addresses.
    pub hosts: Hosts,
    /// Its places in the rotas, by those and [`crate::family::Family::PLACE`].
    pub cursors: Vec<[Cursor; 2]>,
    /// Which client went where.
    pub sticky: Sticky,
    /// Datagrams that come in parts.
    pub fragments: Fragments,
    /// Places of packets of the burst in hand that go a way apart from the others'.
    pub apart: Burst<usize>,
    /// Packets of the burst in hand that are for the other version of IP.
    pub crossings: Burst<(usize, Crossing)>,
    /// Packets of the burst in hand whose senders are to be told that they don't go on.
    pub notices: Burst<Notice>,
    /// How often that happens.
    pub notice_rate: Rate,
    /// Of the last datagram that got a number of ours.
    last_id: u16,
    /// Clients that backends have left without an answer lately.
    pub silences: Silences,
    /// Clients of transfers that were forgotten.
    pub departed: Departed,
    /// How often clients ask.
    pub rates: Rates,
    /// Requests of the burst in hand that are refused: their places in it, and who tells.
    pub refusals: Burst<(usize, VipId, Refusal)>,
    /// Messages of the burst in hand whose options are to be looked at.
    pub edits: Burst<(usize, Edit)>,
    /// Transfers about which something is to be said.
    pub outbox: Outbox,
    /// Where it looks for those whose server is dead.
    pub sweep: Sweep,
    /// Connections whose clients are to be told that their server is dead.
    pub resets: Outbox,
    /// Where it looks for those.
    pub connection_sweep: Sweep,
    /// When it last looked for what other workers want.
    heeded: Tick,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// How far it has got with the SNAT ports, by address and [`crate::flow::ports::kind`].
    turns: Vec<[Turn; 2]>,
    /// Those addresses.
    snat: Vec<Host>,
    /// Clients of FTP by the SNAT address that servers see them by: what binds each of them counts.
    tenants: Vec<u32>,
}

impl Own {
    /// The state of worker `worker` of `workers`, with its transfers in this store. Those that an earlier process has
    /// left there at the time `now` go on.
    pub fn new(
        (worker, workers): (u16, u16),
        store: Store,
        tables: &Tables,
        seed: Seed,
        counters: Arc<Counters>,
        now: Tick,
    ) -> (Own, Adopted) {
        let (max_flows, backends) = (store.flows.len(), counters.backends.len());
        let mut own = Own {
            worker,
            workers,
            flows: Table::new((store.flows, store.details), backends, seed, now),
            sessions: Sessions::new(store.connections.len()),
            quotas: Quotas::new(if tables.has_quotas() { max_flows } else { 0 }, seed),
            scratch: vec![0; LARGEST_SEGMENT].into(),
            connections: Connections::new(store.connections, backends, seed, now),
            hosts: Hosts::new(store.named, seed),
            cursors: cursors(worker, tables),
            sticky: Sticky::new(if tables.is_sticky() { max_flows } else { 0 }, seed),
            rates: Rates::new(if tables.is_rated() { max_flows } else { 0 }, seed),
            silences: Silences::new(seed),
            departed: Departed::new(max_flows, seed),
            refusals: Burst::new(),
            edits: Burst::new(),
            outbox: Outbox::new(),
            sweep: Sweep::new(max_flows),
            resets: Outbox::new(),
            connection_sweep: Sweep::new(max_flows),
            fragments: Fragments::new(seed),
            apart: Burst::new(),
            crossings: Burst::new(),
            notices: Burst::new(),
            notice_rate: Rate::default(),
            last_id: worker,
            heeded: now,
            counters,
            turns: vec![],
            snat: vec![],
            tenants: vec![0; tables.snat.len()],
        };
        let here = own.here(tables, now, 0, By::Device);
        let adopted = own.adopt(&here);
        own.hosts.tidy();
        let snat = tables.snat.iter().map(|one| own.hosts.enter(one.address));
        own.snat = snat.map(|entered| entered.unwrap_or(Host::NOBODY)).collect();
        own.turns = own.turns_left(tables);
        (own, adopted)
    }

    /// The memory that so many transfers need, of the process's own.
    pub fn store(max_flows: u32) -> Store {
        Store::new(max_flows, names(max_flows))
    }

    /// Bytes that so many transfers need in memory that outlives the process, for [`Own::lasting_store`].
    pub fn size(max_flows: u32) -> usize {
        Store::size(max_flows, names(max_flows))
    }

    /// The memory that so many transfers need, in such memory.
    pub fn lasting_store(memory: &'static mut [u8], max_flows: u32) -> Store {
        Store::lasting(memory, max_flows, names(max_flows))
    }

    /// The circumstances of a burst that came in by the interface `from`.
    pub fn here<'a>(&self, tables: &'a Tables, now: Tick, from: InterfaceId, by: By) -> Here<'a> {
        let mac = tables.interfaces[usize::from(from)].mac;
        let mtus = tables.interfaces.iter().map(|interface| usize::from(interface.mtu));
        let least_mtu = mtus.min().unwrap_or_default();
        Here { tables, now, from, by, mac, least_mtu, worker: self.worker, workers: self.workers }
    }

    /// The SNAT ports, for a mode to take from and give back to.
    pub fn pools<'a>(&'a mut self, here: &'a Here) -> Pools<'a> {
        let by = Taker { worker: self.worker, workers: self.workers, now: here.now };
        Pools { snat: &here.tables.snat, hosts: &self.snat, turns: &mut self.turns, by }
    }

    /// How many clients servers see by the address that this bond's is seen by, if that is one of ours.
    pub fn tenants(&mut self, bond: &Connection) -> Option<&mut u32> {
        let id = self.snat.iter().position(|&host| host == bond.seen_as().host)?;
        self.tenants.get_mut(id)
    }

    /// Of the addresses of a pool the one with the fewest clients. Workers don't know each other's: each has addresses for
    /// itself where there are enough, and begins at another one where there are not.
    pub fn least_shared(&self, pool: &[SnatId], v6: bool) -> Option<Host> {
        let (worker, workers) = (usize::from(self.worker), usize::from(self.workers));
        let all = pool.iter().map(|&id| usize::from(id)).filter(|&id| self.snat[id].is_v6() == v6);
        let count = all.clone().count();
        let is_own = |&(place, _): &(usize, usize)| count < workers || place % workers == worker;
        let distance = |place| (place + count - worker * count / workers) % count;
        let least = all.enumerate().filter(is_own);
        let least = least.min_by_key(|&(place, id)| (self.tenants[id], distance(place)));
        least.map(|(_, id)| self.snat[id])
    }

    /// A number for a datagram that is to be sent from an address of ours: no other worker's, and none of
    /// the last thousands.
    pub fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(self.workers);
        self.last_id
    }
}

/// Names of IPv6 addresses that so many transfers, and as many connections, need: each has a client, and a connection
/// can be between two hosts that are nobody's client.
fn names(max_flows: u32) -> u32 {
    3 * max_flows + ROOM_FOR_V6
}

/// Workers start apart.
fn cursors(worker: u16, tables: &Tables) -> Vec<[Cursor; 2]> {
    vec![[Cursor::starting_at(worker.into()); 2]; tables.rotas.len()]
}
