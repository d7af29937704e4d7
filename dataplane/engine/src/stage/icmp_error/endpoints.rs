//! The ends of the packet that an ICMP error quotes, and translation of the error.

use crate::context::{BurstContext, Env};
use crate::flow::host_table::HostTable;
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::stage::peer::Peer;
use crate::state::deferred::XlatEnds;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::id::ServerId;
use crate::types::verdict::{Step, Verdict};
use std::net::SocketAddr;
use wire::icmp::Quoted;

/// The ends of a transfer or connection, as both sides see them.
pub struct Endpoints {
    /// The client, as it is.
    pub client: SocketAddr,
    /// The VIP that it talks to.
    pub vip: SocketAddr,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddr,
    /// The server, as it is.
    pub server: SocketAddr,
    /// Whether the server does not see who its clients are.
    pub are_hidden: bool,
}

impl Endpoints {
    /// The ends of a transfer or connection. The port of a VIP that is not known yet is the one that is quoted.
    pub fn of<H>(peer: &impl Peer, quoted: &Quoted<H>, env: &Env, hosts: &HostTable) -> Endpoints {
        let vip_port = peer.vip_port().unwrap_or(quoted.destination());
        Endpoints {
            client: hosts.socket_address(peer.client()),
            vip: SocketAddr::new(peer.vip_address(env), vip_port),
            seen_as: hosts.socket_address(peer.seen_as()),
            server: peer.server(false, env, hosts).into(),
            are_hidden: peer.seen_as() != peer.client(),
        }
    }
}

/// Rewrites the error and the packet that it quotes; or returns its ends, if it is for the other address family.
pub fn translate<H: IpFamily>(
    ip: &mut H,
    mut quoted: Quoted<H>,
    direction: Direction,
    endpoints: &Endpoints,
    ctx: &BurstContext,
) -> Step<Option<XlatEnds>> {
    let Endpoints { client, vip, seen_as, server, are_hidden } = *endpoints;
    let is_ours = |end: SocketAddr| H::of(&end.ip());
    let [Some(client_at), Some(vip_at), Some(seen_at), Some(server_at)] =
        [client, vip, seen_as, server].map(is_ours)
    else {
        return xlat_ends(ip, direction, endpoints).map(Some);
    };
    let (source, destination) = match direction {
        Direction::ToServer(_) => {
            let addresses = quoted.ip.set_addresses(server_at, seen_at);
            quoted.set_ports(server.port(), seen_as.port(), addresses);
            (if are_hidden { seen_at } else { ip.source() }, server_at)
        }
        Direction::ToSnat | Direction::ToClient => {
            let addresses = quoted.ip.set_addresses(client_at, vip_at);
            quoted.set_ports(client.port(), vip.port(), addresses);
            let is_by_server = server_of(ip, ctx).is_some() || ip.source() == server_at;
            (if is_by_server { vip_at } else { ip.source() }, client_at)
        }
    };
    // Its own checksum is made anew, since all that it quotes is covered.
    let _ = ip.forward(source, destination).ok_or(DropReason::TtlExpired)?;
    Ok(None)
}

/// The ends of an error in the other address family: its sender has an address of ours there.
pub fn xlat_ends<H: IpFamily>(
    ip: &H,
    direction: Direction,
    endpoints: &Endpoints,
) -> Step<XlatEnds> {
    if ip.hops() <= 1 {
        return Err(DropReason::TtlExpired.into());
    }
    let (source, destination) = match direction {
        Direction::ToServer(_) => (endpoints.seen_as, endpoints.server),
        Direction::ToSnat | Direction::ToClient => (endpoints.vip, endpoints.client),
    };
    Ok(XlatEnds { source, destination, id: None })
}

/// The server that tells, if one does.
pub fn server_of<H: IpFamily>(ip: &H, env: &Env) -> Option<ServerId> {
    server_at::<H>(ip.source(), env)
}

/// The server that has this address, if it is one's.
pub fn server_at<H: IpFamily>(address: H::Address, env: &Env) -> Option<ServerId> {
    match H::owner(address, env.snapshot)? {
        Owner::Routed(server) | Owner::Answering(server) => Some(server),
        Owner::Vip(_) | Owner::Down | Owner::Everybody | Owner::Snat(_) => None,
    }
}

/// An error about no transfer or connection.
pub const NO_TRANSFER: Verdict = Verdict::Drop(DropReason::NoTransfer);

/// An error about something else than what we pass on.
pub fn about_nothing<H: IpFamily>(ip: &H, env: &Env) -> Verdict {
    match H::owner(ip.destination(), env.snapshot) {
        Some(Owner::Down) => DropReason::VipDown.into(),
        Some(Owner::Vip(_) | Owner::Snat(_)) => DropReason::NoService.into(),
        Some(Owner::Everybody | Owner::Routed(_) | Owner::Answering(_)) | None => Verdict::Kernel,
    }
}
