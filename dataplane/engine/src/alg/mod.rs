//! What a protocol's payload teaches about ports and ends: one file a protocol. Each is a pure
//! function of what is known, the direction and the payload; `stage::track` carries out what it says.

pub mod ftp;
pub mod tftp;

use tftp::Progress;

/// What a packet that belongs to its transfer teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesson {
    /// The server's port is this one, from now on.
    pub learn: Option<u16>,
    /// Bytes of file in it, when it carries any.
    pub data: Option<u16>,
    /// The transfer has ended like this.
    pub end: Option<End>,
    /// It is not to reach the client, which has not been heard and has had enough.
    pub is_withheld: bool,
    /// What is known from now on.
    pub progress: Progress,
    /// Whether its client is there.
    pub assurance: Assurance,
}

/// What a packet says of whether its transfer's client is there: anybody can ask in another's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assurance {
    /// Nothing new.
    Unchanged,
    /// The client says more, but nothing that shows that it has heard its server.
    Renewed,
    /// It has heard its server.
    Given,
}

impl Lesson {
    /// Nothing but this is known from now on.
    #[inline]
    pub fn of(progress: Progress) -> Lesson {
        let assurance = Assurance::Unchanged;
        Lesson { learn: None, data: None, end: None, is_withheld: false, progress, assurance }
    }
}

/// How a transfer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last block was acknowledged.
    Completed,
    /// The client only wanted to know the size.
    SizeProbe,
    /// The server does not have the file.
    NotFound,
    /// Either side sent another ERROR.
    Failed,
    /// The client was never heard after its request.
    Unheard,
    /// The backend never answered.
    Unanswered,
    /// Silence for the idle timeout.
    TimedOut,
    /// The same endpoint asked for something else.
    Replaced,
    /// A newer request needed the place.
    Evicted,
    /// The server died, and another one goes on.
    FailedOver,
    /// The server died, and no other one can go on.
    Lost,
    /// The backend was drained or removed, and there is no other end to datagrams.
    Drained,
}
