//! Losses of lines, each told when it begins and, with its size, when it is over.

use std::time::{Duration, Instant};

/// Time without another lost line after which a loss is over: bursts of lost lines are told as one.
const CALM: Duration = Duration::from_secs(5);

/// The lines that are being lost for one reason.
#[derive(Debug, Default)]
pub struct Loss {
    lost: u64,
    latest: Option<Instant>,
}

impl Loss {
    /// Counts lost lines; returns whether the loss begins with them.
    pub fn add(&mut self, lost: u64, now: Instant) -> bool {
        let was_on = self.is_on();
        if lost > 0 {
            self.lost += lost;
            self.latest = Some(now);
        }
        !was_on && self.is_on()
    }

    /// Whether lines are being lost.
    pub fn is_on(&self) -> bool {
        self.lost > 0
    }

    /// Ends the loss; returns its lines, if there are any.
    pub fn end(&mut self) -> Option<u64> {
        Some(std::mem::take(self).lost).filter(|&lost| lost > 0)
    }

    /// Ends the loss if it is over by now; returns its lines.
    pub fn end_if_over(&mut self, now: Instant) -> Option<u64> {
        let is_over = self.latest.is_some_and(|latest| now.duration_since(latest) >= CALM);
        if is_over { self.end() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_has_one_beginning_and_one_end() {
        let (mut loss, start) = (Loss::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!((loss.add(0, start), loss.is_on(), loss.end()), (false, false, None));
        assert_eq!([0, 1, 5].map(|second| loss.add(2, at(second))), [true, false, false]);
        assert_eq!([5, 9].map(|second| loss.end_if_over(at(second))), [None; 2]);
        assert_eq!((loss.end_if_over(at(10)), loss.end_if_over(at(20))), (Some(6), None));
        assert!(loss.add(1, at(21)));
        assert_eq!((loss.end(), loss.end()), (Some(1), None));
    }
}
