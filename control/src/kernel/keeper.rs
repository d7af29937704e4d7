//! Keeps our state in the kernel: TAPs with their settings, addresses and routes, services' addresses, and ingress
//! blocks. Whatever a mishap removes (a flush, `ifdown`, another network manager) is restored and logged. A TAP or a
//! device that is gone can't be restored.

mod lost;

use super::backoff::Backoff;
use super::error::{KernelError, reason};
use super::ingress_block::IngressBlock;
use super::tap::Tap;
use super::underlay::Underlay;
use super::{link, route};
use crate::config::Held;
use ipnet::IpNet;
use lost::Lost;
use rtnetlink::Handle;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// Losses within this time of each other belong to one mishap.
const ONE_MISHAP: Duration = Duration::from_secs(2);

/// The keeper: its memory of mishaps.
#[derive(Default)]
pub struct Keeper {
    /// The backoff of everything that is restored, by name.
    backoff: HashMap<String, Backoff>,
    /// Services' addresses that are missing.
    missing: HashMap<Held, Missing>,
    /// The last mishap of each interface.
    mishaps: HashMap<usize, Mishap>,
    /// Devices whose MTU is too small and could not be restored, with that MTU.
    narrow: HashMap<String, u16>,
    /// Whether something waits to be restored.
    is_waiting: bool,
}

struct Missing {
    since: Instant,
    is_said: bool,
}

/// A mishap: an interface has lost its own addresses.
struct Mishap {
    since: Instant,
    is_over: bool,
}

/// The occasion of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Something may have changed.
    Mishap,
    /// An operator reloads: everything is restored without waiting.
    Reload,
    /// An operator checks: nothing is restored.
    Check,
}

/// Tidegate's state in the kernel.
pub struct Ours<'a> {
    /// The interfaces' TAPs.
    pub taps: &'a mut [Tap],
    /// The ingress blocks of devices.
    pub blocks: &'a [IngressBlock],
    /// The Linux links of devices.
    pub underlays: &'a [Underlay],
    /// Services' addresses.
    pub held: &'a HashSet<Held>,
}

impl Keeper {
    /// Compares our state with the kernel's, and restores what is missing, unless it has to wait. Returns the losses,
    /// a line for each interface and device.
    ///
    /// # Errors
    ///
    /// A TAP or a device is gone, or the kernel did not answer.
    pub async fn look(
        &mut self,
        handle: &Handle,
        ours: Ours<'_>,
        why: Look,
    ) -> Result<Vec<String>, KernelError> {
        let Ours { taps, blocks, underlays, held } = ours;
        self.is_waiting = false;
        self.missing.retain(|address, _| held.contains(address));
        let mut lines = vec![];
        for underlay in underlays {
            lines.extend(self.look_at_underlay(handle, underlay, why).await?);
        }
        for block in blocks {
            lines.extend(self.look_at_block(handle, block, why).await?);
        }
        for (id, tap) in taps.iter_mut().enumerate() {
            lines.extend(self.look_at_tap(handle, (id, tap), held, why).await?);
        }
        Ok(lines)
    }

    /// Whether something waits to be restored.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Devices whose MTU is too small and could not be restored, with that MTU.
    pub fn narrow(&self) -> &HashMap<String, u16> {
        &self.narrow
    }

    /// Looks at the MTU of a device's link. One that can't be restored is logged once, and tried at each look.
    async fn look_at_underlay(
        &mut self,
        handle: &Handle,
        underlay: &Underlay,
        why: Look,
    ) -> Result<Option<String>, KernelError> {
        let Underlay { name, mtu: needed, .. } = underlay;
        let Some(mtu) = underlay.narrowed(handle).await? else {
            self.narrow.remove(name);
            return Ok(None);
        };
        let line = format!("device `{name}` has an MTU of {mtu} and needs {needed}");
        let is_new = self.narrow.insert(name.clone(), mtu) != Some(mtu);
        let what = format!("MTU of {name}");
        if self.may_put_back(&what, is_new.then_some(line.as_str()), why) {
            match underlay.widen(handle).await {
                Ok(()) => {
                    self.narrow.remove(name);
                    report(&line, Ok(()));
                }
                Err(error) if is_new => {
                    let error = reason(&error);
                    log::warn!(
                        "{line}, which can't be put back ({error}): larger packets are refused until it can"
                    );
                }
                Err(_) => {}
            }
        }
        Ok(Some(line))
    }

    async fn look_at_block(
        &mut self,
        handle: &Handle,
        block: &IngressBlock,
        why: Look,
    ) -> Result<Option<String>, KernelError> {
        let failed = |error| KernelError::netlink("read filters".into(), error);
        if block.is_whole(handle).await.map_err(failed)? {
            return Ok(None);
        }
        let line = format!("device `{}` is no longer kept from the kernel", block.device());
        if self.may_put_back(block.device(), Some(&line), why) {
            report(&line, block.mend(handle).await);
        }
        Ok(Some(line))
    }

    async fn look_at_tap(
        &mut self,
        handle: &Handle,
        (id, tap): (usize, &mut Tap),
        held: &HashSet<Held>,
        why: Look,
    ) -> Result<Option<String>, KernelError> {
        let failed = |error| KernelError::netlink(format!("look at `{}`", tap.name()), error);
        let gone = || KernelError::Gone { what: "TAP", name: tap.name().to_owned() };
        let is_well = tap.is_well(handle).await.map_err(failed)?.ok_or_else(gone)?;
        let there = link::addresses(handle).await.map_err(failed)?.into_iter();
        let there: HashSet<IpNet> =
            there.filter(|(link, _)| *link == tap.index()).map(|(_, net)| net).collect();
        let held: Vec<_> = held.iter().filter(|held| held.interface == id).collect();
        let mut lost = Lost { is_unwell: !is_well, settings: tap.astray(), ..Lost::default() };
        self.compare((id, tap), &held, &there, why, &mut lost);
        if why == Look::Check {
            let routes = route::default_gateways(handle, tap.index()).await.map_err(failed)?;
            let gateways = tap.gateways().iter();
            lost.gateways = gateways.filter(|it| !routes.contains(it)).copied().collect();
        } else if self.may_put_back(tap.name(), lost.line(tap.name()).as_deref(), why) {
            self.put_back(handle, (id, tap), &held, &mut lost).await;
        }
        Ok(lost.line(tap.name()))
    }

    /// Finds the missing addresses of a TAP that must be restored.
    fn compare(
        &mut self,
        (id, tap): (usize, &Tap),
        held: &[&Held],
        there: &HashSet<IpNet>,
        why: Look,
        lost: &mut Lost,
    ) {
        lost.addresses =
            tap.addresses().iter().filter(|net| !there.contains(net)).copied().collect();
        self.note_mishap(id, lost.addresses.is_empty());
        for held in held {
            if there.iter().any(|net| net.addr() == held.address) {
                self.missing.remove(held);
            } else if self.is_to_be_put_back(held, tap.name(), why) {
                lost.services.push(held.address);
            }
        }
    }

    async fn put_back(
        &mut self,
        handle: &Handle,
        (id, tap): (usize, &mut Tap),
        held: &[&Held],
        lost: &mut Lost,
    ) {
        let outcome = lost.put_back(handle, tap).await;
        let Some(line) = lost.line(tap.name()) else { return };
        if outcome.is_ok() {
            self.note_mishap(id, true);
            for held in held.iter().filter(|held| lost.services.contains(&held.address)) {
                self.missing.remove(held);
            }
        }
        report(&line, outcome);
        let backoff = self.backoff.entry(tap.name().to_owned()).or_default();
        if backoff.has_elapsed() {
            // A lost route is known only now.
            backoff.start();
        }
    }

    /// Notes whether an interface has all of its own addresses.
    fn note_mishap(&mut self, interface: usize, is_whole: bool) {
        let mishap = self.mishaps.get_mut(&interface);
        match (mishap, is_whole) {
            (Some(mishap), true) => mishap.is_over = true,
            (None, true) | (Some(Mishap { is_over: false, .. }), false) => {}
            (Some(Mishap { is_over: true, .. }) | None, false) => {
                let begun = Mishap { since: Instant::now(), is_over: false };
                self.mishaps.insert(interface, begun);
            }
        }
    }

    /// Whether a service's missing address must be restored; the only place where this is decided. An address that
    /// was removed while the interface's own ones stayed, as keepalived does it, was removed on purpose: it stays
    /// away until somebody adds it or an operator reloads. A mishap takes the interface's own addresses along.
    fn is_to_be_put_back(&mut self, held: &Held, tap: &str, why: Look) -> bool {
        let new = || Missing { since: Instant::now(), is_said: false };
        let missing = self.missing.entry(*held).or_insert_with(new);
        let is_mishap = self.mishaps.get(&held.interface).is_some_and(|mishap| {
            let (first, last) = (mishap.since.min(missing.since), mishap.since.max(missing.since));
            last.duration_since(first) < ONE_MISHAP
        });
        let is_meant = !is_mishap && missing.since.elapsed() >= ONE_MISHAP;
        if is_meant && why == Look::Mishap && !std::mem::replace(&mut missing.is_said, true) {
            let address = held.address;
            log::warn!(
                "{address} was taken off `{tap}`: it stays away until somebody adds it, or `tidegate reload`"
            );
        }
        is_mishap || why != Look::Mishap
    }

    /// Whether this may be restored now, and routes be tried.
    fn may_put_back(&mut self, name: &str, line: Option<&str>, why: Look) -> bool {
        let backoff = self.backoff.entry(name.to_owned()).or_default();
        let may = match why {
            Look::Check => false,
            Look::Reload => true,
            Look::Mishap => backoff.has_elapsed(),
        };
        let Some(line) = line else { return may };
        if may {
            backoff.start();
        } else if why == Look::Mishap {
            self.is_waiting = true;
            if let Some(wait) = backoff.announce() {
                log::warn!("{line}, again: it waits for {} s", wait.as_secs_f32().ceil());
            }
        }
        may
    }
}

/// Logs a loss, and whether it was restored.
fn report(line: &str, outcome: Result<(), KernelError>) {
    match outcome {
        Ok(()) => log::warn!("{line}: put back"),
        Err(error) => log::warn!("{line}, which can't be put back: {error}"),
    }
}
