//! How transfers begin and end in what a worker owns.

use super::departed::ANY_PORT;
use super::{GLANCE, WorkerState};
use crate::alg::tftp::earlier::Earlier;
use crate::alg::tftp::{Assurance, Lesson};
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::forerunner::Forerunner;
use crate::flow::port_allocator::Rest;
use crate::flow::state::TransferState;
use crate::flow::transfer::{Failover, NOBODY, Transfer};
use crate::mode::rules;
use crate::snapshot::Snapshot;
use crate::state::flow_log::History;
use crate::state::ours::end_here;
use crate::types::direction::KeyKind;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::BackendId;
use crate::types::tick::{PER_SECOND, Tick};
use crate::types::verdict::Step;
use wire::ip::PROTOCOL_UDP;

/// Ticks of silence after which a client's next request is taken for its own at once: a machine that boots again was
/// silent for longer.
const MOMENT: u32 = 2 * PER_SECOND;

/// Ticks that an ended transfer is kept for a lost last packet.
const LINGER: u32 = 5 * PER_SECOND;

/// Granted timeouts that a silent transfer lives at the least: a message may get lost, and the next one too.
const TIMEOUTS: u32 = 3;

impl WorkerState {
    /// Enters a transfer, which has a place at its backend. A full table makes room by forgetting one whose client was
    /// not heard or an ended one, never a running one.
    ///
    /// The transfer waits beside the one that goes on with its keys: `elder`, if that is the same client's by the same VIP.
    pub fn insert(
        &mut self,
        flow: Transfer,
        mut earlier: Earlier,
        elder: Option<FlowId>,
        request: &[u8],
        env: &Env,
    ) -> Step<FlowId> {
        let elder = match self.twin(&flow) {
            Some(twin) if elder != Some(twin) => {
                earlier = self.transfers.forerunner(twin).earlier_of(&flow).unwrap_or(earlier);
                let goes_on = self.make_way(twin, env).then_some(twin);
                elder.or(goes_on)
            }
            Some(_) | None => elder,
        };
        if self.transfers.is_full()
            && let Some(expendable) = self.transfers.expendable()
        {
            self.end(expendable, EndReason::Evicted, env);
        }
        let deadline = deadline(&flow, env.snapshot);
        // It may just have made room.
        let inserted = match elder.filter(|&elder| self.transfers[elder].is_in_use()) {
            Some(elder) => self.transfers.insert_beside(elder, &flow, earlier, request, deadline),
            None => self.transfers.insert(&flow, earlier, request, deadline),
        };
        match inserted {
            Ok(id) => {
                self.counters.of(&self.transfers[id]).started.add(1);
                *self.flow_log.transfer(id) = History::begun(self.clock, self.choose.reason);
                Ok(id)
            }
            Err(_full) => {
                // Of the ones before.
                let server = env.backend(flow.backend).server;
                let rest = Rest::answered(server, &earlier, env.now);
                self.release(&flow, rest, env);
                Err(DropReason::FlowTableFull.into())
            }
        }
    }

    /// The transfer that its server can't tell from this one: it sees the same client through another VIP. A port of a pool
    /// is one transfer's alone.
    fn twin(&self, flow: &Transfer) -> Option<FlowId> {
        let twin = || self.transfers.find(KeyKind::Server, flow.server_key()?);
        if flow.seen_as() == flow.client() {
            return twin();
        }
        debug_assert!(twin().is_none(), "a port of a pool with two transfers");
        None
    }

    /// The transfer `twin` has the key by which the server of a new one is to be found. Unless it goes on, which is the
    /// answer, it is over; what waits beside it is, either way.
    fn make_way(&mut self, twin: FlowId, env: &Env) -> bool {
        let goes_on = self.goes_on(twin, env);
        if goes_on {
            self.end_newcomer(twin, env);
        } else {
            self.end_both(twin, EndReason::Replaced, env);
        }
        goes_on
    }

    /// Carries out what a packet taught.
    #[inline]
    pub fn settle(&mut self, id: FlowId, lesson: &Lesson, env: &Env) {
        if let Some(tid) = lesson.learn {
            self.counters.of(&self.transfers[id]).responded.add(1);
            self.transfers.learn(id, tid, env.now);
            self.note_answer(id);
        }
        match lesson.assurance {
            Assurance::Unchanged => {}
            Assurance::Renewed => self.transfers.renew(id),
            Assurance::Given => {
                self.transfers.assure(id);
                self.heard(id, env);
            }
        }
        if lesson.progress.client_spoke()
            && let Some(elder) = self.transfers.elder(id)
            && self.is_over(elder, id, env)
            && !self.succeed(id, elder, env)
        {
            return;
        }
        if let Some(end) = lesson.end {
            self.close(id, end, env);
        }
    }

    /// Whether a transfer is over, as the client speaks in the one that waits beside it: to a TID that nobody else knows,
    /// be it of that alone, or, where answers are not seen, of both and by what is no part of the elder; or if the elder
    /// does not go on.
    fn is_over(&self, elder: FlowId, id: FlowId, env: &Env) -> bool {
        let (flow, before) = (&self.transfers[id], &self.transfers[elder]);
        let is_same = flow.client_tid() == before.client_tid();
        let is_known = flow.is_client_tid(env.snapshot.service_of(flow.backend).port);
        let is_its_own = if flow.answers_seen() { !is_same } else { is_same && !is_known };
        (flow.progress.is_assured() && is_its_own) || !self.goes_on(elder, env)
    }

    /// The transfer that waits beside an elder one takes its place. Answers false if there is none for it in the index.
    pub fn succeed(&mut self, id: FlowId, elder: FlowId, env: &Env) -> bool {
        self.end(elder, EndReason::Replaced, env);
        self.transfers[id].is_in_use()
    }

    /// Whether the client has spoken in this transfer, which was not silent for long: a request in its name need not be
    /// its own.
    pub fn goes_on(&self, id: FlowId, env: &Env) -> bool {
        let flow = &self.transfers[id];
        flow.state == TransferState::Established
            && flow.progress.client_spoke()
            && env.now.since(flow.last_packet) < MOMENT
    }

    /// The transfer that waits beside this one is forgotten; answers what it leaves behind.
    pub fn end_newcomer(&mut self, id: FlowId, env: &Env) -> Option<Forerunner> {
        let newcomer = self.transfers.newcomer(id)?;
        let forerunner = self.transfers.forerunner(newcomer);
        self.end(newcomer, EndReason::Replaced, env);
        Some(forerunner)
    }

    /// The transfer is forgotten, and the one that waits beside it too, so that nobody has their keys.
    pub fn end_both(&mut self, id: FlowId, end: EndReason, env: &Env) {
        self.end_newcomer(id, env);
        self.end(id, end, env);
    }

    /// The client of this transfer has heard its server: nobody else has made the request. Who had left that unanswered
    /// has done so to a client that there is.
    fn heard(&mut self, id: FlowId, env: &Env) {
        let silent = std::mem::replace(&mut self.transfers.both(id).1.silent, NOBODY);
        if silent != NOBODY {
            self.note_silence(silent, id, env);
        }
    }

    /// A backend has left this transfer's client, which was heard, without an answer.
    pub fn note_silence(&mut self, backend: BackendId, id: FlowId, env: &Env) {
        let client = self.address(&self.transfers[id]);
        if self.choose.silences.note(backend, client, env.now) {
            self.counters.backend(backend).silences.add(1);
        }
    }

    /// The transfer has ended; its flow lingers for late packets.
    pub fn close(&mut self, id: FlowId, end: EndReason, env: &Env) {
        if !self.transfers[id].state.is_over() {
            self.count_end(id, end, env);
            self.transfers[id].state = TransferState::Closing;
            if self.transfers[id].failover.is_under_way() {
                self.transfers[id].failover = Failover::Over;
            }
            let deadline = deadline(&self.transfers[id], env.snapshot);
            self.transfers.close(id, deadline);
            if end == EndReason::Completed {
                self.transfers[id].state = TransferState::Completed;
            }
        }
    }

    /// Nobody listens on the server's port any longer: the transfer has failed, and its client is not held to that
    /// server.
    pub fn refused(&mut self, id: FlowId, env: &Env) {
        self.transfers[id].progress.end_at_server();
        let flow = &self.transfers[id];
        if !flow.state.is_over() {
            let service = env.snapshot.service_of(flow.backend);
            if let Some(persistence) = service.persistence {
                let who = persistence.who(self.address(flow));
                service.groups().for_each(|group| self.choose.sticky.forget(group, who));
            }
            self.close(id, EndReason::Failed, env);
        }
    }

    /// The transfer is forgotten. The one that waits beside it takes its place.
    pub fn end(&mut self, id: FlowId, end: EndReason, env: &Env) {
        let newcomer = self.transfers.newcomer(id);
        let (flow, detail) = (&self.transfers[id], self.transfers.detail(id));
        let rest = flow.rest(detail, env.backend(flow.backend).server);
        if !flow.state.is_over() {
            self.count_end(id, end, env);
        }
        self.depart(id, env);
        let flow = self.transfers.remove(id);
        self.release(&flow, rest, env);
        self.hosts.release(flow.client().host);
        if let Some(newcomer) = newcomer
            && self.transfers.succeed(newcomer).is_err()
        {
            self.end(newcomer, EndReason::Evicted, env);
        }
    }

    /// The transfer leaves its server, which may go on talking to the client.
    pub fn depart(&mut self, id: FlowId, env: &Env) {
        let flow = &self.transfers[id];
        if flow.answers_seen() && flow.seen_as() == flow.client() {
            let client = self.hosts.socket_address(flow.client());
            let server = (env.backend(flow.backend).server, ANY_PORT);
            self.departed.note(client, server, flow.timeout, env.now);
        }
    }

    /// Looks at some of the flows whose deadline has come.
    pub fn expire(&mut self, env: &Env) {
        for _ in 0..GLANCE {
            let Some(id) = self.transfers.due(env.now) else { return };
            let deadline = deadline(&self.transfers[id], env.snapshot);
            if deadline.is_due(env.now) {
                let unanswered = self.transfers[id].state == TransferState::Requested;
                self.end(
                    id,
                    if unanswered { EndReason::Unanswered } else { EndReason::TimedOut },
                    env,
                );
            } else {
                self.transfers.rearm(id, deadline);
            }
        }
    }

    pub(super) fn release(&mut self, flow: &Transfer, rest: Rest, env: &Env) {
        let rules = rules(&env.snapshot.service_of(flow.backend).mode);
        rules.release(flow.seen_as(), PROTOCOL_UDP, rest, &mut self.pools(env));
    }

    /// One transfer of this backend less.
    pub fn count_end(&mut self, id: FlowId, end: EndReason, env: &Env) {
        let end = end_here(self.has_transfer(&self.transfers[id], env), end);
        let transfers = self.counters.of(&self.transfers[id]);
        transfers.ended.add(1);
        transfers.of(end).add(1);
        let flow = &self.transfers[id];
        self.release_place(flow.backend, flow.is_over_limit, env);
        self.record_transfer_end(id, end, env);
    }
}

/// When a flow is given up unless another packet comes.
pub(super) fn deadline(flow: &Transfer, snapshot: &Snapshot) -> Tick {
    let idle = || {
        let granted = if flow.progress.client_spoke() { flow.timeout.into() } else { 0 };
        snapshot.service_of(flow.backend).idle_timeout.max(TIMEOUTS * granted * PER_SECOND)
    };
    flow.last_packet.after(match flow.state {
        TransferState::Requested | TransferState::Established => idle(),
        // Its server may still be talking, and is not to be heard.
        TransferState::Closing if flow.progress.is_cut() => idle(),
        TransferState::Closing | TransferState::Completed => LINGER,
    })
}
