//! Calls on several threads while something else is under way.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{scope, sleep};
use std::time::Duration;

/// Repeats a call on so many threads, with a pause after each, until `work` is over. Returns what `work` and all calls
/// have returned.
///
/// # Panics
///
/// `work` or a call panics. The other threads end then, too.
pub fn meanwhile<T: Send, R>(
    (threads, pause): (usize, Duration),
    call: impl Fn() -> T + Sync,
    work: impl FnOnce() -> R,
) -> (R, Vec<T>) {
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        let repeat = || {
            let mut all = vec![];
            while !is_over.load(Relaxed) {
                all.push(call());
                sleep(pause);
            }
            all
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(repeat)).collect();
        let done = catch_unwind(AssertUnwindSafe(work));
        is_over.store(true, Relaxed);
        let all = threads.into_iter().flat_map(|one| one.join().expect("a call panics"));
        let all = all.collect();
        (done.unwrap_or_else(|panic| resume_unwind(panic)), all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFTEN: (usize, Duration) = (3, Duration::from_millis(1));

    #[test]
    fn calls_go_on_until_the_work_is_over() {
        let (done, all) = meanwhile(OFTEN, || 7, || sleep(Duration::from_millis(50)));
        assert_eq!(done, ());
        assert!(all.len() >= 3 && all.iter().all(|&one| one == 7), "{all:?}");
    }

    #[test]
    #[should_panic = "the work fails"]
    fn work_that_panics_ends_them() {
        let work = || -> () { panic!("the work fails") };
        meanwhile(OFTEN, || (), work);
    }
}
