//! How transfers begin and end in what a worker owns.

use super::departed::ANY_PORT;
use super::{GLANCE, Own};
use crate::alg::tftp::earlier::Earlier;
use crate::alg::{Assurance, End, Lesson};
use crate::flow::FlowId;
use crate::flow::forerunner::Forerunner;
use crate::flow::key::KeyKind;
use crate::flow::ports::Rest;
use crate::flow::record::{Flow, NOBODY, Rescue};
use crate::flow::view::State;
use crate::here::Here;
use crate::mode::rules;
use crate::reason::Reason;
use crate::tables::{BackendId, Tables};
use crate::tick::{PER_SECOND, Tick};
use crate::verdict::Step;
use wire::ip::PROTOCOL_UDP;

/// Ticks of silence after which a client's next request is taken for its own at once: a machine that boots again was
/// silent for longer.
const MOMENT: u32 = 2 * PER_SECOND;

/// Ticks that an ended transfer is kept for a lost last packet.
const LINGER: u32 = 5 * PER_SECOND;

/// Granted timeouts that a silent transfer lives at the least: a message may get lost, and the next one too.
const TIMEOUTS: u32 = 3;

impl Own {
    /// Enters a transfer, which has a place at its backend. A full table makes room by forgetting one whose client was
    /// not heard or an ended one, never a running one.
    /// It waits beside the one that goes on with its keys: `elder`, if that is the same client's by the same VIP.
    pub fn insert(
        &mut self,
        flow: Flow,
        mut earlier: Earlier,
        elder: Option<FlowId>,
        request: &[u8],
        here: &Here,
    ) -> Step<FlowId> {
        let elder = match self.twin(&flow) {
            Some(twin) if elder != Some(twin) => {
                earlier = self.flows.forerunner(twin).earlier_of(&flow).unwrap_or(earlier);
                let goes_on = self.make_way(twin, here).then_some(twin);
                elder.or(goes_on)
            }
            Some(_) | None => elder,
        };
        if self.flows.is_full()
            && let Some(expendable) = self.flows.expendable()
        {
            self.end(expendable, End::Evicted, here);
        }
        let deadline = deadline(&flow, here.tables);
        // It may just have made room.
        let inserted = match elder.filter(|&elder| self.flows[elder].is_in_use()) {
            Some(elder) => self.flows.insert_beside(elder, &flow, earlier, request, deadline),
            None => self.flows.insert(&flow, earlier, request, deadline),
        };
        match inserted {
            Ok(id) => {
                self.counters.of(&self.flows[id]).started.add(1);
                Ok(id)
            }
            Err(_full) => {
                // Of the ones before.
                let server = here.backend(flow.backend).server;
                let rest = Rest::answered(server, &earlier, here.now);
                self.release(&flow, rest, here);
                Err(Reason::FlowTableFull.into())
            }
        }
    }

    /// The transfer that its server can't tell from this one: it sees the same client through another VIP. A port of a pool
    /// is one transfer's alone.
    fn twin(&self, flow: &Flow) -> Option<FlowId> {
        let twin = || self.flows.find(KeyKind::Server, flow.server_key()?);
        if flow.seen_as() == flow.client() {
            return twin();
        }
        debug_assert!(twin().is_none(), "a port of a pool with two transfers");
        None
    }

    /// The transfer `twin` has the key by which the server of a new one is to be found. Unless it goes on, which is the
    /// answer, it is over; what waits beside it is, either way.
    fn make_way(&mut self, twin: FlowId, here: &Here) -> bool {
        let goes_on = self.goes_on(twin, here);
        if goes_on {
            self.end_newcomer(twin, here);
        } else {
            self.end_both(twin, End::Replaced, here);
        }
        goes_on
    }

    /// Carries out what a packet taught.
    #[inline]
    pub fn settle(&mut self, id: FlowId, lesson: &Lesson, here: &Here) {
        if let Some(tid) = lesson.learn {
            self.counters.of(&self.flows[id]).responded.add(1);
            self.flows.learn(id, tid, here.now);
        }
        match lesson.assurance {
            Assurance::Unchanged => {}
            Assurance::Renewed => self.flows.renew(id),
            Assurance::Given => {
                self.flows.assure(id);
                self.heard(id, here);
            }
        }
        if lesson.progress.client_spoke()
            && let Some(elder) = self.flows.elder(id)
            && self.is_over(elder, id, here)
            && !self.succeed(id, elder, here)
        {
            return;
        }
        if let Some(end) = lesson.end {
            self.close(id, end, here);
        }
    }

    /// Whether a transfer is over, as the client speaks in the one that waits beside it: to a TID that nobody else knows,
    /// be it of that alone, or, where answers are not seen, of both and by what is no part of the elder; or if the elder
    /// does not go on.
    fn is_over(&self, elder: FlowId, id: FlowId, here: &Here) -> bool {
        let (flow, before) = (&self.flows[id], &self.flows[elder]);
        let is_same = flow.client_tid() == before.client_tid();
        let is_known = flow.is_client_tid(here.tables.service_of(flow.backend).port);
        let is_its_own = if flow.answers_seen() { !is_same } else { is_same && !is_known };
        (flow.progress.is_assured() && is_its_own) || !self.goes_on(elder, here)
    }

    /// The transfer that waits beside an elder one takes its place. Answers false if there is none for it in the index.
    pub fn succeed(&mut self, id: FlowId, elder: FlowId, here: &Here) -> bool {
        self.end(elder, End::Replaced, here);
        self.flows[id].is_in_use()
    }

    /// Whether the client has spoken in this transfer, which was not silent for long: a request in its name need not be
    /// its own.
    pub fn goes_on(&self, id: FlowId, here: &Here) -> bool {
        let flow = &self.flows[id];
        flow.state == State::Established
            && flow.progress.client_spoke()
            && here.now.since(flow.last_packet) < MOMENT
    }

    /// The transfer that waits beside this one is forgotten; answers what it leaves behind.
    pub fn end_newcomer(&mut self, id: FlowId, here: &Here) -> Option<Forerunner> {
        let newcomer = self.flows.newcomer(id)?;
        let forerunner = self.flows.forerunner(newcomer);
        self.end(newcomer, End::Replaced, here);
        Some(forerunner)
    }

    /// The transfer is forgotten, and the one that waits beside it too, so that nobody has their keys.
    pub fn end_both(&mut self, id: FlowId, end: End, here: &Here) {
        self.end_newcomer(id, here);
        self.end(id, end, here);
    }

    /// The client of this transfer has heard its server: nobody else has made the request. Who had left that unanswered
    /// has done so to a client that there is.
    fn heard(&mut self, id: FlowId, here: &Here) {
        let silent = std::mem::replace(&mut self.flows.both(id).1.silent, NOBODY);
        if silent != NOBODY {
            self.note_silence(silent, id, here);
        }
    }

    /// A backend has left this transfer's client, which was heard, without an answer.
    pub fn note_silence(&mut self, backend: BackendId, id: FlowId, here: &Here) {
        let client = self.address(&self.flows[id]);
        if self.silences.note(backend, client, here.now) {
            self.counters.backend(backend).silences.add(1);
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
        self.flows[id].progress.end_at_server();
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

    /// The transfer is forgotten. The one that waits beside it takes its place.
    pub fn end(&mut self, id: FlowId, end: End, here: &Here) {
        let newcomer = self.flows.newcomer(id);
        let (flow, detail) = (&self.flows[id], self.flows.detail(id));
        let rest = flow.rest(detail, here.backend(flow.backend).server);
        self.depart(id, here);
        let flow = self.flows.remove(id);
        if !flow.state.is_over() {
            self.count_end(&flow, end, here);
        }
        self.release(&flow, rest, here);
        self.hosts.leave(flow.client().host);
        if let Some(newcomer) = newcomer
            && self.flows.succeed(newcomer).is_err()
        {
            self.end(newcomer, End::Evicted, here);
        }
    }

    /// The transfer leaves its server, which may go on talking to the client.
    pub fn depart(&mut self, id: FlowId, here: &Here) {
        let flow = &self.flows[id];
        if flow.answers_seen() && flow.seen_as() == flow.client() {
            let client = self.hosts.socket_address(flow.client());
            let server = (here.backend(flow.backend).server, ANY_PORT);
            self.departed.note(client, server, flow.timeout, here.now);
        }
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

    fn release(&mut self, flow: &Flow, rest: Rest, here: &Here) {
        let rules = rules(&here.tables.service_of(flow.backend).mode);
        rules.release(flow.seen_as(), PROTOCOL_UDP, rest, &mut self.pools(here));
    }

    /// One transfer of this backend less.
    pub fn count_end(&self, flow: &Flow, end: End, here: &Here) {
        let transfers = self.counters.of(flow);
        transfers.ended.add(1);
        transfers.of(end).add(1);
        here.tables.backends[usize::from(flow.backend)].give_place_back();
    }
}

/// When a flow is given up unless another packet comes.
pub(super) fn deadline(flow: &Flow, tables: &Tables) -> Tick {
    let idle = || {
        let granted = if flow.progress.client_spoke() { flow.timeout.into() } else { 0 };
        tables.service_of(flow.backend).idle_timeout.max(TIMEOUTS * granted * PER_SECOND)
    };
    flow.last_packet.after(match flow.state {
        State::Requested | State::Established => idle(),
        // Its server may still be talking, and is not to be heard.
        State::Closing if flow.progress.is_cut() => idle(),
        State::Closing | State::Completed => LINGER,
    })
}
