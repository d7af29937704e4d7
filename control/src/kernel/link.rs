//! Netlink: sockets, and requests that set up links, addresses and routes.

use super::error::KernelError;
use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, CacheInfo};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::RouteAttribute;
use rtnetlink::proto::sys::SocketAddr;
use rtnetlink::{
    Error, Handle, LinkUnspec, MulticastGroup, RouteMessageBuilder, new_connection,
    new_multicast_connection,
};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::time::Duration;
use tokio::task::JoinSet;
use wire::ethernet::Mac;

/// The protocol of addresses and routes that Tidegate adds: `t`. Any number but those of the kernel and of routing daemons
/// will do.
pub const PROTOCOL: u8 = 0x74;

/// Time after which a kernel that does not answer is given up.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A stream of the kernel's events.
pub type Events = Pin<
    Box<dyn futures_util::Stream<Item = (NetlinkMessage<RouteNetlinkMessage>, SocketAddr)> + Send>,
>;

/// Two netlink sockets, so that a flood of events can't displace the answer to a request.
pub struct Socket {
    /// The handle for requests.
    pub handle: Handle,
    /// Events about links, their filters, addresses, neighbours and routes.
    pub events: Events,
    /// Tasks that move messages; they end with this value.
    _tasks: JoinSet<()>,
}

impl Socket {
    /// Opens both sockets, inside a runtime.
    ///
    /// # Errors
    ///
    /// No more sockets, or not allowed.
    pub fn open() -> Result<Socket, KernelError> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Tc,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv6Route,
        ];
        let (questions, handle, _) = new_connection().map_err(KernelError::Socket)?;
        let (news, _, events) = new_multicast_connection(&groups).map_err(KernelError::Socket)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(questions);
        tasks.spawn(news);
        Ok(Socket { handle, events: Box::pin(events), _tasks: tasks })
    }
}

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The kernel's index of the link.
    pub index: u32,
    /// Whether the link is up, administratively.
    pub is_up: bool,
    /// Whether the link is up and has a carrier.
    pub has_carrier: bool,
    /// The link's hardware address, if it has an Ethernet one.
    pub mac: Option<Mac>,
    /// The link's MTU.
    pub mtu: u32,
}

/// Reads the state of the interface `name`; `None` when there is none.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn state(handle: &Handle, name: &str) -> Result<Option<State>, Error> {
    match handle.link().get().match_name(name).execute().try_next().await {
        Ok(link) => Ok(link.map(|link| state_of(&link))),
        // ENODEV, which the standard library gives no kind.
        Err(Error::NetlinkError(answer)) if answer.raw_code() == -libc::ENODEV => Ok(None),
        Err(error) => Err(error),
    }
}

fn state_of(link: &LinkMessage) -> State {
    let (mut mac, mut mtu) = (None, 0);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Address(address) => mac = address.as_slice().try_into().ok().map(Mac),
            LinkAttribute::Mtu(bytes) => mtu = *bytes,
            _ => {}
        }
    }
    let flags = link.header.flags;
    State {
        index: link.header.index,
        is_up: flags.contains(LinkFlags::Up),
        has_carrier: flags.contains(LinkFlags::LowerUp),
        mac,
        mtu,
    }
}

/// A macvlan link that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Macvlan {
    /// The kernel's index of the link.
    pub index: u32,
    /// The index of the link below.
    pub under: u32,
    /// The link's hardware address.
    pub mac: Mac,
}

/// Reads the macvlan links that are up and whose link below is in this namespace, too; the oldest first.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn macvlans(handle: &Handle) -> Result<Vec<Macvlan>, Error> {
    let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
    let mut all: Vec<_> = links.iter().filter_map(macvlan).collect();
    all.sort_unstable_by_key(|macvlan| macvlan.index);
    Ok(all)
}

fn macvlan(link: &LinkMessage) -> Option<Macvlan> {
    let is_macvlan = |attribute: &LinkAttribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.contains(&LinkInfo::Kind(InfoKind::MacVlan)),
        _ => false,
    };
    // The index of a link below in another namespace says nothing here.
    let is_elsewhere =
        |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::LinkNetNsId(_));
    if link.attributes.iter().any(is_elsewhere) {
        return None;
    }
    let under = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Link(under) => Some(*under),
        _ => None,
    })?;
    let State { index, is_up, mac, .. } = state_of(link);
    (is_up && link.attributes.iter().any(is_macvlan)).then_some(Macvlan { index, under, mac: mac? })
}

/// Reads the index of the interface `name`; `None` when there is none.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn index(handle: &Handle, name: &str) -> Result<Option<u32>, KernelError> {
    let state = state(handle, name)
        .await
        .map_err(|error| KernelError::netlink(format!("look for an interface `{name}`"), error))?;
    Ok(state.map(|state| state.index))
}

/// Reads the name of the link of this index; `None` when there is none.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn name(handle: &Handle, index: u32) -> Result<Option<String>, Error> {
    match handle.link().get().match_index(index).execute().try_next().await {
        Ok(link) => Ok(link.and_then(|link| name_of(&link))),
        Err(Error::NetlinkError(answer)) if answer.raw_code() == -libc::ENODEV => Ok(None),
        Err(error) => Err(error),
    }
}

fn name_of(link: &LinkMessage) -> Option<String> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

/// A link with an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aliased {
    /// The link's name.
    pub name: String,
    /// The kernel's index of the link.
    pub index: u32,
    /// The link's alias.
    pub alias: String,
}

/// Reads the links that have an alias.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn aliased(handle: &Handle) -> Result<Vec<Aliased>, Error> {
    let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
    let aliased = |link: &LinkMessage| {
        let alias = link.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::IfAlias(alias) => Some(alias.clone()),
            _ => None,
        })?;
        Some(Aliased { name: name_of(link)?, index: link.header.index, alias })
    };
    Ok(links.iter().filter_map(aliased).collect())
}

/// Sets the alias of a link.
///
/// # Errors
///
/// The kernel refuses it.
pub async fn set_alias(handle: &Handle, index: u32, alias: &str) -> Result<(), Error> {
    handle.link().set(LinkUnspec::new_with_index(index).alias(alias).build()).execute().await
}

/// Deletes a link. One that is gone is no error.
///
/// # Errors
///
/// The kernel refuses it.
pub async fn delete(handle: &Handle, index: u32) -> Result<(), Error> {
    match handle.link().del(index).execute().await {
        Err(Error::NetlinkError(answer)) if answer.raw_code() == -libc::ENODEV => Ok(()),
        outcome => outcome,
    }
}

/// Sets the MAC and MTU of a link.
///
/// # Errors
///
/// The kernel refuses it.
pub async fn shape(handle: &Handle, index: u32, mac: Mac, mtu: u16) -> Result<(), Error> {
    let link = LinkUnspec::new_with_index(index).address(mac.0.to_vec()).mtu(u32::from(mtu));
    handle.link().set(link.build()).execute().await
}

/// Sets the MTU of a link.
///
/// # Errors
///
/// The kernel refuses it.
pub async fn set_mtu(handle: &Handle, index: u32, mtu: u16) -> Result<(), Error> {
    let link = LinkUnspec::new_with_index(index).mtu(u32::from(mtu));
    handle.link().set(link.build()).execute().await
}

/// Sets a TAP up, with or without a carrier.
///
/// # Errors
///
/// The kernel refuses it.
pub async fn up(handle: &Handle, index: u32, has_carrier: bool) -> Result<(), Error> {
    let link = LinkUnspec::new_with_index(index).up().carrier(has_carrier);
    handle.link().set(link.build()).execute().await
}

/// The purpose of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An interface's own address, which the kernel sends from.
    Interface,
    /// A service's address, which the kernel holds, but does not send from.
    Service,
}

/// Adds an address to a link. Over IPv6 it is valid at once, without duplicate address detection, as over IPv4.
///
/// # Errors
///
/// The kernel refuses it.
pub async fn add_address(
    handle: &Handle,
    index: u32,
    net: IpNet,
    purpose: Purpose,
) -> Result<(), Error> {
    let mut request = handle.address().add(index, net.addr(), net.prefix_len());
    let attributes = &mut request.message_mut().attributes;
    attributes.push(AddressAttribute::Protocol(PROTOCOL.into()));
    if let IpNet::V6(_) = net {
        attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        if purpose == Purpose::Service {
            // Deprecated from the start (RFC 4862 §5.5.4), and valid for ever.
            let mut deprecated = CacheInfo::default();
            deprecated.ifa_valid = u32::MAX;
            attributes.push(AddressAttribute::CacheInfo(deprecated));
        }
    }
    request.execute().await
}

/// Removes an address from a link.
///
/// # Errors
///
/// The kernel refuses it; with `AddrNotAvailable` if the link does not have the address.
pub async fn delete_address(handle: &Handle, index: u32, net: IpNet) -> Result<(), Error> {
    let mut added = handle.address().add(index, net.addr(), net.prefix_len());
    let message = added.message_mut().clone();
    handle.address().del(message).execute().await
}

/// Reads the addresses that the kernel holds, each with the index of its link.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn addresses(handle: &Handle) -> Result<HashSet<(u32, IpNet)>, Error> {
    some_addresses(handle, |_| true).await
}

/// Reads the addresses that the kernel holds and uses, each with the index of its link. An address in duplicate address
/// detection may be another host's (RFC 4862 §5.4); the kernel does not answer for it yet.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn usable_addresses(handle: &Handle) -> Result<HashSet<(u32, IpNet)>, Error> {
    some_addresses(handle, is_usable).await
}

fn is_usable(attributes: &[AddressAttribute]) -> bool {
    let flags = attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    let flags = flags.unwrap_or(AddressFlags::empty());
    // An optimistic address is used during detection (RFC 4429).
    let is_optimistic = flags.contains(AddressFlags::Optimistic);
    let is_tentative = flags.contains(AddressFlags::Tentative) && !is_optimistic;
    !is_tentative && !flags.contains(AddressFlags::Dadfailed)
}

/// Reads the addresses that were added with this protocol (Linux 5.18), each with the index of its link.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn addresses_of(handle: &Handle, protocol: u8) -> Result<HashSet<(u32, IpNet)>, Error> {
    let is_it = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Protocol(other) if u8::from(*other) == protocol);
    some_addresses(handle, |attributes| attributes.iter().any(is_it)).await
}

async fn some_addresses(
    handle: &Handle,
    is_it: impl Fn(&[AddressAttribute]) -> bool,
) -> Result<HashSet<(u32, IpNet)>, Error> {
    let mut held = handle.address().get().execute();
    let mut addresses = HashSet::new();
    while let Some(one) = held.try_next().await? {
        if !is_it(&one.attributes) {
            continue;
        }
        let net = own_address(&one.attributes)
            .and_then(|address| IpNet::new(address, one.header.prefix_len).ok());
        addresses.extend(net.map(|net| (one.header.index, net)));
    }
    Ok(addresses)
}

/// The address that is held: the local one if there is one, and then the other is the peer's; over IPv6 there is
/// mostly only the other.
fn own_address(attributes: &[AddressAttribute]) -> Option<IpAddr> {
    let (mut local, mut other) = (None, None);
    for attribute in attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => other = Some(*address),
            _ => {}
        }
    }
    local.or(other)
}

/// Adds a default route by `gateway`.
///
/// # Errors
///
/// The kernel refuses it; with `AlreadyExists` if there is such a route of the same metric.
pub async fn default_route(
    handle: &Handle,
    index: u32,
    gateway: IpAddr,
    metric: u32,
) -> Result<(), Error> {
    let (everywhere, metric) = everywhere(gateway, metric);
    let route = route_to(everywhere).output_interface(index).priority(metric);
    let mut route = route.protocol(PROTOCOL.into()).build();
    route.attributes.push(RouteAttribute::Gateway(gateway.into()));
    handle.route().add(route).execute().await
}

/// The destination and metric of a default route by `gateway`.
pub fn everywhere(gateway: IpAddr, metric: u32) -> (IpNet, u32) {
    match gateway {
        IpAddr::V4(_) => (IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 0), metric),
        // There, 0 stands for 1024.
        IpAddr::V6(_) => {
            (IpNet::new_assert(Ipv6Addr::UNSPECIFIED.into(), 0), metric.saturating_add(1))
        }
    }
}

/// A request about a route to these addresses.
pub fn route_to(net: IpNet) -> RouteMessageBuilder<IpAddr> {
    let route = RouteMessageBuilder::<IpAddr>::new();
    // It refuses a prefix that is longer than the address alone, which no IpNet has.
    route.destination_prefix(net.addr(), net.prefix_len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_s_address_is_not_held() {
        let [local, peer] = [1, 2].map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)));
        let both = [AddressAttribute::Address(peer), AddressAttribute::Local(local)];
        assert_eq!(own_address(&both), Some(local));
        assert_eq!(own_address(&both[..1]), Some(peer), "IPv6 has but this one");
        assert_eq!(own_address(&[]), None);
    }

    #[test]
    fn an_address_that_may_be_another_host_s_is_not_usable() {
        use AddressFlags as Flags;
        for (flags, is_it) in [
            (Flags::Permanent, true),
            (Flags::Tentative, false),
            (Flags::Tentative | Flags::Optimistic, true),
            (Flags::Tentative | Flags::Optimistic | Flags::Dadfailed, false),
            (Flags::Dadfailed | Flags::Permanent, false),
        ] {
            assert_eq!(is_usable(&[AddressAttribute::Flags(flags)]), is_it, "{flags:?}");
        }
        assert!(is_usable(&[]), "old kernels have no such attribute for IPv4");
    }
}
