//! Control's end of the ways to the workers: new snapshots out, old ones back, questions for
//! transfers.

use crate::api::Error;
use engine::flow::view::FlowQuery;
use engine::tables::Tables;
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

/// What each worker has recorded since the start.
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

    /// Gives every worker this snapshot; waits while a worker's ring is full.
    pub async fn publish(&self, tables: &Arc<Tables>) {
        // Whoever collects could take the answer that a question waits for.
        let _one_at_a_time = self.mailbox.lock().await;
        for desk in &self.desks {
            let mut news = News::Tables(Arc::clone(tables));
            while let Err(refused) = desk.news.push(news) {
                news = refused;
                collect(desk);
                tokio::time::sleep(PAUSE).await;
            }
            collect(desk);
        }
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
            let question = News::Flows(Box::new(FlowQuery { found, ..question.clone() }));
            let silent = || Error::Silent(format!("worker {} does not answer", answers.len()));
            match answer(desk, question).await.ok_or_else(silent)? {
                Answer::Flows(answer) => answers.push(*answer),
                Answer::Latencies(_) => return Err(silent()),
            }
        }
        Ok(answers)
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

/// What a worker answers.
enum Answer {
    Flows(Box<FlowQuery>),
    Latencies(Box<Latencies>),
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
            Return::Tables(_) | Return::Room(_) | Return::Uses(_) => {}
            Return::Flows(answered) => answer = Some(Answer::Flows(answered)),
            Return::Latencies(recorded) => answer = Some(Answer::Latencies(recorded)),
        }
    }
    answer
}
