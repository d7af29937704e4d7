//! What senders are told of packets that can't go on, and how often: each worker says so many things a
//! second, as routers do (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f).

use crate::tick::{PER_SECOND, Tick};
use std::net::IpAddr;
use wire::trouble::Trouble;

/// Notices that a worker sends in a second, on average.
const RATE: u32 = 100;
/// Notices that it sends at once.
const BURST: u32 = 50;

/// A packet that stays here, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Notice {
    /// Its place in the burst.
    pub place: usize,
    /// Who tells its sender: the one that it took for the receiver, if that is us.
    pub from: IpAddr,
    /// Why.
    pub trouble: Trouble,
}

/// A bucket of tokens.
#[derive(Debug, Default)]
pub struct Rate {
    spent: u32,
    since: Tick,
}

impl Rate {
    /// Takes a token, if there is one.
    pub fn allows(&mut self, now: Tick) -> bool {
        let earned = now.since(self.since).saturating_mul(RATE / PER_SECOND);
        self.since = now;
        self.spent = self.spent.saturating_sub(earned);
        let allowed = self.spent < BURST;
        self.spent += u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let mut rate = Rate::default();
        let count = |rate: &mut Rate, now| (0..1000).filter(|_| rate.allows(Tick(now))).count();
        assert_eq!(count(&mut rate, 500), BURST as usize);
        assert_eq!(count(&mut rate, 500), 0);
        assert_eq!(count(&mut rate, 501), 10);
        let second: usize = (502..512).map(|now| count(&mut rate, now)).sum();
        assert_eq!(second, RATE as usize);
        assert_eq!(count(&mut rate, 9000), BURST as usize);
    }
}
