//! Events of the kernel that must be followed by a reading.

use crate::kernel::neighbour::{self, NeighbourKey};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use std::collections::HashSet;

type Event = NetlinkMessage<RouteNetlinkMessage>;

/// Whether some of our state may be gone.
pub fn disturbs(event: &Event, taps: &[u32], devices: &[u32]) -> bool {
    let is_on = |links: &[u32], link: u32| links.contains(&link);
    match &event.payload {
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link),
        ) => [taps, devices].iter().any(|ours| is_on(ours, link.header.index)),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(held)) => {
            is_on(taps, held.header.index)
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(route)) => {
            route.header.destination_prefix_length == 0
        }
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewTrafficFilter(filter)
            | RouteNetlinkMessage::DelTrafficFilter(filter)
            | RouteNetlinkMessage::DelQueueDiscipline(filter),
        ) => is_on(devices, filter.header.index as u32),
        NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

/// Whether the state must be read again at once. A boot storm makes the kernel learn thousands of neighbours, of
/// which only the next hops matter.
pub fn concerns(event: &Event, next_hops: &HashSet<NeighbourKey>) -> bool {
    match &event.payload {
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewNeighbour(entry) | RouteNetlinkMessage::DelNeighbour(entry),
        ) => neighbour::key_of(entry).is_some_and(|neighbour| next_hops.contains(&neighbour)),
        NetlinkPayload::InnerMessage(_) => true,
        // Some events were lost: any of them may have concerned us.
        NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtnetlink::packet_core::NetlinkHeader;
    use rtnetlink::packet_route::neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourMessage,
    };
    use std::net::{IpAddr, Ipv4Addr};

    const HOP: NeighbourKey = (7, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 30)));

    fn concerned_by(payload: NetlinkPayload<RouteNetlinkMessage>) -> bool {
        let event = NetlinkMessage::new(NetlinkHeader::default(), payload);
        concerns(&event, &HashSet::from([HOP]))
    }

    fn learned((link, address): NeighbourKey) -> NetlinkPayload<RouteNetlinkMessage> {
        let mut entry = NeighbourMessage::default();
        entry.header.ifindex = link;
        let IpAddr::V4(address) = address else { panic!("{address}") };
        let address = NeighbourAttribute::Destination(NeighbourAddress::Inet(address));
        entry.attributes.push(address);
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(entry))
    }

    #[test]
    fn only_next_hops_are_of_concern_among_neighbours() {
        assert!(concerned_by(learned(HOP)));
        assert!(!concerned_by(learned((HOP.0, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 31))))));
        assert!(!concerned_by(learned((8, HOP.1))));
    }

    #[test]
    fn lost_events_are_of_concern() {
        assert!(concerned_by(NetlinkPayload::Overrun(Vec::new())));
        assert!(!concerned_by(NetlinkPayload::Noop));
    }
}
