//! Any sequence of configurations ends as if the last one had been the first; and what stays keeps its number.

use crate::configurations::{ADDRESSES, address, first, some_configuration, written};
use crate::{some_view, tables};
use control::config::Mode;
use control::in_force::InForce;
use control::kernel::View;
use control::registry::{Registry, Room};
use engine::own::uses::Uses;
use engine::select::rota::Member;
use engine::tables::{Backend, BackendId, Owner, RotaId, ServerId, Tables, VipId};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

proptest! {
    #[test]
    fn any_sequence_ends_as_if_started_with_its_last(all in vec(some_configuration(), 1..8)) {
        let mut in_force = first(vec![]);
        let mut known: HashMap<String, u16> = HashMap::new();
        for services in &all {
            in_force = in_force.next(written(services.clone()), Room::ANY).expect("room");
            for (what, number) in numbers(&in_force) {
                let before = known.entry(what.clone()).or_insert(number);
                prop_assert_eq!(*before, number, "{}", what);
            }
        }
        let unique: HashSet<_> = known.iter().map(|(what, number)| (kind(what), number)).collect();
        prop_assert_eq!(unique.len(), known.len(), "two with one number");
        let tables = tables(&in_force, &View::default());
        in_force.registry.let_go(&Uses::of(&tables));
        prop_assert!(!in_force.registry.is_anything_leaving());
        let fresh = first(all.last().expect("one at least").clone());
        prop_assert_eq!(described(&in_force), described(&fresh));
        prop_assert_eq!(in_force.registry.wanted(), fresh.registry.wanted());
    }

    #[test]
    fn it_is_written_down_and_read_again(all in vec(some_configuration(), 1..4)) {
        let mut in_force = first(vec![]);
        for services in all {
            in_force = in_force.next(written(services), Room::ANY).expect("room");
        }
        let text = serde_json::to_string(&in_force.registry).expect("plain data");
        let read: Registry = serde_json::from_str(&text).expect("as written");
        prop_assert_eq!(&read, &in_force.registry);
        let again = InForce::first(in_force.written.clone(), &read).expect("room");
        prop_assert_eq!(again.numbers, in_force.numbers);
    }
}

/// Which numbers may not be the same.
fn kind(what: &str) -> String {
    let words: Vec<_> = what.split(' ').collect();
    match words[..] {
        ["VIP" | "SNAT" | "server", _] => words[0].to_owned(),
        [_, _, _] => "service".to_owned(),
        [_, _, _, "rota" | "rule", ..] => "rota".to_owned(),
        _ => "backend".to_owned(),
    }
}

/// A snapshot by names and addresses, without any number.
fn described(in_force: &InForce) -> BTreeMap<String, String> {
    let tables = tables(in_force, &some_view());
    let registry = &in_force.registry;
    let server = |id: ServerId| server(&tables, id);
    let vip = |vip: VipId| tables.vips[usize::from(vip)].address;
    let mut said = BTreeMap::new();
    for owned in [[255, 255, 255, 255].into(), [10, 0, 0, 255].into()]
        .into_iter()
        .chain((0..ADDRESSES).map(address))
    {
        let owner = match tables.addresses.get(owned) {
            Some(Owner::Vip(id)) => format!("VIP {} for {:?}", vip(id), services_on(&tables, id)),
            Some(Owner::Down) => "down".to_owned(),
            Some(Owner::Everybody) => "everybody".to_owned(),
            Some(Owner::Snat(id)) => format!("SNAT {}", tables.snat[usize::from(id)].address),
            Some(Owner::Routed(id)) => format!("routed {}", server(id)),
            Some(Owner::Answering(id)) => format!("answering {}", server(id)),
            None => continue,
        };
        said.insert(format!("address {owned}"), owner);
    }
    said.insert("everybody".into(), format!("{:?}", tables.interfaces[0].broadcast.map(vip)));
    for (id, written) in in_force.services() {
        let service = &tables.services[usize::from(id)];
        let pool = match &service.mode {
            engine::tables::Mode::Snat(pool) => {
                pool.iter().map(|&id| tables.snat[usize::from(id)].address).collect()
            }
            engine::tables::Mode::Dsr | engine::tables::Mode::Nat => vec![],
        };
        let dealt = |id: RotaId| {
            let name = |one: &Member| (described_backend(&tables, one.id, registry), one.weight);
            let rotas = tables.rotas[usize::from(id)].iter();
            rotas.map(|rota| rota.members().iter().map(name).collect()).collect()
        };
        let rotas: Vec<Vec<Vec<(String, u16)>>> = service.rotas().map(dealt).collect();
        let rest = (service.port, service.idle_timeout, service.persistence, pool, rotas);
        said.insert(written.name.clone(), format!("{rest:?}"));
    }
    said
}

fn services_on(tables: &Tables, vip: VipId) -> Vec<u16> {
    let mut ports: Vec<_> = tables.vips[usize::from(vip)].udp.iter().map(|one| one.0).collect();
    ports.sort_unstable();
    ports
}

fn described_backend(tables: &Tables, id: BackendId, registry: &Registry) -> String {
    let backend = &tables.backends[usize::from(id)];
    let known = &registry.backends()[usize::from(id)].what;
    let Backend { address, aliases, hop, duty, server: number, .. } = backend;
    assert_eq!(server(tables, *number), *address);
    format!("{} {address} {aliases:?} {hop:?} {duty:?}", known.name)
}

/// The address of a server: that of every backend that it is.
fn server(tables: &Tables, id: ServerId) -> IpAddr {
    let mut all = tables.backends.iter().filter(|backend| backend.server == id);
    let first = all.next().expect("a server is a backend").address;
    assert!(all.all(|backend| backend.address == first), "one number for two servers");
    first
}

/// Everything's number, by what it is.
fn numbers(in_force: &InForce) -> HashMap<String, u16> {
    let registry = &in_force.registry;
    let mut numbers = HashMap::new();
    for (services, service) in in_force.numbers.iter().zip(&in_force.config().services) {
        let means = std::mem::discriminant(&service.mode);
        let name = format!("{} {} {means:?}", service.name, service.port);
        numbers.insert(name.clone(), services.id);
        numbers.insert(format!("{name} rota"), services.rota);
        for (rule, &id) in services.rules.iter().enumerate() {
            numbers.insert(format!("{name} rule {rule}"), id);
        }
        for (&id, vip) in services.vips.iter().zip(&service.vips) {
            numbers.insert(format!("VIP {}", vip.address), id);
        }
        for (&id, backend) in services.backends.iter().zip(&service.backends) {
            let (address, aliases) = (backend.address, &backend.aliases);
            numbers.insert(format!("{name} {} {address} {aliases:?}", backend.name), id);
            let server = registry.backends()[usize::from(id)].what.server;
            numbers.insert(format!("server {address}"), server);
        }
        if let Mode::Snat(pool) = &service.mode {
            for (&id, held) in services.pool.iter().zip(pool) {
                numbers.insert(format!("SNAT {}", held.address), id);
            }
        }
    }
    numbers
}
