//! What becomes of a packet.

use crate::fragments::Slot;
use crate::reason::Reason;
use crate::tables::InterfaceId;

/// The one thing that becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Forwarded: leaves by this interface.
    Transmit(InterfaceId),
    /// Turned into an answer to its sender: leaves by the interface it came from.
    Answer,
    /// Not a service's: the kernel takes it, on the interface it came from.
    Kernel,
    /// Another worker owns it.
    HandOver(u16),
    /// It waits in this slot until [`crate::core::Core::released`] names that; what lies there is freed.
    Hold(Slot),
    /// It was meant for the other side, and is freed: we speak for that.
    Absorb,
    /// Freed.
    Drop(Reason),
}

/// A stage's outcome: what the next stage needs, or the verdict that ends the walk.
pub type Step<T> = Result<T, Verdict>;

impl From<Reason> for Verdict {
    fn from(reason: Reason) -> Verdict {
        Verdict::Drop(reason)
    }
}
