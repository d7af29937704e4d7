//! Errors, with the lines that DPDK logged about them.

use std::ffi::{CStr, c_int};
use std::fmt;

/// A failure of DPDK, or of a call to it.
#[derive(Debug)]
pub enum Error {
    /// An argument that DPDK does not read, or that would end the process.
    Argument {
        /// The argument as it was given.
        argument: String,
    },
    /// No hugepage is free, and hugepages were requested.
    Hugepages {
        /// Lines that DPDK logged; empty if its log is shown.
        dpdk_log: String,
    },
    /// The environment did not start.
    Start {
        /// The error number.
        errno: Errno,
        /// Lines that DPDK logged; empty if its log is shown.
        dpdk_log: String,
    },
    /// The operating system refused a pipe or a stream for DPDK's log.
    Hush(std::io::Error),
    /// An lcore that can't be given work.
    Lcore {
        /// The lcore's number.
        lcore: u32,
        /// The reason.
        errno: Errno,
    },
    /// The interrupt thread does not take work, or does not end it.
    InterruptThread(Errno),
    /// Work on an lcore panicked.
    Panicked {
        /// The lcore's number.
        lcore: u32,
        /// The panic's message.
        message: String,
    },
    /// A pool of packet buffers could not be made.
    Mempool {
        /// The pool's name.
        name: String,
        /// The number of buffers.
        count: u32,
        /// The bytes of a buffer.
        room: u16,
        /// The reason.
        errno: Errno,
    },
    /// There is no such device, or it did not start with the environment.
    NoDevice {
        /// The device's name.
        device: String,
        /// Lines that DPDK logged at its start; empty if its log is shown.
        dpdk_log: String,
    },
    /// A device that is in use already.
    Taken {
        /// The device's name.
        device: String,
    },
    /// A device has fewer queues than are needed.
    Queues {
        /// The device's name.
        device: String,
        /// Queues needed.
        needed: u16,
        /// Queues that it has.
        has: u16,
    },
    /// A device can't be set to this MTU.
    Mtu {
        /// The device's name.
        device: String,
        /// The MTU asked for.
        mtu: u16,
        /// The largest that it takes.
        largest: u16,
    },
    /// A pool's buffers don't hold the frames of this MTU.
    Room {
        /// The device's name.
        device: String,
        /// The MTU asked for.
        mtu: u16,
        /// The bytes of a buffer.
        room: u16,
    },
    /// A device refused a step.
    Device {
        /// The device's name.
        device: String,
        /// The step, as a verb.
        step: &'static str,
        /// The reason.
        errno: Errno,
        /// Lines that DPDK logged; empty if its log is shown.
        dpdk_log: String,
    },
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Argument { argument } => {
                write!(f, "DPDK takes no argument {argument:?} here: remove it")
            }
            Error::Hugepages { dpdk_log } => {
                write!(f, "no free hugepages: reserve some, or run without them")?;
                parenthesis(f, dpdk_log)
            }
            Error::Start { errno, dpdk_log } if dpdk_log.is_empty() => {
                write!(f, "DPDK did not start: {errno}")
            }
            // The number says less than the log lines: most failures share a few numbers.
            Error::Start { errno: _, dpdk_log } => write!(f, "DPDK did not start: {dpdk_log}"),
            Error::Hush(error) => write!(f, "cannot hush DPDK's log: {error}"),
            Error::Lcore { lcore, errno } => write!(f, "lcore {lcore} takes no work: {errno}"),
            Error::InterruptThread(errno) => {
                write!(f, "the interrupt thread takes no work: {errno}")
            }
            Error::Panicked { lcore, message } => write!(f, "lcore {lcore} panicked: {message}"),
            Error::Mempool { name, count, room, errno } => write!(
                f,
                "no pool {name:?} of {count} buffers of {room} bytes: {errno}; give DPDK more memory \
                 (without hugepages each takes whole pages)"
            ),
            Error::NoDevice { device, dpdk_log } if dpdk_log.is_empty() => write!(
                f,
                "DPDK found no device {device}: check its name; a PCI device must be bound to \
                 vfio-pci first"
            ),
            Error::NoDevice { device, dpdk_log } => {
                write!(f, "DPDK found no device {device}: {dpdk_log}")
            }
            Error::Taken { device } => write!(f, "{device} is in use already: name it once"),
            Error::Queues { device, needed, has } => write!(
                f,
                "{device} has queues for {has}, {needed} workers need one each: give it more \
                 (qpairs= for af_packet, queue_count= for af_xdp), or use fewer workers"
            ),
            Error::Mtu { device, mtu, largest } => {
                write!(f, "{device} takes no MTU of {mtu}; the largest is {largest}")
            }
            Error::Room { device, mtu, room } => {
                write!(f, "{device} with an MTU of {mtu} needs larger buffers than {room} bytes")
            }
            Error::Device { device, step, errno, dpdk_log } => {
                write!(f, "{device} does not {step}: {errno}")?;
                parenthesis(f, dpdk_log)
            }
        }
    }
}

fn parenthesis(f: &mut fmt::Formatter<'_>, dpdk_log: &str) -> fmt::Result {
    if dpdk_log.is_empty() { Ok(()) } else { write!(f, " ({dpdk_log})") }
}

/// One of DPDK's error numbers, which are those of Linux and a few more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The number that the last call of this thread left in `rte_errno`.
    pub(crate) fn last() -> Errno {
        // SAFETY: reads a variable of this thread.
        Errno(unsafe { dpdk_sys::dpdk_sys_errno() })
    }

    /// Reads the answer of a call that returns a negative error number.
    pub(crate) fn check(answer: c_int) -> Result<(), Errno> {
        if answer < 0 { Err(Errno(-answer)) } else { Ok(()) }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: any number is allowed; the answer is a string in static memory or in this
        // thread's own buffer, and is copied before the next call.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.0)) };
        f.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self})", self.0)
    }
}
