//! A byte of what a process has written down of its numbers is another one, and its digest fits: either that is noticed,
//! or what is built from it serves.

use crate::configurations::{backend, first, held, service, written};
use crate::{sunny_view, tables};
use control::config::{Mode, Service};
use control::in_force::InForce;
use control::registry::{Registry, Room};
use kit::gate::Gate;
use kit::remains::Remains;
use kit::story::rrq;
use std::net::SocketAddr;

const FLOWS: u32 = 16;

/// A service in each mode, one with ports of its own for data; the first one was removed.
fn farm() -> (InForce, Vec<Service>) {
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
    let in_force = first(services.clone());
    let fewer = services[1..].to_vec();
    (in_force.next(written(fewer.clone()), Room::ANY).expect("room"), fewer)
}

fn ask(gate: &mut Gate, vip: usize, client: u8) {
    let client = SocketAddr::from(([10, 9, 0, client], 2070));
    let _ = gate.take(rrq(client, SocketAddr::new(held(vip).address, 69), "boot.img"));
}

#[test]
fn numbers_of_nothing_are_noticed() {
    let (in_force, services) = farm();
    let mut gate = Gate::with(tables(&in_force, &sunny_view()), FLOWS);
    (0..12).for_each(|n| ask(&mut gate, n % 3, n as u8));
    let remains = Remains::of(gate, FLOWS);
    let text = serde_json::to_string(&in_force.registry).expect("plain data");
    let (mut noticed, mut served) = (0, 0);
    for at in 0..text.len() {
        for other in [text.as_bytes()[at].wrapping_add(1), text.as_bytes()[at] ^ 1, b'9'] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = other;
            let read = serde_json::from_slice::<Registry>(&bytes);
            let sound = read.ok().filter(|registry| registry.is_sound(1));
            let next = sound.map(|registry| InForce::first(written(services.clone()), &registry));
            let Some(Ok(next)) = next else {
                noticed += 1;
                continue;
            };
            served += 1;
            let mut gate = remains.inherited(tables(&next, &sunny_view()));
            (0..12).for_each(|n| ask(&mut gate, n % 3, 100 + n as u8));
            let _ = (gate.transfers(), next.wanted(), next.backends().count());
            gate.wait(1);
        }
    }
    assert!(noticed > 1000 && served > 100, "{noticed} noticed, {served} served");
}
