//! The poll loop of one core. A turn: execute a command, inhale, originate, exhale, tick.

mod capturing;
mod dispatch;
mod inhale;
mod turn;

use crate::command_channel::{Command, Query, Reply, WorkerChannel};
use crate::handover::Inboxes;
use crate::kernel_rings::KernelRings;
use crate::latency::{self, Latencies};
use crate::port::Port;
use crate::recorder::Recorder;
use crate::tx_buffer::TxBuffer;
use crate::vlan_ports::{VlanPort, VlanPorts};
use engine::engine::Engine;
use engine::flow::fragment_table::HELD;
use engine::flow::hash::Seed;
use engine::flow::store::Store;
use engine::snapshot::Snapshot;
use engine::state::WorkerState;
use engine::state::restore::Adopted;
use engine::types::frame::Burst;
use engine::types::id::InterfaceId;
use engine::types::tick::{Millis, Tick};
use engine::types::verdict::Slot;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use turn::Turn;

/// One worker, with its queues on every port.
pub struct Worker<P: Port> {
    /// The numbers of an earlier process's transfers that go on and that don't.
    pub adopted: Adopted,
    number: u16,
    engine: Engine,
    channel: WorkerChannel,
    ports: Vec<P>,
    vlan_ports: VlanPorts,
    kernel: Vec<KernelRings<P::Buffer>>,
    inboxes: Inboxes<P::Buffer>,
    /// Frames to be sent, by port.
    tx_buffers: Vec<TxBuffer<P::Buffer>>,
    /// Received frames of a device that interfaces share, by interface.
    sorted: Vec<Burst<P::Buffer>>,
    handing_over: Vec<Burst<P::Buffer>>,
    /// Fragments that wait for their first one, by [`Slot`].
    held: Vec<Option<Held<P::Buffer>>>,
    /// Slots that the engine released. Empty except in `process_released`.
    released: Vec<Slot>,
    query: Option<Query>,
    latencies: Box<Latencies>,
    /// The last turn.
    last: Option<Turn>,
    /// The tick of the last publication of the tables' occupancy.
    published: Option<Tick>,
    /// The keeper of dropped and captured frames.
    recorder: Recorder,
}

/// A frame that waits, and the interface that received it.
struct Held<B> {
    from: InterfaceId,
    frame: B,
}

/// Everything that a worker is made of.
pub struct Parts<P: Port> {
    /// The worker's number, from 0.
    pub number: u16,
    /// The worker's queues, by device.
    pub ports: Vec<P>,
    /// The interfaces' ports on these devices.
    pub vlan_ports: Vec<VlanPort>,
    /// The worker's rings to and from the kernel, by interface.
    pub kernel: Vec<KernelRings<P::Buffer>>,
    /// The inboxes of all workers.
    pub inboxes: Inboxes<P::Buffer>,
    /// The channel to control.
    pub channel: WorkerChannel,
    /// The first snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Memory of the transfers, perhaps with some of an earlier process.
    pub store: Store,
    /// The seed of the flow tables' hashes.
    pub seed: Seed,
    /// The current time.
    pub now: Tick,
}

impl<P: Port> Worker<P> {
    /// Creates a worker, with all the memory that it will ever need.
    pub fn new(parts: Parts<P>) -> Worker<P> {
        let Parts {
            number,
            ports,
            vlan_ports,
            kernel,
            inboxes,
            channel,
            snapshot,
            store,
            seed,
            now,
        } = parts;
        let counters = Arc::clone(&channel.counters);
        let (mut state, adopted) =
            WorkerState::new((number, inboxes.workers()), store, &snapshot, seed, counters, now);
        state.flow_log.records = Some(Arc::clone(&channel.records));
        Worker {
            adopted,
            number,
            engine: Engine { snapshot, state },
            tx_buffers: ports.iter().map(|_| TxBuffer::new()).collect(),
            sorted: vlan_ports.iter().map(|_| Burst::new()).collect(),
            vlan_ports: VlanPorts::new(vlan_ports, ports.len()),
            handing_over: (0..inboxes.workers()).map(|_| Burst::new()).collect(),
            held: (0..HELD).map(|_| None).collect(),
            released: Vec::with_capacity(HELD),
            query: None,
            latencies: Box::new(latency::none()),
            last: None,
            published: None,
            recorder: Recorder::new(),
            channel,
            ports,
            kernel,
            inboxes,
        }
    }

    /// Runs turns until told to stop. Time counts from `start`, which is the same for all workers.
    pub fn run(mut self, start: Instant, stop: &AtomicBool) {
        while !stop.load(Relaxed) {
            let begun = Instant::now();
            let elapsed = begun.duration_since(start);
            self.engine.state.clock = Millis::at(elapsed);
            self.turn(Tick::at(elapsed), begun);
        }
    }

    /// Runs one turn. `now` and `begun` are the same moment, for the engine and for the histogram.
    pub fn turn(&mut self, now: Tick, begun: Instant) {
        // The clock is read once a turn: it takes as long as a packet.
        if let Some(last) = self.last.take() {
            let time = begun.duration_since(last.begun);
            last.account(time, &self.channel.counters.load, &mut self.latencies);
        }
        self.recorder.turn = begun;
        self.take_command();
        let (has_received, mut is_busy) = self.inhale(now);
        if self.engine.has_to_originate() {
            self.originate(now);
            is_busy = true;
        }
        self.exhale();
        self.tick(now);
        self.last = Some(Turn { begun, has_received, is_busy });
    }

    /// Executes one command a turn, and only while the ring of replies has room for the memory that it replaces.
    fn take_command(&mut self) {
        // Far cheaper than popping a command that is hardly ever there.
        if self.channel.commands.is_empty() || self.channel.replies.is_full() {
            return;
        }
        match self.channel.commands.pop() {
            Some(Command::Snapshot(snapshot)) => {
                let old = self.engine.adopt(snapshot);
                self.reply(Reply::Snapshot(old));
            }
            Some(Command::Resize(mut resize)) => {
                self.engine.resize(&mut resize);
                self.reply(Reply::Resize(resize));
            }
            Some(Command::Capture(capture)) => {
                let old = self.recorder.capture.replace(capture);
                old.into_iter().for_each(|old| self.reply(Reply::Capture(old)));
            }
            Some(Command::EndCapture) => {
                let old = self.recorder.capture.take();
                old.into_iter().for_each(|old| self.reply(Reply::Capture(old)));
            }
            Some(Command::Query(query)) => {
                if let Some(unanswered) = self.query.replace(query) {
                    self.reply(Reply::Query(unanswered));
                }
            }
            None => {}
        }
    }

    fn exhale(&mut self) {
        for port in 0..self.ports.len() {
            let (tx_buffer, egress) = self.egress(port);
            tx_buffer.flush(egress);
        }
    }

    fn tick(&mut self, now: Tick) {
        self.engine.expire(now);
        if self.published != Some(now) {
            self.published = Some(now);
            self.engine.publish_occupancy();
        }
        let Some(mut query) = self.query.take_if(|_| !self.channel.replies.is_full()) else {
            return;
        };
        if self.answer(&mut query, now) {
            self.reply(Reply::Query(query));
        } else {
            self.query = Some(query);
        }
    }

    /// Goes on with the answer to a query, and returns whether it is complete.
    fn answer(&mut self, query: &mut Query, now: Tick) -> bool {
        match query {
            Query::Flows(query) => self.engine.answer(query, now),
            Query::References(uses) => self.engine.note_references(uses),
            Query::Selection(trace) => {
                self.engine.explain(trace, now);
                true
            }
            Query::Latencies(latencies) => {
                std::mem::swap(&mut self.latencies, latencies);
                true
            }
            Query::Export(rows) => self.engine.export(rows, now),
            Query::Import(rows) => self.engine.import(rows, now),
            Query::Purge(purge) => self.engine.purge(purge, now),
            Query::Drops(drops) => {
                self.recorder.history.answer(drops);
                true
            }
        }
    }

    /// Sends a reply. The ring has room: only this worker fills it, and every caller has looked.
    fn reply(&self, reply: Reply) {
        let _ = self.channel.replies.push(reply);
    }
}
