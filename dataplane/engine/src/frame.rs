//! What the engine needs of a packet buffer, and the burst it comes in.

use arrayvec::ArrayVec;

/// Packets handled in one go.
pub const BURST: usize = 32;

/// At most [`BURST`] packets.
pub type Burst<B> = ArrayVec<B, BURST>;

/// A frame in one contiguous buffer, without its frame check sequence. Dropping it frees the buffer.
pub trait Frame {
    /// The frame, from its Ethernet header on.
    fn bytes(&self) -> &[u8];

    /// The same, to be rewritten in place.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Makes the frame `len` bytes long, keeping its front; bytes it grows by are undefined (never
    /// uninitialised). Answers false, and changes nothing, when the buffer has no room.
    #[must_use]
    fn set_len(&mut self, len: usize) -> bool;
}
