//! The thread that EAL waits for interrupts and alarms on.

use crate::eal::Eal;
use crate::error::{Errno, Error};
use dpdk_sys as sys;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

/// Time after which the thread is given up: it has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

impl Eal {
    /// Runs `work` on EAL's interrupt thread, and waits for its outcome.
    pub fn on_interrupt_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (done, outcome) = mpsc::channel();
        let job: Job = Box::new(move || {
            // The caller may have given up.
            let _ = done.send(work());
        });
        let job = Box::into_raw(Box::new(job));
        // SAFETY: `run` takes over the box that `job` points to, and takes it once.
        let answer = unsafe { sys::rte_eal_alarm_set(1, Some(run), job.cast()) };
        if let Err(errno) = Errno::check(answer) {
            // SAFETY: `run` was not and will not be called with it.
            drop(unsafe { Box::from_raw(job) });
            return Err(Error::InterruptThread(errno));
        }
        outcome
            .recv_timeout(PATIENCE)
            .map_err(|_silent| Error::InterruptThread(Errno(libc::ETIMEDOUT)))
    }
}

/// The callback on EAL's interrupt thread. A panic ends inside: the caller runs into its time limit.
unsafe extern "C" fn run(job: *mut c_void) {
    // SAFETY: `on_interrupt_thread` gave this pointer away, for this one call.
    let job = unsafe { Box::from_raw(job.cast::<Job>()) };
    let _ = catch_unwind(AssertUnwindSafe(job));
}
