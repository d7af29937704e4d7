//! Open files, of which drivers have some that they tell nobody of.

use std::io;

/// The first descriptor that is not the standard input, output or error.
const FIRST: u32 = 3;

/// Has programs that are started from now on get none of what is open now, but for the standard input, output and
/// error.
///
/// # Errors
///
/// The kernel is older than Linux 5.11.
pub fn keep_from_children() -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC as i32;
    // SAFETY: sets a flag of descriptors, which nothing but the start of a program looks at; touches no memory.
    match unsafe { libc::close_range(FIRST, u32::MAX, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
