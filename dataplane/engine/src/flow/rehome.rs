//! Moves saved flows to the workers that own them now, where an earlier process had another number of workers, or tables of
//! another size. Rows keep their ids of services, backends and interfaces; IPv6 hosts get ids of their new worker.

use super::connection::Connection;
use super::endpoint::{Endpoint, HostId};
use super::hash::Seed;
use super::hash_index::NO_FLOW;
use super::store::{Named, Store};
use super::transfer::{Detail, Transfer};
use super::tuple::{Tuple, Tuples};
use crate::net::rss::RssEntry;
use std::collections::HashMap;
use std::net::Ipv6Addr;

/// The unused stores of a process's workers, by worker number, while an earlier process's flows are moved in.
pub struct NewHomes<'a> {
    homes: Vec<Home<'a>>,
    seed: Seed,
}

/// The flows that are moved at a time: where there is no room for all, ended ones must take none from running ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Flows under way.
    Running,
    /// Flows that are over, and kept for late packets.
    Over,
}

impl Which {
    /// In the order in which all workers' flows must be moved.
    pub const ALL: [Which; 2] = [Which::Running, Which::Over];
}

/// A worker's store, filled from its beginning.
struct Home<'a> {
    store: &'a mut Store,
    transfers: usize,
    connections: usize,
    names: HashMap<Named, HostId>,
}

impl<'a> NewHomes<'a> {
    /// New homes in unused stores, whose transfers are sealed with the same seed as the earlier process's.
    pub fn new(stores: &'a mut [Store], seed: Seed) -> NewHomes<'a> {
        let home = |store| Home { store, transfers: 0, connections: 0, names: HashMap::new() };
        NewHomes { homes: stores.iter_mut().map(home).collect(), seed }
    }

    /// Moves these flows of one earlier worker in. Returns how many found no room or are damaged. A transfer that waits
    /// beside another one is not moved, as its client asks again; nor is what the new process makes anew, or cannot go on
    /// with.
    pub fn take_in(&mut self, old: &Store, which: Which) -> usize {
        let is_asked = |is_over: bool| is_over == (which == Which::Over);
        let transfers = old.transfers.iter().zip(&old.details).filter(|(flow, its)| {
            flow.is_in_use() && its.elder == NO_FLOW && is_asked(flow.state.is_over())
        });
        let lost = transfers.filter(|(flow, its)| self.transfer(flow, its, old).is_none()).count();
        let connections = old.connections.iter().filter(|connection| {
            connection.is_in_use() && !connection.is_made_anew() && is_asked(connection.is_over())
        });
        lost + connections.filter(|connection| self.connection(connection, old).is_none()).count()
    }

    fn transfer(&mut self, flow: &Transfer, detail: &Detail, old: &Store) -> Option<()> {
        let seed = self.seed;
        if detail.request.seal != flow.seal(seed) {
            return None;
        }
        let home = self.of(flow.client().host, old)?;
        let client = home.name(flow.client().host, old)?;
        let seen_as = home.name(flow.seen_as().host, old)?;
        let row = home.store.transfers.get_mut(home.transfers)?;
        let its = home.store.details.get_mut(home.transfers)?;
        *row = flow.with_hosts(client, seen_as);
        its.clone_from(detail);
        its.newcomer = NO_FLOW;
        its.request.seal = row.seal(seed);
        home.transfers += 1;
        Some(())
    }

    fn connection(&mut self, connection: &Connection, old: &Store) -> Option<()> {
        if connection.ends_with_process() {
            return None;
        }
        let home = self.of(connection.client().near().host, old)?;
        let tuples = home.tuples(connection, old)?;
        *home.store.connections.get_mut(home.connections)? =
            Connection { tuples, ..connection.clone() };
        home.connections += 1;
        Some(())
    }

    /// The home of a client's flows.
    fn of(&mut self, client: HostId, old: &Store) -> Option<&mut Home<'a>> {
        let address = match client.as_v4() {
            Some(address) => address.into(),
            None => Ipv6Addr::from(*old.named.get(client.place()?)?).into(),
        };
        let worker = RssEntry::of(address).worker(self.homes.len() as u16);
        self.homes.get_mut(usize::from(worker))
    }
}

impl Home<'_> {
    /// The tuples of a connection with this worker's host ids.
    fn tuples(&mut self, connection: &Connection, old: &Store) -> Option<Tuples> {
        let client = connection.client();
        let tuples =
            connection.tuples.with_client(client.with(self.name(client.near().host, old)?));
        if !connection.answers_seen() {
            return Some(tuples);
        }
        let server = connection.server();
        let near = Endpoint { host: self.name(server.near().host, old)?, ..server.near() };
        Some(tuples.with_server(match server.far_host() {
            Some(far) => {
                let far = Endpoint { host: self.name(far.host, old)?, ..far };
                Tuple::at_host(near, far, server.protocol)
            }
            None => server.with(near.host),
        }))
    }

    /// The id of a host in this worker; `None`: no room, or the old id is damaged.
    fn name(&mut self, host: HostId, old: &Store) -> Option<HostId> {
        let Some(place) = host.place() else { return Some(host) };
        let address = old.named.get(place)?;
        if let Some(&known) = self.names.get(address) {
            return Some(known);
        }
        let new = HostId::v6(self.names.len() as u32);
        *self.store.named.get_mut(self.names.len())? = *address;
        self.names.insert(*address, new);
        Some(new)
    }
}
