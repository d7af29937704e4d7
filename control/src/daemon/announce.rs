//! Announcement of VIPs: the kernel holds those of services with `announce = "while-served"` while a backend serves.

use super::Daemon;
use crate::active_config::ActiveConfig;
use crate::announce::{BackendFacts, announced, any};
use crate::config::{Announce, Held, Service};
use crate::kernel::{Kernel, KernelError, Wanted};
use crate::registry::Numbered;
use std::time::Duration;

/// Time after the start within which the kernel may still look for next hops.
const SETTLING: Duration = Duration::from_secs(5);

impl Daemon {
    /// Withdraws VIPs that are no longer served, and announces those that are served again.
    pub async fn announce(&self, kernel: &Kernel) {
        let active = self.active();
        let mut services = active.config().services.iter();
        let may_change = services.any(|one| one.announce == Announce::WhileServed);
        if !may_change && kernel.wanted().withdrawn.is_empty() {
            return;
        }
        if let Err(error) = self.want(&active, kernel).await {
            log::error!("{error}");
        }
    }

    /// Has the kernel hold a configuration's addresses that are not withdrawn. The snapshot has the same ids.
    pub(super) async fn want(
        &self,
        active: &ActiveConfig,
        kernel: &Kernel,
    ) -> Result<(), KernelError> {
        let before = kernel.wanted();
        let wanted = self.wanted(active, &before);
        if wanted == before {
            return Ok(());
        }
        log_changes(&before, &wanted, &active.config().services);
        kernel.want(wanted).await
    }

    fn wanted(&self, active: &ActiveConfig, before: &Wanted) -> Wanted {
        let services = active.numbers.iter().zip(&active.config().services);
        let announced =
            announced(services.map(|(numbers, one)| (one, self.is_served(numbers, one))));
        active.wanted().withdraw(|held| match announced.get(held) {
            Some(known) => !known.unwrap_or_else(|| before.held.contains(held)),
            // It has a last transfer or none, or is no VIP.
            None => before.withdrawn.contains(held),
        })
    }

    /// Whether a backend of the service serves; `None` if that is not known yet.
    fn is_served(&self, numbers: &Numbered, service: &Service) -> Option<bool> {
        let (statuses, snapshot) = (self.statuses.borrow(), self.snapshot.borrow());
        let is_settling = self.start.elapsed() < SETTLING;
        any(numbers.backends.iter().zip(&service.backends).map(|(&id, backend)| {
            let status = statuses.of(service, backend);
            let is_reached = snapshot[id].hop.is_some();
            let facts = BackendFacts {
                weight: status.weight(backend),
                is_checked: service.health.is_some(),
                is_reached: (is_reached || !is_settling).then_some(is_reached),
                has_transfers: self.has_transfers(id),
                status: &status,
            };
            facts.serves()
        }))
    }
}

/// Logs the VIPs that are withdrawn or announced now.
fn log_changes(before: &Wanted, now: &Wanted, services: &[Service]) {
    let names = |vip: &Held| {
        let names = services.iter().filter(|service| service.vips.contains(vip));
        names.map(|service| &*service.name).collect::<Vec<_>>().join(" or ")
    };
    for held in now.withdrawn.difference(&before.withdrawn) {
        log::warn!("VIP {} is withdrawn: no backend of {} serves", held.address, names(held));
    }
    for held in before.withdrawn.intersection(&now.held) {
        log::info!("VIP {} is announced: a backend of {} serves", held.address, names(held));
    }
}
