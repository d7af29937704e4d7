//! Messages between control and a worker: bounded rings, taken up between bursts. The worker
//! allocates and frees nothing: what it no longer needs goes back to control.

use crate::latency::Latencies;
use crossbeam::queue::ArrayQueue;
use engine::count::Counters;
use engine::flow::view::FlowQuery;
use engine::own::room::Room;
use engine::own::uses::Uses;
use engine::select::look::Look;
use engine::tables::Tables;
use std::sync::Arc;

/// From control to a worker.
#[derive(Debug)]
pub enum News {
    /// The world from now on.
    Tables(Arc<Tables>),
    /// Room for what the next snapshot has more than this one.
    Room(Box<Room>),
    /// A question for the transfers of this worker.
    Flows(Box<FlowQuery>),
    /// A question for what its transfers use.
    Uses(Box<Uses>),
    /// A question for the backend that a client would get.
    Look(Box<Look>),
    /// An empty histogram, to record in from now on.
    Latencies(Box<Latencies>),
}

/// From a worker to control.
#[derive(Debug)]
pub enum Return {
    /// An old snapshot, to be freed.
    Tables(Arc<Tables>),
    /// The remains of a worker that has moved, to be freed.
    Room(Box<Room>),
    /// The answered question.
    Flows(Box<FlowQuery>),
    /// The answered question.
    Uses(Box<Uses>),
    /// The answered question.
    Look(Box<Look>),
    /// Latencies until now.
    Latencies(Box<Latencies>),
}

/// Messages that each ring holds.
const DEPTH: usize = 16;

/// Both rings between control and one worker, and what that worker counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    /// From control.
    pub news: Arc<ArrayQueue<News>>,
    /// To control.
    pub returns: Arc<ArrayQueue<Return>>,
    /// The worker's counters.
    pub counters: Arc<Counters>,
}

impl Desk {
    /// Empty rings beside these counters.
    pub fn new(counters: Arc<Counters>) -> Desk {
        Desk {
            news: Arc::new(ArrayQueue::new(DEPTH)),
            returns: Arc::new(ArrayQueue::new(DEPTH)),
            counters,
        }
    }
}
