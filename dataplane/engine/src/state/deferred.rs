//! Work that the stages leave for the end of the burst.

use crate::snapshot::access::Refusal;
use crate::snapshot::option_limits::BlockLimits;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Burst;
use crate::types::id::{InterfaceId, ServiceId, VipId};
use crate::types::verdict::{Step, Verdict};
use std::net::{IpAddr, SocketAddr};
use wire::icmp_problem::IcmpProblem;

/// The ends of a packet as its receiver sees them, in the other address family.
#[derive(Debug, Clone, Copy)]
pub struct XlatEnds {
    /// The sender.
    pub source: SocketAddr,
    /// The receiver itself.
    pub destination: SocketAddr,
    /// The IP identification of a fragment, unless it keeps its own.
    pub id: Option<u16>,
}

/// The limits for a message's options.
#[derive(Debug, Clone, Copy)]
pub struct OptionEdit {
    /// The service whose limits hold.
    pub service: ServiceId,
    /// The block sizes that the path allows.
    pub blocks: BlockLimits,
}

/// An ICMP error to be sent about a packet, whose frame holds it as it came.
#[derive(Debug, Clone, Copy)]
pub struct IcmpNotice {
    /// The frame's index in the burst.
    pub index: usize,
    /// Source address of the ICMP error: the packet's destination if it is ours, else the VIP.
    pub from: IpAddr,
    /// The problem that the error reports.
    pub problem: IcmpProblem,
}

/// The work that a burst leaves for its end, by index in the burst.
#[derive(Debug, Default)]
pub struct Deferred {
    /// Frames that take the slow path, in their order.
    pub slow_path: Burst<usize>,
    /// Packets of servers whose ports are no transfer's.
    pub strays: Burst<usize>,
    /// Packets for the other address family.
    pub xlat: Burst<(usize, XlatEnds)>,
    /// Packets whose senders are told that they do not go on.
    pub icmp_notices: Burst<IcmpNotice>,
    /// Requests that are refused, and the VIP that tells.
    pub refusals: Burst<(usize, VipId, Refusal)>,
    /// Messages whose options are held to limits.
    pub options: Burst<(usize, OptionEdit)>,
}

impl Deferred {
    /// The verdict on a packet of the slow path; a stray packet is answered at the end of the burst.
    #[inline]
    pub fn settle(&mut self, index: usize, step: Step<InterfaceId>) -> Verdict {
        if step == Err(DropReason::StrayTid.into()) {
            self.strays.push(index);
        }
        step.into()
    }
}
