//! Failover of a transfer whose server is dead: another one goes on, or the client gets an ERROR.

use super::{GLANCE, WorkerState};
use crate::choose::SelectionRequest;
use crate::choose::candidates::Exclude;
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::key::Key;
use crate::flow::state::{Operation, TransferState};
use crate::flow::transfer::{Failover, Transfer};
use crate::snapshot::BackendState;
use crate::state::originate_queue::{PATIENCE, Watched};
use crate::types::direction::KeyKind;
use crate::types::end_reason::EndReason;
use crate::types::id::BackendId;
use crate::types::selection_reason::SelectionReason;
use crate::types::tick::{PER_SECOND, Tick};
use wire::tftp::Message;

/// Ticks within which packets of a running transfer follow each other.
const LATELY: u32 = 2;
/// Ticks that a server may take that is suspected.
const LONG: u32 = 2 * PER_SECOND;

/// Repetitions of a client after which a server counts as dead of which nothing else is known.
pub const REPEATS: u8 = 2;
/// Ticks since the first of these repetitions, at the least.
pub const SILENCE: u32 = 4 * PER_SECOND;

impl WorkerState {
    /// Has another server go on with a transfer whose server is dead, or gives it up. Answers false if nothing
    /// can be done and something may yet change.
    pub fn start_failover(&mut self, id: FlowId, env: &Env) -> bool {
        let flow = &self.transfers[id];
        if !env.snapshot.service_of(flow.backend).failover {
            return false;
        }
        let is_due = flow.failover == Failover::Due;
        let is_down = env.backend(flow.backend).state == BackendState::Down;
        let is_repeatable = flow.operation == Operation::Read
            && self.transfers.detail(id).request.whole().is_some();
        let exclude = match is_due || is_down {
            true => Exclude::ItsDeadServer(flow.backend),
            false => Exclude::ItsServer(flow.backend),
        };
        let other = if is_repeatable { self.other_backend(id, exclude, env) } else { None };
        match other {
            Some(backend) => self.reassign(id, backend, env),
            // Otherwise it may come back.
            None if is_due || (is_down && !is_repeatable) => self.fail(id, env),
            None => return false,
        }
        true
    }

    /// Chooses the backend that goes on with a transfer: one that sees the same client.
    fn other_backend(&mut self, id: FlowId, exclude: Exclude, env: &Env) -> Option<BackendId> {
        let flow = &self.transfers[id];
        let kept = self.transfers.detail(id).request.clone();
        let Ok(Message::Request(request)) = Message::parse(kept.whole()?) else { return None };
        let vip = env.snapshot[flow.vip()].address;
        let request = SelectionRequest {
            client: self.address(flow),
            family: usize::from(vip.is_ipv6()),
            service: env.backend(flow.backend).service,
            tftp: Some(&request),
        };
        self.choose(&request, exclude, env).ok()
    }

    /// Helps some of the downloads whose server is known to be dead, whether their clients say anything or not.
    pub fn scan_for_failover(&mut self, env: &Env) {
        let transfers = &mut self.transfers;
        self.originate_queue.remind(env.now, |id| {
            let (flow, detail) = transfers.both(id);
            if !flow.failover.is_under_way() {
                return Watched::Over;
            }
            let moves = env.now.since(flow.last_packet) < PATIENCE;
            if moves || detail.takeover.queued != 0 {
                return Watched::Moves;
            }
            detail.takeover.queued = 1;
            Watched::Waits
        });
        let counters = &self.counters;
        let mut backends = env.snapshot.backends.iter().zip(&counters.backends);
        let is_needed =
            || backends.any(|(backend, transfers)| !backend.is_trusted() && transfers.now() > 0);
        for id in self.sweep.places(GLANCE, env.now, is_needed) {
            // The next round comes soon.
            if awaits_failover(&self.transfers[id], env)
                && self.has_transfer(&self.transfers[id], env)
                && !self.originate_queue.is_full()
            {
                self.start_failover(id, env);
            }
        }
    }

    fn reassign(&mut self, id: FlowId, backend: BackendId, env: &Env) {
        let server = env.snapshot[backend].server;
        let key = Key::of_server(self.transfers[id].seen_as(), server);
        if let Some(twin) = self.transfers.find(KeyKind::Server, key) {
            self.end_both(twin, EndReason::Replaced, env);
        }
        self.count_end(id, EndReason::FailedOver, env);
        let from = self.transfers[id].backend;
        self.flow_log.transfer(id).moved(from, SelectionReason::Failover, self.clock);
        self.note_silence(self.transfers[id].backend, id, env);
        if !self.transfers[id].failover.is_under_way() {
            self.originate_queue.watch(id);
        }
        self.depart(id, env);
        let moved = self.transfers.move_to(id, backend, server);
        let (flow, detail) = self.transfers.both(id);
        detail.takeover.begin();
        let transfers = self.counters.of(flow);
        transfers.started.add(1);
        transfers.resumed.add(1);
        match moved {
            Ok(()) => self.queue_originate(id),
            Err(_full) => self.fail(id, env),
        }
    }

    /// Queues a transfer for a frame of our own, once.
    pub fn queue_originate(&mut self, id: FlowId) {
        let (_, detail) = self.transfers.both(id);
        if detail.takeover.queued == 0 && self.originate_queue.add(id) {
            detail.takeover.queued = 1;
        }
    }

    /// Nobody can go on: the client is told.
    pub fn fail(&mut self, id: FlowId, env: &Env) {
        self.close(id, EndReason::Lost, env);
        self.transfers[id].failover = Failover::Lost;
        self.queue_originate(id);
    }

    /// Nobody listens any longer at a transfer's server. Answers whether its client need not hear of that.
    pub fn is_spared(&mut self, id: FlowId, env: &Env) -> bool {
        let flow = &self.transfers[id];
        if !flow.state.is_over() {
            self.counters.of(flow).unreachable.add(1);
            self.note_silence(flow.backend, id, env);
        }
        let (flow, detail) = self.transfers.both(id);
        match flow.failover {
            Failover::Lost | Failover::Over | Failover::Due => true,
            Failover::Asking | Failover::CatchingUp | Failover::Arrived => {
                flow.repeats = REPEATS;
                detail.stalled = Tick(env.now.0.wrapping_sub(SILENCE));
                true
            }
            Failover::None if flow.state.is_over() || !is_replaceable(flow.backend, env) => false,
            Failover::None => {
                flow.failover = Failover::Due;
                if flow.state == TransferState::Established && flow.progress.client_spoke() {
                    self.start_failover(id, env);
                }
                true
            }
        }
    }
}

/// Whether a download waits for a dead server: nothing has come for it lately, though its client would come here.
fn awaits_failover(flow: &Transfer, env: &Env) -> bool {
    flow.is_in_use()
        && flow.state == TransferState::Established
        && flow.operation == Operation::Read
        && flow.answers_seen()
        && flow.progress.client_spoke()
        && match env.now.since(flow.last_packet) {
            0..LATELY => false,
            LATELY..LONG => !env.backend(flow.backend).serves(),
            LONG.. => !env.backend(flow.backend).is_trusted(),
        }
}

/// Whether there is anybody else who could go on.
fn is_replaceable(backend: BackendId, env: &Env) -> bool {
    let service = env.snapshot[backend].service;
    let mut others = env.snapshot.numbered_backends().filter(|&(id, _)| id != backend);
    env.snapshot[service].failover
        && others
            .any(|(_, other)| other.service == service && (other.takes() || other.takes_at_worst()))
}
