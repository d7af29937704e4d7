//! Routes of the kernel's main table.

use super::link;
use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop,
    RouteNextHopFlags, RouteType,
};
use rtnetlink::{Error, Handle};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The target of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteTarget {
    /// The link's index.
    pub link: u32,
    /// The gateway; `None`: the destination is on the link.
    pub gateway: Option<IpAddr>,
}

/// The most routes that are read, to bound memory and time.
pub const MOST: usize = 100_000;

/// Reads all routes, at most [`MOST`], with their targets; `None` for a target that is unreachable or not ours.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn all(handle: &Handle) -> Result<HashMap<IpNet, Option<RouteTarget>>, Error> {
    let mut best: HashMap<IpNet, (u32, Option<RouteTarget>)> = HashMap::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        let mut routes = handle.route().get(question).execute();
        while let Some(route) = routes.try_next().await? {
            let flags = route.header.flags;
            if flags.intersects(RouteFlags::Dead | RouteFlags::Linkdown) {
                continue;
            }
            let Some((to, metric, target)) = parse(&route) else { continue };
            let is_new = !best.contains_key(&to);
            if is_new && best.len() == MOST {
                continue;
            }
            let known = best.entry(to).or_insert((metric, target));
            if metric < known.0 {
                *known = (metric, target);
            }
        }
    }
    Ok(best.into_iter().map(|(to, (_, target))| (to, target)).collect())
}

/// Removes the default routes over a link that Tidegate has added.
///
/// # Errors
///
/// The kernel did not answer. A route that is gone is no error.
pub async fn forget_defaults(handle: &Handle, link: u32) -> Result<(), Error> {
    let routes = defaults(handle, link).await?.into_iter();
    for route in routes.filter(|route| u8::from(route.header.protocol) == link::PROTOCOL) {
        match handle.route().del(route).execute().await {
            Ok(()) | Err(Error::NetlinkError(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether a default route of this destination and metric leads over a link, which may be down.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn has_default(
    handle: &Handle,
    link: u32,
    (everywhere, metric): (IpNet, u32),
) -> Result<bool, Error> {
    let routes = defaults(handle, link).await?;
    let mut routes = routes.iter().filter_map(parse);
    Ok(routes.any(|(to, other, _)| (to, other) == (everywhere, metric)))
}

/// Reads the gateways of default routes over a link, which may be down.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn default_gateways(handle: &Handle, link: u32) -> Result<Vec<IpAddr>, Error> {
    let routes = defaults(handle, link).await?;
    Ok(routes.iter().filter_map(|route| target(&route.attributes, None)?.gateway).collect())
}

async fn defaults(handle: &Handle, link: u32) -> Result<Vec<RouteMessage>, Error> {
    let mut defaults = vec![];
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        let mut routes = handle.route().get(question).execute();
        while let Some(route) = routes.try_next().await? {
            if let Some((to, _, Some(target))) = parse(&route)
                && to.prefix_len() == 0
                && target.link == link
            {
                defaults.push(route);
            }
        }
    }
    Ok(defaults)
}

/// The destination, metric and target of a route; `None` for a route that does not count.
fn parse(route: &RouteMessage) -> Option<(IpNet, u32, Option<RouteTarget>)> {
    let RouteHeader { address_family, destination_prefix_length, kind, flags, .. } = route.header;
    let mut table = route.header.table.into();
    let mut to = match address_family {
        AddressFamily::Inet => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut metric, mut several) = (0, None);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(address) => to = self::address(address)?,
            RouteAttribute::Priority(number) => metric = *number,
            RouteAttribute::MultiPath(hops) => several = Some(hops),
            _ => {}
        }
    }
    if table != u32::from(RouteHeader::RT_TABLE_MAIN) || flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let target = match (kind, several) {
        (RouteType::Unicast, None) => target(&route.attributes, None),
        (RouteType::Unicast, Some(hops)) => first_alive(hops),
        _ => None,
    };
    Some((IpNet::new(to, destination_prefix_length).ok()?, metric, target))
}

/// The target of a multipath route: the first next hop that is alive.
fn first_alive(hops: &[RouteNextHop]) -> Option<RouteTarget> {
    let dead = RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown;
    let alive = hops.iter().find(|hop| !hop.flags.intersects(dead))?;
    target(&alive.attributes, Some(alive.interface_index))
}

/// The target in the attributes of a route or of a next hop.
pub fn target(attributes: &[RouteAttribute], mut link: Option<u32>) -> Option<RouteTarget> {
    let mut gateway = None;
    for attribute in attributes {
        match attribute {
            RouteAttribute::Oif(number) => link = Some(*number),
            RouteAttribute::Gateway(router) => gateway = Some(address(router)?),
            // An IPv4 route by an IPv6 neighbour: not ours.
            RouteAttribute::Via(_) => return None,
            _ => {}
        }
    }
    Some(RouteTarget { link: link?, gateway })
}

fn address(written: &RouteAddress) -> Option<IpAddr> {
    match written {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}
