use super::*;
use crate::active_config::ActiveConfig;
use crate::config::sample::pair;
use crate::config::{Written, read};
use std::fmt::Write;

/// Two backends; there is room for a large pool beside them.
fn file() -> String {
    pair().replace("10.0.0.2/24", "10.0.0.2/16")
}

fn written(text: &str) -> Written {
    read("test", text).unwrap_or_else(|faults| panic!("{faults}"))
}

fn first(text: &str) -> ActiveConfig {
    ActiveConfig::first(written(text), &Registry::default()).expect("room")
}

#[test]
fn another_port_or_mode_is_another_service() {
    for (this, that, other) in [
        ("vip =", "port = 70\nvip =", true),
        ("vip =", "mode = \"dsr\"\nvip =", true),
        ("\"tftp\"", "\"udp\"\nport = 69", true),
        ("vip =", "snat = [\"10.0.0.101\"]\nvip =", true),
        ("\"pxe\"", "\"boot\"", true),
        ("vip =", "idle_timeout = \"7s\"\nvip =", false),
        ("10.0.0.100", "10.0.0.200", false),
        ("name = \"one\"", "name = \"one\"\nweight = 9", false),
    ] {
        let next = written(&file().replace(this, that));
        let after = first(&file()).next(next, Capacity::ANY).expect("room");
        let (id, backends) = if other { (1, [2, 3]) } else { (0, [0, 1]) };
        let numbers = &after.numbers[0];
        assert_eq!(
            (numbers.id, &numbers.backends[..]),
            (ServiceId(id), &backends.map(BackendId)[..]),
            "{that}"
        );
        let servers: Vec<_> = after.registry.backends.iter().map(|one| one.what.server).collect();
        assert!(servers.chunks(2).all(|both| both == [0, 1]), "the servers are the same");
    }
}

#[test]
fn another_address_or_other_aliases_are_another_backend() {
    for (this, that, backends) in [
        ("10.0.0.30", "10.0.0.40", [2, 1]),
        ("name = \"two\"", "name = \"two\"\naliases = [\"10.0.0.41\"]", [0, 2]),
        ("name = \"two\"", "name = \"two\"\nmac = \"02:00:00:00:00:31\"", [0, 1]),
    ] {
        let next = written(&file().replace(this, that));
        let after = first(&file()).next(next, Capacity::ANY).expect("room");
        assert_eq!(after.numbers[0].backends, backends.map(BackendId), "{that}");
        let back = after.next(written(&file()), Capacity::ANY).expect("room");
        assert_eq!(back.numbers[0].backends, [0, 1].map(BackendId), "it has its number again");
    }
}

#[test]
fn an_address_that_is_something_else_now_makes_way_at_once() {
    let moved = file().replace("10.0.0.100", "10.0.0.200").replace("10.0.0.31", "10.0.0.100");
    let after = first(&file()).next(written(&moved), Capacity::ANY).expect("room");
    let presence: Vec<_> = after.registry.vips.iter().map(|vip| vip.presence).collect();
    assert_eq!(presence, [Presence::Gone, Presence::Configured]);
    assert_eq!(after.registry.wanted().held.len(), 1);
    let leaving = file().replace("10.0.0.100", "10.0.0.200");
    let after = first(&file()).next(written(&leaving), Capacity::ANY).expect("room");
    assert!(after.registry.vips[0].is_leaving());
    assert_eq!(after.registry.wanted().held.len(), 2);
}

#[test]
fn there_is_an_end_to_numbers() {
    let other = written(&file().replace("\"pxe\"", "\"boot\""));
    let refused =
        |capacity| first(&file()).next(other.clone(), capacity).expect_err("full").to_string();
    let said = refused(Capacity { services: 2, backends: 3 });
    assert!(said.starts_with("4 backends since the start, and there is room for 3"), "{said}");
    let said = refused(Capacity { services: 1, backends: 4 });
    assert!(said.starts_with("2 services since the start, and there is room for 1"), "{said}");
    let same = first(&file()).next(written(&file()), Capacity { services: 1, backends: 2 });
    assert!(same.is_ok(), "the same needs nothing");

    let mut pool = String::new();
    for n in 0..=MOST_SNAT {
        write!(pool, "\"10.0.{}.{}\",", 4 + n / 128, n % 128 + 1).expect("a string takes it");
    }
    let halves = pool.split_at(pool.len() / 2);
    let cut = halves.0.len() + halves.1.find(',').expect("a list") + 1;
    let with = |pool: &str| written(&file().replace("vip =", &format!("snat = [{pool}]\nvip =")));
    let one = first(&file()).next(with(&pool[..cut]), Capacity::ANY).expect("room");
    let said = one.next(with(&pool[cut..]), Capacity::ANY).expect_err("too many").to_string();
    assert!(said.starts_with("1025 SNAT addresses since the start"), "{said}");
}

/// Saved state of an earlier version does not say it: all were ours.
#[test]
fn who_adds_an_address_outlives_its_service() {
    let snat = file().replace("vip =", "snat = [\"10.0.0.101\"]\nvip =");
    let elsewhere = snat.replace("vip =", "addresses = \"elsewhere\"\nvip =");
    let held = |active: &ActiveConfig| active.wanted().held.len();
    let served = |active: &ActiveConfig| active.wanted().served.len();
    let then = |active: &ActiveConfig, text: &str| {
        active.next(written(text), Capacity::ANY).expect("room")
    };
    let (ours, theirs) = (first(&snat), first(&elsewhere));
    assert_eq!((held(&ours), held(&theirs)), (2, 0));
    assert_eq!((served(&ours), served(&theirs)), (2, 2));
    assert_eq!((held(&then(&ours, &elsewhere)), held(&then(&theirs, &snat))), (0, 2));
    let other = file().replace("10.0.0.100", "10.0.0.200");
    assert_eq!((held(&then(&ours, &other)), held(&then(&theirs, &other))), (3, 1));
    let mut json = serde_json::to_value(&theirs.registry).expect("JSON");
    let saved: Registry = serde_json::from_value(json.clone()).expect("a registry");
    assert_eq!(saved, theirs.registry);
    json.as_object_mut().expect("an object").remove("elsewhere");
    let old: Registry = serde_json::from_value(json).expect("a registry");
    assert_eq!(old.wanted().held.len(), 2);
}
