//! The schedulers on the same backends.

use engine::scheduler::backend_group::Scheduler;
use kit::engine_harness::EngineHarness;
use kit::packets::{rrq, wrq};
use kit::topology::{FLOWS, Via, groups, hop, owner, snapshot};
use kit::transfer::{Transfer, ask, client};
use std::net::{IpAddr, SocketAddr};

fn gate(via: Via, scheduler: Scheduler, weights: [u16; 2]) -> EngineHarness {
    one_of(0, 1, via, scheduler, weights)
}

fn one_of(
    worker: u16,
    workers: u16,
    via: Via,
    scheduler: Scheduler,
    weights: [u16; 2],
) -> EngineHarness {
    let mut snapshot = snapshot();
    snapshot[via.group()] = groups(via, scheduler, weights);
    EngineHarness::one_of(worker, workers, snapshot, FLOWS)
}

fn get(gate: &mut EngineHarness, via: Via, client: SocketAddr, file: &str) -> Transfer {
    ask(gate, via, &rrq(client, via.vip(), file))
}

/// The server answers, and the client ends the transfer.
fn stop(gate: &mut EngineHarness, transfer: Transfer) {
    if !transfer.via.is_dsr() {
        let _ = gate.take(transfer.data(1, 512)).sent();
    }
    let _ = gate.take(transfer.client_error(0)).sent();
}

/// The server that each of these clients gets.
fn servers(gate: &mut EngineHarness, via: Via, clients: impl Iterator<Item = u16>) -> Vec<IpAddr> {
    clients.map(|n| get(gate, via, client(via, n), "boot.img").server.ip()).collect()
}

fn resolve(gate: &mut EngineHarness, via: Via, n: usize, resolved: bool) {
    gate.change(|snapshot| {
        let backend = &mut snapshot[via.backend(n)];
        backend.hop = resolved.then(|| hop(via.server(n)));
    });
}

#[test]
fn the_fewest_transfers_for_the_weight() {
    for via in Via::ALL {
        let mut gate = gate(via, Scheduler::LeastTransfers, [3, 1]);
        let talks: Vec<_> =
            (0..8).map(|n| get(&mut gate, via, client(via, n), "boot.img")).collect();
        let at_second = |transfer: &&Transfer| transfer.server.ip() == via.server(1);
        assert_eq!(talks.iter().filter(at_second).count(), 2, "{via:?}");
        for &transfer in talks.iter().filter(at_second) {
            stop(&mut gate, transfer);
        }
        // One server has no transfer left, the other six.
        assert_eq!(servers(&mut gate, via, 10..12), [via.server(1); 2], "{via:?}");
    }
}

#[test]
fn of_those_with_equally_few_transfers_each_in_turn() {
    for via in Via::ALL {
        let mut gate = gate(via, Scheduler::LeastTransfers, [1, 1]);
        for n in 0..6 {
            let transfer = get(&mut gate, via, client(via, n), "boot.img");
            assert_eq!(transfer.server.ip(), via.server(usize::from(n % 2)), "{via:?}");
            stop(&mut gate, transfer);
        }
    }
}

#[test]
fn a_server_that_is_skipped_catches_up() {
    for via in Via::ALL {
        let mut gate = gate(via, Scheduler::LeastTransfers, [1, 1]);
        resolve(&mut gate, via, 0, false);
        assert_eq!(servers(&mut gate, via, 0..3), [via.server(1); 3]);
        resolve(&mut gate, via, 0, true);
        assert_eq!(servers(&mut gate, via, 3..6), [via.server(0); 3]);
    }
}

#[test]
fn weight_zero_gets_nothing_by_any_scheduler() {
    let all = [Scheduler::RoundRobin, Scheduler::LeastTransfers];
    let hashes = [Scheduler::SourceHash, Scheduler::FileHash];
    for (via, scheduler) in
        Via::ALL.into_iter().flat_map(|via| all.into_iter().chain(hashes).map(move |s| (via, s)))
    {
        let mut gate = gate(via, scheduler, [0, 1]);
        assert_eq!(servers(&mut gate, via, 0..8), [via.server(1); 8], "{via:?} {scheduler:?}");
    }
}

#[test]
fn a_client_has_its_server() {
    for via in Via::ALL {
        let mut gate = gate(via, Scheduler::SourceHash, [1, 1]);
        let first = servers(&mut gate, via, 0..40);
        assert!((10..=30).contains(&first.iter().filter(|&&s| s == via.server(0)).count()));
        for (n, &server) in (0..40).zip(&first) {
            let at = SocketAddr::new(client(via, n).ip(), 3000 + n);
            assert_eq!(get(&mut gate, via, at, "other").server.ip(), server, "{via:?}");
        }
        // Another gate, where another worker owns the client.
        for (n, &server) in (0..40).zip(&first) {
            let owner = owner(client(via, n).ip(), 3);
            let mut other = one_of(owner, 3, via, Scheduler::SourceHash, [1, 1]);
            assert_eq!(servers(&mut other, via, n..n + 1), [server], "{via:?}");
        }
    }
}

#[test]
fn only_the_clients_of_a_server_that_is_gone_move_and_they_come_back() {
    for via in Via::ALL {
        let mut gate = gate(via, Scheduler::SourceHash, [1, 1]);
        let before = servers(&mut gate, via, 0..20);
        gate.wait(kit::topology::IDLE);
        resolve(&mut gate, via, 0, false);
        assert_eq!(servers(&mut gate, via, 0..20), [via.server(1); 20]);
        gate.wait(kit::topology::IDLE);
        resolve(&mut gate, via, 0, true);
        assert_eq!(servers(&mut gate, via, 0..20), before);
    }
}

#[test]
fn a_file_has_its_server() {
    for via in Via::ALL {
        let mut gate = gate(via, Scheduler::FileHash, [1, 1]);
        let mut seen = std::collections::HashSet::new();
        for n in 0..8 {
            let (one, other) = (client(via, 2 * n), client(via, 2 * n + 1));
            let server = get(&mut gate, via, one, &format!("images/{n}.img")).server.ip();
            let spelled = format!("/images\\.\\{n}.img");
            assert_eq!(get(&mut gate, via, other, &spelled).server.ip(), server, "{via:?}");
            let at = SocketAddr::new(one.ip(), 4000);
            let upload = wrq(at, via.vip(), &format!("images/{n}.img"));
            assert_eq!(ask(&mut gate, via, &upload).server.ip(), server, "{via:?}");
            seen.insert(server);
        }
        assert_eq!(seen.len(), 2, "{via:?}");
    }
}

#[test]
fn hashes_follow_the_weights() {
    for scheduler in [Scheduler::SourceHash, Scheduler::FileHash] {
        for via in Via::ALL {
            let mut gate = gate(via, scheduler, [3, 1]);
            let all = (0..400).map(|n| {
                let transfer = get(&mut gate, via, client(via, n), &format!("{n}.img"));
                stop(&mut gate, transfer);
                transfer.server.ip()
            });
            let heavy = all.filter(|&server| server == via.server(0)).count();
            assert!((260..=340).contains(&heavy), "{via:?} {scheduler:?}: {heavy} of 400");
        }
    }
}
