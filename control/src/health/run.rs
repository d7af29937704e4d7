//! The running checks: a task for each backend, which reports to the backend status.

use super::finding::{Finding, ProbeError};
use super::state::State;
use super::target::{Target, Vip};
use crate::backend_status::{BackendStatuses, Check, CheckVerdict};
use crate::config::{Backend, Config, Health, Mode, Service};
use crate::events;
use crate::kernel::{KernelError, KernelView, ProbeRouting};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Jitter: a check is late by up to this share of its interval, so that checks don't fall into step.
const JITTER: f64 = 0.2;

/// The running checks. They end when this value is dropped; the verdicts stay in the backend status, where the next
/// checks find them.
pub struct Checks {
    statuses: watch::Sender<BackendStatuses>,
    tasks: JoinSet<()>,
    probe_routing: ProbeRouting,
    /// The checked backends.
    backends: Vec<Backend>,
    /// The addresses of backends whose next hops are known.
    reached: watch::Sender<HashSet<IpAddr>>,
}

impl Checks {
    /// Starts the checks of a configuration.
    ///
    /// # Errors
    ///
    /// The kernel refuses the routing that probes of `dsr` services need.
    pub fn start(
        config: &Config,
        statuses: &watch::Sender<BackendStatuses>,
        view: &KernelView,
    ) -> Result<Checks, KernelError> {
        let mut checks = Checks {
            statuses: statuses.clone(),
            tasks: JoinSet::new(),
            probe_routing: ProbeRouting::default(),
            backends: vec![],
            reached: watch::Sender::new(HashSet::new()),
        };
        checks.change(config, view)?;
        Ok(checks)
    }

    /// Ends all checks, and starts those of another configuration. A dead backend stays dead until it has passed
    /// again; a backend that is no longer checked counts as alive.
    ///
    /// # Errors
    ///
    /// As for [`Checks::start`]; then nothing is checked.
    pub fn change(&mut self, config: &Config, view: &KernelView) -> Result<(), KernelError> {
        self.tasks = JoinSet::new();
        // The old routing must be gone before a new one is made: both have one name.
        self.probe_routing = ProbeRouting::default();
        self.probe_routing = ProbeRouting::new(config)?;
        let services = config.services.iter();
        let pairs =
            services.flat_map(|service| service.backends.iter().map(move |it| (service, it)));
        let (checked, others): (Vec<_>, Vec<_>) =
            pairs.partition(|(service, _)| service.health.is_some());
        others.into_iter().for_each(|(service, backend)| forget(&self.statuses, service, backend));
        self.backends = checked.iter().map(|(_, backend)| (*backend).clone()).collect();
        self.follow(view);
        let count = checked.len() as u32;
        for (place, (service, backend)) in (1..).zip(checked) {
            let Some(health) = &service.health else { continue };
            let round = Round {
                health: health.clone(),
                targets: targets(service, backend, health, &self.probe_routing),
                backend: backend.clone(),
                service: service.clone(),
                statuses: self.statuses.clone(),
            };
            self.tasks.spawn(round.run(health.interval * place / count, self.reached.subscribe()));
        }
        Ok(())
    }

    /// Waits until the probe routing may have been changed.
    pub async fn disturbed(&mut self) {
        self.probe_routing.disturbed().await;
    }

    /// Restores the probe routing.
    pub fn tend(&mut self) {
        self.probe_routing.tend();
    }

    /// Follows the kernel's next hops. Backends without one are not checked.
    pub fn follow(&mut self, view: &KernelView) {
        if let Err(error) = self.probe_routing.follow(view) {
            log::warn!("{error}; checks of `dsr` services fail");
        }
        let is_known = |it: &&Backend| it.mac.is_some() || view.hops.contains_key(&it.address);
        let known = self.backends.iter().filter(is_known).map(|backend| backend.address).collect();
        self.reached.send_if_modified(|old| {
            let changed = *old != known;
            *old = known;
            changed
        });
    }
}

/// The targets of a backend's checks: its address; in `dsr` each VIP of its address family, at its hardware address.
fn targets(
    service: &Service,
    backend: &Backend,
    health: &Health,
    probe_routing: &ProbeRouting,
) -> Vec<Target> {
    let to = |vip| Target {
        address: backend.address,
        aliases: backend.aliases.clone(),
        port: health.port,
        vip,
    };
    match service.mode {
        Mode::Nat | Mode::Snat(_) => vec![to(None)],
        Mode::Dsr => {
            let vips = service.vips.iter().map(|vip| vip.address);
            let same_family = vips.filter(|vip| vip.is_ipv4() == backend.address.is_ipv4());
            let marked = same_family
                .filter_map(|address| Some(Vip { address, mark: probe_routing.mark(address)? }));
            marked.map(|vip| to(Some(vip))).collect()
        }
    }
}

fn forget(statuses: &watch::Sender<BackendStatuses>, service: &Service, backend: &Backend) {
    statuses.send_if_modified(|statuses| {
        let check = &mut statuses.entry(&service.name, &backend.name).check;
        let old = std::mem::take(check);
        if let Some(event) = events::checked(&old, check, service, backend) {
            log::info!("{event}");
        }
        old.verdict != check.verdict
    });
}

/// The checks of one backend.
struct Round {
    service: Service,
    backend: Backend,
    health: Health,
    targets: Vec<Target>,
    statuses: watch::Sender<BackendStatuses>,
}

impl Round {
    async fn run(self, first: Duration, mut reached: watch::Receiver<HashSet<IpAddr>>) {
        let Health { interval, rise, fall, .. } = self.health;
        let before = self.statuses.borrow().of(&self.service, &self.backend).check.verdict;
        let mut state = State::new(rise, fall, before);
        let mut due = Instant::now() + first;
        loop {
            sleep_until(due + jitter(interval)).await;
            let is_reached = |known: &HashSet<IpAddr>| known.contains(&self.backend.address);
            if !is_reached(&reached.borrow()) {
                if reached.wait_for(is_reached).await.is_err() {
                    return;
                }
                // Many may be back at once.
                due = Instant::now() + interval.mul_f64(fastrand::f64());
                continue;
            }
            let begun = Instant::now();
            let finding = self.find().await;
            self.count(&finding, begun.elapsed());
            let (verdict, last) = match finding {
                Ok(words) => (Some(state.hear(true)), words),
                Err(ProbeError::Backend(words)) => (Some(state.hear(false)), words),
                Err(ProbeError::Local(words)) => (None, words),
            };
            self.tell(verdict, last);
            // Checks that a long pause has missed are not made up for.
            due = (due + interval).max(Instant::now());
        }
    }

    /// Probes all targets, which must all be healthy.
    async fn find(&self) -> Finding {
        let Health { probe, timeout: limit, .. } = &self.health;
        let mut found = String::new();
        for target in &self.targets {
            let finding = timeout(*limit, probe.find(target)).await;
            found = finding.unwrap_or_else(|_elapsed| target.silent(*limit))?;
        }
        Ok(found)
    }

    /// Counts a check.
    fn count(&self, finding: &Finding, time: Duration) {
        self.statuses.send_if_modified(|statuses| {
            let check = &mut statuses.entry(&self.service.name, &self.backend.name).check;
            let counts = &mut check.counts;
            match finding {
                Ok(_) => counts.passed += 1,
                Err(ProbeError::Backend(_)) => counts.failed += 1,
                Err(ProbeError::Local(_)) => counts.none += 1,
            }
            counts.time.record(time, 1);
            // No state has changed.
            false
        });
    }

    /// Reports a check's outcome. Without a verdict the old one stays.
    fn tell(&self, verdict: Option<CheckVerdict>, last: String) {
        let Round { service, backend, .. } = self;
        self.statuses.send_if_modified(|statuses| {
            let check = &mut statuses.entry(&service.name, &backend.name).check;
            if verdict.is_none() && check.last != last {
                log::warn!("{} can't be checked: {last}", events::name(service, backend));
            }
            let old = std::mem::replace(check, Check { last, ..check.clone() });
            if let Some(verdict) = verdict.filter(|&verdict| verdict != old.verdict) {
                (check.verdict, check.since) = (verdict, Some(std::time::Instant::now()));
            }
            if let Some(event) = events::checked(&old, check, service, backend) {
                log::info!("{event}");
            }
            old.verdict != check.verdict
        });
    }
}

fn jitter(interval: Duration) -> Duration {
    interval.mul_f64(fastrand::f64() * JITTER)
}

#[cfg(test)]
mod tests;
