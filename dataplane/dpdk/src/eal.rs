//! The environment abstraction layer (EAL): DPDK's memory, cores and devices. It starts once in a process.

use crate::error::{Errno, Error};
use crate::log_capture;
use dpdk_sys as sys;
use std::ffi::{CStr, CString, c_char, c_int};
use std::marker::PhantomData;
use std::sync::Arc;

/// The destination of DPDK's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Discarded, except lines that explain an error.
    Quiet,
    /// To the standard error and to syslog, as DPDK does by default.
    Shown,
}

/// The environment, on the thread that started it, which is DPDK's main lcore. It ends when this value and everything
/// made with it are dropped.
#[derive(Debug)]
pub struct Eal {
    runtime: Arc<Runtime>,
    /// Only the main lcore may give work to others.
    _stays_on_its_thread: PhantomData<*const ()>,
}

impl Eal {
    /// Starts DPDK with these arguments (without the program's name), which also name the devices.
    /// A device that can't be started is no error here, but one of [`crate::Port::find`].
    ///
    /// With [`Log::Quiet`] output of C code on its standard streams is lost from now on, except lines that explain an
    /// error.
    pub fn init(args: &[String], log: Log) -> Result<Eal, Error> {
        let mut argv = argv(args, log)?;
        let read = start(&mut argv, log)?;
        let dpdk_log = log_capture::take();
        let read = read.map_err(|errno| match errno.0 {
            // EAL's number for this and nothing else.
            libc::EACCES => Error::Hugepages { dpdk_log: dpdk_log.clone() },
            _ => Error::Start { errno, dpdk_log: dpdk_log.clone() },
        })?;
        let eal =
            Eal { runtime: Arc::new(Runtime { dpdk_log }), _stays_on_its_thread: PhantomData };
        match argv.get(read + 1) {
            Some(unread) => Err(Error::Argument { argument: text(*unread) }),
            None => Ok(eal),
        }
    }

    /// The shared handle that keeps the environment alive.
    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }
}

/// The version of DPDK that is linked, as in `22.11.5`.
pub fn version() -> String {
    // SAFETY: DPDK answers with a static C string.
    let text = unsafe { CStr::from_ptr(sys::rte_version()) }.to_string_lossy();
    text.trim_start_matches("DPDK ").to_owned()
}

/// The started environment. Dropping the last handle ends it.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// Lines that DPDK logged when it started.
    pub(crate) dpdk_log: String,
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // SAFETY: the environment is started. Pools, ports and work on lcores hold this value, so
        // nothing of ours points into DPDK's memory any more.
        unsafe { sys::rte_eal_cleanup() };
    }
}

/// The arguments as a C program has them. They are never freed: EAL may keep pointers to them.
fn argv(args: &[String], log: Log) -> Result<Vec<*mut c_char>, Error> {
    let first: &[&str] = match log {
        // Before the caller's arguments, which may set another level.
        Log::Quiet => &["tidegate", "--log-level=warning"],
        Log::Shown => &["tidegate"],
    };
    let all = first.iter().copied().chain(args.iter().map(String::as_str));
    all.map(|argument| match CString::new(argument) {
        // EAL would print its usage and end the process.
        Ok(_) if argument == "-h" || argument == "--help" => {
            Err(Error::Argument { argument: argument.to_owned() })
        }
        Ok(string) => Ok(string.into_raw()),
        Err(_) => Err(Error::Argument { argument: argument.to_owned() }),
    })
    .collect()
}

/// Calls EAL. Returns the index of the last argument that it read, or its error number.
fn start(argv: &mut [*mut c_char], log: Log) -> Result<Result<usize, Errno>, Error> {
    if log == Log::Quiet {
        log_capture::hush().map_err(Error::Hush)?;
    }
    // SAFETY: `argv` holds as many pointers to C strings as it is long, and the strings live for
    // ever. EAL changes their order only.
    let read = unsafe { sys::rte_eal_init(argv.len() as c_int, argv.as_mut_ptr()) };
    Ok(usize::try_from(read).map_err(|_| Errno::last()))
}

fn text(argument: *mut c_char) -> String {
    // SAFETY: one of `argv`'s strings, which are never freed.
    unsafe { CStr::from_ptr(argument) }.to_string_lossy().into_owned()
}
