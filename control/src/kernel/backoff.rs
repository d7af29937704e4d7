//! Backoff for restoring what somebody else has removed. Once is a mishap; repeated removals have a reason, and
//! fighting them would only fill the log.

use std::time::Duration;
use tokio::time::Instant;

/// The wait before the second time; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// Time after which the wait begins at [`FIRST`] again.
const FORGIVEN: Duration = Duration::from_secs(600);

/// The backoff of one thing that is restored.
#[derive(Debug, Default)]
pub struct Backoff {
    /// The last time, and the wait from then on.
    last: Option<(Instant, Duration)>,
    /// Whether the wait was logged.
    is_said: bool,
}

impl Backoff {
    /// Whether the wait is over.
    pub fn has_elapsed(&self) -> bool {
        self.last.is_none_or(|(then, wait)| then.elapsed() >= wait)
    }

    /// Starts the wait: something is restored now.
    pub fn start(&mut self) {
        let wait = match self.last {
            Some((then, wait)) if then.elapsed() < FORGIVEN => LONGEST.min(2 * wait),
            Some(_) | None => FIRST,
        };
        *self = Backoff { last: Some((Instant::now(), wait)), is_said: false };
    }

    /// The remaining wait, to be logged; `None` if it was logged already.
    pub fn announce(&mut self) -> Option<Duration> {
        let (then, wait) = self.last?;
        let left = wait.saturating_sub(then.elapsed());
        (!std::mem::replace(&mut self.is_said, true)).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn at_once_and_then_ever_more_slowly() {
        let mut backoff = Backoff::default();
        assert!(backoff.has_elapsed() && backoff.announce().is_none());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            backoff.start();
            let moment = Duration::from_millis(1);
            advance(Duration::from_secs(seconds) - moment).await;
            assert!(!backoff.has_elapsed(), "{seconds}");
            assert_eq!(backoff.announce(), Some(moment), "it is said once");
            assert_eq!(backoff.announce(), None);
            advance(moment).await;
            assert!(backoff.has_elapsed(), "{seconds}");
        }
        advance(FORGIVEN).await;
        backoff.start();
        advance(FIRST).await;
        assert!(backoff.has_elapsed(), "it held for long");
    }
}
