//! Netlink: the sockets, and the single requests that set up links, addresses and routes.

use super::error::KernelError;
use futures_util::TryStreamExt;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::proto::sys::SocketAddr;
use rtnetlink::{
    Error, Handle, LinkUnspec, MulticastGroup, RouteMessageBuilder, new_connection,
    new_multicast_connection,
};
use std::net::Ipv4Addr;
use std::pin::Pin;
use tokio::task::JoinSet;
use wire::ethernet::Mac;

/// What the kernel tells unasked.
pub type Events = Pin<
    Box<dyn futures_util::Stream<Item = (NetlinkMessage<RouteNetlinkMessage>, SocketAddr)> + Send>,
>;

/// Two netlink sockets, so that a flood of events can't push out the answer to a question.
pub struct Socket {
    /// For questions.
    pub handle: Handle,
    /// Changes of links, IPv4 addresses, neighbours and IPv4 routes.
    pub events: Events,
    /// What moves messages; it ends with this.
    _tasks: JoinSet<()>,
}

impl Socket {
    /// Opens both. Runs inside the runtime.
    ///
    /// # Errors
    ///
    /// No more sockets, or not allowed.
    pub fn open() -> Result<Socket, KernelError> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Neigh,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
        ];
        let (questions, handle, _) = new_connection().map_err(KernelError::Socket)?;
        let (news, _, events) = new_multicast_connection(&groups).map_err(KernelError::Socket)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(questions);
        tasks.spawn(news);
        Ok(Socket { handle, events: Box::pin(events), _tasks: tasks })
    }
}

/// The number of the interface `name`; `None` when there is none.
///
/// # Errors
///
/// The kernel did not answer.
pub async fn index(handle: &Handle, name: &str) -> Result<Option<u32>, KernelError> {
    match handle.link().get().match_name(name).execute().try_next().await {
        Ok(link) => Ok(link.map(|link| link.header.index)),
        // ENODEV, which the standard library gives no kind.
        Err(Error::NetlinkError(answer)) if answer.raw_code() == -libc::ENODEV => Ok(None),
        Err(error) => Err(KernelError::netlink(format!("look for an interface `{name}`"), error)),
    }
}

/// Gives a link its MAC and MTU.
///
/// # Errors
///
/// What the kernel answered.
pub async fn shape(handle: &Handle, index: u32, mac: Mac, mtu: u16) -> Result<(), Error> {
    let link = LinkUnspec::new_with_index(index).address(mac.0.to_vec()).mtu(u32::from(mtu));
    handle.link().set(link.build()).execute().await
}

/// Brings a link up.
///
/// # Errors
///
/// What the kernel answered.
pub async fn up(handle: &Handle, index: u32) -> Result<(), Error> {
    handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await
}

/// Sends what no other route takes to `gateway`.
///
/// # Errors
///
/// What the kernel answered: `AlreadyExists` if there is such a route of the same metric.
pub async fn default_route(
    handle: &Handle,
    index: u32,
    gateway: Ipv4Addr,
    metric: u32,
) -> Result<(), Error> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .gateway(gateway)
        .output_interface(index)
        .priority(metric);
    handle.route().add(route.build()).execute().await
}
