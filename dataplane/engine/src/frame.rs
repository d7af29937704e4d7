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

    /// Makes the frame longer at its front by `by` bytes, which are undefined (never uninitialised).
    /// Answers false, and changes nothing, when the buffer has no room.
    #[must_use]
    fn grow_front(&mut self, by: usize) -> bool {
        let len = self.bytes().len();
        let grown = self.set_len(len + by);
        if grown {
            self.bytes_mut().copy_within(..len, by);
        }
        grown
    }

    /// Cuts `by` bytes off the frame's front. Answers false, and changes nothing, when it has fewer.
    #[must_use]
    fn cut_front(&mut self, by: usize) -> bool {
        let Some(left) = self.bytes().len().checked_sub(by) else { return false };
        self.bytes_mut().copy_within(by.., 0);
        self.set_len(left)
    }
}
