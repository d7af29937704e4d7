//! Packets of clients that a router has sent to the wrong one of two gates.

use engine::flow::state::TransferState;
use engine::snapshot::{BackendState, Protocol, Snapshot};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, add};
use kit::engine_harness::EngineHarness;
use kit::fleet::{OTHER, fleet, router, sent_on, share};
use kit::fragments::cut;
use kit::packets::{ack, data, datagram, rrq, wrq};
use kit::pair::{MIN_AGE, Pair};
use kit::topology::{FLOWS, OUTSIDE, Via, gate_mac, mac, snapshot};
use kit::transfer::{Transfer, ask, client, run};

const NONE: [u32; 6] = [0; 6];
const SNAT: [Via; 4] = [Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64];
const SSH: u16 = 22;

fn world() -> Snapshot {
    let mut world = snapshot();
    add(&mut world, Protocol::Tcp, SSH, [1, 1]);
    world
}

/// A transfer through the first gate.
fn running(via: Via) -> (Pair, Transfer) {
    let mut pair = fleet(world);
    let transfer = run(&mut pair.gates[0], via, client(via, 1));
    (pair, transfer)
}

/// The second gate sends a frame on to the first one, which forwards it.
#[track_caller]
fn goes_round(pair: &mut Pair, frame: impl Into<Vec<u8>>) -> Vec<u8> {
    let frame = sent_on(pair.gates[1].take(frame));
    let outcome = pair.gates[0].take(frame);
    assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{:?}", outcome.verdict);
    outcome.bytes
}

/// Rows of the first gate at the second one, if the other one tells them.
fn told(pair: &mut Pair) {
    pair.wait(MIN_AGE);
    assert_eq!(pair.tell(0).1, NONE);
    assert_eq!(pair.tell(1).1, NONE);
}

#[test]
fn a_transfer_of_the_other_gate_goes_on_there() {
    for via in Via::ALL {
        for is_told in [false, true] {
            let (mut pair, transfer) = running(via);
            if is_told {
                told(&mut pair);
            }
            if via.is_dsr() {
                let _ = goes_round(&mut pair, transfer.ack(2));
                continue;
            }
            let back = |gate: &mut EngineHarness, block| {
                let heard = gate.take(transfer.data(block, 512)).sent();
                assert_eq!(heard.to, mac(transfer.client.ip()), "{via:?}");
            };
            back(&mut pair.gates[0], 2);
            let _ = goes_round(&mut pair, transfer.ack(2));
            // Where answers go was not learned from the other gate.
            back(&mut pair.gates[0], 3);
            let _ = goes_round(&mut pair, transfer.ack(3));
            let _ = pair.gates[0].take(transfer.data(4, 7)).sent();
            let _ = goes_round(&mut pair, transfer.ack(4));
            let of = |n: usize| pair.gates[n].transfers().len();
            assert_eq!((of(0), of(1)), (1, usize::from(is_told && via.is_snat())));
            let state = pair.gates[0].transfer(transfer.client).state;
            assert_eq!(state, TransferState::Completed, "{via:?}");
        }
    }
}

#[test]
fn a_connection_of_the_other_gate_goes_on_there() {
    for via in Via::ALL {
        for is_told in [false, true] {
            let mut pair = fleet(world);
            let mut line = Connection::open(&mut pair.gates[0], via, client(via, 1), SSH);
            if is_told {
                told(&mut pair);
            }
            for text in ["get", "image"] {
                let says = line.from_client("AP", text);
                let _ = goes_round(&mut pair, says);
                line.goes_on(0, "AP", text);
                if !via.is_dsr() {
                    let heard = line.server_says(&mut pair.gates[0], "AP", text);
                    assert_eq!(heard.to, mac(line.client.ip()), "{via:?}");
                }
            }
            let _ = goes_round(&mut pair, line.from_client("FA", ""));
        }
    }
}

/// Packets that no gate knows are dropped, or refused, by the second one to see them.
#[test]
fn nothing_goes_in_a_circle() {
    for via in Via::ALL {
        let mut pair = fleet(world);
        let stray = ack(client(via, 1), (via.vip().ip(), 50_000).into(), 1);
        let frame = sent_on(pair.gates[1].take(&stray));
        pair.gates[0].take(frame).dropped(DropReason::NoService);
        let line = Connection::new(via, client(via, 1), SSH);
        let frame = sent_on(pair.gates[1].take(line.from_client("A", "")));
        let outcome = pair.gates[0].take(frame);
        assert_eq!(outcome.verdict, Verdict::Transmit(OUTSIDE));
        // The reset goes to the client, not to the other gate.
        assert_eq!(outcome.bytes[..12], [router(via).0, gate_mac(OUTSIDE).0].concat());
        let moves = pair.gates.each_mut().map(EngineHarness::moves);
        assert_eq!(moves.map(|moves| moves.get("second_chances").copied()), [None, Some(2)]);
    }
}

/// The client uses its port again.
#[test]
fn a_connection_that_begins_anew_goes_on_there() {
    for via in SNAT {
        let mut pair = fleet(world);
        let line = Connection::open(&mut pair.gates[0], via, client(via, 1), SSH);
        told(&mut pair);
        let syn = Connection::new(via, line.client, SSH).from_client("S", "");
        let _ = goes_round(&mut pair, syn);
    }
}

/// The other gate itself asks where a VIP is.
#[test]
fn the_other_gate_is_answered_as_any_neighbour() {
    let mut pair = fleet(world);
    let question = [
        &[0xff; 6][..],
        &OTHER.0,
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &OTHER.0,
        &[10, 0, 0, 3],
        &[0; 6],
        &[10, 0, 0, 100 + Via::Nat as u8],
    ];
    let outcome = pair.gates[0].take(question.concat());
    assert_eq!(outcome.verdict, Verdict::Answer);
    assert_eq!(outcome.bytes[..6], OTHER.0);
}

#[test]
fn a_gate_alone_sends_nothing_on() {
    for via in Via::ALL {
        let stray = ack(client(via, 1), (via.vip().ip(), 50_000).into(), 1);
        let mut pair = fleet(world);
        pair.gates[1].change(|snapshot| snapshot[via.vip_id()].is_shared = false);
        pair.gates[1].take(&stray).dropped(DropReason::NoService);
        let mut pair = fleet(world);
        pair.gates[1].change(|snapshot| snapshot[OUTSIDE].other_gate = None);
        pair.gates[1].take(&stray).dropped(DropReason::NoService);
    }
}

#[test]
fn all_fragments_of_an_upload_go_on() {
    for via in Via::ALL {
        let mut pair = fleet(world);
        let first = &mut pair.gates[0];
        let transfer = ask(first, via, &wrq(client(via, 1), via.vip(), "report.log"));
        if !via.is_dsr() {
            let _ = first.take(transfer.says(&[0, 4, 0, 0])).sent();
        }
        let _ = first.take(data(transfer.client, transfer.vip_tid(), 1, 512)).sent();
        let block = data(transfer.client, transfer.vip_tid(), 2, 1408);
        for fragment in cut(&block, 512) {
            let _ = goes_round(&mut pair, fragment);
        }
    }
}

/// A gate asks no other server, resets nobody and tells no end in the name of a flow that is the other gate's.
#[test]
fn a_gate_only_watches_what_the_other_one_has() {
    for via in SNAT {
        let (mut pair, transfer) = running(via);
        let line = Connection::open(&mut pair.gates[0], via, client(via, 2), SSH);
        told(&mut pair);
        let second = &mut pair.gates[1];
        second.change(|snapshot| {
            for backend in &mut snapshot.backends {
                if [transfer.server.ip(), line.server.ip()].contains(&backend.address) {
                    backend.state = BackendState::Down;
                }
            }
        });
        for _ in 0..600 {
            second.wait(1);
            assert!(second.engine.originate(second.now).is_none(), "{via:?}");
        }
        second.wait(3000);
        assert_eq!(second.moves().get("elsewhere"), Some(&2), "{via:?}");
    }
}

#[test]
fn a_gate_that_gets_the_pool_of_the_other_one_goes_on_itself() {
    for via in SNAT {
        let (mut pair, transfer) = running(via);
        let mut line = Connection::open(&mut pair.gates[0], via, client(via, 2), SSH);
        told(&mut pair);
        share(&mut pair.gates[0], &[]);
        let gate = &mut pair.gates[1];
        share(gate, &[0, 1]);
        transfer.client_gets(gate.take(transfer.data(2, 7)), &transfer.data(2, 7).payload);
        transfer.server_gets(gate.take(transfer.ack(2)), &[0, 4, 0, 2]);
        line.client_says(gate, "AP", "get");
        line.server_says(gate, "AP", "image");
        assert_eq!(gate.moves().get("second_chances"), None);
        // Without a pool a gate can serve nobody, but knows one that can.
        let request = rrq(client(via, 3), via.vip(), "boot.img");
        let frame = sent_on(pair.gates[0].take(&request));
        let sent = pair.gates[1].take(frame).sent();
        let next = Transfer { client: client(via, 3), seen_as: sent.source, ..transfer };
        let next = Transfer { server: (sent.destination.ip(), 50_001).into(), ..next };
        let heard = pair.gates[1].take(next.data(1, 512)).sent();
        assert_eq!(
            heard.to,
            router(via),
            "by the kernel's route, as the other gate has sent it on"
        );
    }
}

/// An endpoint asks at both gates: each keeps the transfer that it serves.
#[test]
fn each_gate_keeps_the_flow_that_it_serves() {
    for via in SNAT {
        let (mut pair, first) = running(via);
        let second = run(&mut pair.gates[1], via, first.client);
        pair.wait(MIN_AGE);
        for from in [0, 1, 0, 1] {
            assert_eq!(pair.tell(from), (usize::from(from < 2), NONE));
            pair.forget(from);
        }
        for (n, transfer) in [first, second].into_iter().enumerate() {
            let gate = &mut pair.gates[n];
            transfer.server_gets(gate.take(transfer.ack(2)), &[0, 4, 0, 2]);
            transfer.client_gets(gate.take(transfer.data(3, 512)), &transfer.data(3, 512).payload);
        }
    }
}

/// Flows of VIPs that both gates hold are told only where a pool says whose they are; the others need not be.
#[test]
fn only_flows_of_pools_are_told() {
    for via in Via::ALL {
        let (mut pair, _) = running(via);
        let _line = Connection::open(&mut pair.gates[0], via, client(via, 2), SSH);
        pair.wait(MIN_AGE);
        assert_eq!(pair.tell(0), (if via.is_snat() { 2 } else { 0 }, NONE), "{via:?}");
    }
}

/// Flows that the other gate does not tell on its next link are over; those of this gate stay.
#[test]
fn a_new_link_ends_what_the_other_gate_has_not_any_more() {
    for via in SNAT {
        let (mut pair, _) = running(via);
        let ours = run(&mut pair.gates[1], via, client(via, 5));
        told(&mut pair);
        let (world, now) = (pair.gates[0].engine.snapshot.as_ref().clone(), pair.gates[0].now);
        pair.gates[0] = EngineHarness::with(world, FLOWS);
        pair.gates[0].now = now;
        assert_eq!(pair.link_again(0), 1, "{via:?}");
        assert_eq!(pair.gates[1].transfers().len(), 1);
        ours.server_gets(pair.gates[1].take(ours.ack(2)), &[0, 4, 0, 2]);
    }
}

/// A datagram to a port that is no TFTP service's, and a frame in the other gate's name.
#[test]
fn what_the_other_gate_has_sent_on_is_served_as_any_packet() {
    for via in Via::ALL {
        let mut pair = fleet(world);
        let mut request = rrq(client(via, 1), via.vip(), "boot.img");
        request.from = OTHER;
        let sent = pair.gates[0].take(&request).sent();
        assert_eq!(sent.payload, request.payload);
        let mut stray = datagram(client(via, 2), (via.vip().ip(), 7).into(), b"?");
        stray.from = OTHER;
        pair.gates[0].take(&stray).dropped(DropReason::NoService);
    }
}
