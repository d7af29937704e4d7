//! Words to the service manager that started the daemon, by systemd's protocol (sd_notify(3)). Nobody listens without
//! `NOTIFY_SOCKET`.

use sd_notify::NotifyState;

/// Tells that the daemon serves, and a line for `systemctl status`.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells that a reload has begun; [`ready`] ends it.
pub fn reloading() {
    let mut states = vec![NotifyState::Reloading];
    // systemd from 253 on wants the time, too.
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// Tells that a clean end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Workers' turns as they were seen last, by which the watchdog is fed.
#[derive(Debug, Default)]
pub struct Watchdog {
    turns: Vec<u64>,
}

impl Watchdog {
    /// Feeds the watchdog if every worker has turned since the last call. So `WatchdogSec=` is the longest time that one
    /// may stand still.
    pub fn look(&mut self, turns: Vec<u64>) {
        if self.all_turn(turns) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    fn all_turn(&mut self, turns: Vec<u64>) -> bool {
        let before = std::mem::replace(&mut self.turns, turns);
        self.turns.iter().zip(&before).all(|(now, before)| now != before)
    }
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("the service manager is not told {states:?}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_that_stands_still_is_enough() {
        let mut watchdog = Watchdog::default();
        assert!(watchdog.all_turn(vec![1, 1]), "nothing is known yet");
        assert!(watchdog.all_turn(vec![2, 3]));
        assert!(!watchdog.all_turn(vec![3, 3]));
        assert!(watchdog.all_turn(vec![4, 4]));
    }
}
