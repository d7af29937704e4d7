//! Next hops and neighbours. The kernel finds next hops by its routes and keeps them resolved: a managed entry
//! (`NTF_EXT_MANAGED`, Linux 5.16) is probed again before it goes stale, and after it failed, without any traffic. An
//! externally learned entry (`NTF_EXT_LEARNED`) does not count against the table's limits, and is never evicted.

use super::link;
use super::route::{RouteTarget, target};
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

/// The key of a neighbour: the index of a link, and an address there.
pub type NeighbourKey = (u32, IpAddr);

/// The kernel's entry of a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourEntry {
    /// The neighbour's hardware address, if it has answered and has not failed since.
    pub mac: Option<Mac>,
    /// Whether the kernel keeps the entry resolved, and never evicts it.
    pub managed: bool,
    /// Whether the entry is permanent, set by an operator.
    pub permanent: bool,
}

/// Reads the next hop of `address`; `None` when the kernel has no route, or holds the address.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn next_hop(handle: &Handle, address: IpAddr) -> Result<Option<NeighbourKey>, Error> {
    let question = link::route_to(IpNet::from(address)).build();
    match handle.route().get(question).execute().try_next().await {
        Ok(route) => Ok(route.and_then(|route| next_hop_of(&route, address))),
        // Unreachable, prohibited, or by no route at all.
        Err(Error::NetlinkError(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn next_hop_of(route: &RouteMessage, address: IpAddr) -> Option<NeighbourKey> {
    if route.header.kind != RouteType::Unicast {
        return None;
    }
    let RouteTarget { link, gateway } = target(&route.attributes, None)?;
    Some((link, gateway.unwrap_or(address)))
}

/// Reads all neighbours.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn all(handle: &Handle) -> Result<HashMap<NeighbourKey, NeighbourEntry>, Error> {
    let mut entries = handle.neighbours().get().execute();
    let mut all = HashMap::new();
    while let Some(entry) = entries.try_next().await? {
        if let Some(key) = key_of(&entry) {
            all.insert(key, entry_of(&entry));
        }
    }
    Ok(all)
}

/// The key of an entry; `None` for other protocols.
pub fn key_of(entry: &NeighbourMessage) -> Option<NeighbourKey> {
    let address = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some((*address).into()),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
            Some((*address).into())
        }
        _ => None,
    })?;
    Some((entry.header.ifindex, address))
}

fn entry_of(entry: &NeighbourMessage) -> NeighbourEntry {
    let resolved = match entry.header.state {
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent => true,
        // Noarp: a link without neighbours, which a TAP is not. None: never asked for.
        _ => false,
    };
    let mut neighbour = NeighbourEntry {
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

/// Has the kernel forget a neighbour, which need not be kept resolved any longer.
///
/// # Errors
///
/// The kernel did not answer. A refusal (there is no such entry) is no error.
pub async fn forget(handle: &Handle, (link, address): NeighbourKey) -> Result<(), Error> {
    let mut added = handle.neighbours().add(link, address);
    let message = added.message_mut().clone();
    match handle.neighbours().del(message).execute().await {
        Ok(()) | Err(Error::NetlinkError(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Has the kernel resolve a neighbour and keep it resolved. Kernels before 5.16 ignore the latter: there, repeating
/// this every few seconds has the same effect. A permanent entry would be replaced.
///
/// # Errors
///
/// The kernel did not answer. A refusal (the link is down) is no error: the request is repeated.
pub async fn keep(handle: &Handle, neighbour: NeighbourKey) -> Result<(), Error> {
    let mut request = request(handle, neighbour);
    let message = request.message_mut();
    message.header.flags |= NeighbourFlags::ExtLearned;
    message.attributes.push(NeighbourAttribute::ExtFlags(NeighbourExtFlags::Managed));
    ask(request).await
}

/// Has the kernel resolve a neighbour once, as if it had a packet for it.
///
/// # Errors
///
/// The kernel did not answer. A refusal (the link is down, the table is full) is no error: the request is repeated.
pub async fn find(handle: &Handle, neighbour: NeighbourKey) -> Result<(), Error> {
    ask(request(handle, neighbour)).await
}

fn request(handle: &Handle, (link, address): NeighbourKey) -> NeighbourAddRequest {
    let request = handle.neighbours().add(link, address).replace();
    request.state(NeighbourState::None).flags(NeighbourFlags::Use)
}

async fn ask(request: NeighbourAddRequest) -> Result<(), Error> {
    match request.execute().await {
        Ok(()) | Err(Error::NetlinkError(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
