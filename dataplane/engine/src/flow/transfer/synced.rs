//! A transfer as one gate tells it to another: addresses in place of host ids, ages in place of ticks. The ids of VIPs,
//! backends and interfaces are those of the gate that has the struct.

use super::{Detail, Failover, Parties, Transfer};
use crate::alg::tftp::Progress;
use crate::alg::tftp::earlier::Earlier;
use crate::alg::tftp::takeover::{Takeover, Terms};
use crate::flow::hash::Seed;
use crate::flow::saved_request::SavedRequest;
use crate::flow::state::{Operation, TransferState};
use crate::types::id::{BackendId, VipId};
use crate::types::next_hop::NextHop;
use crate::types::tick::Tick;
use std::net::SocketAddr;
use zerocopy::IntoBytes;

/// A transfer that a gate tells its peer.
#[derive(Debug, Clone)]
pub struct SyncedTransfer {
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// The VIP.
    pub vip: VipId,
    /// The backend.
    pub backend: BackendId,
    /// The server's TID; 0: not known.
    pub tid: u16,
    /// The TID that the client knows; 0: none.
    pub client_tid: u16,
    /// State.
    pub state: TransferState,
    /// Read or write.
    pub operation: Operation,
    /// State of failover.
    pub failover: Failover,
    /// TFTP's state.
    pub progress: Progress,
    /// The last block that the client has acknowledged or sent, counted on beyond 65535.
    pub blocks: u32,
    /// Bytes of DATA.
    pub bytes: u64,
    /// Granted retransmission timeout in seconds; 0: the server's default.
    pub timeout: u8,
    /// Blocks that the client's last ACK asked for; 0: none.
    pub window: u8,
    /// Alias that the server answers from, counted from 1; 0: the backend's own address.
    pub alias: u8,
    /// The next hop to the client.
    pub back: NextHop,
    /// Ticks since the request.
    pub age: u32,
    /// Ticks since the last packet.
    pub idle: u32,
    /// Earlier transfers of the endpoint.
    pub earlier: Earlier,
    /// Options that the server granted.
    pub terms: Terms,
    /// Number of backends asked before.
    pub moves: u16,
    /// The request. Its seal means nothing.
    pub request: SavedRequest,
}

impl SyncedTransfer {
    /// The row of this transfer with these parties, whose request has this fingerprint. Of a failover that is under way, the
    /// new server is asked again: how far it has come would be out of date.
    pub fn row(&self, parties: Parties, fingerprint: u32, now: Tick) -> Transfer {
        let last_packet = now.before(self.idle);
        let (tid, failover) = match self.failover {
            under_way if under_way.is_under_way() => (0, Failover::Asking),
            other => (self.tid, other),
        };
        Transfer {
            bytes: self.bytes,
            blocks: self.blocks,
            tid,
            client_tid: self.client_tid,
            timeout: self.timeout,
            window: self.window,
            progress: self.progress,
            state: self.state,
            alias: self.alias,
            failover,
            ..Transfer::requested(parties, self.operation, fingerprint, last_packet)
        }
    }

    /// The cold part of the row.
    pub fn detail(&self, now: Tick) -> Detail {
        let (begun, last_packet) = (now.before(self.age), now.before(self.idle));
        Detail {
            begun,
            answered: last_packet,
            stalled: last_packet,
            earlier: self.earlier,
            terms: self.terms,
            takeover: Takeover::START,
            moves: self.moves,
            request: self.request.clone(),
            ..Detail::NONE
        }
    }
}

impl Transfer {
    /// The transfer as it is told to another gate.
    pub fn synced(
        &self,
        detail: &Detail,
        [client, seen_as]: [SocketAddr; 2],
        now: Tick,
    ) -> SyncedTransfer {
        SyncedTransfer {
            client,
            seen_as,
            vip: self.vip(),
            backend: self.backend,
            tid: self.tid,
            client_tid: self.client_tid,
            state: self.state,
            operation: self.operation,
            failover: self.failover,
            progress: self.progress,
            blocks: self.blocks,
            bytes: self.bytes,
            timeout: self.timeout,
            window: self.window,
            alias: self.alias,
            back: self.back,
            age: now.since(detail.begun),
            idle: now.since(self.last_packet),
            earlier: detail.earlier,
            terms: detail.terms,
            moves: detail.moves,
            request: detail.request.clone(),
        }
    }

    /// Takes over what another gate tells of this same transfer. The caller sees to its end.
    pub fn follow(&mut self, told: &Transfer) {
        let state = if told.state.is_over() { self.state } else { told.state };
        let Transfer { is_over_limit, repeats, .. } = *self;
        *self = Transfer { is_over_limit, repeats, state, ..told.clone() };
    }

    /// A digest of what another gate must know at once, other than progress; never 0.
    pub fn digest(&self, seed: Seed) -> u16 {
        let told = Transfer {
            bytes: 0,
            last_packet: Tick(0),
            blocks: 0,
            window: 0,
            repeats: 0,
            ..self.clone()
        };
        seed.digest(told.as_bytes())
    }
}

impl Detail {
    /// Takes over what another gate tells of this same transfer.
    pub fn follow(&mut self, told: &Detail) {
        let Detail { begun, answered, stalled, earlier, terms, moves, .. } = *told;
        *self = Detail { begun, answered, stalled, earlier, terms, moves, ..self.clone() };
    }
}
