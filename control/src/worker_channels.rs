//! Control's end of the channels to the workers: it publishes snapshots, sends queries, and frees the memory that workers
//! no longer need.

use crate::api::Error;
use engine::flow::hash::Seed;
use engine::flow::query::FlowQuery;
use engine::net::rss::RssEntry;
use engine::snapshot::Snapshot;
use engine::state::explain::SelectionTrace;
use engine::state::references::References;
use engine::state::resize::Resize;
use engine::state::sync::export::SyncExport;
use engine::state::sync::import::SyncImport;
use engine::state::sync::purge::SyncPurge;
use engine::types::drop_reason::DropReason;
use std::hash::{BuildHasher, RandomState};
use std::mem::discriminant;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OwnedMutexGuard};
use worker::capture::{Capture, Filter, Slots};
use worker::command_channel::{Command, Query, Reply, WorkerChannel};
use worker::drop_history::{DropQuery, DroppedFrame, KEPT};
use worker::latency::{self, Latencies};

/// Time after which a worker that has not replied is given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks for a reply.
const PAUSE: Duration = Duration::from_millis(1);

/// The channels to all workers. One query or snapshot is under way at a time.
pub struct WorkerChannels {
    channels: Vec<WorkerChannel>,
    /// Each worker's latencies since the start. The lock is held while a message is under way: another task could take the
    /// reply that a query waits for.
    recorded: Mutex<Vec<Latencies>>,
    /// A lock that is held while a capture runs.
    capturing: Arc<Mutex<()>>,
}

impl WorkerChannels {
    /// Takes over these channels, which nobody else may read replies from.
    pub fn new(channels: Vec<WorkerChannel>) -> WorkerChannels {
        let recorded = channels.iter().map(|_| latency::none()).collect();
        WorkerChannels { channels, recorded: Mutex::new(recorded), capturing: Arc::default() }
    }

    /// The channels, by worker.
    pub fn all(&self) -> &[WorkerChannel] {
        &self.channels
    }

    /// Gives every worker this snapshot in place of the `old` one, and before it memory for everything that is new; waits while
    /// a worker's ring is full. `max_flows` is the number of transfers that each worker was made for.
    pub async fn publish(&self, old: &Snapshot, new: &Arc<Snapshot>, max_flows: u32) {
        let _one_at_a_time = self.recorded.lock().await;
        for (worker, channel) in (0..).zip(&self.channels) {
            let room = Resize::between(old, new, worker, max_flows, seed());
            if let Some(room) = room {
                send(channel, Command::Resize(Box::new(room))).await;
            }
            send(channel, Command::Snapshot(Arc::clone(new))).await;
        }
    }

    /// The numbers of this snapshot, which was published before, that the transfers of all workers use.
    ///
    /// # Errors
    ///
    /// A worker that does not reply.
    pub async fn uses(&self, snapshot: &Snapshot) -> Result<References, Error> {
        let _one_at_a_time = self.recorded.lock().await;
        let mut all = References::of(snapshot);
        for (worker, channel) in (0..).zip(&self.channels) {
            match ask(channel, Query::References(Box::new(References::of(snapshot)))).await {
                Some(Query::References(uses)) if uses.is_whole => all.add(&uses),
                _ => return Err(silent(worker)),
            }
        }
        Ok(all)
    }

    /// Asks every worker for transfers and connections that match, each for at most `limit` of either.
    ///
    /// # Errors
    ///
    /// A worker that does not reply.
    pub async fn flows(&self, query: &FlowQuery, limit: usize) -> Result<Vec<FlowQuery>, Error> {
        let _one_at_a_time = self.recorded.lock().await;
        let mut answers = vec![];
        for (worker, channel) in (0..).zip(&self.channels) {
            let found = Vec::with_capacity(limit);
            let connections = Vec::with_capacity(limit);
            let query = FlowQuery { found, connections, ..query.clone() };
            match ask(channel, Query::Flows(Box::new(query))).await {
                Some(Query::Flows(answer)) => answers.push(*answer),
                _ => return Err(silent(worker)),
            }
        }
        Ok(answers)
    }

    /// Asks the worker that owns the client for its backend; returns that worker's number too.
    ///
    /// # Errors
    ///
    /// The worker does not reply.
    pub async fn look(&self, look: SelectionTrace) -> Result<(u16, SelectionTrace), Error> {
        let _one_at_a_time = self.recorded.lock().await;
        let worker = RssEntry::of(look.client).worker(self.workers());
        let channel = &self.channels[usize::from(worker)];
        match ask(channel, Query::Selection(Box::new(look))).await {
            Some(Query::Selection(look)) => Ok((worker, *look)),
            _ => Err(silent(worker)),
        }
    }

    /// The last frames that each worker has dropped for this reason, oldest first.
    ///
    /// # Errors
    ///
    /// A worker that does not reply.
    pub async fn dropped(&self, reason: DropReason) -> Result<Vec<Vec<DroppedFrame>>, Error> {
        let _one_at_a_time = self.recorded.lock().await;
        let mut answers = vec![];
        for (worker, channel) in (0..).zip(&self.channels) {
            let query = DropQuery { reason, frames: Vec::with_capacity(KEPT) };
            match ask(channel, Query::Drops(Box::new(query))).await {
                Some(Query::Drops(answer)) => answers.push(answer.frames),
                _ => return Err(silent(worker)),
            }
        }
        Ok(answers)
    }

    /// The right to run a capture; `None` while another one runs.
    pub fn capture_lock(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.capturing).try_lock_owned().ok()
    }

    /// Gives each worker a capture with so many records of `snaplen` bytes; returns where they lie.
    pub async fn start_capture(
        &self,
        filter: &Filter,
        records: usize,
        snaplen: usize,
    ) -> Vec<Arc<Slots>> {
        let _one_at_a_time = self.recorded.lock().await;
        let mut all = vec![];
        for (worker, channel) in (0..).zip(&self.channels) {
            let slots = Arc::new(Slots::new(records, snaplen));
            let (filter, counters) = (filter.clone(), Arc::clone(&channel.counters));
            let capture = Capture::new(worker, filter, Arc::clone(&slots), counters);
            send(channel, Command::Capture(Box::new(capture))).await;
            all.push(slots);
        }
        all
    }

    /// Takes the capture back from each worker; its memory is freed with the next reply.
    pub async fn end_capture(&self) {
        let _one_at_a_time = self.recorded.lock().await;
        for channel in &self.channels {
            send(channel, Command::EndCapture).await;
        }
    }

    /// Has a worker go on with a round over its rows, until there is no room for more or the round is at its end.
    ///
    /// # Errors
    ///
    /// The worker does not reply; the round is lost.
    pub async fn export(
        &self,
        worker: u16,
        round: Box<SyncExport>,
    ) -> Result<Box<SyncExport>, Error> {
        let _one_at_a_time = self.recorded.lock().await;
        match ask(&self.channels[usize::from(worker)], Query::Export(round)).await {
            Some(Query::Export(round)) => Ok(round),
            _ => Err(silent(worker)),
        }
    }

    /// Has a worker take in rows of the other gate; returns them with the number of refused ones.
    ///
    /// # Errors
    ///
    /// The worker does not reply.
    pub async fn import(&self, worker: u16, rows: SyncImport) -> Result<Box<SyncImport>, Error> {
        let _one_at_a_time = self.recorded.lock().await;
        match ask(&self.channels[usize::from(worker)], Query::Import(Box::new(rows))).await {
            Some(Query::Import(rows)) => Ok(rows),
            _ => Err(silent(worker)),
        }
    }

    /// Has a worker end rows that the other gate does not have any more; returns how many.
    ///
    /// # Errors
    ///
    /// The worker does not reply.
    pub async fn purge(&self, worker: u16, purge: SyncPurge) -> Result<u32, Error> {
        let _one_at_a_time = self.recorded.lock().await;
        match ask(&self.channels[usize::from(worker)], Query::Purge(Box::new(purge))).await {
            Some(Query::Purge(purge)) => Ok(purge.ended),
            _ => Err(silent(worker)),
        }
    }

    /// The number of workers.
    pub fn workers(&self) -> u16 {
        self.channels.len() as u16
    }

    /// Latencies of frames in each worker since the start; of a worker that does not reply, those until its last reply.
    pub async fn latencies(&self) -> Vec<Latencies> {
        let mut recorded = self.recorded.lock().await;
        for (channel, recorded) in self.channels.iter().zip(recorded.iter_mut()) {
            let query = Query::Latencies(Box::new(latency::none()));
            if let Some(Query::Latencies(latest)) = ask(channel, query).await {
                recorded.add(*latest).expect("the bounds are the same");
            }
        }
        recorded.clone()
    }
}

fn silent(worker: u16) -> Error {
    Error::Silent(format!("worker {worker} does not answer"))
}

/// Sends a command to a worker, as soon as the ring has room for it.
async fn send(channel: &WorkerChannel, mut command: Command) {
    while let Err(refused) = channel.commands.push(command) {
        command = refused;
        replies(channel);
        tokio::time::sleep(PAUSE).await;
    }
    replies(channel);
}

/// Draws a seed for hash tables that is not that of other tables.
fn seed() -> Seed {
    let random = RandomState::new();
    Seed([random.hash_one(0), random.hash_one(1)])
}

/// Sends a query to a worker and waits for the reply to it. Late replies to earlier queries are dropped.
async fn ask(channel: &WorkerChannel, query: Query) -> Option<Query> {
    replies(channel);
    let kind = discriminant(&query);
    channel.commands.push(Command::Query(query)).ok()?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let mut replies = replies(channel).into_iter();
        if let Some(answer) = replies.rfind(|reply| discriminant(reply) == kind) {
            return Some(answer);
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

/// Empties the ring of replies: frees old snapshots and memory, and returns the queries.
fn replies(channel: &WorkerChannel) -> Vec<Query> {
    let replies = std::iter::from_fn(|| channel.replies.pop());
    let queries = replies.filter_map(|reply| match reply {
        Reply::Snapshot(_) | Reply::Resize(_) | Reply::Capture(_) => None,
        Reply::Query(query) => Some(query),
    });
    queries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::counters::{Counters, Room};

    /// A publication waits until a worker takes up its commands again; then all of them come, in order.
    #[test]
    fn a_full_ring_is_waited_for() {
        let old = Snapshot::default();
        let snat = vec![std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST).into()];
        let new = Arc::new(Snapshot { snat, ..Snapshot::default() });
        let channel = WorkerChannel::new(Arc::new(Counters::new(Room::of(&old, 0))));
        while channel.commands.push(Command::Snapshot(Arc::new(old.clone()))).is_ok() {}
        let full = channel.commands.len();
        let channels = WorkerChannels::new(vec![channel.clone()]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let publish = channels.publish(&old, &new, 1024);
            tokio::pin!(publish);
            let patience = Duration::from_millis(50);
            assert!(tokio::time::timeout(patience, &mut publish).await.is_err(), "it gave up");
            let taken: Vec<_> = std::iter::from_fn(|| channel.commands.pop()).collect();
            assert_eq!(taken.len(), full, "nothing was pushed out");
            publish.await;
        });
        assert!(matches!(channel.commands.pop(), Some(Command::Resize(_))), "memory comes first");
        assert!(
            matches!(channel.commands.pop(), Some(Command::Snapshot(last)) if last.snat.len() == new.snat.len())
        );
        assert!(channel.commands.is_empty());
    }

    /// A worker that still has another query returns that one first: control waits for the reply to its own.
    #[test]
    fn a_late_reply_to_another_query_is_dropped() {
        let snapshot = Snapshot::default();
        let channel = WorkerChannel::new(Arc::new(Counters::new(Room::of(&snapshot, 0))));
        let channels = WorkerChannels::new(vec![channel.clone()]);
        let worker = async {
            let query = loop {
                match channel.commands.pop() {
                    Some(Command::Query(query)) => break query,
                    Some(other) => panic!("{other:?}"),
                    None => tokio::time::sleep(PAUSE).await,
                }
            };
            let late = Query::References(Box::new(References::of(&snapshot)));
            let mut latencies = latency::none();
            latency::record(&mut latencies, Duration::from_micros(3));
            assert!(matches!(query, Query::Latencies(_)), "{query:?}");
            for reply in [late, Query::Latencies(Box::new(latencies))] {
                channel.replies.push(Reply::Query(reply)).expect("room");
                tokio::time::sleep(10 * PAUSE).await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let both = async { tokio::join!(channels.latencies(), worker).0 };
        let recorded = runtime.expect("a runtime").block_on(both);
        assert_eq!(recorded[0].len(), 1);
    }
}
