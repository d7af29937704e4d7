//! A transfer of the peer's.

use super::claim::{Claim, Put};
use super::refusal::SyncRefusal;
use super::{Gains, has_gone_on, has_room};
use crate::alg::tftp::FIRST_TID;
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::endpoint::Endpoint;
use crate::flow::port_allocator::Holder;
use crate::flow::transfer::{Detail, Parties, SyncedTransfer, Transfer};
use crate::mode::rules;
use crate::snapshot::service::Service;
use crate::state::WorkerState;
use crate::state::flow_log::History;
use crate::state::transfers::deadline;
use crate::types::direction::KeyKind;
use crate::types::end_reason::EndReason;
use crate::types::id::ServiceId;
use crate::types::mode::Mode;
use crate::types::tick::Tick;
use wire::ip::PROTOCOL_UDP;
use wire::tftp::Message;

impl WorkerState {
    pub(super) fn import_transfer(
        &mut self,
        told: &SyncedTransfer,
        gains: &Gains,
        env: &Env,
    ) -> Result<Put, SyncRefusal> {
        let (row, snapshot) = (Claim::of(told, gains, env), env.snapshot);
        let port =
            |service: ServiceId| snapshot.service(told.vip, PROTOCOL_UDP, snapshot[service].port);
        let service = self.check(&row, |service| port(service) == Some(service), env)?;
        let is_sound = told.progress.can_be()
            && usize::from(told.alias) <= env.backend(told.backend).aliases.len()
            && [told.tid, told.client_tid].iter().all(|&tid| tid == 0 || can_be_tid(tid, service));
        if !is_sound {
            return Err(SyncRefusal::Malformed);
        }
        self.with_ends(&row, &service.mode, env, |state, ends| {
            state.put_transfer(told, ends, row.gained, env)
        })
    }

    fn put_transfer(
        &mut self,
        told: &SyncedTransfer,
        [client, seen_as]: [Endpoint; 2],
        gained: Option<Tick>,
        env: &Env,
    ) -> Result<Put, SyncRefusal> {
        let mode = &env.snapshot.service_of(told.backend).mode;
        let server = env.backend(told.backend).server;
        let answers_from = rules(mode).answers_seen().then_some(server);
        let SyncedTransfer { vip, backend, back, .. } = *told;
        let parties = Parties { client, seen_as, vip, backend, back, answers_from };
        let request = told.request.bytes();
        let mut flow = told.row(parties, self.transfers.fingerprint(request), env.now);
        flow.progress.set_ambiguous(false);
        let detail = told.detail(env.now);
        if let Some(known) = self.transfers.find(KeyKind::Client, flow.client_key()) {
            let was_over = self.transfers[known].state.is_over();
            let goes_on = has_gone_on(self.transfers[known].last_packet, gained)
                && !(gained.is_some() && gives_way(&self.transfers[known], &flow));
            if !was_over && goes_on && self.has_transfer(&self.transfers[known], env) {
                return Ok(Put::Ours);
            }
            if is_same(&self.transfers[known], &flow) && (flow.state.is_over() || !was_over) {
                self.follow_transfer(known, &flow, &detail, env);
                return Ok(Put::Known(known));
            }
            self.end_both(known, EndReason::Replaced, env);
        }
        if flow.state.is_over() {
            return Ok(Put::Over);
        }
        if !has_room(self.transfers.in_use(), self.transfers.capacity()) {
            return Err(SyncRefusal::Full);
        }
        match mode {
            Mode::Snat(_) => {
                let entry = self.hosts.rss_entry(client.host);
                self.claim_told(seen_as, (PROTOCOL_UDP, entry), Holder::Transfer(server), env)?;
            }
            Mode::Dsr | Mode::Nat => self.displace_twin(&flow, env)?,
        }
        self.enter_told(&flow, &detail, env).map(Put::New)
    }

    /// Ends the transfer that the server would take for this one, through another VIP, unless it is ours.
    fn displace_twin(&mut self, flow: &Transfer, env: &Env) -> Result<(), SyncRefusal> {
        let twin = flow.server_key().and_then(|key| self.transfers.find(KeyKind::Server, key));
        if let Some(twin) = twin {
            if self.has_transfer(&self.transfers[twin], env) {
                return Err(SyncRefusal::Port);
            }
            self.end_both(twin, EndReason::Replaced, env);
        }
        Ok(())
    }

    /// Enters a transfer that has its client's host id and its port; it gives the port back if there is no room.
    fn enter_told(
        &mut self,
        flow: &Transfer,
        detail: &Detail,
        env: &Env,
    ) -> Result<FlowId, SyncRefusal> {
        let deadline = deadline(flow, env.snapshot);
        let Ok(id) = self.transfers.insert_synced(flow, detail, deadline) else {
            let rest = flow.rest(detail, env.backend(flow.backend).server);
            self.release(flow, rest, env);
            return Err(SyncRefusal::Full);
        };
        self.counters.of(flow).synced.add(1);
        self.restore_place(flow.backend, false, env);
        *self.flow_log.transfer(id) = History::synced();
        let message = detail.request.whole().map(Message::parse);
        let request = match &message {
            Some(Ok(Message::Request(request))) => Some(request),
            _ => None,
        };
        self.remember_told(flow.client(), flow.backend, request, env);
        self.watch_told(id);
        Ok(id)
    }

    /// Takes over what the peer tells of a transfer that is known.
    fn follow_transfer(&mut self, id: FlowId, told: &Transfer, detail: &Detail, env: &Env) {
        if self.transfers[id].state.is_over() {
            self.transfers[id].state = told.state;
            return;
        }
        let was_assured = self.transfers[id].progress.is_assured();
        let had_failover = self.transfers[id].needs_failover();
        let (flow, known) = self.transfers.both(id);
        flow.follow(told);
        known.follow(detail);
        if !was_assured && told.progress.is_assured() {
            self.transfers.assure(id);
        }
        if told.state.is_over() {
            self.close(id, EndReason::Elsewhere, env);
            self.transfers[id].state = told.state;
        } else if told.needs_failover() && !had_failover {
            self.watch_told(id);
        }
    }

    /// Has a failover that is under way go on, once the VIP is held here.
    fn watch_told(&mut self, id: FlowId) {
        if self.transfers[id].needs_failover() {
            self.queue_originate(id);
            self.originate_queue.watch(id);
        }
    }
}

/// Whether a server of this service can answer from this port.
fn can_be_tid(tid: u16, service: &Service) -> bool {
    tid >= FIRST_TID || tid == service.port
}

/// Whether a transfer of ours makes way for the one that the peer began for the same request: no server has answered ours yet,
/// and one may be silent until the first is over, as tftpd-hpa is while it has the file locked.
fn gives_way(ours: &Transfer, told: &Transfer) -> bool {
    ours.answers_seen()
        && ours.tid().is_none()
        && ours.fingerprint == told.fingerprint
        && !told.state.is_over()
}

/// Whether the peer's transfer is this one.
fn is_same(known: &Transfer, told: &Transfer) -> bool {
    known.server_key() == told.server_key()
        && known.backend == told.backend
        && known.seen_as() == told.seen_as()
        && known.fingerprint == told.fingerprint
        && (known.client_tid() == told.client_tid() || known.client_tid().is_none())
}
