//! Configuration, kernel's view and backends' standings become the workers' next snapshot.

use super::Appliance;
use crate::in_force::InForce;
use crate::{events, tables};
use engine::tick::Tick;
use std::rc::Rc;
use std::sync::Arc;

impl Appliance {
    /// Tells the workers what the world looks like now. Whoever changes something may call it; when it
    /// returns, that is in force.
    pub async fn refresh(&self) {
        let _one_at_a_time = self.telling.lock().await;
        let in_force = self.in_force();
        self.estate.borrow_mut().save(&in_force.registry, &self.standings.borrow());
        let macs: Vec<_> = self.interfaces.iter().map(|facts| facts.mac).collect();
        let new = tables::build(
            &in_force,
            &macs,
            &self.view.borrow(),
            &self.standings.borrow(),
            &mut self.lasting.borrow_mut(),
            self.now(),
        );
        let old = Arc::clone(&self.tables.borrow());
        for change in events::changes(&old, &new, &in_force.registry) {
            log::info!("{change}");
        }
        let new = Arc::new(new);
        let max_flows = in_force.config().dataplane.max_flows;
        self.desks.publish(&old, &new, max_flows).await;
        self.tables.send_replace(new);
    }

    /// The workers' time.
    pub fn now(&self) -> Tick {
        Tick::at(self.clock.elapsed())
    }

    /// Another configuration takes the place of this one.
    pub async fn put_in_force(&self, next: InForce) {
        self.in_force.send_replace(Rc::new(next));
        self.refresh().await;
    }
}
