//! The standard output, and the standard error beside it.

use super::client::Failure;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

/// Tells the operator something beside the output, if there is anybody to tell.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints lines.
///
/// # Errors
///
/// The output can't be written.
pub fn print(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").map_err(Failure::Output)
}

/// Checks that the reader of the standard output is still there, for commands that may have nothing to write for long.
///
/// # Errors
///
/// The output is a pipe, and its reader has gone.
pub fn check_reader() -> Result<(), Failure> {
    let output = io::stdout();
    // Errors are told unasked.
    let mut polled = [PollFd::new(output.as_fd(), PollFlags::empty())];
    poll(&mut polled, PollTimeout::ZERO).map_err(|error| Failure::Output(error.into()))?;
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    match polled[0].revents() {
        Some(events) if events.intersects(gone) => {
            Err(Failure::Output(ErrorKind::BrokenPipe.into()))
        }
        _ => Ok(()),
    }
}
