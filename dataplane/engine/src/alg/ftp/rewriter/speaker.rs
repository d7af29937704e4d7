//! The two sides of a control connection.

/// The sender of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The client: commands.
    Client,
    /// The server: replies.
    Server,
}
