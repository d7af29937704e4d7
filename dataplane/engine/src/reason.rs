//! Why packets are dropped. One list makes the enum, its names and its counters' order.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a packet was dropped. The variant is its counter's index.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the counters.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)+];

            /// The name that operators see.
            pub fn name(self) -> &'static str {
                match self {
                    $(Reason::$variant => $name,)+
                }
            }

            /// One line on what it means.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Reason::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

reasons! {
    /// The frame ends before its headers do.
    Truncated = "truncated",
    /// Its source is our own hardware address.
    Looped = "looped",
    /// Its destination is another station's hardware address.
    ForeignMac = "foreign-mac",
    /// In VLANs that no interface of its device is in.
    ForeignVlan = "foreign-vlan",
    /// Its IPv4 header contradicts itself or the frame.
    BadIpv4 = "bad-ipv4",
    /// Its IPv6 header contradicts itself or the frame.
    BadIpv6 = "bad-ipv6",
    /// Larger than its interface's MTU, and its end is missing: of several frames that the device has merged (GRO, LRO).
    Merged = "merged",
    /// Its IPv4 header checksum is wrong.
    BadChecksum = "bad-checksum",
    /// Its UDP length contradicts the IP length; over IPv6 also: it has no checksum. Of TFTP, where it would begin, teach
    /// or end something: its checksum is wrong.
    BadUdp = "bad-udp",
    /// Its TCP header does not fit the packet.
    BadTcp = "bad-tcp",
    /// Its source is no address a host can have, or one of ours.
    BadSource = "bad-source",
    /// A fragment that overlaps another one, is no sound part of a datagram, or can't be forwarded.
    Fragment = "fragment",
    /// An ICMP redirect: none is believed, and none of the kernel's leaves.
    Redirect = "redirect",
    /// To a VIP that the kernel does not hold now.
    VipDown = "vip-down",
    /// To a VIP or SNAT address, but for no service and no transfer.
    NoService = "no-service",
    /// No TFTP message, or a broken one.
    BadTftp = "bad-tftp",
    /// To a VIP, but part of no transfer.
    NoTransfer = "no-transfer",
    /// Of TCP, but part of no connection, and its sender was not told.
    NoConnection = "no-connection",
    /// A reset that is not within its connection's window.
    BadReset = "bad-reset",
    /// A reset that is not within the window of a connection that is over, or that its sender has closed.
    LateReset = "late-reset",
    /// Of a control connection, and not in order; its sender repeats it.
    OutOfOrder = "out-of-order",
    /// A server's own connection, which a rule is for, to where the kernel knows no way.
    NoRoute = "no-route",
    /// From a client to a port that is not its transfer's TID.
    WrongTid = "wrong-tid",
    /// From a server port that is not its transfer's TID, and the server was not told.
    StrayTid = "stray-tid",
    /// From a server to a client that has not acknowledged anything: more than two messages for a request.
    UnheardClient = "unheard-client",
    /// From a server's address, but neither from the station nor by the interface that the server is reached by.
    WrongOrigin = "wrong-origin",
    /// A request that its service refuses, and its client was not told.
    Refused = "refused",
    /// A request found no backend that can be reached.
    NoBackend = "no-backend",
    /// A request found every backend that can be reached at its `max_transfers`.
    BackendsFull = "backends-full",
    /// The transfer's backend can't be reached now.
    BackendDown = "backend-down",
    /// A request found every place in the flow table taken by running transfers.
    FlowTableFull = "flow-table-full",
    /// A client has as many connections to the service as it may have, and it was not told.
    ClientFull = "client-full",
    /// An FTP session found every place taken in which one can be read.
    SessionsFull = "sessions-full",
    /// A request found no free port in the SNAT pool.
    SnatPoolEmpty = "snat-pool-empty",
    /// Its time to live ran out here.
    TtlExpired = "ttl-expired",
    /// Larger than the MTU of the interface it had to leave by.
    TooBig = "too-big",
    /// The transmit queue was full.
    TransmitFull = "transmit-full",
    /// The ring to the kernel was full.
    KernelFull = "kernel-full",
    /// The ring to the worker that owns it was full.
    HandOverFull = "hand-over-full",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_its_own_index_and_has_its_own_name() {
        let mut names = std::collections::HashSet::new();
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert!(names.insert(reason.name()), "{} twice", reason.name());
            assert!(!reason.meaning().is_empty());
        }
    }
}
