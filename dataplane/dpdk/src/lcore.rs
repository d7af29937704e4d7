//! Lcores: the threads that EAL has made and pinned, and their work.

use crate::eal::{Eal, Runtime};
use crate::error::{Errno, Error};
use dpdk_sys as sys;
use std::any::Any;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

impl Eal {
    /// The worker lcores, in rising order; the main one is not among them.
    pub fn lcores(&self) -> Vec<u32> {
        workers().collect()
    }

    /// Runs `work` on a worker lcore that is idle.
    pub fn launch<T: Send + 'static>(
        &self,
        lcore: u32,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Running<T>, Error> {
        if !workers().any(|worker| worker == lcore) {
            return Err(Error::Lcore { lcore, errno: Errno(libc::EINVAL) });
        }
        let outcome = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&outcome);
        let job: Job = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(work));
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        let job = Box::into_raw(Box::new(job));
        // SAFETY: `run` takes over the box that `job` points to, and takes it once. This is the
        // main lcore: `Eal` stays on its thread. The lcore is one of its workers.
        let answer = unsafe { sys::rte_eal_remote_launch(Some(run), job.cast(), lcore) };
        if let Err(errno) = Errno::check(answer) {
            // SAFETY: `run` was not and will not be called with it.
            drop(unsafe { Box::from_raw(job) });
            return Err(Error::Lcore { lcore, errno });
        }
        let runtime = Some(Arc::clone(self.runtime()));
        Ok(Running { lcore, outcome, runtime, _stays_on_its_thread: PhantomData })
    }
}

/// Work on an lcore. Dropped without [`Running::join`], the work goes on, and DPDK is never shut
/// down.
#[derive(Debug)]
pub struct Running<T> {
    lcore: u32,
    outcome: Arc<Mutex<Option<thread::Result<T>>>>,
    runtime: Option<Arc<Runtime>>,
    /// Only the main lcore may wait for others.
    _stays_on_its_thread: PhantomData<*const ()>,
}

impl<T> Running<T> {
    /// Whether the work has ended.
    pub fn is_finished(&self) -> bool {
        self.outcome().is_some()
    }

    /// Waits, without sleeping, until the work has ended. Returns its value, or [`Error::Panicked`].
    pub fn join(mut self) -> Result<T, Error> {
        // SAFETY: this is the main lcore, and the number is a worker's.
        unsafe { sys::rte_eal_wait_lcore(self.lcore) };
        let runtime = self.runtime.take();
        let outcome = self.outcome().take().expect("the lcore leaves an outcome before it is idle");
        drop(runtime);
        outcome.map_err(|panic| Error::Panicked { lcore: self.lcore, message: message(&*panic) })
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Option<thread::Result<T>>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        // Not joined: the lcore may use DPDK's memory as long as it likes.
        std::mem::forget(self.runtime.take());
    }
}

/// Whether this is the main lcore and all others are idle, so that no other lcore is inside DPDK.
pub(crate) fn alone() -> bool {
    // SAFETY: both read what EAL set when it started.
    let main = unsafe { sys::rte_lcore_id() == sys::rte_get_main_lcore() };
    // SAFETY: reads the state of one of EAL's lcores.
    main && workers().all(|lcore| unsafe { sys::rte_eal_get_lcore_state(lcore) } == sys::WAIT)
}

fn workers() -> impl Iterator<Item = u32> {
    const SKIP_MAIN: c_int = 1;
    const ONCE: c_int = 0;
    // One before the first.
    let mut lcore = u32::MAX;
    std::iter::from_fn(move || {
        // SAFETY: walks EAL's table of lcores; any number may be given.
        lcore = unsafe { sys::rte_get_next_lcore(lcore, SKIP_MAIN, ONCE) };
        (lcore < sys::RTE_MAX_LCORE).then_some(lcore)
    })
}

type Job = Box<dyn FnOnce() + Send>;

/// The function that EAL calls on the lcore. A panic of the work ends inside the job; any other aborts.
unsafe extern "C" fn run(job: *mut c_void) -> c_int {
    // SAFETY: `launch` gave this pointer away, for this one call.
    let job = unsafe { Box::from_raw(job.cast::<Job>()) };
    job();
    0
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
