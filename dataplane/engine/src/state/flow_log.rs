//! Records of ended transfers and connections and of refused requests, for control to log. They go through a bounded ring;
//! when it is full, a record is counted as lost, and the worker never waits.

use crate::alg::tftp::takeover::Terms;
use crate::counters::Counter;
use crate::flow::FlowId;
use crate::flow::saved_request::SavedRequest;
use crate::flow::state::{ConnectionKind, Operation};
use crate::types::end_reason::EndReason;
use crate::types::id::{BackendId, ServiceId};
use crate::types::next_hop::NextHop;
use crate::types::selection_reason::SelectionReason;
use crate::types::tick::Millis;
use arrayvec::ArrayVec;
use crossbeam::queue::ArrayQueue;
use std::net::SocketAddr;
use std::sync::Arc;

/// Records that the ring between a worker and control holds.
pub const DEPTH: usize = 4096;

/// Kept bytes of an ERROR's text.
pub const ERROR_TEXT: usize = 64;

/// The ring of one worker's records.
pub type Records = Arc<ArrayQueue<FlowRecord>>;

/// A record: the end of a transfer or connection, or a refused request.
#[derive(Debug, Clone)]
pub struct FlowRecord {
    /// Time of the end or refusal.
    pub time: Millis,
    /// Service.
    pub service: ServiceId,
    /// The address and port that the client asked.
    pub vip: SocketAddr,
    /// IP protocol; 0: all.
    pub protocol: u8,
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The next hop to the client: the client itself, if it is on the wire of the interface.
    pub hop: NextHop,
    /// The event.
    pub event: FlowEvent,
}

/// The event of a record.
#[derive(Debug, Clone)]
pub enum FlowEvent {
    /// A TFTP transfer has ended.
    Transfer(FlowEnd, TransferEnd),
    /// A connection has ended.
    Connection(FlowEnd, ConnectionEnd),
    /// A request was refused.
    Refused(RefusedRequest),
}

/// The end of a transfer or connection.
#[derive(Debug, Clone)]
pub struct FlowEnd {
    /// The reason of the end.
    pub reason: EndReason,
    /// Backend.
    pub backend: BackendId,
    /// The server's port: a transfer's TID; 0: none was learned.
    pub server_port: u16,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// Milliseconds from the request to the end.
    pub duration: u32,
    /// Notes about the flow.
    pub history: History,
}

/// The part of a record that only transfers have.
#[derive(Debug, Clone)]
pub struct TransferEnd {
    /// Read or write.
    pub operation: Operation,
    /// The request.
    pub request: SavedRequest,
    /// Options that the server granted.
    pub terms: Terms,
    /// Bytes of DATA, repeated ones too.
    pub bytes: u64,
    /// Blocks that the client has acknowledged or sent.
    pub blocks: u32,
    /// Milliseconds without progress before the end, to a tick.
    pub stalled: u32,
    /// The ERROR that ended the transfer.
    pub error: Option<TftpError>,
}

/// A TFTP ERROR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TftpError {
    /// The code (RFC 1350 §5).
    pub code: u16,
    /// The beginning of the text.
    pub text: ArrayVec<u8, ERROR_TEXT>,
}

/// The part of a record that only connections have.
#[derive(Debug, Clone)]
pub struct ConnectionEnd {
    /// Kind.
    pub kind: ConnectionKind,
    /// Bytes from the client and from the server, by IP length.
    pub bytes: [u64; 2],
}

/// A refused request.
#[derive(Debug, Clone)]
pub struct RefusedRequest {
    /// The name of the refusal or of the drop reason.
    pub reason: &'static str,
    /// The TFTP request.
    pub request: Option<SavedRequest>,
}

/// Notes about a flow that only the log and histograms need. They are not saved: of a restored flow there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// Time of the request; `None`: an earlier process saw it.
    pub begun: Option<Millis>,
    /// Time when the backend was asked that has yet to answer.
    pub asked: Option<Millis>,
    /// Milliseconds from the request to the first answer, once there was one.
    pub answer: Option<u32>,
    /// Requests, blocks and ACKs that the client has repeated.
    pub repeats: u16,
    /// Whether the request goes on at another backend, so that this end is not the client's.
    pub goes_on: bool,
    /// Backends that the flow had before this one.
    pub moves: u8,
    /// Why the backend was chosen.
    pub reason: SelectionReason,
    /// The first backend, if there was another one before.
    pub first_backend: Option<BackendId>,
}

/// A worker's notes about its flows, and its ring of records.
#[derive(Default)]
pub struct FlowLog {
    /// The ring to control; `None`: there is no control.
    pub records: Option<Records>,
    transfers: Vec<History>,
    connections: Vec<History>,
    /// The ERROR in hand, and the transfer that it ends.
    pub error: Option<(FlowId, TftpError)>,
    /// The last number drawn, for sampling.
    drawn: u64,
}

impl FlowLog {
    /// A log for tables of so many rows.
    pub fn new(rows: usize) -> FlowLog {
        let none = || vec![History::default(); rows];
        FlowLog { transfers: none(), connections: none(), ..FlowLog::default() }
    }

    /// Notes about a transfer.
    #[inline]
    pub fn transfer(&mut self, id: FlowId) -> &mut History {
        &mut self.transfers[id as usize]
    }

    /// Notes about a transfer, to read.
    pub fn of_transfer(&self, id: FlowId) -> &History {
        &self.transfers[id as usize]
    }

    /// Notes about a connection.
    #[inline]
    pub fn connection(&mut self, id: FlowId) -> &mut History {
        &mut self.connections[id as usize]
    }

    /// Whether to make this wanted record: it is in the sample, and the ring has room. Without room it is `lost`.
    pub fn takes(&mut self, one_in: u32, lost: &Counter) -> bool {
        let Some(records) = &self.records else { return false };
        if one_in > 1 && !draw(&mut self.drawn).is_multiple_of(one_in) {
            return false;
        }
        let is_full = records.is_full();
        lost.add(is_full.into());
        !is_full
    }
}

/// The next number of a linear congruential generator. A sample by turns would miss what comes with the same period.
fn draw(drawn: &mut u64) -> u32 {
    // Knuth's MMIX constants.
    *drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    // The upper bits, whose period is the longest.
    (*drawn >> 32) as u32
}

impl History {
    /// The notes about a flow that the peer gate has told of.
    pub fn synced() -> History {
        History { reason: SelectionReason::Synced, ..History::default() }
    }

    /// The notes of a flow that begins now.
    pub fn begun(now: Millis, reason: SelectionReason) -> History {
        History { begun: Some(now), asked: Some(now), reason, ..History::default() }
    }

    /// Notes the backend's first answer; returns the milliseconds since it was asked, unless it has answered before.
    pub fn answered(&mut self, now: Millis) -> Option<u32> {
        let asked = self.asked.take()?;
        if let Some(begun) = self.begun {
            self.answer.get_or_insert(now.since(begun));
        }
        Some(now.since(asked))
    }

    /// Notes that the client says again what it has said.
    pub fn repeated(&mut self) {
        self.repeats = self.repeats.saturating_add(1);
    }

    /// The notes go on at another backend than `from`, which is asked now.
    pub fn moved(&mut self, from: BackendId, reason: SelectionReason, now: Millis) {
        self.asked = Some(now);
        self.first_backend.get_or_insert(from);
        self.moves = self.moves.saturating_add(1);
        self.reason = reason;
    }
}

impl TftpError {
    /// The error with this code and text, which ends at a zero.
    pub fn new(code: u16, text: &[u8]) -> TftpError {
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        let text = text.iter().copied().take(ERROR_TEXT).collect();
        TftpError { code, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documents say so.
    #[test]
    fn a_ring_takes_less_than_two_mebibytes() {
        assert!(DEPTH * size_of::<FlowRecord>() <= 2 << 20, "{} bytes", size_of::<FlowRecord>());
    }

    /// Of records that come in turns, a sample has all kinds.
    #[test]
    fn a_sample_is_drawn_and_does_not_go_by_turns() {
        let mut drawn = 0;
        let mut taken = [0; 10];
        for turn in 0..100_000 {
            taken[turn % 10] += usize::from(draw(&mut drawn).is_multiple_of(10));
        }
        assert!(taken.iter().all(|count| (800..1200).contains(count)), "{taken:?}");
    }

    #[test]
    fn an_error_s_text_ends_at_a_zero_or_when_the_room_ends() {
        assert_eq!(&TftpError::new(1, b"no\0more").text[..], b"no");
        assert_eq!(TftpError::new(1, &[b'x'; 100]).text.len(), ERROR_TEXT);
        assert!(TftpError::new(1, b"").text.is_empty());
    }
}
