//! The kernel's routes: those of its main table.

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

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The link's number.
    pub link: u32,
    /// The router there; `None`: it is on the link.
    pub gateway: Option<IpAddr>,
}

/// More are not read: so much memory they may take, and so long it may last.
pub const MOST: usize = 100_000;

/// All routes, at most [`MOST`]; `None`: it leads nowhere, or where no packet of ours goes.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn all(handle: &Handle) -> Result<HashMap<IpNet, Option<Way>>, Error> {
    let mut best: HashMap<IpNet, (u32, Option<Way>)> = HashMap::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        let mut routes = handle.route().get(question).execute();
        while let Some(route) = routes.try_next().await? {
            let Some((to, metric, way)) = told(&route) else { continue };
            let is_new = !best.contains_key(&to);
            if is_new && best.len() == MOST {
                continue;
            }
            let known = best.entry(to).or_insert((metric, way));
            if metric < known.0 {
                *known = (metric, way);
            }
        }
    }
    Ok(best.into_iter().map(|(to, (_, way))| (to, way)).collect())
}

/// The gateways that default routes over a link lead to.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn default_gateways(handle: &Handle, link: u32) -> Result<Vec<IpAddr>, Error> {
    let mut gateways = vec![];
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut question = RouteMessage::default();
        question.header.address_family = family;
        let mut routes = handle.route().get(question).execute();
        while let Some(route) = routes.try_next().await? {
            if let Some((to, _, Some(way))) = told(&route)
                && to.prefix_len() == 0
                && way.link == link
            {
                gateways.extend(way.gateway);
            }
        }
    }
    Ok(gateways)
}

/// To where by which metric and way; `None`: it does not count.
fn told(route: &RouteMessage) -> Option<(IpNet, u32, Option<Way>)> {
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
    let is_of_no_use =
        flags.intersects(RouteFlags::Dead | RouteFlags::Linkdown | RouteFlags::Cloned);
    if table != u32::from(RouteHeader::RT_TABLE_MAIN) || is_of_no_use {
        return None;
    }
    let way = match (kind, several) {
        (RouteType::Unicast, None) => way(&route.attributes, None),
        (RouteType::Unicast, Some(hops)) => first_alive(hops),
        _ => None,
    };
    Some((IpNet::new(to, destination_prefix_length).ok()?, metric, way))
}

/// Of several ways at once, the first one: a connection has one.
fn first_alive(hops: &[RouteNextHop]) -> Option<Way> {
    let dead = RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown;
    let alive = hops.iter().find(|hop| !hop.flags.intersects(dead))?;
    way(&alive.attributes, Some(alive.interface_index))
}

/// Where these attributes of a route lead.
pub fn way(attributes: &[RouteAttribute], mut link: Option<u32>) -> Option<Way> {
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
    Some(Way { link: link?, gateway })
}

fn address(written: &RouteAddress) -> Option<IpAddr> {
    match written {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}
