//! Reasons for the end of a link.

use super::link::LinkError;
use super::message::BadMessage;
use std::{fmt, io};

/// Why a link to the peer ended, or did not come about.
#[derive(Debug)]
pub enum PairError {
    /// There is no TCP connection.
    Connect(io::Error),
    /// The stream is broken, or not the peer's.
    Link(LinkError),
    /// A message that is none.
    Message(BadMessage),
    /// A record that is none of its kind.
    Record,
    /// A message that may not come now.
    Order,
    /// The peer's version is too far from this one.
    Version(String),
    /// A worker of this gate does not answer.
    Silent,
    /// The peer has closed the link.
    Closed,
}

impl From<io::Error> for PairError {
    fn from(error: io::Error) -> PairError {
        PairError::Connect(error)
    }
}

impl From<LinkError> for PairError {
    fn from(error: LinkError) -> PairError {
        PairError::Link(error)
    }
}

impl From<BadMessage> for PairError {
    fn from(error: BadMessage) -> PairError {
        PairError::Message(error)
    }
}

impl fmt::Display for PairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PairError::Connect(error) => write!(f, "{error}"),
            PairError::Link(error) => write!(f, "{error}"),
            PairError::Message(error) => write!(f, "{error}"),
            PairError::Record => f.write_str("a record makes no sense"),
            PairError::Order => f.write_str("a message came out of turn"),
            PairError::Version(build) => {
                write!(f, "tidegate {build} there and this version do not understand each other")
            }
            PairError::Silent => f.write_str("a worker here does not answer"),
            PairError::Closed => f.write_str("the peer has closed the link"),
        }
    }
}

impl std::error::Error for PairError {}
