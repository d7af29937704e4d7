//! File descriptors: drivers open some that nobody else knows.

use std::io;

/// The first descriptor that is not the standard input, output or error.
const FIRST: u32 = 3;

/// Closes all descriptors that are open now in programs that are started later, except the standard input, output and
/// error.
///
/// # Errors
///
/// The kernel is older than Linux 5.11.
pub fn keep_from_children() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC as i32;
    // SAFETY: sets a flag of descriptors, which matters only when a program is started; touches no memory.
    match unsafe { libc::close_range(FIRST, u32::MAX, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
