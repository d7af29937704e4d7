//! Where frames come from. A server's packets are believed from there alone where the server is; answers to a client
//! go back to where its packets came from.

use crate::tables::{Hop, InterfaceId};
use wire::ethernet::{Ethernet, Mac};

/// The station that sent a frame and the interface that it came in by, in one word: cheap to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(u64);

/// Where the interface lies in the word; the hardware address is above.
const INTERFACE: u64 = (1 << 16) - 1;

impl Origin {
    /// Of a frame that came in by this interface.
    #[inline(always)]
    pub fn of(ethernet: &Ethernet, interface: InterfaceId) -> Origin {
        Origin(ethernet.source_word() | u64::from(interface))
    }

    /// The station as a next hop.
    pub fn hop(self) -> Hop {
        let [low, _, mac @ ..] = self.0.to_le_bytes();
        Hop { mac: Mac(mac), interface: low }
    }
}

impl From<Hop> for Origin {
    fn from(Hop { mac, interface }: Hop) -> Origin {
        Origin(mac.word() | u64::from(interface))
    }
}

/// Origins that are believed: those that are this word under this mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    word: u64,
    mask: u64,
}

impl Expected {
    /// Any: nothing is known.
    pub const ANYWHERE: Expected = Expected { word: 0, mask: 0 };
    /// None: no interface has this number.
    pub const NOWHERE: Expected = Expected { word: u64::MAX, mask: u64::MAX };

    /// This station.
    pub fn station(hop: Hop) -> Expected {
        Expected { word: Origin::from(hop).0, mask: u64::MAX }
    }

    /// All stations on the link of this interface, as behind routers, of which one is sent to and another one may
    /// send.
    pub fn link(interface: InterfaceId) -> Expected {
        Expected { word: interface.into(), mask: INTERFACE }
    }

    /// Whether this origin is one of them.
    #[inline(always)]
    pub fn has(self, origin: Origin) -> bool {
        (origin.0 ^ self.word) & self.mask == 0
    }

    /// Whether some station on the link of this interface is.
    pub fn is_on(self, interface: InterfaceId) -> bool {
        (u64::from(interface) ^ self.word) & self.mask & INTERFACE == 0
    }
}

/// Where a server's packets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    usual: Expected,
    others: Vec<Expected>,
}

impl Server {
    /// One whose packets come from all of these; mostly from the first. Of none, they come from nowhere.
    pub fn new(origins: impl IntoIterator<Item = Expected>) -> Server {
        let mut origins = origins.into_iter();
        let usual = origins.next().unwrap_or(Expected::NOWHERE);
        Server { usual, others: origins.collect() }
    }

    /// Whether its packets mostly come from there.
    #[inline(always)]
    pub fn is_usually_at(&self, origin: Origin) -> bool {
        self.usual.has(origin)
    }

    /// Whether its packets come from there.
    pub fn is_at(&self, origin: Origin) -> bool {
        self.all().any(|expected| expected.has(origin))
    }

    /// Whether its packets come in by this interface, from whatever station.
    pub fn is_on(&self, interface: InterfaceId) -> bool {
        self.all().any(|expected| expected.is_on(interface))
    }

    fn all(&self) -> impl Iterator<Item = Expected> {
        [self.usual].into_iter().chain(self.others.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATION: Hop = Hop { mac: Mac([2, 3, 4, 5, 6, 7]), interface: 3 };

    #[test]
    fn a_frame_s_origin_is_that_of_its_sender_s_hop() {
        let source = STATION.mac;
        let frame = Ethernet { destination: Mac::BROADCAST, source, kind: 0x86dd.into() };
        let origin = Origin::of(&frame, 3);
        assert_eq!((origin, origin.hop()), (STATION.into(), STATION));
        assert_ne!(Origin::of(&frame, 2), origin);
    }

    #[test]
    fn what_is_expected_is_a_station_a_link_anything_or_nothing() {
        let elsewhere = Hop { interface: 2, ..STATION };
        let last = Mac([2, 3, 4, 5, 6, 8]);
        let first = Mac([3, 3, 4, 5, 6, 7]);
        let others = [Hop { mac: last, ..STATION }, Hop { mac: first, ..STATION }];
        let all = [STATION, others[0], others[1], elsewhere].map(Origin::from);
        for (expected, has) in [
            (Expected::station(STATION), [true, false, false, false]),
            (Expected::link(3), [true, true, true, false]),
            (Expected::ANYWHERE, [true; 4]),
            (Expected::NOWHERE, [false; 4]),
        ] {
            assert_eq!(all.map(|origin| expected.has(origin)), has, "{expected:?}");
        }
        let server = Server::new([Expected::station(others[0]), Expected::station(elsewhere)]);
        assert_eq!(all.map(|origin| server.is_at(origin)), [false, true, false, true]);
        assert_eq!(all.map(|origin| server.is_usually_at(origin)), [false, true, false, false]);
        assert_eq!([1, 2, 3].map(|interface| server.is_on(interface)), [false, true, true]);
        assert!(!Server::new([]).is_at(all[0]));
    }
}
