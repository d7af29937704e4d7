//! Faults of messages.

use std::fmt;

/// The fault of a message, which no gate sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadMessage {
    /// The message has no kind.
    Empty,
    /// The body is incomplete, or holds a value that its type does not have.
    Malformed,
    /// A list has too many entries.
    TooMany(usize),
    /// A name has too many bytes.
    LongName(usize),
    /// A name has characters that act on terminals.
    ActingName,
}

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadMessage::Empty => f.write_str("a message without a kind"),
            BadMessage::Malformed => f.write_str("a malformed message"),
            BadMessage::TooMany(count) => write!(f, "a message with a list of {count} entries"),
            BadMessage::LongName(size) => write!(f, "a message with a name of {size} bytes"),
            BadMessage::ActingName => {
                f.write_str("a message with a name of characters that are not seen")
            }
        }
    }
}

impl std::error::Error for BadMessage {}
