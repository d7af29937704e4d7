//! The channel between control and a worker: bounded rings of commands and of replies, read between bursts. The worker
//! allocates and frees nothing: memory that it no longer needs goes back to control.

use crate::capture::Capture;
use crate::drop_history::DropQuery;
use crate::latency::Latencies;
use crossbeam::queue::ArrayQueue;
use engine::counters::Counters;
use engine::flow::query::FlowQuery;
use engine::snapshot::Snapshot;
use engine::state::explain::SelectionTrace;
use engine::state::flow_log::{self, Records};
use engine::state::references::References;
use engine::state::resize::Resize;
use engine::state::sync::export::SyncExport;
use engine::state::sync::import::SyncImport;
use engine::state::sync::purge::SyncPurge;
use std::sync::Arc;

/// A message from control to a worker.
#[derive(Debug)]
pub enum Command {
    /// The snapshot that is in force from now on.
    Snapshot(Arc<Snapshot>),
    /// Memory for everything that the next snapshot has more of than this one.
    Resize(Box<Resize>),
    /// A capture, which takes the place of one that runs.
    Capture(Box<Capture>),
    /// The end of the capture.
    EndCapture,
    /// A query, which takes the place of one that is not yet answered.
    Query(Query),
}

/// A message from a worker to control.
#[derive(Debug)]
pub enum Reply {
    /// An old snapshot, to be freed.
    Snapshot(Arc<Snapshot>),
    /// The memory that a worker has moved out of, to be freed.
    Resize(Box<Resize>),
    /// A capture that has ended, to be freed.
    Capture(Box<Capture>),
    /// A query with its answer; without one, if another query took its place.
    Query(Query),
}

/// A query to a worker: control sends it with room for the answer, which the worker fills.
#[derive(Debug)]
pub enum Query {
    /// Transfers and connections that match.
    Flows(Box<FlowQuery>),
    /// The numbers that transfers and connections still use.
    References(Box<References>),
    /// The backend that a client would get.
    Selection(Box<SelectionTrace>),
    /// Latencies since the last such query: the worker keeps the empty histogram, to record in from now on.
    Latencies(Box<Latencies>),
    /// The last dropped frames of a reason.
    Drops(Box<DropQuery>),
    /// Rows for the other gate of the pair.
    Export(Box<SyncExport>),
    /// Rows of the other gate of the pair, to be taken in.
    Import(Box<SyncImport>),
    /// Rows that the other gate of the pair does not have any more, to be ended.
    Purge(Box<SyncPurge>),
}

/// Messages that each ring holds.
const DEPTH: usize = 16;

/// The rings between control and one worker, and the worker's counters. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkerChannel {
    /// Commands to the worker.
    pub commands: Arc<ArrayQueue<Command>>,
    /// Replies to control.
    pub replies: Arc<ArrayQueue<Reply>>,
    /// Records for the log.
    pub records: Records,
    /// The worker's counters.
    pub counters: Arc<Counters>,
}

impl WorkerChannel {
    /// Creates empty rings beside these counters.
    pub fn new(counters: Arc<Counters>) -> WorkerChannel {
        WorkerChannel {
            commands: Arc::new(ArrayQueue::new(DEPTH)),
            replies: Arc::new(ArrayQueue::new(DEPTH)),
            records: Arc::new(ArrayQueue::new(flow_log::DEPTH)),
            counters,
        }
    }
}
