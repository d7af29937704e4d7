//! Whether the gate can serve: for keepalived, which asks every second, so that the answer must not wait for a worker
//! that is silent.

use super::Daemon;
use crate::api::{Error, Needed, Readiness};
use crate::backend_status::{CheckVerdict, Condition};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time after which a worker that has not finished a turn counts as stalled. A turn takes microseconds, but other
/// programs may have the core for a while.
const PATIENCE: Duration = Duration::from_millis(500);
/// Pause between two looks at the workers' counters.
const PAUSE: Duration = Duration::from_millis(5);

impl Daemon {
    /// Finds what is missing for the gate to serve.
    ///
    /// # Errors
    ///
    /// A name that no service has.
    pub(super) async fn readiness(&self, needed: Needed) -> Result<Readiness, Error> {
        for name in &needed.services {
            self.service_id(name)?;
        }
        let mut missing = self.stalled_workers().await;
        missing.extend(self.drained.borrow().then(|| "the gate is drained".to_owned()));
        missing.extend(self.links_down());
        missing.extend(self.out_of_step());
        missing.extend(self.unserved(&needed.services));
        Ok(Readiness { ready: missing.is_empty(), missing })
    }

    /// The time that each worker has spent in turns, busy or idle, which differs after a turn.
    pub fn turns(&self) -> Vec<u64> {
        self.counters().map(|it| it.load.busy.value() + it.load.idle.value()).collect()
    }

    /// Watches the workers' turns, for [`PATIENCE`] at most.
    async fn stalled_workers(&self) -> Vec<String> {
        let (start, before) = (Instant::now(), self.turns());
        loop {
            sleep(PAUSE).await;
            let turns = self.turns().into_iter().zip(&before);
            let cores = self.workers().into_iter().map(|(core, _)| core);
            let stalled: Vec<_> = cores
                .zip(turns)
                .filter(|(_, (now, before))| now == *before)
                .map(|(core, _)| format!("the worker on core {core} stands still"))
                .collect();
            if stalled.is_empty() || start.elapsed() > PATIENCE {
                return stalled;
            }
        }
    }

    /// Whether the gate must wait for the flows of its peer.
    fn out_of_step(&self) -> Option<String> {
        self.active().config().pair.as_ref().and_then(|_| self.pair.out_of_step())
    }

    fn links_down(&self) -> Vec<String> {
        let interfaces = self.interface_list().into_iter();
        let down = interfaces.filter(|interface| !interface.link.is_up);
        down.map(|interface| format!("the link of interface {} is down", interface.name)).collect()
    }

    /// Services without a backend that gets new transfers. One that is checked counts from its first verdict on: it gets
    /// transfers before, but must not draw an address here.
    fn unserved(&self, services: &[String]) -> Vec<String> {
        let mut backends = self.backend_facts();
        backends.retain(|backend| {
            matches!(backend.condition, Condition::Up | Condition::Suspected)
                && backend.weight > 0
                && backend.check.as_ref().is_none_or(|check| check.verdict != CheckVerdict::Pending)
        });
        let is_served = |name: &String| backends.iter().any(|backend| backend.service == *name);
        let unserved = services.iter().filter(|name| !is_served(name));
        unserved.map(|name| format!("no backend of service {name} is up")).collect()
    }
}
