//! How transfers begin and end in what a worker owns.

use super::{GLANCE, Own};
use crate::alg::{Assurance, End, Lesson};
use crate::flow::FlowId;
use crate::flow::key::KeyKind;
use crate::flow::record::{Flow, NOBODY, Rescue};
use crate::flow::view::State;
use crate::here::Here;
use crate::mode::rules;
use crate::reason::Reason;
use crate::tables::{BackendId, Tables};
use crate::tick::{PER_SECOND, Tick};
use crate::verdict::Step;

/// Ticks that an ended transfer is kept for a lost last packet.
const LINGER: u32 = 5 * PER_SECOND;

impl Own {
    /// Enters a transfer, which has a place at its backend. A full table makes room by forgetting one whose client was
    /// not heard or an ended one, never a running one.
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
        match lesson.assurance {
            Assurance::Unchanged => {}
            Assurance::Renewed => self.flows.renew(id),
            Assurance::Given => {
                self.flows.assure(id);
                self.heard(id, here);
            }
        }
        if let Some(end) = lesson.end {
            self.close(id, end, here);
        }
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

/// When a flow is given up unless another packet comes.
pub(super) fn deadline(flow: &Flow, tables: &Tables) -> Tick {
    let idle = || tables.service_of(flow.backend).idle_timeout;
    flow.last_packet.after(match flow.state {
        State::Requested | State::Established => idle(),
        // Its server may still be talking, and is not to be heard.
        State::Closing if flow.progress.is_cut() => idle(),
        State::Closing | State::Completed => LINGER,
    })
}
