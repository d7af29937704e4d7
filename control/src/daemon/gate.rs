//! Draining of the gate as a whole, for maintenance.

use super::Daemon;
use crate::api::{Gate, GateOrder, ToGate};
use crate::registry::present;
use engine::types::id::VipId;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time within which the kernel gives up VIPs.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks at the VIPs.
const PAUSE: Duration = Duration::from_millis(10);

impl Daemon {
    /// Drains the gate or enables it. When it is drained, the kernel holds none of our VIPs any more, unless it is slow.
    pub(super) async fn order_gate(&self, ToGate { order }: ToGate) -> Gate {
        let drained = order == GateOrder::Drain;
        if self.drained.send_replace(drained) != drained {
            log::info!("the gate is {} by command", if drained { "drained" } else { "enabled" });
        }
        let start = Instant::now();
        while drained && self.holds_vip_of_ours() && start.elapsed() < PATIENCE {
            sleep(PAUSE).await;
        }
        self.gate()
    }

    fn holds_vip_of_ours(&self) -> bool {
        let (active, snapshot) = (self.active(), self.snapshot.borrow());
        present(VipId, active.registry.vips()).any(|(id, vip)| {
            snapshot.is_live(id) && !active.registry.is_elsewhere(vip.held.address)
        })
    }

    fn gate(&self) -> Gate {
        let is_pair = self.active().config().pair.is_some();
        let in_step = is_pair.then(|| self.pair.is_known_there(self.now()));
        let held: Vec<_> = self.held_addresses().into_iter().collect();
        let transfers = self.all_services().now();
        let drained = *self.drained.borrow();
        let is_known = transfers == 0 || in_step == Some(true);
        Gate { drained, done: drained && held.is_empty() && is_known, held, transfers, in_step }
    }
}
