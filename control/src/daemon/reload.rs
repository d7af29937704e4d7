//! Reloads. The file is read, checked and compared with the active configuration, and replaces it as a whole or not
//! at all. Removed services and backends stay as long as they have transfers.

use crate::active_config::ActiveConfig;
use crate::api::{Error, How, LastReload, Reload};
use crate::config::{self, Change, Config, Written, changes};
use crate::daemon::{Daemon, ReloadRequest};
use crate::flow_log::Outputs;
use crate::kernel::{Kernel, Look};
use crate::registry::Capacity;
use crate::supervisor;
use std::time::UNIX_EPOCH;
use tokio::sync::oneshot;
use toml::Value;

/// A reload that can be done.
pub struct Plan {
    /// The configuration after the reload.
    pub next: ActiveConfig,
    changes: Vec<Change>,
    kept: Vec<String>,
}

impl Plan {
    /// Whether the file differs from the active configuration.
    pub fn changes_anything(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The report to the operator.
    pub fn report(&self, applied: bool) -> Reload {
        Reload { changes: self.changes.clone(), kept: self.kept.clone(), lost: vec![], applied }
    }
}

impl Daemon {
    /// Requests a reload, and waits until it is done.
    pub(crate) async fn ask_for_reload(&self, how: How) -> Result<Reload, Error> {
        let (answer, outcome) = oneshot::channel();
        let stopping = || Error::Refused("the daemon is stopping".into());
        self.reloads.send(ReloadRequest { how, answer }).await.map_err(|_| stopping())?;
        outcome.await.map_err(|_| stopping())?
    }

    /// Reads the file, and plans a reload.
    ///
    /// # Errors
    ///
    /// The file has faults, or changes settings that need a restart.
    pub fn plan(&self) -> Result<Plan, Error> {
        let written =
            config::load(&self.file).map_err(|error| Error::Refused(error.to_string()))?;
        let now = self.active();
        check_fixed(&now.written, &written)?;
        let changes = changes(&now.written.table, &written.table);
        let next = now.next(written, self.capacity()).map_err(|full| needs_a_restart(&[full]))?;
        let kept = self.statuses.borrow().differences(next.config());
        Ok(Plan { next, changes, kept })
    }

    /// Opens the outputs of the log, if those of the next configuration are others.
    fn outputs(&self, next: &Config) -> Result<Option<Outputs>, Error> {
        if self.active().config().logs == next.logs {
            return Ok(None);
        }
        Outputs::open(&next.logs, self.flow_log.recent()).map(Some).map_err(Error::Refused)
    }

    /// The numbers of services and backends that workers have counters for.
    fn capacity(&self) -> Capacity {
        let counters = self.channels.all().first().map(|channel| &channel.counters);
        counters.map_or(Capacity::ANY, |counters| Capacity {
            services: counters.refusals.len(),
            backends: counters.backends.len(),
        })
    }

    /// Reloads. The workers know new addresses before the kernel holds them, so that the kernel never answers for a
    /// VIP. Addresses and routes that the kernel has lost are restored, whether the file has changed or not.
    ///
    /// # Errors
    ///
    /// A refusal by [`Daemon::plan`] or by the kernel, or an output of the log that can't be had. Nothing is changed then.
    pub async fn reload(&self, kernel: &mut Kernel, how: How) -> Result<Reload, Error> {
        if !how.check {
            supervisor::reloading();
        }
        let outcome = self.reload_now(kernel, how).await;
        supervisor::ready(&self.summary());
        self.record_reload(how, outcome.is_ok());
        outcome
    }

    /// Records the outcome of a reload for the status. A check changes nothing, so it is not recorded.
    pub fn record_reload(&self, how: How, successful: bool) {
        if !how.check {
            let at = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
            self.last_reload.set(Some(LastReload { successful, at }));
            if successful {
                self.facts.borrow_mut().reloaded();
            }
        }
    }

    async fn reload_now(&self, kernel: &mut Kernel, how: How) -> Result<Reload, Error> {
        let plan = self.plan()?;
        let applied = plan.changes_anything() && !how.check;
        let mut report = plan.report(applied);
        if applied {
            self.apply(plan.next, kernel).await?;
            self.statuses.send_modify(|statuses| statuses.settle(self.active().config()));
            report.changes.iter().for_each(|change| log::info!("reload: {change}"));
            report.kept.iter().for_each(|kept| log::info!("reload: kept: {kept}"));
        }
        let why = if how.check { Look::Check } else { Look::Reload };
        report.lost = kernel.look(why).await.map_err(|error| Error::Refused(error.to_string()))?;
        Ok(report)
    }

    /// Makes a configuration the active one. The log is written where it was until nothing can refuse the reload any more.
    async fn apply(&self, next: ActiveConfig, kernel: &Kernel) -> Result<(), Error> {
        let before = self.active();
        let outputs = self.outputs(next.config())?;
        self.activate(next).await;
        if let Err(error) = self.want(&self.active(), kernel).await {
            self.put_back(&before, kernel).await;
            return Err(Error::Refused(error.to_string()));
        }
        if let Some(outputs) = outputs {
            self.flow_log.write_to(outputs);
        }
        Ok(())
    }

    /// Activates the previous configuration again; everything new is leaving then.
    async fn put_back(&self, before: &ActiveConfig, kernel: &Kernel) {
        match self.active().next(before.written.clone(), Capacity::ANY) {
            Ok(next) => self.activate(next).await,
            Err(full) => log::error!("cannot go back: {full}"),
        }
        if let Err(error) = self.want(&self.active(), kernel).await {
            log::error!("{error}");
        }
    }

    /// Releases removed services and backends that have no transfers left and need not be remembered. The kernel
    /// gives up their addresses first: until then, workers drop packets for them.
    pub async fn release_removed(&self, kernel: &Kernel) {
        let before = self.active();
        if !before.registry.is_anything_leaving() {
            return;
        }
        let snapshot = self.snapshot.borrow().clone();
        let Ok(mut uses) = self.channels.uses(&snapshot).await else { return };
        self.carry_over.borrow_mut().keep_removed(&before.registry, &mut uses, self.now());
        let mut next = ActiveConfig::clone(&before);
        let addresses = next.registry.release(&uses);
        if next.registry == before.registry {
            return;
        }
        if let Err(error) = self.want(&next, kernel).await {
            log::error!("{error}");
        }
        for address in addresses {
            log::info!("{address} is let go of: its last transfer is over");
        }
        self.activate(next).await;
    }
}

/// Refuses changes of devices, workers, the socket and the pair, which are made at the start.
fn check_fixed(now: &Written, next: &Written) -> Result<(), Error> {
    let fixed = |config: &Config| {
        let Config { dataplane, control, interfaces, services: _, nat: _, logs: _, pair } =
            config.clone();
        (dataplane, control, interfaces, pair)
    };
    if fixed(&now.config) == fixed(&next.config) {
        return Ok(());
    }
    let fixed = |written: &Written| {
        let mut table = written.table.clone();
        table.remove("service");
        table.remove("nat");
        table.remove("log");
        // These are about services.
        if let Some(control) = table.get_mut("control").and_then(Value::as_table_mut) {
            control.remove("addresses");
            control.remove("announce");
        }
        table
    };
    Err(needs_a_restart(&changes(&fixed(now), &fixed(next))))
}

fn needs_a_restart(why: &[impl ToString]) -> Error {
    let lines: Vec<_> =
        why.iter().map(|why| format!("needs a restart: {}", why.to_string())).collect();
    Error::Refused(lines.join("\n"))
}
