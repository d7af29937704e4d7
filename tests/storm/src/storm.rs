//! Many clients at once.

use crate::client::{Outcome, Wish, transfer};
use crate::report::{Report, Sum};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a storm is.
#[derive(Debug, Clone)]
pub struct Storm {
    /// What each client asks for.
    pub wish: Wish,
    /// Clients at once.
    pub clients: u64,
    /// Their addresses, in turn.
    pub sources: Vec<IpAddr>,
    /// Time over which they start.
    pub ramp: Duration,
    /// When it ends.
    pub end: End,
}

/// When clients stop asking. Transfers that run are finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After so many transfers in all.
    Transfers(u64),
    /// After so long.
    After(Duration),
}

impl Storm {
    /// Carries it out; `progress` hears of completed and failed transfers as they come.
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
            let outcome = transfer(&self.wish, source).await;
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
