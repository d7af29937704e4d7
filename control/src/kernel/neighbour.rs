//! Next hops. The kernel finds them by its routes and keeps them resolved: an entry that is
//! managed (`NTF_EXT_MANAGED`, Linux 5.16) is probed again before it goes stale, and after it
//! failed, without any traffic. One that is learned by somebody else than the kernel (`NTF_EXT_LEARNED`)
//! does not count among those that it has room for, and is never thrown out for others.

use super::link;
use super::route::{Way, way};
use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourExtFlags, NeighbourFlags, NeighbourMessage,
    NeighbourState,
};
use rtnetlink::packet_route::route::{RouteMessage, RouteType};
use rtnetlink::{Error, Handle, NeighbourAddRequest};
use std::collections::HashMap;
use std::net::IpAddr;
use wire::ethernet::Mac;

/// A station on a link: the link's number, and its address there.
pub type Station = (u32, IpAddr);

/// The kernel's knowledge of a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// The station's hardware address, if it has answered and has not failed since.
    pub mac: Option<Mac>,
    /// Whether the kernel keeps it resolved by itself, and has room for it whatever others there are.
    pub managed: bool,
    /// Whether an operator says where it is: nobody asks for it.
    pub permanent: bool,
}

/// Where the kernel would send a packet for `address`; `None` when it has no route, or the address
/// is its own.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn next_hop(handle: &Handle, address: IpAddr) -> Result<Option<Station>, Error> {
    let question = link::route_to(IpNet::from(address)).build();
    match handle.route().get(question).execute().try_next().await {
        Ok(route) => Ok(route.and_then(|route| station(&route, address))),
        // Unreachable, prohibited, or by no route at all.
        Err(Error::NetlinkError(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn station(route: &RouteMessage, address: IpAddr) -> Option<Station> {
    if route.header.kind != RouteType::Unicast {
        return None;
    }
    let Way { link, gateway } = way(&route.attributes, None)?;
    Some((link, gateway.unwrap_or(address)))
}

/// All neighbours.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn all(handle: &Handle) -> Result<HashMap<Station, Neighbour>, Error> {
    let mut entries = handle.neighbours().get().execute();
    let mut all = HashMap::new();
    while let Some(entry) = entries.try_next().await? {
        if let Some(station) = whose(&entry) {
            all.insert(station, neighbour(&entry));
        }
    }
    Ok(all)
}

/// The station of an entry; `None` for other protocols.
pub fn whose(entry: &NeighbourMessage) -> Option<Station> {
    let address = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some((*address).into()),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
            Some((*address).into())
        }
        _ => None,
    })?;
    Some((entry.header.ifindex, address))
}

fn neighbour(entry: &NeighbourMessage) -> Neighbour {
    let resolved = match entry.header.state {
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent => true,
        // Noarp: a link without neighbours, which a TAP is not. None: never asked for.
        _ => false,
    };
    let mut neighbour = Neighbour {
        mac: None,
        managed: false,
        permanent: entry.header.state == NeighbourState::Permanent,
    };
    for attribute in &entry.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(address) if resolved => {
                neighbour.mac = address.as_slice().try_into().ok().map(Mac);
            }
            NeighbourAttribute::ExtFlags(flags) => {
                neighbour.managed = flags.contains(NeighbourExtFlags::Managed)
                    && entry.header.flags.contains(NeighbourFlags::ExtLearned);
            }
            _ => {}
        }
    }
    neighbour
}

/// Has the kernel forget a station: it is no longer to be kept resolved.
///
/// # Errors
///
/// The kernel did not answer. Its refusal (it has no such entry) is none.
pub async fn forget(handle: &Handle, (link, address): Station) -> Result<(), Error> {
    let mut added = handle.neighbours().add(link, address);
    let message = added.message_mut().clone();
    match handle.neighbours().del(message).execute().await {
        Ok(()) | Err(Error::NetlinkError(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Has the kernel resolve a station and keep it so. Kernels before 5.16 ignore the second half:
/// there, asking again every few seconds does the same. What an operator has said of it would be lost.
///
/// # Errors
///
/// The kernel did not answer. Its refusal (the link is down) is none: it is asked again.
pub async fn keep(handle: &Handle, station: Station) -> Result<(), Error> {
    let mut request = request(handle, station);
    let message = request.message_mut();
    message.header.flags |= NeighbourFlags::ExtLearned;
    message.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
    ask(request).await
}

/// Has the kernel resolve a station once, as if it had a packet for it.
///
/// # Errors
///
/// The kernel did not answer. Its refusal (the link is down, the table is full) is none: it is asked again.
pub async fn find(handle: &Handle, station: Station) -> Result<(), Error> {
    ask(request(handle, station)).await
}

fn request(handle: &Handle, (link, address): Station) -> NeighbourAddRequest {
    let request = handle.neighbours().add(link, address).replace();
    request.state(NeighbourState::None).flags(NeighbourFlags::Use)
}

async fn ask(request: NeighbourAddRequest) -> Result<(), Error> {
    match request.execute().await {
        Ok(()) | Err(Error::NetlinkError(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
