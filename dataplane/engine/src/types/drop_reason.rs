//! Reasons for dropping packets. One list defines the enum, the names, and the order of the counters.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a packet was dropped. The variant is the index of its counter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)+];

            /// The name that operators see.
            pub fn name(self) -> &'static str {
                match self {
                    $(DropReason::$variant => $name,)+
                }
            }

            /// A description in one line, for lists of reasons that operators read.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(DropReason::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

reasons! {
    /// The frame ends before its headers do.
    Truncated = "truncated",
    /// The source is the gate's own hardware address.
    Looped = "looped",
    /// The destination is another host's hardware address.
    ForeignMac = "foreign-mac",
    /// The frame's VLANs belong to no interface of its device.
    ForeignVlan = "foreign-vlan",
    /// The IPv4 header contradicts itself or the frame.
    BadIpv4 = "bad-ipv4",
    /// The IPv6 header contradicts itself or the frame.
    BadIpv6 = "bad-ipv6",
    /// The packet is larger than the interface's MTU and incomplete: merged by the device from several frames (GRO,
    /// LRO).
    Merged = "merged",
    /// The IPv4 header checksum is wrong.
    BadChecksum = "bad-checksum",
    /// The UDP length contradicts the IP length, or a checksum is missing over IPv6. For TFTP packets that begin, teach
    /// or end something: the checksum is wrong.
    BadUdp = "bad-udp",
    /// The TCP header does not fit the packet.
    BadTcp = "bad-tcp",
    /// The source is no valid host address, or one of the gate's.
    BadSource = "bad-source",
    /// The fragment overlaps another one, is malformed, or cannot be forwarded.
    Fragment = "fragment",
    /// An ICMP redirect: received ones are ignored, and the kernel's own are not sent.
    Redirect = "redirect",
    /// The VIP or SNAT address is not held by the kernel now.
    VipDown = "vip-down",
    /// The destination is a VIP or SNAT address, but no service or transfer matches.
    NoService = "no-service",
    /// The datagram is no valid TFTP message.
    BadTftp = "bad-tftp",
    /// The destination is a VIP, but no transfer matches.
    NoTransfer = "no-transfer",
    /// A packet of a transfer or connection that is unknown here comes faster than such are adopted.
    AdoptionRate = "adoption-rate",
    /// A TCP segment matches no connection, and no RST was sent.
    NoConnection = "no-connection",
    /// A RST is outside of its connection's window.
    BadReset = "bad-reset",
    /// A RST is outside of the window of a connection that is over or that its sender has closed.
    LateReset = "late-reset",
    /// A segment of an FTP control connection is out of order; its sender retransmits it.
    OutOfOrder = "out-of-order",
    /// A server's own connection matches an egress NAT rule, but the kernel has no route for it.
    NoRoute = "no-route",
    /// A client's packet is not to its transfer's TID.
    WrongTid = "wrong-tid",
    /// A server's packet is not from its transfer's TID, and no ERROR was sent.
    StrayTid = "stray-tid",
    /// A server's message exceeds two per request to a client that has not acknowledged anything.
    UnheardClient = "unheard-client",
    /// The source is a server's address, but the hardware address or interface is not the server's.
    WrongOrigin = "wrong-origin",
    /// The service refuses the request, and no ERROR was sent.
    Refused = "refused",
    /// No backend can be reached for the request.
    NoBackend = "no-backend",
    /// Every reachable backend has its `max_transfers`.
    BackendsFull = "backends-full",
    /// The transfer's backend cannot be reached now.
    BackendDown = "backend-down",
    /// The flow table is full of running transfers.
    FlowTableFull = "flow-table-full",
    /// The client has its most connections to the service, and no RST was sent.
    ClientFull = "client-full",
    /// Every FTP session that can be inspected is in use.
    SessionsFull = "sessions-full",
    /// The SNAT pool has no free port.
    SnatPoolEmpty = "snat-pool-empty",
    /// No SNAT address that the backend can see is held by the kernel now.
    SnatDown = "snat-down",
    /// The hop limit (TTL) has expired.
    TtlExpired = "ttl-expired",
    /// The packet is larger than the MTU of the outgoing interface.
    TooBig = "too-big",
    /// The transmit queue is full.
    TransmitFull = "transmit-full",
    /// The ring to the kernel is full.
    KernelFull = "kernel-full",
    /// The ring to the owning worker is full.
    HandOverFull = "hand-over-full",
    /// An earlier process was killed with the packet in hand.
    Interrupted = "interrupted",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_its_own_index_and_has_its_own_name() {
        let mut names = std::collections::HashSet::new();
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert!(names.insert(reason.name()), "{} twice", reason.name());
            assert!(!reason.meaning().is_empty());
        }
    }
}
