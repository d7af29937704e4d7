//! The state of one worker: its transfers and connections, its share of the SNAT ports, its cursors in the backend groups.

pub mod admission;
pub mod adoption;
pub mod adoption_rate;
pub mod affinity;
mod announced;
pub mod connections;
pub mod deferred;
pub mod departed;
pub mod evict;
mod expectation;
pub mod explain;
pub mod failover;
pub mod flow_log;
mod free_port;
pub mod icmp_limiter;
pub mod originate_queue;
pub mod ours;
mod query;
pub mod quota;
pub mod record;
pub mod references;
mod reopen;
pub mod resize;
pub mod restore;
mod selection;
pub mod snat;
mod snat_share;
pub mod sweep;
pub mod sync;
mod transfers;

use self::adoption_rate::AdoptionRate;
use self::deferred::Deferred;
use self::snat_share::SnatShare;
use crate::choose;
use crate::context::Env;
use crate::counters::Counters;
use crate::flow::connection::Connection;
use crate::flow::connection_table::ConnectionTable;
use crate::flow::endpoint::HostId;
use crate::flow::epochs::Epochs;
use crate::flow::fragment_table::FragmentTable;
use crate::flow::ftp_session_table::FtpSessionTable;
use crate::flow::hash::Seed;
use crate::flow::host_table::HostTable;
use crate::flow::quotas::Quotas;
use crate::flow::store::Store;
use crate::flow::transfer_table::TransferTable;
use crate::mode::Pools;
use crate::snapshot::{MOST_SNAT, Snapshot};
use crate::state::flow_log::FlowLog;
use crate::state::icmp_limiter::Rate;
use crate::state::originate_queue::OriginateQueue;
use crate::state::sweep::Sweep;
use crate::types::id::SnatId;
use crate::types::tick::{Millis, Tick};
use departed::Departed;
use std::sync::Arc;

/// Host ids of IPv6 addresses beside those of flows: one more is made before the oldest makes room, and SNAT addresses
/// have theirs.
const ROOM_FOR_V6: u32 = 1 + MOST_SNAT as u32;

/// Bytes of the most data that a segment carries: a frame is always one buffer.
const LARGEST_SEGMENT: usize = 9216;

/// Flows looked at in one go, so that neither expiry nor a question for flows holds up packets.
const GLANCE: usize = 256;

/// One worker's state. All memory is allocated when it is created, or by control ([`resize::Resize`]).
pub struct WorkerState {
    /// This worker's number.
    pub worker: u16,
    /// The number of workers.
    pub workers: u16,
    /// The transfers.
    pub transfers: TransferTable,
    /// The connections.
    pub connections: ConnectionTable,
    /// The sessions of control connections that are read.
    pub sessions: FtpSessionTable,
    /// The number of connections that each client has.
    pub quotas: Quotas,
    /// The buffer in which a segment is rewritten.
    pub scratch: Box<[u8]>,
    /// The host ids of clients and SNAT addresses.
    pub hosts: HostTable,
    /// The memory for choices of backends.
    pub choose: choose::State,
    /// Datagrams that arrive in fragments.
    pub fragments: FragmentTable,
    /// The work that the burst in hand leaves for its end.
    pub deferred: Deferred,
    /// Notes about flows, and the ring of records for the log.
    pub flow_log: FlowLog,
    /// The turn's time, finer than [`Env::now`].
    pub clock: Millis,
    /// The rate limit of ICMP errors and resets.
    pub icmp_limiter: Rate,
    /// Adopted transfers and connections that count in no limit, of each backend.
    pub over_limit: Box<[u32]>,
    /// The rate limit of adopted packets.
    pub adoption_rate: AdoptionRate,
    /// The IP identification that was given out last.
    last_id: u16,
    /// Clients of transfers that were forgotten.
    pub departed: Departed,
    /// Transfers about which frames must be originated.
    pub originate_queue: OriginateQueue,
    /// The position of the scan for transfers whose server is dead.
    pub sweep: Sweep,
    /// Connections whose clients must hear that their server is dead.
    pub resets: OriginateQueue,
    /// The position of the scan for connections whose server is dead.
    pub connection_sweep: Sweep,
    /// The links by which the other gate of the pair has told rows.
    pub epochs: Epochs,
    /// The time when this worker last looked for what other workers want.
    heeded: Tick,
    /// The counters.
    pub counters: Arc<Counters>,
    /// The share of the SNAT ports.
    snat: SnatShare,
}

impl WorkerState {
    /// The state of worker `worker` of `workers`, with its transfers in this store, as yet without what an earlier
    /// process has left there.
    fn empty(
        (worker, workers): (u16, u16),
        store: Store,
        snapshot: &Snapshot,
        seed: Seed,
        counters: Arc<Counters>,
        now: Tick,
    ) -> WorkerState {
        let (max_flows, backends) = (store.transfers.len(), counters.backends.len());
        WorkerState {
            worker,
            workers,
            transfers: TransferTable::new((store.transfers, store.details), backends, seed, now),
            sessions: FtpSessionTable::new(store.connections.len()),
            quotas: Quotas::new(if snapshot.has_quotas() { max_flows } else { 0 }, seed),
            scratch: vec![0; LARGEST_SEGMENT].into(),
            connections: ConnectionTable::new(store.connections, backends, seed, now),
            hosts: HostTable::new(store.named, seed),
            choose: choose::State::new(worker, max_flows, snapshot, seed),
            departed: Departed::new(max_flows, seed),
            originate_queue: OriginateQueue::new(),
            sweep: Sweep::new(max_flows),
            resets: OriginateQueue::new(),
            connection_sweep: Sweep::new(max_flows),
            fragments: FragmentTable::new(seed),
            deferred: Deferred::default(),
            flow_log: FlowLog::new(max_flows),
            clock: Millis::default(),
            icmp_limiter: Rate::default(),
            over_limit: vec![0; backends].into(),
            adoption_rate: AdoptionRate::new(now),
            last_id: worker,
            epochs: Epochs::new(max_flows),
            heeded: now,
            counters,
            snat: SnatShare::default(),
        }
    }

    /// The memory that so many transfers need, of the process's own.
    pub fn store(max_flows: u32) -> Store {
        Store::new(max_flows, names(max_flows))
    }

    /// Bytes that so many transfers need in memory that outlives the process, for [`WorkerState::mapped_store`].
    pub fn size(max_flows: u32) -> usize {
        Store::size(max_flows, names(max_flows))
    }

    /// The memory that so many transfers need, in such memory.
    pub fn mapped_store(memory: &'static mut [u8], max_flows: u32) -> Store {
        Store::mapped(memory, max_flows, names(max_flows))
    }

    /// A copy of such memory that an earlier process has left.
    pub fn saved_store(memory: &[u8], max_flows: u32) -> Store {
        Store::saved(memory, max_flows, names(max_flows))
    }

    /// This moment of this worker.
    pub fn env<'a>(&self, snapshot: &'a Snapshot, now: Tick) -> Env<'a> {
        Env { snapshot, now, worker: self.worker, workers: self.workers }
    }

    /// The SNAT ports, for a mode to take from and give back to.
    pub fn pools<'a>(&'a mut self, env: &'a Env) -> Pools<'a> {
        let SnatShare { hosts, turns, .. } = &mut self.snat;
        let worker = (env.worker, env.workers);
        Pools { snat: &env.snapshot.snat, hosts, names: &self.hosts, turns, worker, now: env.now }
    }

    /// The number of clients that servers see by this affinity's SNAT address, if it has one.
    pub fn tenants(&mut self, affinity: &Connection) -> Option<&mut u32> {
        let id = self.snat.hosts.iter().position(|&host| host == affinity.seen_as().host)?;
        self.snat.tenants.get_mut(id)
    }

    /// The address of a pool with the fewest clients. Workers do not know each other's clients: each has addresses of its
    /// own where there are enough, and begins at another one where there are not.
    pub fn least_shared(&self, pool: &[SnatId], v6: bool) -> Option<HostId> {
        let (worker, workers) = (usize::from(self.worker), usize::from(self.workers));
        let all = pool.iter().map(|id| id.index()).filter(|&id| self.snat.hosts[id].is_v6() == v6);
        let count = all.clone().count();
        let is_for_worker =
            |&(place, _): &(usize, usize)| count < workers || place % workers == worker;
        let distance = |place| (place + count - worker * count / workers) % count;
        let least = all.enumerate().filter(is_for_worker);
        let least = least.min_by_key(|&(place, id)| (self.snat.tenants[id], distance(place)));
        least.map(|(_, id)| self.snat.hosts[id])
    }

    /// An IP identification for a datagram from an address of ours: no other worker's, and none of
    /// the last thousands.
    pub fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(self.workers);
        self.last_id
    }
}

/// The number of IPv6 host ids that so many transfers, and as many connections, need: each has a client, and a connection
/// can be between two hosts that are nobody's client.
fn names(max_flows: u32) -> u32 {
    3 * max_flows + ROOM_FOR_V6
}
