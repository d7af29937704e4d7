//! Damage of a saved registry whose digest fits: either it is noticed, or the snapshot that is built from it works.

use crate::configurations::{backend, first, held, service, written};
use crate::{snapshot, sunny_view};
use control::active_config::ActiveConfig;
use control::config::{Mode, Service};
use control::registry::{Capacity, Registry};
use kit::engine_harness::EngineHarness;
use kit::packets::rrq;
use kit::remains::Remains;
use std::net::SocketAddr;

const FLOWS: u32 = 16;

/// A service in each mode, one with ports of its own for data; the first one was removed.
fn farm() -> (ActiveConfig, Vec<Service>) {
    let with = |name, vip, mode, servers: [usize; 2]| {
        let mut service = service(name, 69, &[vip], mode);
        service.backends = servers.iter().map(|&n| backend(n, vec![], 1)).collect();
        service
    };
    let mut passive = with("b", 1, Mode::Nat, [6, 7]);
    passive.backends[0].passive_ports = Some(50_000..=50_009);
    let services = vec![
        with("a", 0, Mode::Nat, [4, 5]),
        passive,
        with("c", 2, Mode::Snat(vec![held(3)]), [8, 9]),
        with("d", 11, Mode::Dsr, [8, 9]),
    ];
    let active = first(services.clone());
    let fewer = services[1..].to_vec();
    (active.next(written(fewer.clone()), Capacity::ANY).expect("room"), fewer)
}

fn ask(gate: &mut EngineHarness, vip: usize, client: u8) {
    let client = SocketAddr::from(([10, 9, 0, client], 2070));
    let _ = gate.take(rrq(client, SocketAddr::new(held(vip).address, 69), "boot.img"));
}

#[test]
fn numbers_of_nothing_are_noticed() {
    let (active, services) = farm();
    let mut gate = EngineHarness::with(snapshot(&active, &sunny_view()), FLOWS);
    (0..12).for_each(|n| ask(&mut gate, n % 3, n as u8));
    let remains = Remains::of(gate, FLOWS);
    let text = serde_json::to_string(&active.registry).expect("plain data");
    let (mut noticed, mut served) = (0, 0);
    for at in 0..text.len() {
        for other in [text.as_bytes()[at].wrapping_add(1), text.as_bytes()[at] ^ 1, b'9'] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = other;
            let read = serde_json::from_slice::<Registry>(&bytes);
            let sound = read.ok().filter(|registry| registry.is_sound(1));
            let next =
                sound.map(|registry| ActiveConfig::first(written(services.clone()), &registry));
            let Some(Ok(next)) = next else {
                noticed += 1;
                continue;
            };
            served += 1;
            let mut gate = remains.inherited(snapshot(&next, &sunny_view()));
            (0..12).for_each(|n| ask(&mut gate, n % 3, 100 + n as u8));
            let _ = (gate.transfers(), next.wanted(), next.backends().count());
            gate.wait(1);
        }
    }
    assert!(noticed > 1000 && served > 100, "{noticed} noticed, {served} served");
}
