//! Selection of the backend for a transfer.

use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::persistence::Persistence;
use engine::snapshot::BackendState;
use engine::snapshot::rule::Rule;
use engine::snapshot::service::BackendGroups;
use engine::types::drop_reason::DropReason;
use engine::types::id::GroupId;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packets::{data, rrq};
use kit::topology::{FLOWS, Via, groups, hop, mac, owner};
use kit::transfer::{ask, client, run};
use std::net::{IpAddr, SocketAddr};

fn server_of(gate: &mut EngineHarness, via: Via, client: SocketAddr) -> IpAddr {
    ask(gate, via, &rrq(client, via.vip(), "boot.img")).server.ip()
}

#[test]
fn backends_take_turns() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let servers: Vec<_> = (0..6).map(|n| server_of(&mut gate, via, client(via, n))).collect();
        assert_eq!(servers, [0, 1, 0, 1, 0, 1].map(|n| via.server(n)));
    }
}

#[test]
fn weights_count() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        gate.change(|snapshot| snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [3, 1]));
        let servers = (0..40).map(|n| server_of(&mut gate, via, client(via, n)));
        assert_eq!(servers.filter(|&server| server == via.server(0)).count(), 30);
    }
}

#[test]
fn a_backend_that_is_not_resolved_gets_nothing() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let [first, second] = [0, 1].map(|n| usize::from(via.backend(n)));
        gate.change(|snapshot| snapshot.backends[first].hop = None);
        for n in 0..3 {
            assert_eq!(server_of(&mut gate, via, client(via, n)), via.server(1));
        }
        gate.change(|snapshot| snapshot.backends[second].hop = None);
        gate.moves();
        gate.take(rrq(client(via, 9), via.vip(), "boot.img")).dropped(DropReason::NoBackend);
        gate.moved(&[("received", 1), ("no-backend", 1)]);
        gate.change(|snapshot| snapshot.backends[first].hop = Some(hop(via.server(0))));
        assert_eq!(server_of(&mut gate, via, client(via, 9)), via.server(0));
    }
}

#[test]
fn a_draining_backend_keeps_what_it_has_and_one_that_is_down_does_not() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let first = via.backend(0);
        let request = rrq(client(via, 0), via.vip(), "boot.img");
        let transfer = run(&mut gate, via, client(via, 1));
        assert_eq!(ask(&mut gate, via, &request).server.ip(), via.server(1));
        let waiting = rrq(client(via, 2), via.vip(), "boot.img");
        assert_eq!(ask(&mut gate, via, &waiting).server.ip(), via.server(0));
        gate.change(|snapshot| snapshot[first].state = BackendState::Draining);
        assert_eq!(ask(&mut gate, via, &waiting).server.ip(), via.server(0));
        let _ = gate.take(transfer.ack(1)).sent();
        for n in 3..6 {
            assert_eq!(server_of(&mut gate, via, client(via, n)), via.server(1));
        }
        gate.change(|snapshot| snapshot[first].state = BackendState::Down);
        assert_eq!(ask(&mut gate, via, &waiting).server.ip(), via.server(1));
        for n in 3..6 {
            assert_eq!(server_of(&mut gate, via, client(via, n)), via.server(1));
        }
        gate.change(|snapshot| snapshot[first].state = BackendState::Suspect);
        let servers: Vec<_> = (6..8).map(|n| server_of(&mut gate, via, client(via, n))).collect();
        assert!(servers.contains(&via.server(0)), "{servers:?}");
    }
}

#[test]
fn a_service_without_backends_in_its_group_serves_nobody() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        gate.change(|snapshot| snapshot[via.group()] = BackendGroups::default());
        gate.take(rrq(via.client(), via.vip(), "boot.img")).dropped(DropReason::NoBackend);
    }
}

#[test]
fn a_transfer_whose_backend_went_away_waits_and_its_request_goes_elsewhere() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let request = rrq(client(via, 1), via.vip(), "boot.img");
        let waiting = ask(&mut gate, via, &request);
        let gone = via.backend(0);
        gate.change(|snapshot| snapshot[gone].hop = None);
        gate.moves();
        gate.take(transfer.ack(2)).dropped(DropReason::BackendDown);
        assert_eq!(gate.moves().get("backend-down"), Some(&1));
        // This transfer was at the second backend, which is now idle.
        assert_eq!(ask(&mut gate, via, &request).server.ip(), waiting.server.ip());

        let second = via.backend(1);
        gate.change(|snapshot| {
            snapshot[gone].hop = Some(hop(via.server(0)));
            snapshot[second].hop = None;
        });
        assert_eq!(ask(&mut gate, via, &request).server.ip(), via.server(0));
        let _ = gate.take(transfer.ack(1)).sent();
    }
}

#[test]
fn a_packet_that_did_not_go_out_is_not_counted_as_gone() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, via, via.client());
    gate.change(|snapshot| snapshot[via.backend(0)].hop = None);
    gate.moves();
    gate.take(transfer.ack(2)).dropped(DropReason::BackendDown);
    gate.moved(&[("received", 1), ("backend-down", 1)]);
}

#[test]
fn a_client_stays_with_its_backend_as_long_as_it_is_told_to() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        gate.change(|snapshot| {
            snapshot[via.service()].persistence = Some(Persistence::of_clients(1000))
        });
        // Persistence memory is allocated at the start, if a service needs it.
        let snapshot = engine::snapshot::Snapshot::clone(&gate.engine.snapshot);
        let mut gate = EngineHarness::with(snapshot, 64);
        let at = |port| SocketAddr::new(via.client().ip(), port);
        for n in 0..5 {
            assert_eq!(server_of(&mut gate, via, at(2000 + n)), via.server(0));
            gate.wait(999);
        }
        assert_eq!(server_of(&mut gate, via, client(via, 1)), via.server(1), "another client");
        gate.wait(1);
        // The backend's next hop is gone: the client is better served by another backend.
        gate.change(|snapshot| snapshot[via.backend(0)].hop = None);
        assert_eq!(server_of(&mut gate, via, at(3000)), via.server(1));
        gate.change(|snapshot| {
            snapshot[via.backend(0)].hop = Some(hop(via.server(0)));
        });
        assert_eq!(server_of(&mut gate, via, at(3001)), via.server(1), "and stays there");
        // Removed from the backend group: as before.
        gate.change(|snapshot| snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [1, 0]));
        assert_eq!(server_of(&mut gate, via, at(3002)), via.server(0));
    }
}

/// Persistence is separate for each rule's backend group.
#[test]
fn a_client_stays_with_a_backend_of_each_rule() {
    let via = Via::Nat;
    let mut snapshot = kit::topology::snapshot();
    snapshot.groups.push(groups(via, Scheduler::RoundRobin, [0, 1]));
    let group = GroupId(snapshot.groups.len() as u16 - 1);
    let service = &mut snapshot[via.service()];
    service.persistence = Some(Persistence::of_clients(1000));
    let rule = Rule { files: vec!["*.efi".into()], ..Rule::default() };
    service.rules = vec![(rule, group)];
    let mut gate = EngineHarness::with(snapshot, 64);
    let mut server = |file| ask(&mut gate, via, &rrq(via.client(), via.vip(), file)).server.ip();
    for file in ["a.img", "a.efi", "b.img", "b.efi", "c.img"] {
        let n = usize::from(file.ends_with("efi"));
        assert_eq!(server(file), via.server(n), "{file}");
    }
}

#[test]
fn persistence_ends() {
    let via = Via::Nat;
    let mut snapshot = kit::topology::snapshot();
    snapshot[via.service()].persistence = Some(Persistence::of_clients(1000));
    let mut gate = EngineHarness::with(snapshot, 64);
    assert_eq!(server_of(&mut gate, via, via.client()), via.server(0));
    gate.wait(1000);
    assert_eq!(server_of(&mut gate, via, via.client()), via.server(1));
}

/// Clients of one network, on any worker, go to one backend; all networks together to both.
#[test]
fn a_network_stays_together_on_all_workers() {
    const WORKERS: u16 = 3;
    for via in Via::ALL {
        let mut snapshot = kit::topology::snapshot();
        // 192.168.x.y counts by x.
        snapshot[via.service()].persistence =
            Some(Persistence { ticks: 1000, prefixes: [24, 120] });
        snapshot[via.group()] = groups(via, Scheduler::SourceHash, [1, 1]);
        let mut gates: Vec<_> = (0..WORKERS)
            .map(|n| EngineHarness::one_of(n, WORKERS, snapshot.clone(), FLOWS))
            .collect();
        let mut of_network = |net: u16, gone: Option<usize>| {
            let servers = (1..=12).map(|n| {
                let asks = client(via, net << 8 | n);
                let gate = &mut gates[usize::from(owner(asks.ip(), WORKERS))];
                gate.change(|snapshot| {
                    for n in 0..2 {
                        let hop = (gone != Some(n)).then(|| hop(via.server(n)));
                        snapshot[via.backend(n)].hop = hop;
                    }
                });
                let at = SocketAddr::new(asks.ip(), 2000 + u16::from(gone.is_some()));
                server_of(gate, via, at)
            });
            let servers: std::collections::HashSet<_> = servers.collect();
            assert_eq!(servers.len(), 1, "{via:?}: network {net}");
            servers.into_iter().next()
        };
        let all: std::collections::HashSet<_> = (0..8).map(|net| of_network(net, None)).collect();
        assert_eq!(all.len(), 2, "{via:?}");
        // When the backend is gone, all of its clients move.
        for net in 0..8 {
            assert_eq!(of_network(net, Some(0)), Some(via.server(1)), "{via:?}");
        }
    }
}

/// When all machines boot at once, another backend is no faster.
#[test]
fn a_client_that_repeats_itself_is_served_by_slow_servers() {
    const MINUTE: u32 = 600;
    for via in [Via::Nat, Via::Snat, Via::Nat6, Via::Snat6, Via::Snat46, Via::Snat64] {
        for late in [15, 25, 100] {
            let mut gate = EngineHarness::new();
            let request = rrq(via.client(), via.vip(), "boot.img");
            // The tick of each answer, and the answer.
            let mut answers = vec![];
            let is_served = (0..MINUTE).any(|tick| {
                if tick.is_multiple_of(10) {
                    let sent = gate.take(&request).sent();
                    let mut servers = [0, 1].map(|n| via.server(n)).into_iter();
                    let server = servers.find(|&at| mac(at) == sent.to);
                    let tid = 40_000 + tick as u16;
                    let from = SocketAddr::new(server.expect("one of both"), tid);
                    answers.push((tick + late, data(from, sent.source, 1, 512)));
                }
                let due = answers.extract_if(.., |(due, _)| *due == tick).last();
                gate.wait(1);
                due.is_some_and(|(_, answer)| {
                    matches!(gate.take(&answer).verdict, Verdict::Transmit(_))
                })
            });
            assert!(is_served, "{via:?}, {late} tenths of a second late");
        }
    }
}
