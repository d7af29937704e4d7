//! How often we put back what somebody takes away. Once is a mishap; who goes on has a reason, and a fight would fill
//! the log and help nobody.

use std::time::Duration;
use tokio::time::Instant;

/// Until the second time; then twice as long each time.
const FIRST: Duration = Duration::from_secs(1);
/// For no longer than that.
const LONGEST: Duration = Duration::from_secs(60);
/// Time after which a mishap is forgiven: what held for so long was not taken away again.
const FORGIVEN: Duration = Duration::from_secs(600);

/// When something may be put back.
#[derive(Debug, Default)]
pub struct Patience {
    /// When that was done last, and how long to wait from then on.
    last: Option<(Instant, Duration)>,
    /// Whether it was said that there is something to wait for.
    is_said: bool,
}

impl Patience {
    /// Whether it may be put back now.
    pub fn is_over(&self) -> bool {
        self.last.is_none_or(|(then, wait)| then.elapsed() >= wait)
    }

    /// Notes that it is put back now.
    pub fn spend(&mut self) {
        let wait = match self.last {
            Some((then, wait)) if then.elapsed() < FORGIVEN => LONGEST.min(2 * wait),
            Some(_) | None => FIRST,
        };
        *self = Patience { last: Some((Instant::now(), wait)), is_said: false };
    }

    /// How long it is to wait; `None`: that was said.
    pub fn say(&mut self) -> Option<Duration> {
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
        let mut patience = Patience::default();
        assert!(patience.is_over() && patience.say().is_none());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            patience.spend();
            let moment = Duration::from_millis(1);
            advance(Duration::from_secs(seconds) - moment).await;
            assert!(!patience.is_over(), "{seconds}");
            assert_eq!(patience.say(), Some(moment), "it is said once");
            assert_eq!(patience.say(), None);
            advance(moment).await;
            assert!(patience.is_over(), "{seconds}");
        }
        advance(FORGIVEN).await;
        patience.spend();
        advance(FIRST).await;
        assert!(patience.is_over(), "it held for long");
    }
}
