//! Pages of metrics, made from one sample at most once a second, however many clients ask.

use crate::daemon::Daemon;
use crate::metrics::{self, Format, Sample};
use hyper::body::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// The time for which a sample is kept.
const LIFETIME: Duration = Duration::from_secs(1);

/// The pages of the last sample.
#[derive(Default)]
pub struct Pages(Mutex<Option<Latest>>);

struct Latest {
    taken: Instant,
    sample: Arc<Sample>,
    /// Encoded pages, by format and service.
    texts: HashMap<(Format, Option<String>), Bytes>,
}

impl Pages {
    /// The page, of one service or of everything; `None`: there is no such service, or no page. Other clients wait
    /// meanwhile, and get the same.
    pub async fn page(
        &self,
        daemon: &Daemon,
        format: Format,
        service: Option<String>,
    ) -> Option<Bytes> {
        let mut latest = self.0.lock().await;
        latest.take_if(|latest| latest.taken.elapsed() >= LIFETIME);
        let latest = match &mut *latest {
            Some(latest) => latest,
            none => none.insert(Latest {
                taken: Instant::now(),
                sample: Arc::new(daemon.sample().await),
                texts: HashMap::new(),
            }),
        };
        if service.as_ref().is_some_and(|name| !latest.sample.has_service(name)) {
            return None;
        }
        let key = (format, service);
        if let Some(text) = latest.texts.get(&key) {
            return Some(text.clone());
        }
        let (sample, service) = (Arc::clone(&latest.sample), key.1.clone());
        // Thousands of backends take some milliseconds, in which control must not stand still.
        let encoding = spawn_blocking(move || metrics::encode(&sample, format, service.as_deref()));
        let text = Bytes::from(encoding.await.ok()?);
        latest.texts.insert(key, text.clone());
        Some(text)
    }
}
