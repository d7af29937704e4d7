//! Sizes of a frame: the length of a Noise message, and the message.

/// Bytes of the length.
pub const LENGTH: usize = 2;
/// The most bytes of a Noise message.
pub const LONGEST: usize = u16::MAX as usize;
/// Bytes of a Noise message that authenticate it.
pub const TAG: usize = 16;
/// The most bytes of a message that is sent.
pub const MOST: usize = LONGEST - TAG;
