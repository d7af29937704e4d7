//! Facts that a row of either kind states, checked as a packet's are, and the ends that it names.

use super::Gains;
use super::refusal::SyncRefusal;
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::SyncedConnection;
use crate::flow::endpoint::{Endpoint, HostId};
use crate::flow::transfer::SyncedTransfer;
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::net::rss::RssEntry;
use crate::snapshot::service::Service;
use crate::state::WorkerState;
use crate::types::id::{BackendId, ServiceId, SnatId, VipId};
use crate::types::mode::Mode;
use crate::types::next_hop::NextHop;
use crate::types::tick::Tick;
use std::net::{IpAddr, SocketAddr};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

/// Ticks of a row's age, at most: later ones could be taken for times to come.
const OLDEST: u32 = u32::MAX / 4;

/// The facts that a row of either kind states.
pub struct Claim {
    client: SocketAddr,
    seen_as: SocketAddr,
    vip: VipId,
    backend: BackendId,
    back: NextHop,
    age: u32,
    idle: u32,
    /// The time at which this gate got the address that tells whose the flow is, if the peer had it until then.
    pub gained: Option<Tick>,
}

impl Claim {
    /// The facts of a transfer.
    pub fn of(row: &SyncedTransfer, gains: &Gains, env: &Env) -> Claim {
        let SyncedTransfer { client, seen_as, vip, backend, back, age, idle, .. } = *row;
        let gained = gained(vip, seen_as.ip(), gains, env);
        Claim { client, seen_as, vip, backend, back, age, idle, gained }
    }

    /// The facts of a connection.
    pub fn of_connection(row: &SyncedConnection, gains: &Gains, env: &Env) -> Claim {
        let SyncedConnection { client, seen_as, vip, backend, back, age, idle, .. } = *row;
        let gained = gained(vip, seen_as.ip(), gains, env);
        Claim { client, seen_as, vip, backend, back, age, idle, gained }
    }
}

/// The time at which this gate got the address that tells whose a flow is, if that was just now.
fn gained(vip: VipId, seen_as: IpAddr, gains: &Gains, env: &Env) -> Option<Tick> {
    let pool = env.snapshot.snat.iter().position(|one| one.address == seen_as);
    match pool {
        Some(place) => gains.of_snat(SnatId(place as u16)),
        None => gains.of_vip(vip),
    }
}

/// The outcome for a row that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The row is in the table now.
    New(FlowId),
    /// The row was known, and has followed.
    Known(FlowId),
    /// The flow is over, and was not known.
    Over,
    /// The client has a running flow of this gate between the same ends.
    Ours,
}

impl WorkerState {
    /// The service that a row is of, if the row can be taken in; `is_on_vip` says whether the VIP has that service for it.
    pub fn check<'a>(
        &self,
        row: &Claim,
        is_on_vip: impl FnOnce(ServiceId) -> bool,
        env: &Env<'a>,
    ) -> Result<&'a Service, SyncRefusal> {
        let snapshot = env.snapshot;
        let backend = snapshot.find_backend(row.backend).ok_or(SyncRefusal::Unknown)?;
        let vip = snapshot.vips.get(row.vip.index()).ok_or(SyncRefusal::Unknown)?;
        let service = &snapshot[backend.service];
        let has_interface = usize::from(row.back.interface) < snapshot.interfaces.len();
        if !is_on_vip(backend.service) || !has_interface {
            return Err(SyncRefusal::Unknown);
        }
        // The pool's address tells whose it is: see `told_host`.
        if snapshot.is_live(row.vip)
            && row.gained.is_none()
            && !matches!(service.mode, Mode::Snat(_))
        {
            return Err(SyncRefusal::Held);
        }
        let client = row.client.ip();
        if !service.access.admits(client) {
            return Err(SyncRefusal::Client);
        }
        let is_sound = row.client.port() != 0
            && is_host(client)
            && !snapshot.addresses.get(client).is_some_and(Owner::is_ours)
            && client.is_ipv4() == vip.address.is_ipv4()
            && row.seen_as.is_ipv4() == backend.address.is_ipv4()
            && RssEntry::of(client).worker(self.workers) == self.worker
            && row.idle <= row.age
            && row.age < OLDEST;
        if is_sound { Ok(service) } else { Err(SyncRefusal::Malformed) }
    }

    /// Has a row made by `put`, with host ids for both of its ends: the client's has one more user if the row is new.
    pub fn with_ends(
        &mut self,
        row: &Claim,
        mode: &Mode,
        env: &Env,
        put: impl FnOnce(&mut WorkerState, [Endpoint; 2]) -> Result<Put, SyncRefusal>,
    ) -> Result<Put, SyncRefusal> {
        let host = self.hosts.intern(row.client.ip()).map_err(|_| SyncRefusal::Full)?;
        let outcome = self.told_host(row, host, mode, env).and_then(|seen_as| {
            let client = Endpoint { host, port: row.client.port() };
            put(self, [client, Endpoint { host: seen_as, port: row.seen_as.port() }])
        });
        if !matches!(outcome, Ok(Put::New(_))) {
            self.hosts.release(host);
        }
        outcome
    }

    /// The host id of the address that servers see as the client.
    fn told_host(
        &self,
        row: &Claim,
        client: HostId,
        mode: &Mode,
        env: &Env,
    ) -> Result<HostId, SyncRefusal> {
        let Mode::Snat(_) = mode else {
            let is_its_own = row.seen_as == row.client;
            return if is_its_own { Ok(client) } else { Err(SyncRefusal::Malformed) };
        };
        // The service's pool has only what is held here.
        let place = env.snapshot.snat.iter().position(|one| one.address == row.seen_as.ip());
        let id = SnatId(place.ok_or(SyncRefusal::Malformed)? as u16);
        if env.snapshot.is_snat_live(id) && row.gained.is_none() {
            return Err(SyncRefusal::Held);
        }
        Ok(self.snat.hosts[id.index()])
    }
}

fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => Ipv4::is_host(address),
        IpAddr::V6(address) => Ipv6::is_host(address),
    }
}
