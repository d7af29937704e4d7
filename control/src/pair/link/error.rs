//! Failures of a link.

use std::{fmt, io};

/// The failure of a link, which is of no use then unless the variant says otherwise.
#[derive(Debug)]
pub enum LinkError {
    /// The peer has another key, or is no gate.
    OtherKey,
    /// The peer did not finish the handshake in time.
    TimedOut,
    /// The stream ended within a message.
    Cut,
    /// A message was changed, repeated or left out on its way.
    Forged,
    /// The message has more bytes than a link takes. The link can be used further.
    TooLong(usize),
    /// Noise failed by itself, for example without random numbers.
    Noise(snow::Error),
    /// The stream failed.
    Io(io::Error),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::OtherKey => f.write_str("the peer has another key, or is no gate"),
            LinkError::TimedOut => f.write_str("the peer did not answer in time"),
            LinkError::Cut => f.write_str("the stream ended within a message"),
            LinkError::Forged => f.write_str("a message is not as the peer sent it"),
            LinkError::TooLong(size) => write!(f, "a message of {size} bytes is too long"),
            LinkError::Noise(error) => write!(f, "Noise failed: {error}"),
            LinkError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> LinkError {
        LinkError::Io(error)
    }
}
