//! Transfers during reloads: clients and servers notice nothing but where new requests go.

use crate::configurations::{first, some_configuration, written};
use crate::{snapshot, sunny_view};
use control::active_config::ActiveConfig;
use control::registry::Capacity as Numbers;
use engine::counters::{Counters, Room};
use engine::flow::hash::Seed;
use engine::snapshot::Snapshot;
use engine::state::references::References;
use engine::state::resize::Resize;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{ack, data, error, rrq};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

const FLOWS: u32 = 256;
/// The most services and backends that reloads add.
const MORE: usize = 256;

fn gate(active: &ActiveConfig) -> EngineHarness {
    let snapshot = snapshot(active, &sunny_view());
    let mut gate = EngineHarness::with(snapshot.clone(), FLOWS);
    gate.engine.state.counters = Arc::new(Counters::new(Room::of(&snapshot, MORE)));
    gate
}

/// Publishes a snapshot, in the steps of a worker.
fn publish(gate: &mut EngineHarness, new: Snapshot) {
    let capacity = Resize::between(&gate.engine.snapshot, &new, 0, FLOWS, Seed([51, 52]));
    if let Some(mut capacity) = capacity {
        gate.engine.resize(&mut capacity);
    }
    gate.engine.snapshot = Arc::new(new);
}

fn client(n: u16) -> SocketAddr {
    let [high, low] = n.to_be_bytes();
    SocketAddr::from(([10, 9, high, low], 2070))
}

/// Requests a file; returns the transfer, if one has begun.
fn ask(gate: &mut EngineHarness, client: SocketAddr, vip: SocketAddr) -> Option<Packet> {
    let outcome = gate.take(rrq(client, vip, "boot.img"));
    matches!(outcome.verdict, Verdict::Transmit(_)).then(|| outcome.sent())
}

/// A transfer whose answers pass the engine.
#[derive(Debug, Clone)]
struct Running {
    client: SocketAddr,
    vip: SocketAddr,
    server: SocketAddr,
    seen_as: SocketAddr,
    block: u16,
}

impl Running {
    /// A block and its acknowledgement.
    fn goes_on(&mut self, gate: &mut EngineHarness) {
        self.block += 1;
        let up = SocketAddr::new(self.vip.ip(), self.server.port());
        let sent = gate.take(data(self.server, self.seen_as, self.block, 512)).sent();
        assert_eq!((sent.source, sent.destination), (up, self.client));
        let sent = gate.take(ack(self.client, up, self.block)).sent();
        assert_eq!((sent.source, sent.destination), (self.seen_as, self.server));
    }
}

/// A transfer to each endpoint of each service that sees answers, each from another client.
fn start(gate: &mut EngineHarness, active: &ActiveConfig, clients: &mut u16) -> Vec<Running> {
    let mut all = vec![];
    for service in &active.config().services {
        for vip in &service.vips {
            *clients += 1;
            let (client, vip) = (client(*clients), SocketAddr::new(vip.address, service.port));
            let sent = ask(gate, client, vip).expect("a backend");
            if sent.destination != vip {
                let server = SocketAddr::new(sent.destination.ip(), 50_000 + *clients);
                all.push(Running { client, vip, server, seen_as: sent.source, block: 0 });
            }
        }
    }
    all
}

/// The backends of requests to all endpoints that ever existed.
fn directions(
    gate: &mut EngineHarness,
    endpoints: &BTreeSet<SocketAddr>,
) -> BTreeMap<SocketAddr, BTreeSet<[u8; 6]>> {
    let mut directions = BTreeMap::new();
    for &vip in endpoints {
        for n in 0..12 {
            let client = client(60_000 + n);
            if let Some(sent) = ask(gate, client, vip) {
                directions.entry(vip).or_insert(BTreeSet::new()).insert(sent.to.0);
                let _ = gate.take(error(client, vip, 0));
            }
        }
    }
    directions
}

fn endpoints(active: &ActiveConfig) -> BTreeSet<SocketAddr> {
    let services = active.config().services.iter();
    let each = services.flat_map(|one| one.vips.iter().map(|vip| (vip.address, one.port)));
    each.map(SocketAddr::from).collect()
}

/// Changes in which no address changes its use, which would end its transfers.
fn steady() -> impl Strategy<Value = Vec<Vec<control::config::Service>>> {
    let roles = |all: &Vec<Vec<control::config::Service>>| {
        let mut roles = BTreeMap::new();
        all.iter().flatten().all(|service| {
            let vips = service.vips.iter().map(|vip| (vip.address, 0));
            let pool = match &service.mode {
                control::config::Mode::Snat(pool) => pool.clone(),
                control::config::Mode::Dsr | control::config::Mode::Nat => vec![],
            };
            let pool = pool.into_iter().map(|held| (held.address, 1));
            let servers = service.backends.iter().flat_map(|backend| {
                let (address, aliases) = (backend.address, backend.aliases.clone());
                [(address, 2)].into_iter().chain(aliases.into_iter().map(|alias| (alias, 3)))
            });
            let all: Vec<_> = vips.chain(pool).chain(servers).collect();
            all.into_iter().all(|(address, role)| *roles.entry(address).or_insert(role) == role)
        })
    };
    vec(some_configuration(), 1..6).prop_filter("an address becomes something else", roles)
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..Default::default() })]

    #[test]
    fn running_transfers_finish_where_they_are(all in steady()) {
        let mut active = first(vec![]);
        let mut gate = gate(&active);
        let (mut running, mut clients) = (vec![], 0);
        for services in all {
            active = active.next(written(services), Numbers::ANY).expect("room");
            publish(&mut gate, snapshot(&active, &sunny_view()));
            running.iter_mut().for_each(|one: &mut Running| one.goes_on(&mut gate));
            running.extend(start(&mut gate, &active, &mut clients));
            let mut uses = References::of(&gate.engine.snapshot);
            while !gate.engine.note_references(&mut uses) {}
            active.registry.release(&uses);
            publish(&mut gate, snapshot(&active, &sunny_view()));
            running.iter_mut().for_each(|one| one.goes_on(&mut gate));
        }
        for one in &running {
            gate.take(error(one.server, one.seen_as, 0)).sent();
        }
        gate.wait(1000);
        prop_assert!(gate.transfers().is_empty());
    }

    #[test]
    fn new_requests_go_where_the_last_configuration_says(all in vec(some_configuration(), 1..6)) {
        let mut active = first(vec![]);
        let mut gate = gate(&active);
        let (mut asked, mut clients) = (BTreeSet::new(), 0);
        for services in &all {
            active = active.next(written(services.clone()), Numbers::ANY).expect("room");
            publish(&mut gate, snapshot(&active, &sunny_view()));
            asked.extend(endpoints(&active));
            start(&mut gate, &active, &mut clients);
        }
        gate.wait(1000);
        prop_assert!(gate.transfers().is_empty());
        active.registry.release(&References::of(&gate.engine.snapshot));
        publish(&mut gate, snapshot(&active, &sunny_view()));
        let mut fresh = self::gate(&first(all.last().expect("one at least").clone()));
        prop_assert_eq!(directions(&mut gate, &asked), directions(&mut fresh, &asked));
    }
}
