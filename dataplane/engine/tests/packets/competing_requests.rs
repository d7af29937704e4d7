//! Spoofed requests in the name of a client with a running transfer.

use engine::flow::state::TransferState;
use engine::scheduler::backend_group::Scheduler;
use engine::snapshot::vip::Vip;
use engine::types::drop_reason::DropReason;
use engine::types::id::VipId;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{ack, rrq};
use kit::topology::{FLOWS, IDLE, Via, groups, mac, snapshot};
use kit::transfer::{TID, Transfer, ask, run};
use proptest::prelude::*;
use std::net::SocketAddr;
use wire::ethernet::Mac;

/// Ticks of silence after which a client's next request counts as its own.
const MOMENT: u32 = 20;

const ATTACKER: Mac = Mac([2, 0, 0, 0, 0x66, 0x66]);

/// A spoofed request in the client's name.
fn spoofed(via: Via, file: &str) -> Packet {
    Packet { from: ATTACKER, ..rrq(via.client(), via.vip(), file) }
}

/// All requests go to this backend.
fn to_backend(gate: &mut EngineHarness, via: Via, n: usize) {
    let mut weights = [0; 2];
    weights[n] = 1;
    gate.change(|snapshot| snapshot[via.group()] = groups(via, Scheduler::RoundRobin, weights));
}

/// The transfer goes on in both directions, by the client's own hop.
fn goes_on(gate: &mut EngineHarness, transfer: Transfer, block: u16) {
    if !transfer.via.is_dsr() {
        let block = transfer.data(block, 512);
        let sent = gate.take(&block).sent();
        assert_eq!(
            (sent.to, sent.source),
            (mac(transfer.client.ip()), transfer.vip_tid()),
            "{transfer:?}"
        );
    }
    let sent = gate.take(transfer.ack(block)).sent();
    assert_eq!(sent.to, mac(transfer.server.ip()), "{transfer:?}");
}

/// Numbers of transfers begun, ended and replaced so far.
fn counts(gate: &EngineHarness, via: Via) -> [u64; 3] {
    let both = [0, 1].map(|n| gate.engine.state.counters.backend(via.backend(n)));
    let sum = |of: fn(&engine::counters::Transfers) -> u64| both.iter().map(|one| of(one)).sum();
    [sum(|one| one.started.value()), sum(|one| one.ended.value()), sum(|one| one.replaced.value())]
}

#[test]
fn a_spoofed_request_does_not_end_a_running_download() {
    for via in Via::ALL {
        for backend in [0, 1] {
            for file in ["boot.img", "other"] {
                let mut gate = EngineHarness::new();
                to_backend(&mut gate, via, 0);
                let transfer = run(&mut gate, via, via.client());
                (2..4).for_each(|block| goes_on(&mut gate, transfer, block));
                gate.wait(15);
                to_backend(&mut gate, via, backend);
                let new = ask(&mut gate, via, &spoofed(via, file)).with_tid(TID + 7);
                for block in 4..40 {
                    goes_on(&mut gate, transfer, block);
                    gate.wait(1);
                }
                if !via.is_dsr() {
                    // The client gets these answers and ignores them.
                    let answers = (0..8).map(|_| gate.take(new.data(1, 512)).verdict);
                    let told = answers.filter(|verdict| matches!(verdict, Verdict::Transmit(_)));
                    assert_eq!(told.count(), 2, "{via:?} {backend} {file}");
                }
                goes_on(&mut gate, transfer, 40);
                gate.wait(IDLE / 2);
                goes_on(&mut gate, transfer, 41);
                gate.wait(IDLE / 2 + MOMENT);
                assert_eq!(gate.transfers().len(), 1, "{via:?} {backend} {file}");
                assert_eq!(counts(&gate, via), [2, 1, 0], "{via:?} {backend} {file}");
                goes_on(&mut gate, transfer, 42);
            }
        }
    }
}

#[test]
fn a_client_that_follows_the_new_one_has_done_with_the_old_one() {
    for via in Via::ALL {
        for backend in [0, 1] {
            let mut gate = EngineHarness::new();
            to_backend(&mut gate, via, 0);
            let old = run(&mut gate, via, via.client());
            to_backend(&mut gate, via, backend);
            let request = rrq(via.client(), via.vip(), "other");
            let new = ask(&mut gate, via, &request).with_tid(TID + 7);
            assert_eq!(new.server.ip(), via.server(backend));
            goes_on(&mut gate, new, 1);
            if via.is_dsr() {
                // In `dsr` the sender cannot be verified.
                goes_on(&mut gate, old, 2);
                gate.wait(MOMENT);
            }
            (2..5).for_each(|block| goes_on(&mut gate, new, block));
            assert_eq!(gate.transfer(via.client()).tid, Some(TID + 7), "{via:?}");
            assert_eq!(counts(&gate, via), [2, 1, 1], "{via:?}");
            gate.take(old.ack(2)).dropped(DropReason::WrongTid);
            if !via.is_dsr() {
                let late = gate.take(old.data(2, 512)).verdict;
                assert!(matches!(late, Verdict::Answer | Verdict::Drop(_)), "{via:?} {late:?}");
                let last = new.data(5, 9);
                new.client_gets(gate.take(&last), &last.payload);
                let _ = gate.take(new.ack(5)).sent();
                assert_eq!(gate.transfer(via.client()).state, TransferState::Completed);
            }
        }
    }
}

#[test]
fn a_client_that_was_silent_has_its_new_transfer_at_once() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let old = run(&mut gate, via, via.client());
        gate.wait(MOMENT - 1);
        ask(&mut gate, via, &spoofed(via, "other"));
        assert_eq!(counts(&gate, via), [2, 0, 0], "{via:?}");
        gate.wait(1);
        let request = rrq(via.client(), via.vip(), "third");
        let new = ask(&mut gate, via, &request).with_tid(TID + 7);
        assert_eq!(counts(&gate, via), [3, 2, 2], "{via:?}");
        gate.take(old.ack(2)).dropped(if via.is_dsr() {
            DropReason::WrongTid
        } else {
            DropReason::NoTransfer
        });
        goes_on(&mut gate, new, 1);
    }
}

/// The client has sent a request while its old transfer ran, and repeats it afterwards.
#[test]
fn a_request_that_is_repeated_after_a_moment_takes_over() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        run(&mut gate, via, via.client());
        let request = rrq(via.client(), via.vip(), "other");
        let first = ask(&mut gate, via, &request).with_tid(TID + 7);
        gate.wait(MOMENT);
        let again = ask(&mut gate, via, &request);
        assert_eq!((again.server.ip(), again.seen_as), (first.server.ip(), first.seen_as));
        assert_eq!(counts(&gate, via), [2, 1, 1], "{via:?}");
        assert_eq!(gate.transfer(via.client()).state, TransferState::Requested);
        goes_on(&mut gate, first, 1);
    }
}

/// The end of a size probe: nothing runs, so the next request is the client's.
#[test]
fn after_an_end_nothing_waits() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        ask(&mut gate, via, &spoofed(via, "other"));
        let _ = gate.take(transfer.client_error(0)).sent();
        assert_eq!(counts(&gate, via)[1], 1, "{via:?}");
        let request = rrq(via.client(), via.vip(), "third");
        let new = ask(&mut gate, via, &request).with_tid(TID + 7);
        assert_eq!(gate.transfer(via.client()).state, TransferState::Requested);
        goes_on(&mut gate, new, 1);
    }
}

#[test]
fn spoofed_requests_at_a_high_rate_have_one_place() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        for n in 0..100 {
            let _ = gate.take(spoofed(via, &format!("file {n}"))).sent();
            goes_on(&mut gate, transfer, n + 2);
            assert_eq!(gate.transfers().len(), 2, "{via:?}");
        }
        assert_eq!(counts(&gate, via), [101, 99, 99], "{via:?}");
    }
}

/// The client can tell both transfers apart only by their server.
#[test]
fn a_server_that_answers_all_from_one_port_is_not_heard_in_between() {
    for via in Via::SEEN {
        for backend in [0, 1] {
            let mut gate = EngineHarness::new();
            to_backend(&mut gate, via, 0);
            let asked = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
            let transfer = asked.with_tid(69);
            (1..4).for_each(|block| goes_on(&mut gate, transfer, block));
            to_backend(&mut gate, via, backend);
            let new = ask(&mut gate, via, &spoofed(via, "other")).with_tid(69);
            if new.server != transfer.server || new.seen_as != transfer.seen_as {
                gate.take(new.server_error(1)).dropped(DropReason::UnheardClient);
            }
            (4..9).for_each(|block| goes_on(&mut gate, transfer, block));
        }
    }
}

/// As before, with a client that was active all the time and has lost its last ACK.
#[test]
fn nor_is_the_client_s_own_next_transfer_lost_there() {
    for via in [Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64] {
        let mut gate = EngineHarness::new();
        let asked = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let transfer = asked.with_tid(69);
        (1..4).for_each(|block| goes_on(&mut gate, transfer, block));
        let request = rrq(via.client(), via.vip(), "other");
        let new = ask(&mut gate, via, &request).with_tid(69);
        gate.take(new.data(1, 512)).dropped(DropReason::UnheardClient);
        gate.wait(MOMENT);
        let again = ask(&mut gate, via, &request).with_tid(69);
        (1..4).for_each(|block| goes_on(&mut gate, again, block));
        assert_eq!(gate.transfers().len(), 1, "{via:?}");
    }
}

/// An ACK to the service's port needs no TID.
#[test]
fn two_spoofed_packets_do_not_end_it_either() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        (2..6).for_each(|block| goes_on(&mut gate, transfer, block));
        let new = ask(&mut gate, via, &spoofed(via, "other")).with_tid(TID + 7);
        if !via.is_dsr() {
            let _ = gate.take(new.data(1, 512)).sent();
        }
        for block in 0..3 {
            let _ = gate.take(ack(via.client(), via.vip(), block));
            let _ = gate.take(transfer.with_tid(TID + 8).ack(block));
        }
        (6..9).for_each(|block| goes_on(&mut gate, transfer, block));
        assert_eq!(counts(&gate, via)[2], 0, "{via:?}");
    }
}

/// Behind another VIP, the same server sees the same endpoint.
#[test]
fn a_spoofed_request_to_another_vip_does_not_end_it() {
    for via in [Via::Nat, Via::Nat6] {
        let mut snapshot = snapshot();
        let service = via.service();
        let other = Vip { udp: vec![(69, service)], ..Vip::new(via.host(0, 200)) };
        let vip = SocketAddr::new(other.address, 69);
        snapshot.vips.push(other);
        snapshot.set_live(VipId(snapshot.vips.len() as u16 - 1), true);
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        to_backend(&mut gate, via, 0);
        let transfer = run(&mut gate, via, via.client());
        // From the client's own router: the answer goes there.
        let asked = ask(&mut gate, via, &rrq(transfer.client, vip, "f"));
        let new = asked.with_tid(TID + 7);
        (2..5).for_each(|block| goes_on(&mut gate, transfer, block));
        // The answer reaches the client; the old transfer ends when the client uses the new one.
        let block = new.data(1, 512);
        new.client_gets(gate.take(&block), &block.payload);
        goes_on(&mut gate, transfer, 5);
        new.server_gets(gate.take(new.ack(1)), &new.ack(1).payload);
        goes_on(&mut gate, new, 2);
        assert_eq!(counts(&gate, via), [2, 1, 1], "{via:?}");
        goes_on(&mut gate, new, 3);
    }
}

#[test]
fn the_next_process_knows_nothing_of_what_waits() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        ask(&mut gate, via, &spoofed(via, "other"));
        let mut gate = gate.reborn(snapshot());
        assert_eq!((gate.adopted.whole, gate.adopted.broken), (1, 1), "{via:?}");
        (2..5).for_each(|block| goes_on(&mut gate, transfer, block));
        ask(&mut gate, via, &spoofed(via, "another"));
        (5..8).for_each(|block| goes_on(&mut gate, transfer, block));
        gate.wait(2 * IDLE);
        assert!(gate.transfers().is_empty());
    }
}

/// An operation on the transfers of one client's ports.
#[derive(Debug, Clone)]
enum Step {
    Ask { port: u16, file: u8, backend: usize },
    Answer { port: u16, tid: u16, block: u16, is_error: bool },
    Ack { port: u16, tid: u16, block: u16, is_error: bool },
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let port = || 3000u16..3002;
    let tid = || prop::sample::select(vec![69u16, 40_000, 40_001]);
    let step = prop_oneof![
        (port(), 0u8..3, 0usize..2).prop_map(|(port, file, backend)| Step::Ask {
            port,
            file,
            backend
        }),
        (port(), tid(), 0u16..4, prop::bool::weighted(0.1))
            .prop_map(|(port, tid, block, is_error)| Step::Answer { port, tid, block, is_error }),
        (port(), tid(), 0u16..4, prop::bool::weighted(0.1))
            .prop_map(|(port, tid, block, is_error)| Step::Ack { port, tid, block, is_error }),
        prop_oneof![1u32..4, 15u32..25, 50u32..700].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    /// Limits, ids and counters balance after every operation, and nothing is left at the end.
    #[test]
    fn whatever_happens_all_end(
        via in prop::sample::select(Via::ALL.to_vec()),
        flows in 3u32..8,
        steps in steps(),
    ) {
        let mut gate = EngineHarness::with(snapshot(), flows);
        let mut last: Option<Transfer> = None;
        let at = |port| SocketAddr::new(via.client().ip(), port);
        for step in steps {
            match step {
                Step::Ask { port, file, backend } => {
                    to_backend(&mut gate, via, backend);
                    let request = rrq(at(port), via.vip(), &format!("file{file}"));
                    if matches!(gate.take(&request).verdict, Verdict::Transmit(_)) {
                        last = Some(ask(&mut gate, via, &request));
                    }
                }
                Step::Answer { port, tid, block, is_error } if !via.is_dsr() => {
                    let Some(transfer) = last else { continue };
                    let seen_as = if via.is_snat() { transfer.seen_as } else { at(port) };
                    let transfer = Transfer { seen_as, ..transfer }.with_tid(tid);
                    let packet = if is_error { transfer.server_error(1) } else { transfer.data(block, 512) };
                    let _ = gate.take(packet);
                }
                Step::Answer { .. } => {}
                Step::Ack { port, tid, block, is_error } => {
                    let Some(transfer) = last else { continue };
                    let transfer = Transfer { client: at(port), ..transfer }.with_tid(tid);
                    let packet = if is_error { transfer.client_error(0) } else { transfer.ack(block) };
                    let _ = gate.take(packet);
                }
                Step::Wait(ticks) => gate.wait(ticks),
            }
            prop_assert!(gate.transfers().len() <= flows as usize);
        }
        gate.wait(2 * IDLE + 100);
        prop_assert!(gate.transfers().is_empty());
        prop_assert_eq!(counts(&gate, via)[0], counts(&gate, via)[1]);
        let new = run(&mut gate, via, at(3000));
        (2..5).for_each(|block| goes_on(&mut gate, new, block));
    }
}
