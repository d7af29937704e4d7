//! What one worker alone owns: its transfers, its share of the SNAT ports, its place in every rota;
//! and how transfers begin and end in them.

pub mod adopt;
mod answer;
pub mod connections;
mod help;
pub mod room;
pub mod uses;

use crate::alg::{End, Lesson};
use crate::count::Counters;
use crate::flow::FlowId;
use crate::flow::connections::Connections;
use crate::flow::hosts::{Host, Hosts};
use crate::flow::key::{KeyKind, Seed};
use crate::flow::ports::Ports;
use crate::flow::record::{Flow, Rescue};
use crate::flow::sessions::Sessions;
use crate::flow::store::Store;
use crate::flow::table::Table;
use crate::flow::view::State;
use crate::fragments::Fragments;
use crate::frame::Burst;
use crate::here::{By, Here};
use crate::mode::{Pools, rules};
use crate::notice::{Notice, Rate};
use crate::outbox::Outbox;
use crate::policy::Refusal;
use crate::reason::Reason;
use crate::select::rate::Rates;
use crate::select::round_robin::Cursor;
use crate::select::sticky::Sticky;
use crate::stage::classify::Side;
use crate::stage::cross::Crossing;
use crate::stage::edit::Edit;
use crate::sweep::Sweep;
use crate::tables::{InterfaceId, MOST_SNAT, Mode, Tables, VipId};
use crate::tick::{PER_SECOND, Tick};
use crate::verdict::Step;
use adopt::Adopted;
use std::sync::Arc;

/// Ticks that an ended transfer is kept for a lost last packet.
const LINGER: u32 = 5 * PER_SECOND;

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
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Its share of the SNAT ports, by address.
    ports: Vec<Ports>,
    /// Those addresses.
    snat: Vec<Host>,
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
        let max_flows = store.flows.len();
        let mut own = Own {
            worker,
            workers,
            flows: Table::new(store.flows, store.details, seed, now),
            sessions: Sessions::new(store.connections.len()),
            scratch: vec![0; LARGEST_SEGMENT].into(),
            connections: Connections::new(store.connections, seed, now),
            hosts: Hosts::new(store.named, seed),
            cursors: cursors(worker, tables),
            sticky: Sticky::new(if tables.is_sticky() { max_flows } else { 0 }, seed),
            rates: Rates::new(if tables.is_rated() { max_flows } else { 0 }, seed),
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
            counters,
            ports: vec![],
            snat: vec![],
        };
        let here = own.here(tables, now, 0, By::Device);
        let adopted = own.adopt(&here);
        own.hosts.tidy();
        let snat = tables.snat.iter().map(|&address| own.hosts.enter(address));
        own.snat = snat.map(|entered| entered.unwrap_or(Host::NOBODY)).collect();
        own.ports = own.free_ports(tables);
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
        Pools { ports: &mut self.ports, hosts: &self.snat, now: here.now }
    }

    /// A number for a datagram that is to be sent from an address of ours: no other worker's, and none of
    /// the last thousands.
    pub fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(self.workers);
        self.last_id
    }

    /// Whether the receiver sees this transfer's packets of this side come from the same address as those
    /// of other clients.
    pub fn is_one_of_many(&self, flow: FlowId, side: Side, here: &Here) -> bool {
        let service = here.tables.service_of(self.flows[flow].backend);
        side.key_kind() == KeyKind::Client && matches!(service.mode, Mode::Snat(_))
    }

    /// Enters a transfer, which has a place at its backend. A full table makes room by forgetting an unanswered
    /// request or an ended transfer, never a running one.
    pub fn insert(&mut self, mut flow: Flow, request: &[u8], here: &Here) -> Step<FlowId> {
        // The same server can see the same endpoint through two VIPs.
        if let Some(key) = flow.server_key()
            && let Some(twin) = self.flows.find(KeyKind::Server, key)
        {
            let twin = self.end(twin, End::Replaced, here);
            flow.remember(&twin);
        }
        if self.flows.is_full()
            && let Some(expendable) = self.flows.expendable()
        {
            self.end(expendable, End::Evicted, here);
        }
        let deadline = deadline(&flow, here.tables);
        match self.flows.insert(&flow, request, deadline) {
            Ok(id) => {
                self.counters.of(&self.flows[id]).started.add(1);
                Ok(id)
            }
            Err(_full) => {
                self.release(&flow, true, here);
                Err(Reason::FlowTableFull.into())
            }
        }
    }

    /// Carries out what a packet taught.
    #[inline]
    pub fn settle(&mut self, id: FlowId, lesson: &Lesson, here: &Here) {
        if let Some(tid) = lesson.learn {
            self.counters.of(&self.flows[id]).responded.add(1);
            self.flows.learn(id, tid, here.now);
        }
        if let Some(end) = lesson.end {
            self.close(id, end, here);
        }
    }

    /// The transfer has ended; its flow lingers for late packets.
    pub fn close(&mut self, id: FlowId, end: End, here: &Here) {
        if !self.flows[id].state.is_over() {
            self.count_end(&self.flows[id], end, here);
            self.flows[id].state = State::Closing;
            if self.flows[id].rescue.is_under_way() {
                self.flows[id].rescue = Rescue::Over;
            }
            let deadline = deadline(&self.flows[id], here.tables);
            self.flows.close(id, deadline);
            if end == End::Completed {
                self.flows[id].state = State::Completed;
            }
        }
    }

    /// Nobody listens on the server's port any longer: the transfer has failed, and its client is not held to that
    /// server.
    pub fn refused(&mut self, id: FlowId, here: &Here) {
        let flow = &self.flows[id];
        if !flow.state.is_over() {
            let service = here.tables.service_of(flow.backend);
            if let Some(persistence) = service.persistence {
                let who = persistence.who(self.address(flow));
                service.rotas().for_each(|rota| self.sticky.forget(rota, who));
            }
            self.close(id, End::Failed, here);
        }
    }

    /// The transfer is forgotten; answers what was known of it.
    pub fn end(&mut self, id: FlowId, end: End, here: &Here) -> Flow {
        let flow = self.flows.remove(id);
        if !flow.state.is_over() {
            self.count_end(&flow, end, here);
        }
        // A server that was left behind may still be talking.
        let ended_well = flow.state == State::Completed && !flow.was_moved();
        self.release(&flow, ended_well, here);
        self.hosts.leave(flow.client().host);
        flow
    }

    /// Looks at some of the flows whose deadline has come.
    pub fn expire(&mut self, here: &Here) {
        for _ in 0..GLANCE {
            let Some(id) = self.flows.due(here.now) else { return };
            let deadline = deadline(&self.flows[id], here.tables);
            if deadline.is_due(here.now) {
                let unanswered = self.flows[id].state == State::Requested;
                self.end(id, if unanswered { End::Unanswered } else { End::TimedOut }, here);
            } else {
                self.flows.rearm(id, deadline);
            }
        }
    }

    fn release(&mut self, flow: &Flow, ended_well: bool, here: &Here) {
        let rules = rules(&here.tables.service_of(flow.backend).mode);
        rules.release(flow.seen_as(), ended_well, &mut self.pools(here));
    }

    /// One transfer of this backend less.
    pub fn count_end(&self, flow: &Flow, end: End, here: &Here) {
        let transfers = self.counters.of(flow);
        transfers.ended.add(1);
        transfers.of(end).add(1);
        here.tables.backends[usize::from(flow.backend)].give_place_back();
    }
}

/// Names of IPv6 addresses that so many transfers, and as many connections, need: each has a client, and a connection
/// can be between two hosts that are nobody's client.
fn names(max_flows: u32) -> u32 {
    3 * max_flows + ROOM_FOR_V6
}

/// When a flow is given up unless another packet comes.
fn deadline(flow: &Flow, tables: &Tables) -> Tick {
    let idle = || tables.service_of(flow.backend).idle_timeout;
    flow.last_packet.after(match flow.state {
        State::Requested | State::Established => idle(),
        // Its server may still be talking, and is not to be heard.
        State::Closing if flow.progress.is_cut() => idle(),
        State::Closing | State::Completed => LINGER,
    })
}

/// Workers start apart.
fn cursors(worker: u16, tables: &Tables) -> Vec<[Cursor; 2]> {
    vec![[Cursor::starting_at(worker.into()); 2]; tables.rotas.len()]
}
