//! Flows of a gate that go on at the other gate of its pair.

use engine::flow::state::{ConnectionState, TransferState};
use engine::scheduler::persistence::Persistence;
use engine::scheduler::transfer_limit::TransferLimit;
use engine::snapshot::{BackendState, Ftp, Protocol, Snapshot};
use engine::state::sync::{REFRESH, ROUND};
use engine::types::drop_reason::DropReason;
use engine::types::id::BackendId;
use engine::types::verdict::Verdict;
use kit::connections::{self, Connection, TRANSITORY, add};
use kit::engine_harness::EngineHarness;
use kit::packets::{data, rrq, wrq};
use kit::pair::{MIN_AGE, Pair, hold};
use kit::topology::{IDLE, Via, first_port, snapshot};
use kit::transfer::{Transfer, ask, client, run};
use std::net::SocketAddr;

/// Nothing was refused.
const NONE: [u32; 6] = [0; 6];

const SSH: u16 = 22;

fn world() -> Snapshot {
    let mut world = snapshot();
    add(&mut world, Protocol::Tcp, SSH, [1, 1]);
    world
}

/// A pair, and transfers through its first gate that are old enough to be told.
fn with_transfers(via: Via, count: u16) -> (Pair, Vec<Transfer>) {
    let mut pair = Pair::new(snapshot);
    let talks = (0..count).map(|n| run(&mut pair.gates[0], via, client(via, n))).collect();
    pair.wait(MIN_AGE);
    (pair, talks)
}

/// One more block and its end.
#[track_caller]
fn ends_well(gate: &mut EngineHarness, transfer: Transfer) {
    let last = transfer.data(2, 7);
    if !transfer.via.is_dsr() {
        transfer.client_gets(gate.take(last.clone()), &last.payload);
    }
    let _ = gate.take(transfer.ack(2)).sent();
}

/// The places in use at a backend.
fn taken(gate: &EngineHarness, backend: BackendId) -> u32 {
    gate.engine.snapshot[backend].cap.as_ref().map_or(0, TransferLimit::taken)
}

#[test]
fn downloads_go_on_at_the_other_gate() {
    for via in Via::ALL {
        let (mut pair, talks) = with_transfers(via, 10);
        assert_eq!(pair.tell(0), (10, NONE), "{via:?}");
        pair.gates[1].moved(&[("synced", 10)]);
        let places: u32 = [0, 1].map(|n| taken(&pair.gates[1], via.backend(n))).iter().sum();
        assert_eq!(places, 10);
        pair.fail_over();
        for transfer in talks {
            ends_well(&mut pair.gates[1], transfer);
        }
        let moves = pair.gates[1].moves();
        if !via.is_dsr() {
            assert_eq!((moves.get("completed"), moves.get("ended")), (Some(&10), Some(&10)));
        }
        pair.wait(2 * IDLE);
        assert!(pair.gates.iter().all(|gate| gate.transfers().is_empty()), "they end in time");
        let moves = pair.gates[0].moves();
        assert_eq!((moves.get("elsewhere"), moves.get("timed_out")), (Some(&10), None));
    }
}

#[test]
fn uploads_go_on_at_the_other_gate() {
    for via in Via::ALL {
        let mut pair = Pair::new(snapshot);
        let first = &mut pair.gates[0];
        let transfer = ask(first, via, &wrq(via.client(), via.vip(), "report.log"));
        let block = |n, len| data(transfer.client, transfer.vip_tid(), n, len);
        if !via.is_dsr() {
            let _ = first.take(transfer.says(&[0, 4, 0, 0])).sent();
        }
        let _ = first.take(block(1, 512)).sent();
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (1, NONE));
        pair.fail_over();
        let _ = pair.gates[1].take(block(2, 9)).sent();
        if !via.is_dsr() {
            transfer.client_gets(pair.gates[1].take(transfer.says(&[0, 4, 0, 2])), &[0, 4, 0, 2]);
            assert_eq!(pair.gates[1].transfer(transfer.client).state, TransferState::Completed);
        }
    }
}

/// Anybody can ask in another's name, and a client that was not answered asks again.
#[test]
fn what_was_not_heard_is_not_told() {
    for via in Via::ALL {
        let mut pair = Pair::new(world);
        let _ = ask(&mut pair.gates[0], via, &rrq(via.client(), via.vip(), "boot.img"));
        let syn = Connection::new(via, client(via, 1), SSH).from_client("S", "");
        let _ = pair.gates[0].take(syn).sent_segment();
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0).0, 0, "{via:?}");
        pair.fail_over();
        let again = run(&mut pair.gates[1], via, via.client());
        ends_well(&mut pair.gates[1], again);
    }
}

/// TCP's numbers have moved on beyond what was told of them, and both ends of a connection are believed.
#[test]
fn connections_go_on_at_the_other_gate() {
    for via in Via::ALL {
        let mut pair = Pair::new(world);
        let open = |gate: &mut EngineHarness, n| Connection::open(gate, via, client(via, n), SSH);
        let mut lines: Vec<_> = (0..10).map(|n| open(&mut pair.gates[0], n)).collect();
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (10, NONE), "{via:?}");
        pair.fail_over();
        let gate = &mut pair.gates[1];
        for line in &mut lines {
            line.next = line.next.map(|next| next.wrapping_add(900_000_000));
            line.client_says(gate, "AP", "get image");
            if !via.is_dsr() {
                line.server_says(gate, "AP", "image");
                line.client_says(gate, "A", "");
                line.server_says(gate, "FA", "");
            }
            line.client_says(gate, "FA", "");
        }
        let expected =
            if via.is_dsr() { ConnectionState::Closing } else { ConnectionState::Closed };
        assert!(gate.connections().iter().all(|view| view.state == expected), "{via:?}");
        let moves = gate.moves();
        if !via.is_dsr() {
            assert_eq!((moves.get("synced"), moves.get("completed")), (Some(&10), Some(&10)));
        }
    }
}

/// Numbers that a connection may have come to while it was told.
fn further(line: &mut Connection) {
    line.next = line.next.map(|next| next.wrapping_add(900_000_000));
}

/// A connection that the other gate has told of, at the gate that has the addresses now. One that `is_calm` was silent for
/// some seconds; the other one has gone on.
fn told_line(via: Via, is_calm: bool) -> (Pair, Connection) {
    let mut pair = Pair::new(world);
    let mut line = Connection::open(&mut pair.gates[0], via, via.client(), SSH);
    pair.wait(if is_calm { 30 } else { MIN_AGE });
    assert_eq!(pair.tell(0), (1, NONE));
    pair.fail_over();
    if !is_calm {
        further(&mut line);
    }
    (pair, line)
}

fn state(pair: &Pair) -> ConnectionState {
    pair.gates[1].connections()[0].state
}

/// Each end's first word at the other gate is its last one.
#[test]
fn first_words_that_are_ends_are_believed() {
    for via in Via::SEEN {
        for is_calm in [true, false] {
            let (mut pair, mut line) = told_line(via, is_calm);
            line.client_says(&mut pair.gates[1], "FA", "");
            assert_eq!(state(&pair), ConnectionState::Closing, "{via:?} {is_calm}");
            line.server_says(&mut pair.gates[1], "FA", "");
            assert_eq!(state(&pair), ConnectionState::Closed, "{via:?} {is_calm}");

            let (mut pair, mut line) = told_line(via, is_calm);
            // The client has forgotten the connection meanwhile.
            line.server_says(&mut pair.gates[1], "AP", "image");
            let _ = pair.gates[1].take(line.from_client("R", "")).sent_segment();
            assert_eq!(state(&pair), ConnectionState::Closed, "{via:?} {is_calm}");
        }
    }
}

/// Numbers that are not known are no numbers that anybody may have.
#[test]
fn a_stranger_s_resets_are_not_believed() {
    for via in Via::SEEN {
        for is_calm in [true, false] {
            let (mut pair, line) = told_line(via, is_calm);
            for number in [0, 1, 77] {
                let stranger = Connection { next: [number; 2], ..line.clone() };
                pair.gates[1].take(stranger.from_client("R", "")).dropped(DropReason::BadReset);
                pair.gates[1].take(stranger.from_server("R", "")).dropped(DropReason::BadReset);
            }
            assert_eq!(state(&pair), ConnectionState::Open, "{via:?} {is_calm}");
        }
    }
}

/// A row that the peer has refused is there after all is told again.
#[test]
fn all_is_told_again_on_demand() {
    for via in Via::ALL {
        let (mut pair, _) = with_transfers(via, 3);
        hold(&mut pair.gates[1], true);
        assert_eq!(pair.tell(0), (3, [3, 0, 0, 0, 0, 0]));
        hold(&mut pair.gates[1], false);
        pair.wait(ROUND * (REFRESH + 4));
        assert_eq!(pair.quiet(0), 0, "{via:?}: the peer has heard of them");
        pair.forget(0);
        assert_eq!(pair.tell(0), (3, NONE), "{via:?}");
    }
}

#[test]
fn what_is_young_or_known_is_not_told() {
    for via in Via::ALL {
        let mut pair = Pair::new(world);
        let _ = run(&mut pair.gates[0], via, client(via, 1));
        let mut line = Connection::open(&mut pair.gates[0], via, client(via, 2), SSH);
        pair.wait(MIN_AGE - 1);
        assert_eq!(pair.tell(0).0, 0, "{via:?}: young");
        pair.wait(1);
        assert_eq!(pair.tell(0).0, 2, "{via:?}: old enough");
        pair.wait(ROUND * (REFRESH + 2));
        assert_eq!(pair.quiet(0), 0, "{via:?}: nothing has happened");
        line.client_says(&mut pair.gates[0], "AP", "get");
        let told: usize = (0..REFRESH).map(|_| pair.tell(0).0).sum();
        assert_eq!(told, 1, "{via:?}: its progress");
    }
}

#[test]
fn an_end_is_told_and_not_logged_twice() {
    for via in Via::SEEN {
        let (mut pair, talks) = with_transfers(via, 3);
        pair.tell(0);
        let _ = pair.gates[1].moves();
        for transfer in talks {
            ends_well(&mut pair.gates[0], transfer);
        }
        assert_eq!(pair.gates[0].records().len(), 3);
        assert_eq!(pair.tell(0), (3, NONE));
        pair.gates[1].moved(&[("ended", 3), ("elsewhere", 3)]);
        assert!(pair.gates[1].records().is_empty());
        assert!((0..2).all(|n| taken(&pair.gates[1], via.backend(n)) == 0));
        // For late packets, they stay as long as those of any gate.
        pair.fail_over();
        pair.wait(60);
        assert!(pair.gates[1].transfers().is_empty());
    }
}

/// A peer that falls silent: its rows fade as its clients' silence would have them.
#[test]
fn what_is_not_heard_of_again_fades_silently() {
    for via in Via::ALL {
        let (mut pair, _) = with_transfers(via, 3);
        pair.tell(0);
        pair.gates[1].wait(IDLE + 1);
        assert!(pair.gates[1].transfers().is_empty());
        pair.gates[1].moved(&[("synced", 3), ("ended", 3), ("elsewhere", 3)]);
        assert!(pair.gates[1].records().is_empty());
    }
}

/// While the peer tells of their progress, they do not.
#[test]
fn what_is_told_of_again_stays() {
    for via in Via::ALL {
        let (mut pair, talks) = with_transfers(via, 3);
        for _ in 0..2 * IDLE / ROUND {
            for transfer in &talks {
                let _ = pair.gates[0].take(transfer.ack(1)).sent();
                if !via.is_dsr() {
                    let _ = pair.gates[0].take(transfer.data(2, 512)).sent();
                }
            }
            assert_eq!(pair.tell(0).1, NONE);
            pair.wait(ROUND);
        }
        assert_eq!(pair.gates[1].transfers().len(), 3, "{via:?}");
    }
}

/// A client asks anew from its port.
#[test]
fn the_latest_word_of_the_peer_counts() {
    for via in Via::ALL {
        let (mut pair, talks) = with_transfers(via, 1);
        pair.tell(0);
        let first = talks[0];
        let _ = pair.gates[0].take(first.client_error(0)).sent();
        pair.gates[0].wait(2 * IDLE);
        let gate = &mut pair.gates[0];
        let again = ask(gate, via, &rrq(first.client, first.vip, "other.img"));
        if !via.is_dsr() {
            let _ = gate.take(again.data(1, 512)).sent();
        }
        let _ = gate.take(again.ack(1)).sent();
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (1, NONE), "{via:?}");
        let known = pair.gates[1].transfer(first.client);
        assert_eq!(known.file[..], *b"other.img", "{via:?}");
        assert_eq!(known.seen_as, again.seen_as);
    }
}

/// The link was slow, and the flows have been silent since they began: they must not seem to have begun after that.
#[test]
fn flows_that_were_told_late_can_be_told_back() {
    for via in Via::ALL {
        let mut pair = Pair::new(world);
        let transfer = run(&mut pair.gates[0], via, client(via, 1));
        let mut line = Connection::open(&mut pair.gates[0], via, client(via, 2), SSH);
        pair.wait(MIN_AGE);
        let late = pair.rows(0);
        pair.wait(20);
        assert_eq!(pair.hear(1, late), NONE, "{via:?}");
        pair.forget(0);
        assert_eq!(pair.tell(0), (2, NONE), "{via:?}");
        pair.fail_over();
        assert_eq!(pair.tell(1), (2, NONE), "{via:?}");
        let gate = &mut pair.gates[1];
        line.client_says(gate, "AP", "get image");
        ends_well(gate, transfer);
    }
}

/// The server of a transfer dies soon after the addresses have come.
#[test]
fn downloads_outlive_their_server_at_the_other_gate() {
    for via in Via::SEEN {
        let (mut pair, talks) = with_transfers(via, 1);
        pair.tell(0);
        pair.fail_over();
        let gate = &mut pair.gates[1];
        let dead = gate.transfer(talks[0].client).backend;
        gate.change(|snapshot| snapshot[dead].state = BackendState::Down);
        gate.wait(1);
        assert_eq!(gate.take(talks[0].ack(1)).verdict, Verdict::Absorb, "{via:?}");
        let (_, request) = gate.engine.originate(gate.now).expect("it asks another one");
        let file = rrq(talks[0].client, talks[0].vip, "boot.img").payload;
        assert!(request.ends_with(&file), "{via:?}");
    }
}

#[test]
fn all_goes_on_when_the_addresses_come_back() {
    for via in Via::ALL {
        let (mut pair, talks) = with_transfers(via, 5);
        pair.tell(0);
        pair.fail_over();
        let late = run(&mut pair.gates[1], via, client(via, 77));
        pair.wait(MIN_AGE);
        for transfer in &talks {
            if !via.is_dsr() {
                let _ = pair.gates[1].take(transfer.data(2, 512)).sent();
            }
            let _ = pair.gates[1].take(transfer.ack(2)).sent();
        }
        assert_eq!(pair.tell(1), (6, NONE), "{via:?}");
        hold(&mut pair.gates[1], false);
        hold(&mut pair.gates[0], true);
        let gate = &mut pair.gates[0];
        for transfer in talks {
            if !via.is_dsr() {
                let last = transfer.data(3, 7);
                transfer.client_gets(gate.take(last.clone()), &last.payload);
            }
            let _ = gate.take(transfer.ack(3)).sent();
        }
        ends_well(gate, late);
    }
}

/// Each gate has the addresses, by its own kernel: no row is believed.
#[test]
fn nobody_believes_the_other_one_when_both_hold_the_addresses() {
    for via in Via::ALL {
        let (mut pair, _) = with_transfers(via, 3);
        hold(&mut pair.gates[1], true);
        assert_eq!(pair.tell(0), (3, [3, 0, 0, 0, 0, 0]));
        pair.gates[1].moved(&[]);
        let _ = run(&mut pair.gates[1], via, client(via, 1));
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(1), (1, [1, 0, 0, 0, 0, 0]));
    }
}

/// A port of a pool that is one transfer's here is nobody else's after the addresses have come.
#[test]
fn ports_of_transfers_that_were_told_are_in_use() {
    for via in Via::ALL.into_iter().filter(|via| via.is_snat()) {
        let (mut pair, talks) = with_transfers(via, 20);
        pair.tell(0);
        pair.fail_over();
        let mut ports: Vec<_> = talks.iter().map(|transfer| transfer.seen_as.port()).collect();
        for n in 0..80 {
            let other = run(&mut pair.gates[1], via, client(via, 1000 + n));
            ports.push(other.seen_as.port());
        }
        let count = ports.len();
        ports.sort();
        ports.dedup();
        assert_eq!(ports.len(), count, "{via:?}");
    }
}

/// Flows that ended while there was no link are over at the other gate, too, once a new one has told all there is.
#[test]
fn what_a_new_link_does_not_tell_is_over() {
    for via in Via::ALL {
        let mut pair = Pair::new(world);
        let talks: Vec<_> = (0..4).map(|n| run(&mut pair.gates[0], via, client(via, n))).collect();
        let mut lines: Vec<_> = (10..14)
            .map(|n| Connection::open(&mut pair.gates[0], via, client(via, n), SSH))
            .collect();
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (8, NONE));
        for (talk, line) in talks[..2].iter().zip(&mut lines[..2]) {
            let _ = pair.gates[0].take(talk.client_error(0)).sent();
            line.client_says(&mut pair.gates[0], "FA", "");
            if !via.is_dsr() {
                line.server_says(&mut pair.gates[0], "FA", "");
            }
        }
        // Their rows are gone, and the others' are not.
        pair.gates[0].wait(IDLE - 50);
        for (talk, line) in talks[2..].iter().zip(&mut lines[2..]) {
            let _ = pair.gates[0].take(talk.ack(1)).sent();
            line.client_says(&mut pair.gates[0], "AP", "on");
        }
        pair.gates[0].wait(TRANSITORY);
        assert_eq!(pair.link_again(0), 4, "{via:?}");
        assert_eq!((pair.gates[1].transfers().len(), pair.gates[1].connections().len()), (2, 2));
        assert_eq!(pair.gates[1].moves().get("elsewhere"), Some(&4));
        pair.fail_over();
        assert_eq!(pair.link_again(0), 0, "{via:?}: the other gate has the addresses");
        talks[2..].iter().for_each(|&talk| ends_well(&mut pair.gates[1], talk));
    }
}

/// A server still repeats its answer to a flow that was too young to be told: no other client's request gets that port.
#[test]
fn ports_of_flows_that_were_not_told_stay_idle() {
    for via in Via::ALL.into_iter().filter(|via| via.is_snat()) {
        let clients: Vec<_> = (0..60_000)
            .map(|n| client(via, n))
            .filter(|one| first_port(one.ip()) == first_port(client(via, 0).ip()))
            .take(30)
            .collect();
        let mut pair = Pair::new(snapshot);
        let [old, young, new] = [0..10, 10..20, 20..30].map(|some| &clients[some]);
        for &one in old {
            run(&mut pair.gates[0], via, one);
        }
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (10, NONE));
        let port = |gate: &mut EngineHarness, &one: &SocketAddr| run(gate, via, one).seen_as.port();
        let lost: Vec<_> = young.iter().map(|one| port(&mut pair.gates[0], one)).collect();
        pair.fail_over();
        for one in new {
            assert!(!lost.contains(&port(&mut pair.gates[1], one)), "{via:?}");
        }
    }
}

/// Data connections of FTP go on, and those in `dsr` with their control connections.
#[test]
fn data_connections_go_on() {
    let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
    for via in [Via::Dsr, Via::Dsr6] {
        let mut pair = Pair::new(|| connections::snapshot(ftp, 21));
        let mut control = Connection::open(&mut pair.gates[0], via, via.client(), 21);
        control.client_says(&mut pair.gates[0], "AP", "PASV\r\n");
        let mut port = via.client();
        port.set_port(40_000);
        let mut passive = Connection::open(&mut pair.gates[0], via, port, 45_000);
        assert_eq!(passive.server.ip(), control.server.ip());
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (2, NONE));
        pair.fail_over();
        passive.client_says(&mut pair.gates[1], "AP", "data");
        control.client_says(&mut pair.gates[1], "AP", "PASV\r\n");
        port.set_port(40_001);
        let next = Connection::open(&mut pair.gates[1], via, port, 45_001);
        assert_eq!(next.server.ip(), control.server.ip());
    }
}

/// A client's next requests go where it was sent before, if a flow of its was told.
#[test]
fn persistence_goes_along() {
    for via in Via::ALL {
        let mut pair = Pair::new(|| {
            let mut world = snapshot();
            world[via.service()].persistence = Some(Persistence::of_clients(600));
            world
        });
        let talks: Vec<_> = (0..10).map(|n| run(&mut pair.gates[0], via, client(via, n))).collect();
        pair.wait(MIN_AGE);
        pair.tell(0);
        pair.fail_over();
        // By turns, the others would now come to the other server.
        let _ = run(&mut pair.gates[1], via, client(via, 99));
        for before in talks {
            let from = SocketAddr::new(before.client.ip(), 3000);
            let next = ask(&mut pair.gates[1], via, &rrq(from, before.vip, "next.img"));
            assert_eq!(next.server.ip(), before.server.ip(), "{via:?}");
        }
    }
}

#[test]
fn a_standby_neither_answers_nor_drops_anything_else() {
    let (mut pair, talks) = with_transfers(Via::Snat, 1);
    pair.tell(0);
    pair.gates[1].take(talks[0].ack(2)).dropped(DropReason::VipDown);
    pair.gates[1].take(talks[0].data(2, 7)).dropped(DropReason::VipDown);
}
