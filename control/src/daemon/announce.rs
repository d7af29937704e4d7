//! Announcement of VIPs: the kernel holds those of services with `announce = "while-served"` while a backend serves, and
//! none of ours while the gate is drained.

use super::Daemon;
use crate::active_config::ActiveConfig;
use crate::announce::{BackendFacts, announced, any};
use crate::config::{Announce, Held, Service};
use crate::kernel::{Kernel, KernelError, Wanted};
use crate::registry::{Numbered, present};
use engine::types::id::SnatId;
use std::collections::HashSet;
use std::time::Duration;

/// Time after the start within which the kernel may still look for next hops.
const SETTLING: Duration = Duration::from_secs(5);

impl Daemon {
    /// Withdraws VIPs that are no longer served, and announces those that are served again.
    pub async fn announce(&self, kernel: &Kernel) {
        let active = self.active();
        let mut services = active.config().services.iter();
        let may_change = services.any(|one| one.announce == Announce::WhileServed);
        if !may_change && !*self.drained.borrow() && kernel.wanted().withdrawn.is_empty() {
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
        let drained = *self.drained.borrow();
        let wanted = match drained {
            true => self.wanted_while_drained(active, &before).await,
            false => self.wanted(active, &before),
        };
        if wanted == before {
            return Ok(());
        }
        log_changes(&before, &wanted, active, drained);
        kernel.want(wanted).await
    }

    fn wanted(&self, active: &ActiveConfig, before: &Wanted) -> Wanted {
        let services = active.numbers.iter().zip(&active.config().services);
        let announced =
            announced(services.map(|(numbers, one)| (one, self.is_served(numbers, one))));
        let pools = pools(active);
        active.wanted().withdraw(|held| match announced.get(held) {
            Some(known) => !known.unwrap_or_else(|| before.held.contains(held)),
            // The last transfers of a VIP that was removed.
            None => before.withdrawn.contains(held) && !pools.contains(held),
        })
    }

    /// Nothing, except SNAT addresses that servers still answer to.
    async fn wanted_while_drained(&self, active: &ActiveConfig, before: &Wanted) -> Wanted {
        let pools = pools(active);
        let mut used: HashSet<Held> = pools.intersection(&before.held).copied().collect();
        if !used.is_empty() {
            let snapshot = self.snapshot.borrow().clone();
            if let Ok(uses) = self.channels.uses(&snapshot).await {
                let unused = active.registry.snat().iter().zip(uses.snat).filter(|(_, used)| !used);
                unused.for_each(|(snat, _)| {
                    used.remove(&snat.what);
                });
            }
        }
        active.wanted().withdraw(|held| !used.contains(held))
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

/// The SNAT addresses.
fn pools(active: &ActiveConfig) -> HashSet<Held> {
    present(SnatId, active.registry.snat()).map(|(_, &held)| held).collect()
}

/// Logs the addresses that are withdrawn or announced now.
fn log_changes(before: &Wanted, now: &Wanted, active: &ActiveConfig, is_drained: bool) {
    let services = &active.config().services;
    let names = |vip: &Held| {
        let sharing = services.iter().filter(|service| service.vips.contains(vip));
        let names = sharing.filter(|service| service.announce == Announce::WhileServed);
        names.map(|service| &*service.name).collect::<Vec<_>>().join(" or ")
    };
    let pools = pools(active);
    let name = |held: &Held| {
        let what = if pools.contains(held) { "SNAT address" } else { "VIP" };
        format!("{what} {}", held.address)
    };
    for held in now.withdrawn.difference(&before.withdrawn) {
        let served = names(held);
        match is_drained {
            true => log::info!("{} is withdrawn: the gate is drained", name(held)),
            false => log::warn!("{} is withdrawn: no backend of {served} serves", name(held)),
        }
    }
    for held in before.withdrawn.intersection(&now.held) {
        let served = names(held);
        match served.is_empty() {
            true => log::info!("{} is announced: the gate is not drained", name(held)),
            false => log::info!("{} is announced: a backend of {served} serves", name(held)),
        }
    }
}
