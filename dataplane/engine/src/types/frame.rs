//! Packet buffers as the engine needs them, and bursts.

use arrayvec::ArrayVec;

/// Most packets of a burst.
pub const BURST: usize = 32;

/// At most [`BURST`] items.
pub type Burst<B> = ArrayVec<B, BURST>;

/// A frame in one contiguous buffer, without its frame check sequence. Dropping it frees the buffer.
pub trait Frame {
    /// The frame, from its Ethernet header on.
    fn bytes(&self) -> &[u8];

    /// The frame, from its Ethernet header on, to be rewritten in place.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Sets the frame's length and keeps its front; added bytes are undefined (never uninitialised). Returns false and
    /// changes nothing if the buffer has no room.
    #[must_use]
    fn set_len(&mut self, len: usize) -> bool;

    /// Makes the frame `by` bytes longer at its front; these bytes are undefined (never uninitialised). Returns false
    /// and changes nothing if the buffer has no room.
    #[must_use]
    fn grow_front(&mut self, by: usize) -> bool {
        let len = self.bytes().len();
        let grown = self.set_len(len + by);
        if grown {
            self.bytes_mut().copy_within(..len, by);
        }
        grown
    }

    /// Cuts `by` bytes off the frame's front. Returns false and changes nothing if the frame is shorter.
    #[must_use]
    fn cut_front(&mut self, by: usize) -> bool {
        let Some(left) = self.bytes().len().checked_sub(by) else { return false };
        self.bytes_mut().copy_within(by.., 0);
        self.set_len(left)
    }
}
