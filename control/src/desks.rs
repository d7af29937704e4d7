//! Control's end of the ways to the workers: new snapshots and room for them out, old ones back, questions
//! for transfers.

use crate::api::Error;
use engine::flow::key::Seed;
use engine::flow::view::FlowQuery;
use engine::own::room::Room;
use engine::own::uses::Uses;
use engine::select::look::Look;
use engine::steer;
use engine::tables::Tables;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use worker::latency::{self, Latencies};
use worker::news::{Desk, News, Return};

/// A worker that has not answered by then won't.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks for an answer.
const PAUSE: Duration = Duration::from_millis(1);

/// The desks of all workers. One question or snapshot is under way at a time.
pub struct Desks {
    desks: Vec<Desk>,
    mailbox: Mutex<Recorded>,
}

/// Each worker's recorded latencies since the start.
type Recorded = Vec<Latencies>;

impl Desks {
    /// The only user of these desks.
    pub fn new(desks: Vec<Desk>) -> Desks {
        let recorded = desks.iter().map(|_| latency::none()).collect();
        Desks { desks, mailbox: Mutex::new(recorded) }
    }

    /// By worker.
    pub fn all(&self) -> &[Desk] {
        &self.desks
    }

    /// Gives every worker this snapshot in place of the `old` one, and before it the room for what is new;
    /// waits while a worker's ring is full. `max_flows` is what each worker was made for.
    pub async fn publish(&self, old: &Tables, new: &Arc<Tables>, max_flows: u32) {
        // Whoever collects could take the answer that a question waits for.
        let _one_at_a_time = self.mailbox.lock().await;
        for (worker, desk) in (0..).zip(&self.desks) {
            let room = Room::between(old, new, worker, max_flows, seed());
            if let Some(room) = room {
                tell(desk, News::Room(Box::new(room))).await;
            }
            tell(desk, News::Tables(Arc::clone(new))).await;
        }
    }

    /// The numbers of this snapshot, which was published before, that the transfers of all workers use.
    ///
    /// # Errors
    ///
    /// A worker that does not answer.
    pub async fn uses(&self, tables: &Tables) -> Result<Uses, Error> {
        let _one_at_a_time = self.mailbox.lock().await;
        let mut all = Uses::of(tables);
        for (worker, desk) in self.desks.iter().enumerate() {
            match answer(desk, News::Uses(Box::new(Uses::of(tables)))).await {
                Some(Answer::Uses(uses)) if uses.is_whole => all.add(&uses),
                _ => return Err(Error::Silent(format!("worker {worker} does not answer"))),
            }
        }
        Ok(all)
    }

    /// Asks every worker, each for at most `limit` transfers that match.
    ///
    /// # Errors
    ///
    /// A worker that does not answer.
    pub async fn ask(&self, question: &FlowQuery, limit: usize) -> Result<Vec<FlowQuery>, Error> {
        let _one_at_a_time = self.mailbox.lock().await;
        let mut answers = vec![];
        for desk in &self.desks {
            let found = Vec::with_capacity(limit);
            let connections = Vec::with_capacity(limit);
            let asked = FlowQuery { found, connections, ..question.clone() };
            let question = News::Flows(Box::new(asked));
            let silent = || Error::Silent(format!("worker {} does not answer", answers.len()));
            match answer(desk, question).await.ok_or_else(silent)? {
                Answer::Flows(answer) => answers.push(*answer),
                Answer::Uses(_) | Answer::Look(_) | Answer::Latencies(_) => return Err(silent()),
            }
        }
        Ok(answers)
    }

    /// Asks the worker that the client belongs to, and answers which one that is.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub async fn look(&self, question: Look) -> Result<(u16, Look), Error> {
        let _one_at_a_time = self.mailbox.lock().await;
        let workers = self.desks.len() as u16;
        let worker = match question.client {
            IpAddr::V4(client) => steer::owner(client, workers),
            IpAddr::V6(client) => steer::owner_v6(client, workers),
        };
        let desk = &self.desks[usize::from(worker)];
        match answer(desk, News::Look(Box::new(question))).await {
            Some(Answer::Look(look)) => Ok((worker, *look)),
            _ => Err(Error::Silent(format!("worker {worker} does not answer"))),
        }
    }

    /// How long frames stayed in each worker, since the start; as far as is known of one that does not
    /// answer.
    pub async fn latencies(&self) -> Vec<Latencies> {
        let mut recorded = self.mailbox.lock().await;
        for (desk, recorded) in self.desks.iter().zip(recorded.iter_mut()) {
            let empty = News::Latencies(Box::new(latency::none()));
            if let Some(Answer::Latencies(latest)) = answer(desk, empty).await {
                recorded.add(*latest).expect("the bounds are the same");
            }
        }
        recorded.clone()
    }
}

/// A worker's answer.
enum Answer {
    Flows(Box<FlowQuery>),
    Uses(Box<Uses>),
    Look(Box<Look>),
    Latencies(Box<Latencies>),
}

/// Leaves a message to a worker, as soon as there is room for it.
async fn tell(desk: &Desk, mut news: News) {
    while let Err(refused) = desk.news.push(news) {
        news = refused;
        collect(desk);
        tokio::time::sleep(PAUSE).await;
    }
    collect(desk);
}

/// Of tables that have nothing to do with other ones.
fn seed() -> Seed {
    let random = RandomState::new();
    Seed([random.hash_one(0), random.hash_one(1)])
}

/// Asks a worker and waits for what it says.
async fn answer(desk: &Desk, question: News) -> Option<Answer> {
    // An answer that came too late for an earlier question is dropped here.
    collect(desk);
    desk.news.push(question).ok()?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(answer) = collect(desk) {
            return Some(answer);
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}

/// Takes back what a worker no longer needs; old snapshots are freed here.
fn collect(desk: &Desk) -> Option<Answer> {
    let mut answer = None;
    while let Some(returned) = desk.returns.pop() {
        match returned {
            Return::Tables(_) | Return::Room(_) => {}
            Return::Flows(answered) => answer = Some(Answer::Flows(answered)),
            Return::Uses(answered) => answer = Some(Answer::Uses(answered)),
            Return::Look(answered) => answer = Some(Answer::Look(answered)),
            Return::Latencies(recorded) => answer = Some(Answer::Latencies(recorded)),
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::count::Counters;

    /// Waits in the midst of a publication until a worker takes up its news again; then all comes, in order.
    #[test]
    fn a_full_ring_is_waited_for() {
        let old = Tables::default();
        let snat = vec![std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST).into()];
        let new = Arc::new(Tables { snat, ..Tables::default() });
        let desk = Desk::new(Arc::new(Counters::new(&old)));
        while desk.news.push(News::Tables(Arc::new(old.clone()))).is_ok() {}
        let full = desk.news.len();
        let desks = Desks::new(vec![desk.clone()]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let publish = desks.publish(&old, &new, 1024);
            tokio::pin!(publish);
            let patience = Duration::from_millis(50);
            assert!(tokio::time::timeout(patience, &mut publish).await.is_err(), "it gave up");
            let taken: Vec<_> = std::iter::from_fn(|| desk.news.pop()).collect();
            assert_eq!(taken.len(), full, "nothing was pushed out");
            publish.await;
        });
        assert!(matches!(desk.news.pop(), Some(News::Room(_))), "room comes first");
        assert!(
            matches!(desk.news.pop(), Some(News::Tables(last)) if last.snat.len() == new.snat.len())
        );
        assert!(desk.news.is_empty());
    }
}
