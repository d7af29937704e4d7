//! Many concurrent clients.

use crate::client::{Outcome, Request, transfer};
use crate::report::{Report, Sum};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A storm.
#[derive(Debug, Clone)]
pub struct Storm {
    /// Each client's transfers.
    pub request: Request,
    /// Concurrent clients.
    pub clients: u64,
    /// Client addresses, used in turn.
    pub sources: Vec<IpAddr>,
    /// Time over which clients start.
    pub ramp: Duration,
    /// End of the storm.
    pub end: End,
}

/// When clients stop asking. Running transfers are finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After this number of transfers.
    Transfers(u64),
    /// After this time.
    After(Duration),
}

impl Storm {
    /// Runs the storm; `progress` gets the numbers of completed and failed transfers as they change.
    pub async fn run(self, mut progress: impl FnMut(u64, u64)) -> Report {
        let start = Instant::now();
        let (sender, mut outcomes) = mpsc::unbounded_channel();
        let storm = Arc::new(self);
        let begun = Arc::new(AtomicU64::new(0));
        for number in 0..storm.clients {
            let (storm, begun, sender) = (Arc::clone(&storm), Arc::clone(&begun), sender.clone());
            tokio::spawn(async move { storm.client(number, start, &begun, &sender).await });
        }
        drop(sender);
        let mut sum = Sum::new();
        while let Some(outcome) = outcomes.recv().await {
            sum.add(&outcome);
            let (completed, failed) = sum.counts();
            progress(completed, failed);
        }
        sum.report(start.elapsed())
    }

    /// One client: transfer after transfer.
    async fn client(
        &self,
        number: u64,
        start: Instant,
        begun: &AtomicU64,
        outcomes: &mpsc::UnboundedSender<Outcome>,
    ) {
        let source = self.sources[(number % self.sources.len() as u64) as usize];
        tokio::time::sleep(self.ramp.mul_f64(number as f64 / self.clients as f64)).await;
        while self.goes_on(start, begun) {
            let outcome = transfer(&self.request, source).await;
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }

    fn goes_on(&self, start: Instant, begun: &AtomicU64) -> bool {
        match self.end {
            End::Transfers(all) => begun.fetch_add(1, Relaxed) < all,
            End::After(length) => start.elapsed() < length,
        }
    }
}
