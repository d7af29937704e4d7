//! A client's first packet makes a connection, at a backend.

use super::seen::Seen;
use crate::alg::End;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag};
use crate::flow::hosts::{Endpoint, Host, NoRoom};
use crate::flow::tuple::{Tuple, Tuples};
use crate::flow::view::{ConnectionKind, Stage};
use crate::here::Here;
use crate::own::Own;
use crate::own::pool::Facing;
use crate::reason::Reason;
use crate::select::candidates::Avoid;
use crate::select::choice::{Wish, choose};
use crate::tables::{BackendId, Mode, Protocol, ServiceId};
use crate::verdict::Step;
use std::net::IpAddr;

/// Makes the connection to this service.
pub fn begin<H: Family>(
    service: ServiceId,
    seen: &Seen<H::Address>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    let known = &here.tables.services[usize::from(service)];
    let client = seen.addresses[0].into();
    if !known.access.admits(client) {
        own.counters.refusals[usize::from(service)].client.add(1);
        return Err(Reason::Refused.into());
    }
    let vip = seen.tuple.far();
    let host = own.hosts.enter(client).map_err(|NoRoom| Reason::FlowTableFull)?;
    if let Err(why_not) = own.check_quota(host, service, false, here) {
        own.hosts.leave(host);
        return Err(why_not);
    }
    let wish = Wish { client, family: H::PLACE, service, request: None };
    let bound = own.bound_backend(host, vip, service, here);
    let chosen = bound.unwrap_or_else(|| choose(&wish, Avoid::Nobody, here, own));
    let made = chosen.and_then(|backend| {
        let client = Endpoint { host, port: seen.ports[0] };
        let made = own.connection(client, backend, seen, here);
        if made.is_err() {
            here.backend(backend).give_place_back();
        }
        made
    });
    let connection = made.inspect_err(|_| own.hosts.leave(host))?;
    let id = match known.protocol {
        Protocol::Ftp(_) => own.enter_control(connection, here)?,
        Protocol::Tftp | Protocol::Tcp | Protocol::Udp | Protocol::Any => {
            own.enter_connection(&connection, here)?
        }
    };
    own.count_in_quota(id, here);
    Ok(id)
}

impl Own {
    /// A connection of this client to its service's backend, which is yet to be answered.
    fn connection<A: Copy + Into<IpAddr>>(
        &mut self,
        client: Endpoint,
        backend: BackendId,
        seen: &Seen<A>,
        here: &Here,
    ) -> Step<Connection> {
        let protocol = seen.tuple.protocol;
        let port = here.tables.service_of(backend).port;
        let client_tuple = Tuple::at_vip(client, seen.tuple.far(), seen.ports[1], protocol);
        let mut connection = Connection {
            tuples: Tuples::of_client(client_tuple),
            last_packet: here.now,
            begun: here.now,
            backend,
            back: seen.way_back(here),
            kind: ConnectionKind::Client,
            stage: Stage::HalfOpen,
            flags: flag::BY_CLIENT_TUPLE,
            ..Connection::FREE
        };
        let own_host = self.own_host(client.host, seen.tuple.far(), backend, here);
        self.face_server(&mut connection, port, own_host, here)?;
        Ok(connection)
    }

    /// Settles what a connection's backend sees of it, at this port of its: of several addresses of ours this one, if
    /// it is said.
    pub(super) fn face_server(
        &mut self,
        connection: &mut Connection,
        port: u16,
        pool_host: Option<Host>,
        here: &Here,
    ) -> Step<()> {
        let backend = here.backend(connection.backend);
        if here.tables.service_of(connection.backend).mode == Mode::Dsr {
            return Ok(());
        }
        let Tuple { protocol, .. } = connection.client();
        let client = connection.client().near();
        let facing = Facing { client, backend: connection.backend, protocol, ours: pool_host };
        let seen_as = self.seen_as(&facing, here)?.endpoint;
        let server = Tuple::at_server(seen_as, backend.server, port, protocol);
        connection.tuples = connection.tuples.with_server(server);
        connection.flags |= flag::BY_SERVER_TUPLE;
        // The same server can see the same endpoint through two VIPs. A running connection is not given up for whoever
        // says to be its client.
        if let Some(twin) = self.connections.find(&server) {
            if self.connections[twin].has_more_to_hear() {
                return Err(Reason::BackendsFull.into());
            }
            self.end_connection(twin, End::Replaced, here);
        }
        Ok(())
    }
}
