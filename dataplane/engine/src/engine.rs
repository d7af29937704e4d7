//! The engine of one worker: a burst's way through the stages, timers, queries and snapshots.

use crate::context::{BurstContext, Ingress};
use crate::flow::query::FlowQuery;
use crate::flow::state::ConnectionState;
use crate::flow::summary::FlowSummary;
use crate::snapshot::Snapshot;
use crate::stage::connection::reset::reset_cut_off;
use crate::stage::dispatch::dispatch;
use crate::stage::identify::{FlowEnds, Identity, flow_between, identify};
use crate::stage::originate::{OriginatedFrame, originate};
use crate::stage::second_chance::give_second_chances;
use crate::stage::sort::{Packets, sort};
use crate::stage::{connection, reply, tftp, xlat};
use crate::state::WorkerState;
use crate::state::explain::{SelectionTrace, explain};
use crate::state::references::References;
use crate::state::resize::Resize;
use crate::state::sync::export::SyncExport;
use crate::state::sync::import::SyncImport;
use crate::state::sync::purge::SyncPurge;
use crate::types::frame::{BURST, Burst, Frame};
use crate::types::id::InterfaceId;
use crate::types::tick::Tick;
use crate::types::verdict::{Slot, Verdict};
use std::sync::Arc;

/// The engine of one worker.
pub struct Engine {
    /// The network and the services, as control sees them.
    pub snapshot: Arc<Snapshot>,
    /// The state that no other worker touches.
    pub state: WorkerState,
}

impl Engine {
    /// Installs a snapshot; returns the one before.
    pub fn adopt(&mut self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        recount(&self.snapshot, &snapshot, &self.state);
        std::mem::replace(&mut self.snapshot, snapshot)
    }

    /// Decides what becomes of each frame of a burst (at most [`BURST`]) that came in by this interface, and rewrites those
    /// that go on. Afterwards fragments that were held may go on, too: [`Engine::released`].
    pub fn process<F: Frame>(
        &mut self,
        now: Tick,
        interface: InterfaceId,
        ingress: Ingress,
        burst: &mut [F],
    ) -> Burst<Verdict> {
        let Engine { snapshot, state } = self;
        let ctx = BurstContext::new(state.env(snapshot, now), interface, ingress);
        // What nobody claims is the kernel's.
        let mut verdicts = Burst::from([Verdict::Kernel; BURST]);
        verdicts.truncate(burst.len());
        // Parse, classify, prefetch; then each packet's fast path, or the slow path of its transfer.
        decide_whole(burst, &mut verdicts, &ctx, state);
        // The rest: slow path of connections, fragments, ICMP errors.
        if !state.deferred.slow_path.is_empty() {
            dispatch(burst, &mut verdicts, &ctx, state);
        }
        // What was deferred until all packets of the burst have their verdicts.
        if !state.deferred.strays.is_empty() {
            reply::strays(burst, &mut verdicts, &ctx, state);
        }
        if !state.deferred.icmp_notices.is_empty() {
            reply::notify(burst, &mut verdicts, &ctx, state);
        }
        if !state.deferred.refusals.is_empty() {
            reply::refuse(burst, &mut verdicts, &ctx, state);
        }
        if !state.deferred.options.is_empty() {
            tftp::options::options(burst, &ctx, state);
        }
        if !state.deferred.xlat.is_empty() {
            xlat::apply(burst, &mut verdicts, state);
        }
        if ctx.other_gate.is_some() {
            give_second_chances(burst, &mut verdicts, &ctx, &state.counters);
        }
        verdicts
    }

    /// The slots of [`Verdict::Hold`] whose frames must be processed again, by [`Ingress::Fragment`], in this order. The
    /// caller takes them out.
    pub fn released(&mut self) -> &mut Vec<Slot> {
        self.state.fragments.released()
    }

    /// Ends transfers and connections whose time has come, and starts failover for those whose server is dead, some at a
    /// time.
    pub fn expire(&mut self, now: Tick) {
        let Engine { snapshot, state } = self;
        let env = state.env(snapshot, now);
        state.expire(&env);
        state.expire_connections(&env);
        state.give_up_wanted(&env);
        state.scan_for_failover(&env);
        state.scan_for_cut_off(&env);
    }

    /// Publishes how many rows are in use.
    pub fn publish_occupancy(&self) {
        use ConnectionState::{Closed, Closing, Expected, HalfOpen, Open};
        let WorkerState { transfers, connections, counters, .. } = &self.state;
        let occupancy = &counters.occupancy;
        let established = [Open, Closing, Closed].map(|state| connections.in_use(state));
        occupancy.transfers.set(transfers.in_use().into());
        occupancy.connections.set(established.iter().sum::<u32>().into());
        occupancy.expected.set(connections.in_use(Expected).into());
        occupancy.half_open.set(connections.in_use(HalfOpen).into());
    }

    /// Whether frames of our own wait to be built: [`Engine::originate`].
    #[inline]
    pub fn has_to_originate(&self) -> bool {
        !self.state.originate_queue.is_empty() || !self.state.resets.is_empty()
    }

    /// The next frame of our own, and the interface that it leaves by.
    pub fn originate(&mut self, now: Tick) -> Option<(InterfaceId, OriginatedFrame)> {
        let Engine { snapshot, state } = self;
        let env = state.env(snapshot, now);
        while let Some(id) = state.originate_queue.next(now, snapshot.originate_rate) {
            state.originate_queue.charge(state.transfers.detail(id).terms.windowsize());
            if let Some((hop, frame)) = originate(id, &env, state) {
                return Some((hop.interface, frame));
            }
        }
        while let Some(id) = state.resets.next(now, RESETS) {
            if let Some((hop, frame)) = reset_cut_off(id, &env, state) {
                return Some((hop.interface, frame));
            }
        }
        None
    }

    /// Moves the state into larger memory, which control has made; afterwards `resize` holds what is left over.
    pub fn resize(&mut self, resize: &mut Resize) {
        self.state.resize(resize);
    }

    /// Notes the ids that some more transfers and connections refer to; returns true when all have been looked at.
    pub fn note_references(&self, references: &mut References) -> bool {
        self.state.note_references(references)
    }

    /// Explains which backend a client would get.
    pub fn explain(&self, trace: &mut SelectionTrace, now: Tick) {
        explain(trace, &self.state.env(&self.snapshot, now), &self.state);
    }

    /// Identifies a frame that came in by this interface or, with `is_sent`, leaves by it.
    pub fn identify(
        &self,
        frame: &mut [u8],
        interface: InterfaceId,
        is_sent: bool,
        now: Tick,
    ) -> Option<Identity> {
        let env = self.state.env(&self.snapshot, now);
        identify(frame, is_sent, &BurstContext::new(env, interface, Ingress::Fragment))
    }

    /// The flow between these ends, as it is now.
    pub fn flow_between(&self, ends: &FlowEnds) -> Option<FlowSummary> {
        flow_between(ends, &self.snapshot, &self.state)
    }

    /// Copies out some more rows for the other gate of the pair; returns true when the query has all that it can hold.
    pub fn export(&self, query: &mut SyncExport, now: Tick) -> bool {
        self.state.export(query, &self.state.env(&self.snapshot, now))
    }

    /// Takes in some more rows of the other gate of the pair; returns true when all have been looked at.
    pub fn import(&mut self, rows: &mut SyncImport, now: Tick) -> bool {
        let env = self.state.env(&self.snapshot, now);
        self.state.import(rows, &env)
    }

    /// Ends some more rows that the other gate of the pair does not have any more; returns true when all have been looked at.
    pub fn purge(&mut self, purge: &mut SyncPurge, now: Tick) -> bool {
        let env = self.state.env(&self.snapshot, now);
        self.state.purge(purge, &env)
    }

    /// Answers a query with some more transfers and connections; returns true when all have been looked at.
    pub fn answer(&self, query: &mut FlowQuery, now: Tick) -> bool {
        self.state.answer(query, &self.snapshot, now)
    }
}

/// The most connections that are reset in a tick: a dead server's clients all hear of it within a second or two.
const RESETS: u32 = 2048;

/// Parses and classifies all frames, then decides on whole datagrams and segments. IPv4 datagrams come first: they are
/// nearly all there is.
#[inline]
fn decide_whole<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    ctx: &BurstContext,
    state: &mut WorkerState,
) {
    let mut packets = Packets::default();
    sort(burst, &mut packets, verdicts, ctx, state);
    let Packets { v4, v6, tcp_v4, tcp_v6 } = &mut packets;
    tftp::process(v4, verdicts, ctx, state);
    if !tcp_v4.is_empty() {
        connection::process(tcp_v4, verdicts, ctx, state);
    }
    if !tcp_v6.is_empty() {
        connection::process(tcp_v6, verdicts, ctx, state);
    }
    if !v6.is_empty() {
        tftp::process(v6, verdicts, ctx, state);
    }
}

/// Counts this worker's transfers in a limit that a backend has from now on, and no longer in one that it had: those that
/// are not beyond it.
fn recount(old: &Snapshot, new: &Snapshot, state: &WorkerState) {
    let flows = state.counters.backends.iter().zip(&state.over_limit);
    for ((old, new), (transfers, over_limit)) in old.backends.iter().zip(&new.backends).zip(flows) {
        match (&old.cap, &new.cap) {
            (Some(old), Some(new)) if old.is_same(new) => {}
            (old, new) => {
                let now = (transfers.now() as u32).saturating_sub(*over_limit);
                old.iter().for_each(|cap| cap.give_back(now));
                new.iter().for_each(|cap| cap.take_over(now));
            }
        }
    }
}
