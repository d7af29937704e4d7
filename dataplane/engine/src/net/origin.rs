//! Origins of frames. A server's packets must come from where the server is; answers to a client go to its last hop.

use crate::types::id::InterfaceId;
use crate::types::next_hop::NextHop;
use wire::ethernet::{Ethernet, Mac};

/// The source hardware address of a frame and its interface, in one word: cheap to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(u64);

/// Bits of the interface; the hardware address is above.
const INTERFACE: u64 = (1 << 16) - 1;

impl Origin {
    /// The origin of a frame received by `interface`.
    #[inline(always)]
    pub fn of(ethernet: &Ethernet, interface: InterfaceId) -> Origin {
        Origin(ethernet.source_word() | u64::from(interface.0))
    }

    /// The origin as a next hop.
    pub fn hop(self) -> NextHop {
        let [low, _, mac @ ..] = self.0.to_le_bytes();
        NextHop { mac: Mac(mac), interface: InterfaceId(low) }
    }
}

impl From<NextHop> for Origin {
    fn from(NextHop { mac, interface }: NextHop) -> Origin {
        Origin(mac.word() | u64::from(interface.0))
    }
}

/// Expected origins: those equal to `word` under `mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedOrigin {
    word: u64,
    mask: u64,
}

impl ExpectedOrigin {
    /// Every origin: nothing is known.
    pub const ANYWHERE: ExpectedOrigin = ExpectedOrigin { word: 0, mask: 0 };
    /// No origin: no interface has this number.
    pub const NOWHERE: ExpectedOrigin = ExpectedOrigin { word: u64::MAX, mask: u64::MAX };

    /// One host or router: every packet has this previous hop.
    pub fn previous_hop(hop: NextHop) -> ExpectedOrigin {
        ExpectedOrigin { word: Origin::from(hop).0, mask: u64::MAX }
    }

    /// Every hardware address on the interface's link: packets go to one router, but may come from another one.
    pub fn link(interface: InterfaceId) -> ExpectedOrigin {
        ExpectedOrigin { word: interface.0.into(), mask: INTERFACE }
    }

    /// Whether the origin is expected.
    #[inline(always)]
    pub fn has(self, origin: Origin) -> bool {
        (origin.0 ^ self.word) & self.mask == 0
    }

    /// Whether any origin on this interface is expected.
    pub fn is_on(self, interface: InterfaceId) -> bool {
        (u64::from(interface.0) ^ self.word) & self.mask & INTERFACE == 0
    }
}

/// The expected origins of a server's packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    usual: ExpectedOrigin,
    others: Vec<ExpectedOrigin>,
}

impl Server {
    /// A server with these origins, the usual one first. Without any, its packets are rejected.
    pub fn new(origins: impl IntoIterator<Item = ExpectedOrigin>) -> Server {
        let mut origins = origins.into_iter();
        let usual = origins.next().unwrap_or(ExpectedOrigin::NOWHERE);
        Server { usual, others: origins.collect() }
    }

    /// Whether the origin is the usual one.
    #[inline(always)]
    pub fn is_usually_at(&self, origin: Origin) -> bool {
        self.usual.has(origin)
    }

    /// Whether the origin is expected.
    pub fn is_at(&self, origin: Origin) -> bool {
        self.all().any(|expected| expected.has(origin))
    }

    /// Whether any origin on this interface is expected.
    pub fn is_on(&self, interface: InterfaceId) -> bool {
        self.all().any(|expected| expected.is_on(interface))
    }

    fn all(&self) -> impl Iterator<Item = ExpectedOrigin> {
        [self.usual].into_iter().chain(self.others.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP: NextHop = NextHop { mac: Mac([2, 3, 4, 5, 6, 7]), interface: InterfaceId(3) };

    #[test]
    fn a_frame_s_origin_is_that_of_its_sender_s_hop() {
        let source = HOP.mac;
        let frame = Ethernet { destination: Mac::BROADCAST, source, kind: 0x86dd.into() };
        let origin = Origin::of(&frame, InterfaceId(3));
        assert_eq!((origin, origin.hop()), (HOP.into(), HOP));
        assert_ne!(Origin::of(&frame, InterfaceId(2)), origin);
    }

    #[test]
    fn what_is_expected_is_a_hop_a_link_anything_or_nothing() {
        let elsewhere = NextHop { interface: InterfaceId(2), ..HOP };
        let last = Mac([2, 3, 4, 5, 6, 8]);
        let first = Mac([3, 3, 4, 5, 6, 7]);
        let others = [NextHop { mac: last, ..HOP }, NextHop { mac: first, ..HOP }];
        let all = [HOP, others[0], others[1], elsewhere].map(Origin::from);
        for (expected, has) in [
            (ExpectedOrigin::previous_hop(HOP), [true, false, false, false]),
            (ExpectedOrigin::link(InterfaceId(3)), [true, true, true, false]),
            (ExpectedOrigin::ANYWHERE, [true; 4]),
            (ExpectedOrigin::NOWHERE, [false; 4]),
        ] {
            assert_eq!(all.map(|origin| expected.has(origin)), has, "{expected:?}");
        }
        let server = Server::new([
            ExpectedOrigin::previous_hop(others[0]),
            ExpectedOrigin::previous_hop(elsewhere),
        ]);
        assert_eq!(all.map(|origin| server.is_at(origin)), [false, true, false, true]);
        assert_eq!(all.map(|origin| server.is_usually_at(origin)), [false, true, false, false]);
        assert_eq!(
            [1, 2, 3].map(|interface| server.is_on(InterfaceId(interface))),
            [false, true, true]
        );
        assert!(!Server::new([]).is_at(all[0]));
    }
}
