//! The rate of ICMP errors that a worker sends: limited, as routers limit theirs (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f).

use crate::types::tick::{PER_SECOND, Tick};
use crate::types::token_bucket::{TokenBucket, TokenLimit};

/// ICMP errors that a worker sends per second, on average.
const RATE: u32 = 100;
/// ICMP errors that a worker sends at once.
const BURST: u32 = 50;

/// The limit of ICMP errors of a worker.
const LIMIT: TokenLimit = TokenLimit { burst: BURST, per_tick: RATE / PER_SECOND };

/// The ICMP errors that a worker may send.
#[derive(Debug, Default)]
pub struct Rate(TokenBucket);

impl Rate {
    /// Takes a token, if there is one.
    pub fn allows(&mut self, now: Tick) -> bool {
        self.0.take(1, LIMIT, now)
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
