//! Transfers in `dsr` whose beginning another gate has seen.

use engine::flow::state::{Operation, TransferState};
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::scheduler::persistence::Persistence;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::rule::Rule;
use engine::snapshot::{BackendState, Protocol, Snapshot};
use engine::state::restore::Adopted;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::fragments::{cut, joined};
use kit::packet::Packet;
use kit::packets::{ack, data, datagram, error, oack, rrq};
use kit::topology::{FLOWS, IDLE, OUTSIDE, Via, groups, mac, owner, snapshot};
use kit::transfer::{TID, Transfer, ask, client};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

const VIAS: [Via; 2] = [Via::Dsr, Via::Dsr6];

/// Ticks until a worker adopts.
const SETTLED: u32 = 10;

/// Ticks until a worker adopts although a backend's next hop is unresolved.
const RESOLVED: u32 = 50;

/// A worker's packets in a second and at once.
const RATE: usize = 10_000;

/// The topology with hashes of clients' addresses.
fn world() -> Snapshot {
    let mut world = snapshot();
    for via in Via::ALL {
        world[via.group()] = groups(via, Scheduler::SourceHash, [3, 2]);
    }
    world
}

/// The farm with its backends in another order: their numbers are others.
fn mirrored() -> Snapshot {
    let mut world = world();
    for via in VIAS {
        let (one, other) = (via.backend(0).index(), via.backend(1).index());
        world.backends.swap(one, other);
        let members = [(0, 2), (1, 3)].map(|(n, weight)| Member {
            id: via.backend(n),
            address: via.server(1 - n),
            weight,
        });
        world[via.group()][via.family()] =
            BackendGroup::new(Scheduler::SourceHash, members.into(), &mut Maglevs::default());
    }
    world
}

/// A gate that runs for long enough.
fn gate(world: Snapshot, flows: u32) -> EngineHarness {
    settled(EngineHarness::with(world, flows))
}

fn settled(mut gate: EngineHarness) -> EngineHarness {
    gate.wait(SETTLED);
    gate
}

/// The topology with so many transfers at each backend at the most.
fn world_with_limit(via: Via, most: u32) -> Snapshot {
    let mut world = world();
    for n in [0, 1] {
        world[via.backend(n)].cap = Some(TransferLimit::new(most, Places::default()));
    }
    world
}

/// Limits a running gate's transfers at each backend.
fn limit(gate: &mut EngineHarness, via: Via, most: u32) {
    let limits = world_with_limit(via, most);
    gate.change(|world| {
        for n in [0, 1] {
            world[via.backend(n)].cap.clone_from(&limits[via.backend(n)].cap);
        }
    });
}

/// The places in use at each backend.
fn taken(gate: &EngineHarness, via: Via) -> [u32; 2] {
    [0, 1]
        .map(|n| gate.engine.snapshot[via.backend(n)].cap.as_ref().map_or(0, TransferLimit::taken))
}

/// The TID's endpoint at the VIP.
fn vip_tid(via: Via) -> SocketAddr {
    SocketAddr::new(via.vip().ip(), TID)
}

/// The server that got the packet.
#[track_caller]
fn server(gate: &mut EngineHarness, via: Via, packet: &Packet) -> IpAddr {
    let sent = gate.take(packet).sent();
    assert_eq!((sent.destination, &sent.payload), (packet.destination, &packet.payload));
    let mut servers = [0, 1].into_iter().map(|n| via.server(n));
    servers.find(|&server| mac(server) == sent.to).expect("a server")
}

/// The server that a gate chooses for a request.
fn chosen(gate: &mut EngineHarness, via: Via, n: u16) -> Transfer {
    ask(gate, via, &rrq(client(via, n), via.vip(), "boot.img"))
}

#[test]
fn a_transfer_goes_on_at_the_server_that_another_gate_has_chosen() {
    for via in VIAS {
        let mut first = gate(world(), FLOWS);
        let mut second = settled(EngineHarness::of_another_gate(mirrored(), FLOWS));
        let mut seen = std::collections::HashSet::new();
        for n in 0..60 {
            let transfer = chosen(&mut first, via, n);
            let message = match n % 3 {
                0 => transfer.ack(1 + n),
                1 => transfer.ack(65_535),
                _ => data(transfer.client, transfer.vip_tid(), 40_000 + n, 512),
            };
            assert_eq!(server(&mut second, via, &message), transfer.server.ip(), "{via:?} {n}");
            seen.insert(transfer.server.ip());
        }
        assert_eq!((second.transfers().len(), seen.len()), (60, 2));
    }
}

#[test]
fn an_adopted_transfer_is_counted_apart_and_ends_like_any_other() {
    for via in VIAS {
        let mut gate = gate(world(), FLOWS);
        let from = client(via, 1);
        let at = server(&mut gate, via, &data(from, vip_tid(via), 40_000, 512));
        gate.moved(&[("received", 1), ("transmitted", 1), ("packets_in", 1), ("adopted", 1)]);
        let view = gate.transfer(from);
        assert_eq!((view.tid, view.state), (Some(TID), TransferState::Established));
        assert_eq!((view.operation, view.blocks, view.bytes), (Operation::Write, 40_000, 512));
        for block in [40_001, 40_002] {
            assert_eq!(server(&mut gate, via, &data(from, vip_tid(via), block, 512)), at);
        }
        assert_eq!(gate.transfer(from).blocks, 40_002);
        let other = SocketAddr::new(via.vip().ip(), TID + 1);
        gate.take(data(from, other, 40_003, 512)).dropped(DropReason::WrongTid);
        gate.moved(&[("received", 3), ("transmitted", 2), ("packets_in", 2), ("wrong-tid", 1)]);
        gate.wait(IDLE);
        assert!(gate.transfers().is_empty());
        gate.moved(&[("ended", 1), ("timed_out", 1)]);
    }
}

/// A client with a fixed port has begun its next file at another gate, or the row came of a forged ACK.
#[test]
fn a_row_of_another_tid_that_nothing_speaks_for_is_replaced() {
    let other = |via: Via| SocketAddr::new(via.vip().ip(), TID + 1);
    for (via, (acks, silence)) in
        VIAS.into_iter().flat_map(|via| [(1, 0), (2, 20)].map(|it| (via, it)))
    {
        let (mut first, mut second) = (gate(world(), FLOWS), gate(world(), FLOWS));
        let transfer = chosen(&mut first, via, 1);
        for block in 9..9 + acks {
            server(&mut second, via, &transfer.ack(block));
        }
        second.wait(silence);
        let _ = second.take(error(transfer.client, other(via), 0)).sent();
        assert_eq!(second.transfer(transfer.client).tid, Some(TID));
        second.moves();
        let next = ack(transfer.client, other(via), 1);
        assert_eq!(server(&mut second, via, &next), transfer.server.ip());
        let moves = second.moves();
        let [adopted, replaced] = ["adopted", "replaced"].map(|name| moves.get(name));
        assert_eq!([adopted, replaced], [Some(&1); 2], "{via:?} {acks}");
        let view = second.transfer(transfer.client);
        assert_eq!((view.tid, view.blocks, second.transfers().len()), (Some(TID + 1), 1, 1));
        // Nor is a damaged one believed.
        let mut damaged = ack(transfer.client, vip_tid(via), 1).bytes();
        *damaged.last_mut().unwrap() ^= 1;
        second.take(damaged).dropped(DropReason::BadUdp);
    }
}

#[test]
fn a_row_that_its_client_goes_on_with_is_not_replaced() {
    for via in VIAS {
        let mut gate = gate(world(), FLOWS);
        let other = SocketAddr::new(via.vip().ip(), TID + 1);
        for block in [9, 10] {
            server(&mut gate, via, &ack(client(via, 1), vip_tid(via), block));
        }
        gate.wait(19);
        gate.take(ack(client(via, 1), other, 1)).dropped(DropReason::WrongTid);
        // By the service's port some clients mean the same transfer.
        let mut unassured = self::gate(world(), FLOWS);
        server(&mut unassured, via, &ack(client(via, 1), vip_tid(via), 9));
        server(&mut unassured, via, &ack(client(via, 1), via.vip(), 10));
        assert_eq!(unassured.transfer(client(via, 1)).tid, Some(TID));
    }
}

#[test]
fn where_nothing_is_adopted_a_silent_row_keeps_its_tid() {
    for via in VIAS {
        let mut world = world();
        world[via.group()] = groups(via, Scheduler::RoundRobin, [1, 1]);
        let mut gate = gate(world, FLOWS);
        let transfer = chosen(&mut gate, via, 1);
        server(&mut gate, via, &transfer.ack(1));
        gate.wait(30);
        let other = SocketAddr::new(via.vip().ip(), TID + 1);
        gate.take(ack(transfer.client, other, 1)).dropped(DropReason::WrongTid);
    }
}

/// The next process, and its workers, know nothing of the hash: they go on with the rows alone.
#[test]
fn an_adopted_transfer_outlives_the_process_at_any_number_of_workers() {
    for via in VIAS {
        let mut first = gate(world(), FLOWS);
        let at = |n: u16, block| ack(client(via, n), vip_tid(via), block);
        let servers: Vec<_> = (0..20).map(|n| server(&mut first, via, &at(n, 9))).collect();
        let mut next = first.reborn(world());
        assert_eq!(next.adopted, Adopted { whole: 20, broken: 0 }, "{via:?}");
        for (n, &known) in (0..).zip(&servers) {
            assert_eq!(server(&mut next, via, &at(n, 10)), known);
        }
        let mut gates = EngineHarness::rehomed(vec![next], 3, &world());
        assert_eq!(gates.iter().map(|gate| gate.adopted.whole).sum::<usize>(), 20, "{via:?}");
        for (n, &known) in (0..).zip(&servers) {
            let gate = &mut gates[usize::from(owner(client(via, n).ip(), 3))];
            assert_eq!(server(gate, via, &at(n, 11)), known);
        }
    }
}

#[test]
fn the_log_says_that_a_transfer_was_adopted() {
    use engine::state::flow_log::FlowEvent;
    use engine::types::selection_reason::SelectionReason;
    let mut gate = gate(world(), FLOWS);
    let via = Via::Dsr;
    server(&mut gate, via, &ack(client(via, 1), vip_tid(via), 9));
    gate.wait(IDLE);
    let records = gate.records();
    let [record] = &records[..] else { panic!("{records:?}") };
    let FlowEvent::Transfer(end, about) = &record.event else { panic!("{record:?}") };
    assert_eq!(end.history.reason, SelectionReason::Adopted);
    assert_eq!((end.history.answer, end.server_port, about.request.file()), (None, TID, &b""[..]));
}

#[test]
fn a_server_that_answers_from_the_service_s_port_is_found_too() {
    for via in VIAS {
        let (mut first, mut second) = (gate(world(), FLOWS), gate(mirrored(), FLOWS));
        let transfer = chosen(&mut first, via, 5).with_tid(via.vip().port());
        assert_eq!(server(&mut second, via, &transfer.ack(7)), transfer.server.ip());
        assert_eq!(second.transfer(transfer.client).tid, Some(via.vip().port()));
    }
}

#[test]
fn a_block_in_fragments_is_adopted() {
    for via in VIAS {
        let (mut first, mut second) = (gate(world(), FLOWS), gate(mirrored(), FLOWS));
        let transfer = chosen(&mut first, via, 5);
        let block = data(transfer.client, transfer.vip_tid(), 9, 1000);
        second.moves();
        let got = joined(&mut second, cut(&block, 496));
        assert_eq!((got.to, got.payload), (mac(transfer.server.ip()), block.payload));
        assert_eq!(second.transfer(transfer.client).bytes, 1000);
        assert_eq!(second.moves().get("adopted"), Some(&1));
    }
}

/// The fragments behind the first name no ports.
#[test]
fn a_block_in_fragments_is_adopted_at_a_full_backend_and_not_without_a_row() {
    for via in VIAS {
        let mut full = gate(world_with_limit(via, 0), FLOWS);
        let block = data(client(via, 1), vip_tid(via), 9, 1000);
        assert_eq!(joined(&mut full, cut(&block, 496)).payload, block.payload);
        let mut no_row = gate(world(), 1);
        let _ = chosen(&mut no_row, via, 2);
        no_row.moves();
        let [first, ..] = &cut(&block, 496)[..] else { panic!("fragments") };
        no_row.take(first.clone()).dropped(DropReason::FlowTableFull);
        no_row.moved(&[("received", 1), ("flow-table-full", 1)]);
    }
}

#[test]
fn an_error_goes_on_and_leaves_nothing() {
    for via in VIAS {
        let (mut first, mut second) = (gate(world(), FLOWS), gate(mirrored(), FLOWS));
        for n in 0..20 {
            let transfer = chosen(&mut first, via, n);
            second.moves();
            assert_eq!(server(&mut second, via, &transfer.client_error(0)), transfer.server.ip());
            second.moved(&[("received", 1), ("transmitted", 1), ("packets_in", 1)]);
        }
        assert!(second.transfers().is_empty());
    }
}

#[test]
fn what_is_no_message_from_the_middle_of_a_transfer_goes_nowhere() {
    for via in VIAS {
        let mut gate = gate(world(), FLOWS);
        let (from, to) = (client(via, 1), vip_tid(via));
        gate.take(rrq(from, to, "boot.img")).dropped(DropReason::NoService);
        gate.take(oack(from, to, &[("blksize", 1428)])).dropped(DropReason::NoTransfer);
        gate.take(datagram(from, to, b"\0\x09??")).dropped(DropReason::BadTftp);
        let mut damaged = ack(from, to, 1).bytes();
        *damaged.last_mut().unwrap() ^= 1;
        gate.take(damaged).dropped(DropReason::BadUdp);
        assert!(gate.transfers().is_empty());
    }
}

/// A DNS query with the number 3 looks like DATA.
#[test]
fn ports_that_no_server_answers_from_stay_closed() {
    for via in VIAS {
        let mut gate = gate(world(), FLOWS);
        let at = |port| SocketAddr::new(via.vip().ip(), port);
        let query = b"\0\x03\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\xff\0\x01";
        gate.take(datagram(client(via, 1), at(53), query)).dropped(DropReason::NoService);
        gate.take(ack(client(via, 1), at(1023), 9)).dropped(DropReason::NoService);
        server(&mut gate, via, &ack(client(via, 1), at(1024), 9));
        // Nor does a request open them.
        let from = chosen(&mut gate, via, 2).client;
        gate.take(datagram(from, at(53), query)).dropped(DropReason::WrongTid);
        gate.take(error(from, at(53), 0)).dropped(DropReason::WrongTid);
        server(&mut gate, via, &ack(from, at(1024), 1));
        gate.take(error(from, at(53), 0)).dropped(DropReason::WrongTid);
    }
}

#[test]
fn only_a_hash_of_the_client_s_address_in_dsr_adopts() {
    for via in Via::ALL {
        for scheduler in [
            Scheduler::RoundRobin,
            Scheduler::LeastTransfers,
            Scheduler::FileHash,
            Scheduler::SourceHash,
        ] {
            if via.is_dsr() && scheduler == Scheduler::SourceHash {
                continue;
            }
            let mut world = world();
            world[via.group()] = groups(via, scheduler, [1, 1]);
            let mut gate = gate(world, FLOWS);
            let from = client(via, 1);
            gate.take(ack(from, vip_tid(via), 1)).dropped(DropReason::NoService);
            gate.take(ack(from, via.vip(), 1)).dropped(DropReason::NoTransfer);
            gate.take(error(from, vip_tid(via), 0)).dropped(DropReason::NoService);
        }
    }
}

#[test]
fn nobody_is_adopted_whom_the_service_would_refuse_or_place_by_the_file() {
    type Change = fn(&mut Snapshot, Via);
    let changes: [Change; 2] = [
        |world, via| world[via.service()].rules = vec![(Rule::default(), via.group())],
        |world, via| {
            world[via.service()].access.allow_clients = vec!["172.16.0.0/12".parse().unwrap()];
        },
    ];
    for (via, change) in VIAS.into_iter().flat_map(|via| changes.map(|change| (via, change))) {
        let mut world = world();
        change(&mut world, via);
        let mut gate = gate(world, FLOWS);
        gate.take(ack(client(via, 1), vip_tid(via), 1)).dropped(DropReason::NoService);
        gate.take(ack(client(via, 1), via.vip(), 1)).dropped(DropReason::NoTransfer);
    }
}

/// Nothing tells which one a TID is of.
#[test]
fn of_several_services_each_adopts_at_its_own_port_only() {
    for via in VIAS {
        let mut world = world();
        kit::connections::add(&mut world, Protocol::Tftp, 70, [1, 1]);
        let group = world[kit::connections::service(via)].group;
        world[group] = groups(via, Scheduler::SourceHash, [3, 2]);
        let mut gate = gate(world, FLOWS);
        let from = client(via, 1);
        gate.take(ack(from, vip_tid(via), 9)).dropped(DropReason::NoService);
        let at = server(&mut gate, via, &ack(from, via.vip(), 9));
        let other = SocketAddr::new(via.vip().ip(), 70);
        assert_eq!(server(&mut gate, via, &ack(client(via, 1), other, 9)), at);
    }
}

#[test]
fn a_read_only_service_adopts_no_upload() {
    for via in VIAS {
        let mut world = world();
        world[via.service()].access.read_only = true;
        let mut gate = gate(world, FLOWS);
        gate.take(data(client(via, 1), vip_tid(via), 9, 512)).dropped(DropReason::NoTransfer);
        server(&mut gate, via, &ack(client(via, 1), vip_tid(via), 9));
    }
}

#[test]
fn a_remembered_client_goes_where_it_went() {
    for via in VIAS {
        let mut world = world();
        world[via.service()].persistence = Some(Persistence::of_clients(IDLE));
        let mut gate = gate(world, FLOWS);
        // Its own backend is away when it asks.
        let usual = chosen(&mut gate, via, 7).server.ip();
        let n = (0..2).find(|&n| via.server(n) == usual).expect("a server");
        gate.wait(IDLE);
        gate.change(|world| world[via.backend(n)].state = BackendState::Down);
        let asked = chosen(&mut gate, via, 7);
        assert_ne!(asked.server.ip(), usual);
        gate.change(|world| world[via.backend(n)].state = BackendState::Active);
        let port = SocketAddr::new(asked.client.ip(), 4000);
        assert_eq!(server(&mut gate, via, &ack(port, vip_tid(via), 9)), asked.server.ip());
    }
}

#[test]
fn a_backend_that_takes_no_requests_gets_nothing_that_is_adopted() {
    for via in VIAS {
        for state in [BackendState::Down, BackendState::Draining, BackendState::Ejected] {
            let (mut first, mut second) = (gate(world(), FLOWS), gate(mirrored(), FLOWS));
            first.change(|world| world[via.backend(0)].state = state);
            second.change(|world| world[via.backend(1)].state = state);
            for n in 0..20 {
                let transfer = chosen(&mut first, via, n);
                assert_eq!(server(&mut second, via, &transfer.ack(9)), transfer.server.ip());
            }
        }
        let mut none = gate(world(), FLOWS);
        none.change(|world| [0, 1].map(|n| world[via.backend(n)].hop = None).into_iter().collect());
        none.wait(RESOLVED);
        none.take(ack(client(via, 1), vip_tid(via), 9)).dropped(DropReason::NoBackend);
    }
}

/// Until then the hash names another one, which would end the transfer.
#[test]
fn a_backend_that_is_not_yet_resolved_is_waited_for_and_not_for_ever() {
    for via in VIAS {
        let mut first = gate(world(), FLOWS);
        let transfer = chosen(&mut first, via, 1);
        let n = (0..2).find(|&n| via.server(n) == transfer.server.ip()).expect("a server");
        let unresolved = || {
            let mut world = world();
            world[via.backend(n)].hop = None;
            gate(world, FLOWS)
        };
        let mut second = unresolved();
        second.take(transfer.ack(9)).dropped(DropReason::AdoptionRate);
        second.change(|snapshot| snapshot[via.backend(n)].hop = world()[via.backend(n)].hop);
        assert_eq!(server(&mut second, via, &transfer.ack(9)), transfer.server.ip());
        let mut third = unresolved();
        third.wait(RESOLVED - SETTLED - 1);
        third.take(transfer.ack(9)).dropped(DropReason::AdoptionRate);
        third.wait(1);
        assert_eq!(server(&mut third, via, &transfer.ack(9)), via.server(1 - n));
        // One that is known to be dead is none that the others have chosen.
        let mut fourth = unresolved();
        fourth.change(|snapshot| snapshot[via.backend(n)].state = BackendState::Down);
        assert_eq!(server(&mut fourth, via, &transfer.ack(9)), via.server(1 - n));
    }
}

#[test]
fn a_full_backend_s_transfers_go_on_and_count_in_no_limit() {
    for via in VIAS {
        let (mut first, mut second) = (gate(world(), FLOWS), gate(world(), FLOWS));
        limit(&mut second, via, 2);
        for n in 0..30 {
            let transfer = chosen(&mut first, via, n);
            assert_eq!(server(&mut second, via, &transfer.ack(9)), transfer.server.ip());
            assert_eq!(server(&mut second, via, &transfer.ack(10)), transfer.server.ip());
        }
        assert_eq!((second.transfers().len(), taken(&second, via)), (30, [2, 2]));
        assert_eq!(second.moves().get("evicted"), None);
        // By another count.
        limit(&mut second, via, 5);
        assert_eq!(taken(&second, via), [2, 2]);
        second.wait(IDLE);
        assert_eq!((second.transfers().len(), taken(&second, via)), (0, [0, 0]));
    }
}

/// Anybody can send ACKs in others' names.
#[test]
fn what_is_adopted_beyond_a_limit_is_no_place_for_a_request() {
    for via in VIAS {
        let mut gate = gate(world_with_limit(via, 2), FLOWS);
        for n in 0..30 {
            server(&mut gate, via, &ack(client(via, n), vip_tid(via), 9));
        }
        gate.wait(3);
        for n in 100..120 {
            let _ = gate.take(rrq(client(via, n), via.vip(), "boot.img"));
            assert!(taken(&gate, via).iter().all(|&taken| taken <= 2));
        }
        let requested = gate.transfers();
        let requested = requested.iter().filter(|view| view.state == TransferState::Requested);
        assert_eq!((requested.count(), taken(&gate, via)), (4, [2, 2]));
    }
}

/// A lock-step download has a thousand ACKs a second.
#[test]
fn a_full_backend_s_transfers_are_adopted_once() {
    for via in VIAS {
        let mut gate = gate(world_with_limit(via, 2), FLOWS);
        for n in 0..2 * RATE {
            let acked = ack(client(via, n as u16 % 20), vip_tid(via), n as u16 / 20);
            let verdict = gate.take_burst(OUTSIDE, [acked.bytes()])[0];
            assert!(matches!(verdict, Verdict::Transmit(_)), "{via:?} {n}");
        }
    }
}

/// ERRORs, like all that a full table leaves without a row, use up no others' tokens.
#[test]
fn packets_without_a_row_have_a_rate_of_their_own() {
    for via in VIAS {
        let mut gate = gate(world(), FLOWS);
        for _ in 0..RATE {
            gate.take_burst(OUTSIDE, [error(client(via, 1), vip_tid(via), 0).bytes()]);
        }
        gate.take(error(client(via, 1), vip_tid(via), 0)).dropped(DropReason::AdoptionRate);
        server(&mut gate, via, &ack(client(via, 2), vip_tid(via), 9));
    }
}

/// A request may end what was adopted by one packet, which anybody can send; and nothing that was adopted by two.
#[test]
fn nothing_makes_room_for_what_is_adopted_which_makes_room_itself() {
    for via in VIAS {
        for packets in [1, 2] {
            let mut gate = gate(world(), 1);
            let asked = chosen(&mut gate, via, 1);
            gate.moves();
            server(&mut gate, via, &ack(client(via, 2), vip_tid(via), 9));
            gate.moved(&[("received", 1), ("transmitted", 1), ("packets_in", 1)]);
            assert_eq!(gate.transfer(asked.client).state, TransferState::Requested);
            gate.wait(IDLE);
            for block in 9..9 + packets {
                server(&mut gate, via, &ack(client(via, 2), vip_tid(via), block));
            }
            let outcome = gate.take(rrq(client(via, 3), via.vip(), "boot.img"));
            if packets == 1 {
                let _ = outcome.sent();
                assert_eq!(gate.moves().get("evicted"), Some(&1));
            } else {
                outcome.dropped(DropReason::FlowTableFull);
            }
        }
    }
}

#[test]
fn a_request_of_the_same_endpoint_begins_a_transfer_of_its_own() {
    for via in VIAS {
        let mut gate = gate(world(), FLOWS);
        let from = client(via, 1);
        server(&mut gate, via, &ack(from, vip_tid(via), 9));
        gate.wait(20);
        let transfer = ask(&mut gate, via, &rrq(from, via.vip(), "boot.img")).with_tid(TID + 1);
        let _ = gate.take(transfer.ack(1)).sent();
        assert_eq!(gate.transfer(from).tid, Some(TID + 1));
    }
}

#[test]
fn a_worker_adopts_so_many_a_second_and_none_at_first() {
    for via in VIAS {
        let mut gate = EngineHarness::with(world(), 16);
        let stray = |n: usize| ack(client(via, (n % 60_000) as u16), vip_tid(via), 9).bytes();
        gate.take(stray(0)).dropped(DropReason::AdoptionRate);
        gate.wait(SETTLED - 1);
        gate.take(stray(0)).dropped(DropReason::AdoptionRate);
        gate.wait(1);
        let count = |gate: &mut EngineHarness, strays: Range<usize>| -> usize {
            let verdicts = strays.map(|n| gate.take_burst(OUTSIDE, [stray(n)])[0]);
            verdicts.filter(|verdict| matches!(verdict, Verdict::Transmit(_))).count()
        };
        // As many again go on without an entry.
        assert_eq!(count(&mut gate, 0..2 * RATE), 16 + RATE);
        assert_eq!(gate.transfers().len(), 16);
        gate.wait(1);
        assert_eq!(count(&mut gate, 16..RATE), RATE / 10);
        // A request is not held up.
        let _ = chosen(&mut gate, via, 60_001);
    }
}
