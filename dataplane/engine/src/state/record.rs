//! Records of what has ended or was refused, made of a worker's tables for the log ([`super::flow_log`]).

use super::WorkerState;
use super::flow_log::{
    ConnectionEnd, FlowEnd, FlowEvent, FlowRecord, History, RefusedRequest, TransferEnd,
};
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, NO_BACKEND};
use crate::flow::saved_request::SavedRequest;
use crate::types::end_reason::EndReason;
use crate::types::id::{ServiceId, VipId};
use crate::types::next_hop::NextHop;
use crate::types::tick::{Millis, PER_SECOND, Tick};
use std::net::SocketAddr;
use wire::ip::PROTOCOL_UDP;

/// Milliseconds of a tick.
const TICK: u32 = 1000 / PER_SECOND;

/// A request that was refused, and its client.
pub struct Refused<'a> {
    /// Service.
    pub service: ServiceId,
    /// VIP.
    pub vip: VipId,
    /// IP protocol; 0: all.
    pub protocol: u8,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The next hop to the client.
    pub hop: NextHop,
    /// The TFTP request.
    pub request: Option<&'a [u8]>,
}

impl WorkerState {
    /// Notes the first answer to a transfer's request.
    pub fn note_answer(&mut self, id: FlowId) {
        if let Some(answer) = self.flow_log.transfer(id).answered(self.clock) {
            self.counters.answers(self.transfers[id].backend).record(answer.into());
        }
    }

    /// Notes the first answer to a connection's first packet.
    pub fn note_connection_answer(&mut self, id: FlowId) {
        let connection = &self.connections[id];
        if connection.backend == NO_BACKEND {
            return;
        }
        if let Some(answer) = self.flow_log.connection(id).answered(self.clock) {
            self.counters.answers(connection.backend).record(answer.into());
        }
    }

    /// Records the end of a transfer, which still has its row.
    pub(super) fn record_transfer_end(&mut self, id: FlowId, reason: EndReason, env: &Env) {
        let (flow, detail) = (&self.transfers[id], self.transfers.detail(id));
        let history = *self.flow_log.transfer(id);
        if is_told_of(history, reason) {
            return;
        }
        let duration = duration(history, detail.begun, (self.clock, env.now));
        let service = env.backend(flow.backend).service;
        self.counters.ended(service, reason, duration, Some(flow.bytes));
        let error = self.flow_log.error.take_if(|(flow, _)| *flow == id).map(|(_, error)| error);
        let policy = env.snapshot[service].log;
        if !policy.wants(reason) || !self.flow_log.takes(policy.one_in, &self.counters.lost_records)
        {
            return;
        }
        // In one expression: each variable would be one more copy of some hundred bytes.
        self.push(FlowRecord {
            time: self.clock,
            service,
            vip: SocketAddr::new(env.snapshot[flow.vip()].address, env.snapshot[service].port),
            protocol: PROTOCOL_UDP,
            client: self.hosts.socket_address(flow.client()),
            hop: flow.back,
            event: FlowEvent::Transfer(
                FlowEnd {
                    reason,
                    backend: flow.backend,
                    server_port: flow.tid().unwrap_or_default(),
                    seen_as: self.hosts.socket_address(flow.seen_as()),
                    duration,
                    history,
                },
                TransferEnd {
                    operation: flow.operation,
                    request: detail.request.clone(),
                    terms: detail.terms,
                    bytes: flow.bytes,
                    blocks: flow.blocks,
                    stalled: env.now.since(flow.stalled_since(detail)).saturating_mul(TICK),
                    error,
                },
            ),
        });
    }

    /// Records the end of a connection to a backend.
    pub(super) fn record_connection_end(
        &mut self,
        connection: &Connection,
        history: History,
        reason: EndReason,
        env: &Env,
    ) {
        if is_told_of(history, reason) {
            return;
        }
        let duration = duration(history, connection.begun, (self.clock, env.now));
        let service = env.backend(connection.backend).service;
        self.counters.ended(service, reason, duration, None);
        let policy = env.snapshot[service].log;
        if !policy.wants(reason) || !self.flow_log.takes(policy.one_in, &self.counters.lost_records)
        {
            return;
        }
        let (client, answers_seen) = (connection.client(), connection.answers_seen());
        let near = self.hosts.socket_address(client.near());
        let seen_as = answers_seen.then(|| self.hosts.socket_address(connection.seen_as()));
        let server_port =
            if answers_seen { connection.server().far_port() } else { client.far_port() };
        let end = FlowEnd {
            reason,
            backend: connection.backend,
            server_port,
            seen_as: seen_as.unwrap_or(near),
            duration,
            history,
        };
        let about = ConnectionEnd { kind: connection.kind, bytes: connection.bytes() };
        self.push(FlowRecord {
            time: self.clock,
            service,
            vip: SocketAddr::new(env.snapshot[connection.vip()].address, client.far_port()),
            protocol: client.protocol,
            client: near,
            hop: connection.back,
            event: FlowEvent::Connection(end, about),
        });
    }

    /// Records a refused request; `reason` is the name of the refusal or drop reason.
    pub fn record_refusal(&mut self, refused: &Refused, reason: &'static str, env: &Env) {
        let service = &env.snapshot[refused.service];
        if !service.log.refusals
            || !self.flow_log.takes(service.log.one_in, &self.counters.lost_records)
        {
            return;
        }
        let request = refused.request.map(|request| {
            let mut kept = SavedRequest::NONE;
            kept.keep(request);
            kept
        });
        self.push(FlowRecord {
            time: self.clock,
            service: refused.service,
            vip: SocketAddr::new(env.snapshot[refused.vip].address, service.port),
            protocol: refused.protocol,
            client: refused.client,
            hop: refused.hop,
            event: FlowEvent::Refused(RefusedRequest { reason, request }),
        });
    }

    #[inline(always)]
    fn push(&self, record: FlowRecord) {
        let Some(records) = &self.flow_log.records else { return };
        // Nobody else pushes, so there still is the room that `FlowLog::takes` has seen.
        let _ = records.push(record);
    }
}

/// Whether the end is one that the other gate of the pair records: this one has only been told of the flow.
fn is_told_of(history: History, reason: EndReason) -> bool {
    reason == EndReason::Elsewhere && history.begun.is_none()
}

/// Milliseconds since the request. To a tick where an earlier process saw that, or where milliseconds may have wrapped.
fn duration(history: History, begun: Tick, (clock, now): (Millis, Tick)) -> u32 {
    let coarse = now.since(begun).saturating_mul(TICK);
    let precise = history.begun.map(|begun| clock.since(begun));
    precise.filter(|_| coarse < u32::MAX / 2).unwrap_or(coarse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::selection_reason::SelectionReason;
    use std::time::Duration;

    #[test]
    fn a_duration_is_precise_until_milliseconds_could_have_wrapped() {
        let begun = Duration::from_millis(1234);
        let history = History::begun(Millis::at(begun), SelectionReason::default());
        let told = |history, after| {
            let now = begun + Duration::from_millis(after);
            duration(history, Tick::at(begun), (Millis::at(now), Tick::at(now)))
        };
        const DAY: u64 = 24 * 3600 * 1000;
        assert_eq!(told(history, 41), 41);
        assert_eq!(told(history, 20 * DAY + 7), 20 * DAY as u32 + 7);
        assert_eq!(told(history, 49 * DAY), 49 * DAY as u32, "to a tick");
        assert_eq!(told(history, 60 * DAY), u32::MAX, "as much as there is room for");
        assert_eq!(told(History::default(), 1041), 1000, "to a tick");
    }
}
