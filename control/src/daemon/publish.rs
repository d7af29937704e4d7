//! Publication: configuration, kernel view and backend status become the workers' next snapshot.

use super::Daemon;
use crate::active_config::ActiveConfig;
use crate::flow_log::{Names, watched};
use crate::{events, snapshot};
use engine::state::sync::AddressSet;
use engine::types::tick::Tick;
use std::rc::Rc;
use std::sync::Arc;

impl Daemon {
    /// Publishes a new snapshot to the workers. It must be called after every change, which is in force when this
    /// returns.
    pub async fn publish(&self) {
        let _one_at_a_time = self.publishing.lock().await;
        self.publish_of(&self.active()).await;
    }

    /// Activates another configuration. Nothing is awaited between its snapshot and itself: who reads both without a
    /// wait in between gets two that fit, whose ids are the same.
    pub async fn activate(&self, next: ActiveConfig) {
        let _one_at_a_time = self.publishing.lock().await;
        // Workers record transfers under the new ids before the configuration is the active one.
        self.flow_log.rename(Names::of(&next));
        self.publish_of(&next).await;
        self.active.send_replace(Rc::new(next));
    }

    /// Publishes the snapshot of a configuration. The caller holds the lock.
    async fn publish_of(&self, active: &ActiveConfig) {
        self.saved_state.borrow_mut().save(&active.registry, &self.statuses.borrow());
        let macs: Vec<_> = self.interfaces.iter().map(|facts| facts.mac).collect();
        let mut new = snapshot::build(
            active,
            &macs,
            &self.view.borrow(),
            &self.statuses.borrow(),
            &mut self.carry_over.borrow_mut(),
            self.now(),
        );
        if self.flow_log.is_watched() {
            new.services.iter_mut().for_each(|one| one.log = watched(one.log));
        }
        self.pair.enter(&mut new, &active.config().interfaces);
        let old = Arc::clone(&self.snapshot.borrow());
        for change in events::changes(&old, &new, &active.registry) {
            log::info!("{change}");
        }
        if active.config().pair.is_some() {
            let [before, held] = [&*old, &new].map(AddressSet::held);
            self.pair.moves(&before, &held, self.now());
        }
        new.resets_from = self.pair.settled(self.now());
        let new = Arc::new(new);
        let max_flows = active.config().dataplane.max_flows;
        self.channels.publish(&old, &new, max_flows).await;
        self.snapshot.send_replace(new);
    }

    /// The current time, as workers count it.
    pub fn now(&self) -> Tick {
        Tick::at(self.clock.elapsed())
    }
}
