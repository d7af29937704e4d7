//! Control's end of the ways to the workers: new snapshots out, old ones back, questions for
//! transfers.

use crate::api::Error;
use engine::flow::view::FlowQuery;
use engine::tables::Tables;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use worker::news::{Desk, News, Return};

/// A worker that has not answered by then won't.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks for an answer.
const PAUSE: Duration = Duration::from_millis(1);

/// The desks of all workers. One question or snapshot is under way at a time.
pub struct Desks {
    desks: Vec<Desk>,
    mailbox: Mutex<()>,
}

impl Desks {
    /// The only user of these desks.
    pub fn new(desks: Vec<Desk>) -> Desks {
        Desks { desks, mailbox: Mutex::new(()) }
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
                self.collect(desk);
                tokio::time::sleep(PAUSE).await;
            }
            self.collect(desk);
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
            // An answer that came too late for an earlier question is dropped here.
            self.collect(desk);
            let found = Vec::with_capacity(limit);
            let question = Box::new(FlowQuery { found, ..question.clone() });
            let silent = || Error::Silent(format!("worker {} does not answer", answers.len()));
            desk.news.push(News::Flows(question)).map_err(|_| silent())?;
            let answer = self.wait(desk).await.ok_or_else(silent)?;
            answers.push(answer);
        }
        Ok(answers)
    }

    async fn wait(&self, desk: &Desk) -> Option<FlowQuery> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(answer) = self.collect(desk) {
                return Some(answer);
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// Takes back what a worker no longer needs; old snapshots are freed here.
    fn collect(&self, desk: &Desk) -> Option<FlowQuery> {
        let mut answer = None;
        while let Some(returned) = desk.returns.pop() {
            match returned {
                Return::Tables(_old) => {}
                Return::Flows(answered) => answer = Some(*answered),
            }
        }
        answer
    }
}
