//! Probes every backend, each in a task of its own, and lets the standings know.

use super::Trouble;
use super::state::State;
use super::target::{Target, Vip};
use crate::config::{Backend, Config, Health, Mode, Service};
use crate::events;
use crate::kernel::{Detour, KernelError, View};
use crate::standing::{Check, Standings, Verdict};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// A check comes late by up to this share of its interval, so that nothing falls into step with it.
const JITTER: f64 = 0.2;

/// The running checks. They end when this is dropped; the verdicts stay in the standings, where those that
/// are started next find them.
pub struct Checks {
    standings: watch::Sender<Standings>,
    tasks: JoinSet<()>,
    detour: Detour,
    /// All backends.
    backends: Vec<Backend>,
    /// The backends that can be reached.
    reached: watch::Sender<HashSet<IpAddr>>,
}

impl Checks {
    /// Begins to check.
    ///
    /// # Errors
    ///
    /// The kernel does not take the way that checks of `dsr` services need.
    pub fn start(
        config: &Config,
        standings: &watch::Sender<Standings>,
        view: &View,
    ) -> Result<Checks, KernelError> {
        let mut checks = Checks {
            standings: standings.clone(),
            tasks: JoinSet::new(),
            detour: Detour::default(),
            backends: vec![],
            reached: watch::Sender::new(HashSet::new()),
        };
        checks.change(config, view)?;
        Ok(checks)
    }

    /// Ends all checks, and begins those of another configuration. A backend that was dead is so until it has
    /// passed again; but one that is checked no more is forgotten to be dead.
    ///
    /// # Errors
    ///
    /// As for [`Checks::start`]; then nothing is checked.
    pub fn change(&mut self, config: &Config, view: &View) -> Result<(), KernelError> {
        self.tasks = JoinSet::new();
        // The old way has to be gone before there is a new one: both have one name.
        self.detour = Detour::default();
        self.detour = Detour::new(config)?;
        let services = config.services.iter();
        let pairs =
            services.flat_map(|service| service.backends.iter().map(move |it| (service, it)));
        let (checked, others): (Vec<_>, Vec<_>) =
            pairs.partition(|(service, _)| service.health.is_some());
        others.into_iter().for_each(|(service, backend)| forget(&self.standings, service, backend));
        self.backends = checked.iter().map(|(_, backend)| (*backend).clone()).collect();
        self.follow(view);
        let count = checked.len() as u32;
        for (place, (service, backend)) in (1..).zip(checked) {
            let Some(health) = &service.health else { continue };
            let round = Round {
                health: health.clone(),
                targets: targets(service, backend, health, &self.detour),
                backend: backend.clone(),
                service: service.clone(),
                standings: self.standings.clone(),
            };
            self.tasks.spawn(round.run(health.interval * place / count, self.reached.subscribe()));
        }
        Ok(())
    }

    /// Waits until the way of `dsr` services' checks may be gone.
    pub async fn disturbed(&mut self) {
        self.detour.disturbed().await;
    }

    /// Puts that right.
    pub fn tend(&mut self) {
        self.detour.tend();
    }

    /// Takes what the kernel says of next hops. What it does not reach is not checked.
    pub fn follow(&mut self, view: &View) {
        if let Err(error) = self.detour.follow(view) {
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

/// Where a backend's checks go: to itself; in `dsr` to each VIP of its version of IP, at its hardware address.
fn targets(service: &Service, backend: &Backend, health: &Health, detour: &Detour) -> Vec<Target> {
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
            let own = vips.filter(|vip| vip.is_ipv4() == backend.address.is_ipv4());
            let marked =
                own.filter_map(|address| Some(Vip { address, mark: detour.mark(address)? }));
            marked.map(|vip| to(Some(vip))).collect()
        }
    }
}

fn forget(standings: &watch::Sender<Standings>, service: &Service, backend: &Backend) {
    standings.send_if_modified(|standings| {
        let check = &mut standings.entry(&service.name, &backend.name).check;
        let old = std::mem::take(check);
        if let Some(event) = events::checked(&old, check, service, backend) {
            log::info!("{event}");
        }
        old.verdict != check.verdict
    });
}

/// One backend's checks.
struct Round {
    service: Service,
    backend: Backend,
    health: Health,
    targets: Vec<Target>,
    standings: watch::Sender<Standings>,
}

impl Round {
    async fn run(self, first: Duration, mut reached: watch::Receiver<HashSet<IpAddr>>) {
        let Health { interval, rise, fall, .. } = self.health;
        let before = self.standings.borrow().of(&self.service, &self.backend).check.verdict;
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
            let (verdict, last) = match self.find().await {
                Ok(words) => (Some(state.hear(true)), words),
                Err(Trouble::Theirs(words)) => (Some(state.hear(false)), words),
                Err(Trouble::Ours(words)) => (None, words),
            };
            self.tell(verdict, last);
            // After a long pause none is made up for.
            due = (due + interval).max(Instant::now());
        }
    }

    /// All its targets must be well.
    async fn find(&self) -> super::Finding {
        let Health { probe, timeout: limit, .. } = &self.health;
        let mut found = String::new();
        for target in &self.targets {
            let finding = timeout(*limit, probe.find(target)).await;
            found = finding.unwrap_or_else(|_elapsed| target.silent(*limit))?;
        }
        Ok(found)
    }

    /// Without a verdict there are only words, and the old one stays.
    fn tell(&self, verdict: Option<Verdict>, last: String) {
        let Round { service, backend, .. } = self;
        self.standings.send_if_modified(|standings| {
            let check = &mut standings.entry(&service.name, &backend.name).check;
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
