//! Reloads. The file is read and checked again, compared with what is in force, and takes its place: as a whole, or
//! not at all. What was removed stays as long as it has transfers.

use crate::api::{Error, How, Reload};
use crate::appliance::Appliance;
use crate::config::{self, Change, Config, Written, changes};
use crate::in_force::InForce;
use crate::kernel::{Kernel, Look};
use crate::registry::Room;
use tokio::sync::oneshot;

/// A reload that somebody waits for.
pub struct Asked {
    /// How it is to be done.
    pub how: How,
    /// Where the outcome goes.
    pub answer: oneshot::Sender<Result<Reload, Error>>,
}

/// A reload that is possible.
pub struct Plan {
    /// The configuration that would be in force.
    pub next: InForce,
    changes: Vec<Change>,
    kept: Vec<String>,
}

impl Plan {
    /// Whether the file says something else than before.
    pub fn changes_anything(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The report to the operator.
    pub fn report(&self, applied: bool) -> Reload {
        Reload { changes: self.changes.clone(), kept: self.kept.clone(), lost: vec![], applied }
    }
}

impl Appliance {
    /// Asks for a reload, and waits until it is done.
    pub(crate) async fn ask_for_reload(&self, how: How) -> Result<Reload, Error> {
        let (answer, outcome) = oneshot::channel();
        let stopping = || Error::Refused("the daemon is stopping".into());
        self.reloads.send(Asked { how, answer }).await.map_err(|_| stopping())?;
        outcome.await.map_err(|_| stopping())?
    }

    /// Reads the file, and finds out what would change.
    ///
    /// # Errors
    ///
    /// The file is at fault, or changes what can't be changed while packets flow.
    pub fn plan(&self) -> Result<Plan, Error> {
        let written =
            config::load(&self.file).map_err(|error| Error::Refused(error.to_string()))?;
        let now = self.in_force();
        check_fixed(&now.written, &written)?;
        let changes = changes(&now.written.table, &written.table);
        let next = now.next(written, self.room()).map_err(|full| needs_a_restart(&[full]))?;
        let kept = self.standings.borrow().differences(next.config());
        Ok(Plan { next, changes, kept })
    }

    /// The room that workers were made to count.
    fn room(&self) -> Room {
        let counters = self.desks.all().first().map(|desk| &desk.counters);
        counters.map_or(Room::ANY, |counters| Room {
            services: counters.refusals.len(),
            backends: counters.backends.len(),
        })
    }

    /// Reloads: the workers know new addresses before the kernel has them, so that it never answers for one
    /// that it should not. What the kernel had before and no longer has is put back, whether the file says something new
    /// or not.
    ///
    /// # Errors
    ///
    /// What [`Appliance::plan`] refuses, or what the kernel does. Nothing is changed then.
    pub async fn reload(&self, kernel: &mut Kernel, how: How) -> Result<Reload, Error> {
        let plan = self.plan()?;
        let applied = plan.changes_anything() && !how.check;
        let mut report = plan.report(applied);
        if applied {
            let before = self.in_force();
            self.put_in_force(plan.next).await;
            if let Err(error) = kernel.want(self.in_force().wanted()).await {
                self.put_back(&before, kernel).await;
                return Err(Error::Refused(error.to_string()));
            }
            self.standings.send_modify(|standings| standings.settle(self.in_force().config()));
            report.changes.iter().for_each(|change| log::info!("reload: {change}"));
            report.kept.iter().for_each(|kept| log::info!("reload: kept: {kept}"));
        }
        let why = if how.check { Look::Check } else { Look::Reload };
        report.lost = kernel.look(why).await.map_err(|error| Error::Refused(error.to_string()))?;
        Ok(report)
    }

    /// Puts in force again what was before; what was new is leaving.
    async fn put_back(&self, before: &InForce, kernel: &Kernel) {
        match self.in_force().next(before.written.clone(), Room::ANY) {
            Ok(next) => self.put_in_force(next).await,
            Err(full) => log::error!("cannot go back: {full}"),
        }
        if let Err(error) = kernel.want(self.in_force().wanted()).await {
            log::error!("{error}");
        }
    }

    /// Lets go of what was removed, has no transfers left and is not kept for what its servers may still say. The kernel does
    /// first: until then, what is sent to its addresses is ours to drop.
    pub async fn let_go(&self, kernel: &Kernel) {
        let before = self.in_force();
        if !before.registry.is_anything_leaving() {
            return;
        }
        let tables = self.tables.borrow().clone();
        let Ok(mut uses) = self.desks.uses(&tables).await else { return };
        self.lasting.borrow_mut().keep_removed(&before.registry, &mut uses, self.now());
        let mut next = InForce::clone(&before);
        let addresses = next.registry.let_go(&uses);
        if next.registry == before.registry {
            return;
        }
        if let Err(error) = kernel.want(next.wanted()).await {
            log::error!("{error}");
        }
        for address in addresses {
            log::info!("{address} is let go of: its last transfer is over");
        }
        self.put_in_force(next).await;
    }
}

/// Devices, workers and the socket are made at the start.
fn check_fixed(now: &Written, next: &Written) -> Result<(), Error> {
    let fixed = |config: &Config| {
        let Config { dataplane, control, interfaces, services: _, nat: _ } = config.clone();
        (dataplane, control, interfaces)
    };
    if fixed(&now.config) == fixed(&next.config) {
        return Ok(());
    }
    let fixed = |written: &Written| {
        let mut table = written.table.clone();
        table.remove("service");
        table.remove("nat");
        table
    };
    Err(needs_a_restart(&changes(&fixed(now), &fixed(next))))
}

fn needs_a_restart(why: &[impl ToString]) -> Error {
    let lines: Vec<_> =
        why.iter().map(|why| format!("needs a restart: {}", why.to_string())).collect();
    Error::Refused(lines.join("\n"))
}
