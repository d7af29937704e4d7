//! DPDK's own log. Hushed, its lines go into a pipe that never fills up for the writer: what does
//! not fit is lost. From there they come back as the explanation of an error.

use dpdk_sys as sys;
use std::ffi::c_int;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// Both ends of the pipe, once DPDK's log is hushed. They stay open: DPDK's threads may log at any
/// time.
static PIPE: Mutex<Option<(PipeReader, PipeWriter)>> = Mutex::new(None);

/// Sends DPDK's log into the pipe from now on.
pub(crate) fn hush() -> io::Result<()> {
    let mut pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    if pipe.is_none() {
        let (reader, writer) = io::pipe()?;
        never_wait(reader.as_fd())?;
        never_wait(writer.as_fd())?;
        write_to(writer.try_clone()?.into())?;
        *pipe = Some((reader, writer));
    }
    Ok(())
}

/// What DPDK logged since the last call, in one line; empty if it is not hushed.
pub(crate) fn said() -> String {
    let mut pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = Vec::new();
    if let Some((reader, _)) = &mut *pipe {
        // Ends with "would block", after all there is.
        let _ = reader.read_to_end(&mut bytes);
    }
    one_line(&String::from_utf8_lossy(&bytes))
}

/// EAL writes its fatal lines twice, first to the standard error.
fn one_line(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.retain(|line| !line.is_empty() && !line.contains("FATAL: "));
    lines.dedup();
    lines.join("; ")
}

fn never_wait(end: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: sets a flag of an open descriptor; touches no memory.
    check(unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })
}

fn write_to(end: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor is open and given away with `into_raw_fd`; the mode is a C string.
    let stream = unsafe { libc::fdopen(end.into_raw_fd(), c"w".as_ptr()) };
    if stream.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the stream is open and is never closed, so DPDK may keep it. `sys::FILE` and
    // `libc::FILE` are two names of one C type.
    check(unsafe { sys::rte_openlog_stream(stream.cast()) })
}

fn check(answer: c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// While it lives, the process's standard error goes into the pipe and its standard output
/// nowhere: EAL prints some lines past its log, and its usage on bad arguments; libraries below the
/// drivers know nothing of DPDK's log.
pub(crate) struct Muffled {
    output: OwnedFd,
    error: OwnedFd,
}

impl Muffled {
    /// Begins, if the log is hushed.
    pub(crate) fn new() -> io::Result<Option<Muffled>> {
        let pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, writer)) = &*pipe else { return Ok(None) };
        let nowhere = File::options().write(true).open("/dev/null")?;
        let muffled = Muffled {
            output: io::stdout().as_fd().try_clone_to_owned()?,
            error: io::stderr().as_fd().try_clone_to_owned()?,
        };
        replace(nowhere.as_fd(), libc::STDOUT_FILENO)?;
        replace(writer.as_fd(), libc::STDERR_FILENO)?;
        Ok(Some(muffled))
    }
}

impl Drop for Muffled {
    fn drop(&mut self) {
        // SAFETY: a null stream means all of C's; what EAL printed must leave before the
        // descriptors change back.
        unsafe { libc::fflush(std::ptr::null_mut()) };
        // Both are open, so this can't fail in a way that anything could be done about.
        let _ = replace(self.output.as_fd(), libc::STDOUT_FILENO);
        let _ = replace(self.error.as_fd(), libc::STDERR_FILENO);
    }
}

fn replace(source: BorrowedFd<'_>, target: c_int) -> io::Result<()> {
    // SAFETY: both are numbers of open descriptors, and the target belongs to the process as a
    // whole (standard output or error); no memory is touched.
    check(unsafe { libc::dup2(source.as_raw_fd(), target) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fatal_line_is_said_once() {
        let text = "EAL: No free pages\n\nEAL: FATAL: Cannot start\nEAL: Cannot start\n";
        assert_eq!(one_line(text), "EAL: No free pages; EAL: Cannot start");
        assert_eq!(one_line("x: bad\nx: bad\n"), "x: bad");
    }
}
