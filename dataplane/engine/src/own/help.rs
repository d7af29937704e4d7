//! How a transfer is helped whose server is dead: another one goes on, or its client is told.

use super::{GLANCE, Own};
use crate::alg::End;
use crate::flow::FlowId;
use crate::flow::key::{Key, KeyKind};
use crate::flow::record::{Flow, Rescue};
use crate::flow::view::{Kind, State};
use crate::here::Here;
use crate::outbox::{PATIENCE, Watched};
use crate::select::candidates::Avoid;
use crate::select::choice::{Wish, choose};
use crate::tables::{BackendId, Duty};
use crate::tick::PER_SECOND;
use wire::tftp::Message;

/// Ticks within which packets of a running transfer follow each other.
const LATELY: u32 = 2;
/// Ticks that a server may take that is suspected.
const LONG: u32 = 2 * PER_SECOND;

impl Own {
    /// Has another server go on with a transfer whose server is dead, or gives it up. Answers false if nothing
    /// can be done and something may yet change.
    pub fn help(&mut self, id: FlowId, here: &Here) -> bool {
        let flow = &self.flows[id];
        if !here.tables.service_of(flow.backend).failover {
            return false;
        }
        let is_due = flow.rescue == Rescue::Due;
        let is_down = here.backend(flow.backend).duty == Duty::Down;
        let is_repeatable =
            flow.kind == Kind::Read && self.flows.detail(id).request.whole().is_some();
        let avoid = match is_due || is_down {
            true => Avoid::ItsDeadServer(flow.backend),
            false => Avoid::ItsServer(flow.backend),
        };
        let other = if is_repeatable { self.other_backend(id, avoid, here) } else { None };
        match other {
            Some(backend) => self.hand_on(id, backend, here),
            // Otherwise it may come back.
            None if is_due || (is_down && !is_repeatable) => self.lose(id, here),
            None => return false,
        }
        true
    }

    /// Who may go on with a transfer: one that sees the same client.
    fn other_backend(&mut self, id: FlowId, avoid: Avoid, here: &Here) -> Option<BackendId> {
        let flow = &self.flows[id];
        let kept = self.flows.detail(id).request.clone();
        let Ok(Message::Request(request)) = Message::parse(kept.whole()?) else { return None };
        let vip = here.tables.vips[usize::from(flow.vip())].address;
        let wish = Wish {
            client: self.address(flow),
            family: usize::from(vip.is_ipv6()),
            service: here.backend(flow.backend).service,
            request: Some(&request),
        };
        choose(&wish, avoid, here, self).ok()
    }

    /// Helps some of the downloads whose server is known to be dead, whether their clients say anything or not.
    pub fn look_for_orphans(&mut self, here: &Here) {
        let flows = &mut self.flows;
        self.outbox.remind(here.now, |id| {
            let (flow, detail) = flows.both(id);
            if !flow.rescue.is_under_way() {
                return Watched::Over;
            }
            let moves = here.now.since(flow.last_packet) < PATIENCE;
            if moves || detail.catch_up.queued != 0 {
                return Watched::Moves;
            }
            detail.catch_up.queued = 1;
            Watched::Waits
        });
        let counters = &self.counters;
        let mut backends = here.tables.backends.iter().zip(&counters.backends);
        let is_needed =
            || backends.any(|(backend, transfers)| !backend.is_trusted() && transfers.now() > 0);
        for id in self.sweep.places(GLANCE, here.now, is_needed) {
            // The next round comes soon.
            if is_orphan(&self.flows[id], here) && !self.outbox.is_full() {
                self.help(id, here);
            }
        }
    }

    fn hand_on(&mut self, id: FlowId, backend: BackendId, here: &Here) {
        let server = here.tables.backends[usize::from(backend)].server;
        let key = Key::new(self.flows[id].seen_as(), server);
        if let Some(twin) = self.flows.find(KeyKind::Server, key) {
            self.end_both(twin, End::Replaced, here);
        }
        self.count_end(&self.flows[id], End::FailedOver, here);
        self.note_silence(self.flows[id].backend, id, here);
        if !self.flows[id].rescue.is_under_way() {
            self.outbox.watch(id);
        }
        self.depart(id, here);
        let moved = self.flows.move_to(id, backend, server);
        let (flow, detail) = self.flows.both(id);
        detail.catch_up.begin();
        let transfers = self.counters.of(flow);
        transfers.started.add(1);
        transfers.resumed.add(1);
        match moved {
            Ok(()) => self.say(id),
            Err(_full) => self.lose(id, here),
        }
    }

    /// Something is to be said about this transfer, once.
    pub fn say(&mut self, id: FlowId) {
        let (_, detail) = self.flows.both(id);
        if detail.catch_up.queued == 0 && self.outbox.add(id) {
            detail.catch_up.queued = 1;
        }
    }

    /// Nobody can go on: the client is told.
    pub fn lose(&mut self, id: FlowId, here: &Here) {
        self.close(id, End::Lost, here);
        self.flows[id].rescue = Rescue::Lost;
        self.say(id);
    }
}

/// Whether a download waits for a dead server: nothing has come for it lately.
fn is_orphan(flow: &Flow, here: &Here) -> bool {
    flow.is_in_use()
        && flow.state == State::Established
        && flow.kind == Kind::Read
        && flow.answers_seen()
        && flow.progress.client_spoke()
        && match here.now.since(flow.last_packet) {
            0..LATELY => false,
            LATELY..LONG => !here.backend(flow.backend).serves(),
            LONG.. => !here.backend(flow.backend).is_trusted(),
        }
}
