//! Numbers: any sequence of configurations ends as if the last one had been the first, and entries that stay keep
//! their numbers.

use crate::configurations::{ADDRESSES, address, first, some_configuration, written};
use crate::{snapshot, some_view};
use control::active_config::ActiveConfig;
use control::config::Mode;
use control::kernel::KernelView;
use control::registry::{Capacity, Registry};
use engine::net::address_map::Owner;
use engine::scheduler::member::Member;
use engine::snapshot::{Backend, Snapshot};
use engine::state::references::References;
use engine::types::id::{BackendId, GroupId, ServerId, VipId};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

proptest! {
    #[test]
    fn any_sequence_ends_as_if_started_with_its_last(all in vec(some_configuration(), 1..8)) {
        let mut active = first(vec![]);
        let mut known: HashMap<String, u16> = HashMap::new();
        for services in &all {
            active = active.next(written(services.clone()), Capacity::ANY).expect("room");
            for (what, number) in numbers(&active) {
                let before = known.entry(what.clone()).or_insert(number);
                prop_assert_eq!(*before, number, "{}", what);
            }
        }
        let unique: HashSet<_> = known.iter().map(|(what, number)| (kind(what), number)).collect();
        prop_assert_eq!(unique.len(), known.len(), "two with one number");
        let snapshot = snapshot(&active, &KernelView::default());
        active.registry.release(&References::of(&snapshot));
        prop_assert!(!active.registry.is_anything_leaving());
        let fresh = first(all.last().expect("one at least").clone());
        prop_assert_eq!(described(&active), described(&fresh));
        prop_assert_eq!(active.registry.wanted(), fresh.registry.wanted());
    }

    #[test]
    fn it_is_written_down_and_read_again(all in vec(some_configuration(), 1..4)) {
        let mut active = first(vec![]);
        for services in all {
            active = active.next(written(services), Capacity::ANY).expect("room");
        }
        let text = serde_json::to_string(&active.registry).expect("plain data");
        let read: Registry = serde_json::from_str(&text).expect("as written");
        prop_assert_eq!(&read, &active.registry);
        let again = ActiveConfig::first(active.written.clone(), &read).expect("room");
        prop_assert_eq!(again.numbers, active.numbers);
    }
}

/// The identity of an entry, which may not share its number with another one.
fn kind(what: &str) -> String {
    let words: Vec<_> = what.split(' ').collect();
    match words[..] {
        ["VIP" | "SNAT" | "server", _] => words[0].to_owned(),
        [_, _, _] => "service".to_owned(),
        [_, _, _, "group" | "rule", ..] => "group".to_owned(),
        _ => "backend".to_owned(),
    }
}

/// A snapshot by names and addresses, without any number.
fn described(active: &ActiveConfig) -> BTreeMap<String, String> {
    let snapshot = snapshot(active, &some_view());
    let registry = &active.registry;
    let server = |id: ServerId| server(&snapshot, id);
    let vip = |vip: VipId| snapshot[vip].address;
    let mut said = BTreeMap::new();
    for owned in [[255, 255, 255, 255].into(), [10, 0, 0, 255].into()]
        .into_iter()
        .chain((0..ADDRESSES).map(address))
    {
        let owner = match snapshot.addresses.get(owned) {
            Some(Owner::Vip(id)) => format!("VIP {} for {:?}", vip(id), services_on(&snapshot, id)),
            Some(Owner::Down) => "down".to_owned(),
            Some(Owner::Everybody) => "everybody".to_owned(),
            Some(Owner::Snat(id)) => format!("SNAT {}", snapshot[id].address),
            Some(Owner::Routed(id)) => format!("routed {}", server(id)),
            Some(Owner::Answering(id)) => format!("answering {}", server(id)),
            None => continue,
        };
        said.insert(format!("address {owned}"), owner);
    }
    said.insert("everybody".into(), format!("{:?}", snapshot.interfaces[0].broadcast.map(vip)));
    for (id, written) in active.services() {
        let service = &snapshot[id];
        let pool = match &service.mode {
            engine::types::mode::Mode::Snat(pool) => {
                pool.iter().map(|&id| snapshot[id].address).collect()
            }
            engine::types::mode::Mode::Dsr | engine::types::mode::Mode::Nat => vec![],
        };
        let dealt = |id: GroupId| {
            let name = |one: &Member| (described_backend(&snapshot, one.id, registry), one.weight);
            let groups = snapshot[id].iter();
            groups.map(|group| group.members().iter().map(name).collect()).collect()
        };
        let groups: Vec<Vec<Vec<(String, u16)>>> = service.groups().map(dealt).collect();
        let rest = (service.port, service.idle_timeout, service.persistence, pool, groups);
        said.insert(written.name.clone(), format!("{rest:?}"));
    }
    said
}

fn services_on(snapshot: &Snapshot, vip: VipId) -> Vec<u16> {
    let mut ports: Vec<_> = snapshot[vip].udp.iter().map(|one| one.0).collect();
    ports.sort_unstable();
    ports
}

fn described_backend(snapshot: &Snapshot, id: BackendId, registry: &Registry) -> String {
    let backend = &snapshot[id];
    let known = &registry[id].what;
    let Backend { address, aliases, hop, state, server: number, .. } = backend;
    assert_eq!(server(snapshot, *number), *address);
    format!("{} {address} {aliases:?} {hop:?} {state:?}", known.name)
}

/// The address of a server: that of every backend that it is.
fn server(snapshot: &Snapshot, id: ServerId) -> IpAddr {
    let mut all = snapshot.backends.iter().filter(|backend| backend.server == id);
    let first = all.next().expect("a server is a backend").address;
    assert!(all.all(|backend| backend.address == first), "one number for two servers");
    first
}

/// The numbers of all entries, by their identities.
fn numbers(active: &ActiveConfig) -> HashMap<String, u16> {
    let registry = &active.registry;
    let mut numbers = HashMap::new();
    for (services, service) in active.numbers.iter().zip(&active.config().services) {
        let means = std::mem::discriminant(&service.mode);
        let name = format!("{} {} {means:?}", service.name, service.port);
        numbers.insert(name.clone(), services.id.0);
        numbers.insert(format!("{name} group"), services.group.0);
        for (rule, id) in services.rules.iter().enumerate() {
            numbers.insert(format!("{name} rule {rule}"), id.0);
        }
        for (id, vip) in services.vips.iter().zip(&service.vips) {
            numbers.insert(format!("VIP {}", vip.address), id.0);
        }
        for (&id, backend) in services.backends.iter().zip(&service.backends) {
            let (address, aliases) = (backend.address, &backend.aliases);
            numbers.insert(format!("{name} {} {address} {aliases:?}", backend.name), id.0);
            let server = registry[id].what.server();
            numbers.insert(format!("server {address}"), server.0);
        }
        if let Mode::Snat(pool) = &service.mode {
            for (id, held) in services.pool.iter().zip(pool) {
                numbers.insert(format!("SNAT {}", held.address), id.0);
            }
        }
    }
    numbers
}
