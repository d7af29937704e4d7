//! Verdicts: the consequences of processing a packet.

use crate::types::drop_reason::DropReason;
use crate::types::id::InterfaceId;

/// The consequence of processing a packet; each packet has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Forwarded by this interface.
    Transmit(InterfaceId),
    /// Turned into an answer to its sender: leaves by the interface it came from.
    Answer,
    /// Not a service's: goes to the kernel, on the interface it came from.
    Kernel,
    /// Handed over to the worker that owns it.
    HandOver(u16),
    /// Held in this slot until [`crate::engine::Engine::released`] names the slot; the frame held there before is
    /// freed.
    Hold(Slot),
    /// Consumed: during failover the gateway acts as the peer. The frame is freed.
    Absorb,
    /// Dropped. The frame is freed.
    Drop(DropReason),
}

/// A stage's outcome: what the next stage needs where the packet goes on, or the verdict that ends its way.
pub type Step<T> = Result<T, Verdict>;

/// Why a packet is not looked up among transfers and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclaimed {
    /// The packet is neither to an address of ours nor from a server that routes through us. An egress NAT rule may be
    /// for it; without one it is the kernel's.
    Foreign,
    /// The packet's way ends like this.
    End(Verdict),
}

impl From<Verdict> for Unclaimed {
    #[inline(always)]
    fn from(verdict: Verdict) -> Unclaimed {
        Unclaimed::End(verdict)
    }
}

impl From<DropReason> for Unclaimed {
    #[inline(always)]
    fn from(reason: DropReason) -> Unclaimed {
        Unclaimed::End(reason.into())
    }
}

impl From<Unclaimed> for Verdict {
    #[inline(always)]
    fn from(unclaimed: Unclaimed) -> Verdict {
        match unclaimed {
            Unclaimed::Foreign => Verdict::Kernel,
            Unclaimed::End(verdict) => verdict,
        }
    }
}

impl From<Step<InterfaceId>> for Verdict {
    #[inline(always)]
    fn from(step: Step<InterfaceId>) -> Verdict {
        match step {
            Ok(interface) => Verdict::Transmit(interface),
            Err(verdict) => verdict,
        }
    }
}

impl From<DropReason> for Verdict {
    #[inline(always)]
    fn from(reason: DropReason) -> Verdict {
        Verdict::Drop(reason)
    }
}

/// Slot of a held fragment, below [`crate::flow::fragment_table::HELD`].
pub type Slot = u16;
