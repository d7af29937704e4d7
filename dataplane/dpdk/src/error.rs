//! What can go wrong, with DPDK's own words where it had any.

use std::ffi::{CStr, c_int};
use std::fmt;

/// Why DPDK did not do what it was asked to.
#[derive(Debug)]
pub enum Error {
    /// An argument that DPDK would not read, or that would end the process.
    Argument {
        /// As it was given.
        argument: String,
    },
    /// Hugepages were asked for, and none is free.
    Hugepages {
        /// What DPDK logged; empty if its log is shown.
        said: String,
    },
    /// The environment did not start.
    Start {
        /// The error number it left.
        errno: Errno,
        /// What DPDK logged; empty if its log is shown.
        said: String,
    },
    /// The operating system refused what hushing DPDK's log needs.
    Hush(std::io::Error),
    /// An lcore that can't be given work.
    Lcore {
        /// Its number.
        lcore: u32,
        /// Why not.
        errno: Errno,
    },
    /// The interrupt thread does not take work, or does not end it.
    InterruptThread(Errno),
    /// What ran on an lcore panicked.
    Panicked {
        /// The lcore's number.
        lcore: u32,
        /// The panic's message.
        message: String,
    },
    /// A pool of packet buffers could not be made.
    Mempool {
        /// Its name.
        name: String,
        /// Buffers asked for.
        count: u32,
        /// The bytes of a buffer.
        room: u16,
        /// Why not.
        errno: Errno,
    },
    /// There is no such device, or it did not start with the environment.
    NoDevice {
        /// Its name.
        device: String,
        /// What DPDK logged at its start; empty if its log is shown.
        said: String,
    },
    /// A device that was found before.
    Taken {
        /// Its name.
        device: String,
    },
    /// A device has fewer queues than are needed.
    Queues {
        /// Its name.
        device: String,
        /// Queues needed.
        needed: u16,
        /// Queues that it has.
        has: u16,
    },
    /// A device can't be set to this MTU.
    Mtu {
        /// Its name.
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
        /// Its name.
        device: String,
        /// What it was to do, as a verb.
        step: &'static str,
        /// Why not.
        errno: Errno,
        /// What DPDK logged; empty if its log is shown.
        said: String,
    },
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Argument { argument } => {
                write!(f, "DPDK takes no argument {argument:?} here: remove it")
            }
            Error::Hugepages { said } => {
                write!(f, "no free hugepages: reserve some, or run without them")?;
                parenthesis(f, said)
            }
            Error::Start { errno, said } if said.is_empty() => {
                write!(f, "DPDK did not start: {errno}")
            }
            // The number says less than the words: most failures share a few numbers.
            Error::Start { errno: _, said } => write!(f, "DPDK did not start: {said}"),
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
            Error::NoDevice { device, said } if said.is_empty() => write!(
                f,
                "DPDK found no device {device}: check its name; a PCI device must be bound to \
                 vfio-pci first"
            ),
            Error::NoDevice { device, said } => write!(f, "DPDK found no device {device}: {said}"),
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
            Error::Device { device, step, errno, said } => {
                write!(f, "{device} does not {step}: {errno}")?;
                parenthesis(f, said)
            }
        }
    }
}

fn parenthesis(f: &mut fmt::Formatter<'_>, said: &str) -> fmt::Result {
    if said.is_empty() { Ok(()) } else { write!(f, " ({said})") }
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
