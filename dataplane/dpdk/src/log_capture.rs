//! Capture of DPDK's log. Its lines go into a pipe that never blocks the writer: lines that do not fit are lost. They
//! are read back to explain an error.

use dpdk_sys as sys;
use std::ffi::c_int;
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// The reading end of the pipe, once DPDK's log is captured. The other end stays open: DPDK's threads may log at any
/// time.
static PIPE: Mutex<Option<PipeReader>> = Mutex::new(None);

/// C's standard streams. In glibc they are variables, which a program may set.
mod c {
    unsafe extern "C" {
        pub static mut stdout: *mut libc::FILE;
        pub static mut stderr: *mut libc::FILE;
    }
}

/// Sends DPDK's log into the pipe from now on, and C's standard error with it: EAL prints fatal lines there, and
/// libraries below the drivers know nothing of DPDK's log. C's standard output, where EAL prints its usage on bad
/// arguments, goes to /dev/null. Only C's streams are replaced: the descriptors of the standard output and error stay
/// as they are for everything else in the process.
pub(crate) fn hush() -> io::Result<()> {
    let mut pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    if pipe.is_none() {
        let (reader, writer) = io::pipe()?;
        never_wait(reader.as_fd())?;
        never_wait(writer.as_fd())?;
        let lines = stream(writer.into())?;
        let nowhere = stream(File::options().write(true).open("/dev/null")?.into())?;
        // SAFETY: the stream is open and is never closed, so DPDK may keep it. `sys::FILE` and
        // `libc::FILE` are two names of one C type.
        check(unsafe { sys::rte_openlog_stream(lines.cast()) })?;
        // SAFETY: DPDK has not started, and nothing else here is C that prints: nobody reads these now. Both streams
        // stay open.
        unsafe {
            c::stdout = nowhere;
            c::stderr = lines;
        }
        *pipe = Some(reader);
    }
    Ok(())
}

/// Takes the lines that DPDK has logged since the last call, joined to one; empty if its log is not captured.
pub(crate) fn take() -> String {
    let mut pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = Vec::new();
    if let Some(reader) = &mut *pipe {
        // Ends with "would block" when everything is read.
        let _ = reader.read_to_end(&mut bytes);
    }
    one_line(&String::from_utf8_lossy(&bytes))
}

/// Joins log lines. EAL writes its fatal lines twice, first to the standard error: those copies are left out.
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

/// A stream of C's that writes at once, and is never closed.
fn stream(end: OwnedFd) -> io::Result<*mut libc::FILE> {
    // SAFETY: the descriptor is open and given away with `into_raw_fd`; the mode is a C string.
    let stream = unsafe { libc::fdopen(end.into_raw_fd(), c"w".as_ptr()) };
    if stream.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the stream is open and nobody has written to it yet. Without a buffer no place for one is needed.
    check(unsafe { libc::setvbuf(stream, ptr::null_mut(), libc::_IONBF, 0) })?;
    Ok(stream)
}

fn check(answer: c_int) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
