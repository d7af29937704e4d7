//! The web page, made from one view at most once a second, however many clients ask.

use crate::daemon::Daemon;
use crate::web::{self, History};
use hyper::body::Bytes;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// The time between samples, and for which a page is kept.
const PERIOD: Duration = Duration::from_secs(1);

/// The last page, and the last hour.
#[derive(Default)]
pub struct WebPage {
    history: RefCell<History>,
    latest: Mutex<Option<(Instant, Bytes)>>,
}

impl WebPage {
    /// Takes a sample each second, until the future is dropped.
    pub async fn record(&self, daemon: &Daemon) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.history.borrow_mut().record(Instant::now(), daemon.tally());
        }
    }

    /// The page; `None`: it cannot be made. Other clients wait meanwhile, and get the same.
    pub async fn page(&self, daemon: &Daemon) -> Option<Bytes> {
        let mut latest = self.latest.lock().await;
        if let Some((_, page)) = latest.as_ref().filter(|(taken, _)| taken.elapsed() < PERIOD) {
            return Some(page.clone());
        }
        let taken = Instant::now();
        let view = daemon.view(&self.history).await;
        // Thousands of backends take some milliseconds, in which control must not stand still.
        let page = Bytes::from(spawn_blocking(move || web::page(&view)).await.ok()?);
        *latest = Some((taken, page.clone()));
        Some(page)
    }
}
