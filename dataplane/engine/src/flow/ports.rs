//! The ports of one SNAT address that are one worker's. They are used in order, and those on which
//! a server may still be talking rest before they are used again.

use crate::tick::{PER_SECOND, Tick};
use std::collections::VecDeque;

/// Ports below are left to the system.
const FIRST: u16 = 1024;

/// Ticks that a port rests after a transfer that did not end well: tftp-hpa, the most patient
/// common server, repeats itself for 63 seconds.
const REST: u32 = 64 * PER_SECOND;

/// The worker that owns a port of a SNAT address.
#[inline]
pub fn owner(port: u16, workers: u16) -> u16 {
    port % workers
}

/// A worker's share of one SNAT address's ports. Its size never changes, and so its queues never
/// allocate.
#[derive(Debug)]
pub struct Ports {
    free: VecDeque<u16>,
    resting: VecDeque<(u16, Tick)>,
}

impl Ports {
    /// This worker's share, all free.
    pub fn new(worker: u16, workers: u16) -> Ports {
        let free: VecDeque<u16> =
            (FIRST..=u16::MAX).filter(|&port| owner(port, workers) == worker).collect();
        let resting = VecDeque::with_capacity(free.len());
        Ports { free, resting }
    }

    /// This worker's share without those that transfers have, the youngest one's last. It is the turn of those behind
    /// that one: the ones before may rest.
    pub fn without(worker: u16, workers: u16, taken: &[u16]) -> Ports {
        let mut ports = Ports::new(worker, workers);
        let before =
            taken.last().map_or(0, |&last| ports.free.partition_point(|&port| port <= last));
        ports.free.rotate_left(before);
        ports.free.retain(|port| !taken.contains(port));
        ports
    }

    /// No port at all, and no memory.
    pub fn none() -> Ports {
        Ports { free: VecDeque::new(), resting: VecDeque::new() }
    }

    /// Takes the port that has been free for longest.
    pub fn take(&mut self, now: Tick) -> Option<u16> {
        while let Some(&(port, until)) = self.resting.front()
            && until.is_due(now)
        {
            self.resting.pop_front();
            self.free.push_back(port);
        }
        self.free.pop_front()
    }

    /// Gives a port back, at once when its transfer `ended_well`, else after a rest.
    pub fn give_back(&mut self, port: u16, ended_well: bool, now: Tick) {
        if ended_well {
            self.free.push_back(port);
        } else {
            self.resting.push_back((port, now.after(REST)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn workers_share_all_ports_and_none_twice() {
        let mut seen = HashSet::new();
        for worker in 0..3 {
            let mut ports = Ports::new(worker, 3);
            while let Some(port) = ports.take(Tick(0)) {
                assert_eq!(owner(port, 3), worker);
                assert!(port >= 1024 && seen.insert(port));
            }
        }
        assert_eq!(seen.len(), 64512);
    }

    #[test]
    fn a_port_rests_unless_its_transfer_ended_well() {
        let mut ports = Ports::new(0, 1);
        let all: Vec<u16> = std::iter::from_fn(|| ports.take(Tick(0))).collect();
        ports.give_back(all[0], false, Tick(0));
        ports.give_back(all[1], true, Tick(0));
        assert_eq!(ports.take(Tick(0)), Some(all[1]));
        assert_eq!(ports.take(Tick(REST - 1)), None);
        assert_eq!(ports.take(Tick(REST)), Some(all[0]));
        assert_eq!(ports.take(Tick(REST)), None);
    }

    #[test]
    fn ports_that_transfers_have_are_not_free_and_the_next_ones_come_first() {
        let mut ports = Ports::without(0, 2, &[1040, 65534, 1050]);
        let all: Vec<u16> = std::iter::from_fn(|| ports.take(Tick(0))).collect();
        assert_eq!((all[0], all.len()), (1052, 32256 - 3));
        assert!([1040, 65534, 1050].iter().all(|port| !all.contains(port)));
        let mut ports = Ports::without(1, 2, &[]);
        assert_eq!(ports.take(Tick(0)), Some(1025));
    }
}
