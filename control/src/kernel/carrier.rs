//! The TAPs' carriers: each TAP has the carrier of its device's link, so that programs that watch the TAP, as keepalived
//! and routing daemons do, see the cable.

use super::link::PATIENCE;
use super::{Kernel, KernelError, unless_gone};
use rtnetlink::Error;
use std::collections::HashSet;
use tokio::time::timeout;

impl Kernel {
    /// Takes all carriers away, which new TAPs and those of before have, until frames are carried: programs that watch
    /// the TAPs must not move an address here before.
    pub(super) async fn start_without_carriers(&mut self) -> Result<(), KernelError> {
        self.view.send_modify(|view| view.down = (0..self.taps.len()).collect());
        for tap in &mut self.taps {
            tap.set_carrier(&self.handle, false).await?;
        }
        Ok(())
    }

    /// Gives each TAP the carrier of its device's link. `is_up` is the state of an interface's link as the device's
    /// driver tells it. Drivers on Linux interfaces don't see the cable: there, the kernel must say so, too.
    ///
    /// # Errors
    ///
    /// A device is gone, and the daemon can't go on.
    pub async fn follow_links(&mut self, is_up: impl Fn(usize) -> bool) -> Result<(), KernelError> {
        let no_answer = || KernelError::netlink("look at links".into(), Error::RequestFailed);
        let following = timeout(PATIENCE, self.follow(is_up)).await;
        unless_gone(following.unwrap_or_else(|_| Err(no_answer())))
    }

    async fn follow(&mut self, is_up: impl Fn(usize) -> bool) -> Result<(), KernelError> {
        let mut down: HashSet<usize> = (0..self.taps.len()).filter(|&id| !is_up(id)).collect();
        for underlay in &self.underlays {
            if !underlay.has_carrier(&self.handle).await? {
                down.extend(&underlay.interfaces);
            }
        }
        // First, as the kernel tells the watcher of each carrier.
        self.view.send_if_modified(|view| {
            let changed = view.down != down;
            view.down.clone_from(&down);
            changed
        });
        for (id, tap) in self.taps.iter_mut().enumerate() {
            let is_up = !down.contains(&id);
            if tap.has_carrier() == is_up {
                continue;
            }
            match is_up {
                true => log::info!("the link of interface `{}` is up", tap.name()),
                false => log::warn!("the link of interface `{}` is down", tap.name()),
            }
            tap.set_carrier(&self.handle, is_up).await?;
        }
        Ok(())
    }
}
