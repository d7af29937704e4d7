//! Reuse of an endpoint: boot ROMs use the same ports at every boot.

use engine::flow::state::TransferState;
use engine::scheduler::backend_group::Scheduler;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packets::{rrq, wrq};
use kit::topology::{Via, groups};
use kit::transfer::{ask, run};

/// Least ticks of silence while a machine boots.
const BOOT: u32 = 20;

/// One backend, so that the next transfer goes there, too.
fn single(via: Via) -> EngineHarness {
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [1, 0]));
    gate
}

#[test]
fn another_request_is_a_new_transfer_and_the_old_tid_does_not_come_back() {
    for via in Via::SEEN {
        for next in
            [rrq(via.client(), via.vip(), "other"), wrq(via.client(), via.vip(), "boot.img")]
        {
            let mut gate = single(via);
            let old = run(&mut gate, via, via.client()).with_tid(50_000);
            gate.wait(BOOT);
            gate.moves();
            let new = ask(&mut gate, via, &next).with_tid(40_000);
            gate.moved(&[
                ("received", 1),
                ("transmitted", 1),
                ("started", 1),
                ("replaced", 1),
                ("ended", 1),
                ("packets_in", 1),
            ]);
            let stale = gate.take(old.data(2, 512));
            if via.is_snat() {
                // The new transfer has its own endpoint.
                assert!(matches!(stale.verdict, Verdict::Drop(_)));
            } else {
                old.server_is_told_off(stale);
            }
            assert_eq!(gate.transfer(via.client()).tid, None);
            new.client_gets(gate.take(new.data(1, 512)), &new.data(1, 512).payload);
            let stale = gate.take(old.data(2, 512));
            assert!(matches!(stale.verdict, Verdict::Answer | Verdict::Drop(_)));
            assert_eq!(gate.transfer(via.client()).tid, Some(40_000));
        }
    }
}

#[test]
fn the_same_request_long_after_the_answer_is_a_new_transfer() {
    for via in Via::SEEN {
        let mut gate = single(via);
        let request = rrq(via.client(), via.vip(), "boot.img");
        let transfer = ask(&mut gate, via, &request);
        let _ = gate.take(transfer.data(1, 512)).sent();
        gate.wait(10);
        gate.moves();
        ask(&mut gate, via, &request);
        assert_eq!(gate.moves().get("replaced"), Some(&1));
        assert_eq!(gate.transfer(via.client()).state, TransferState::Requested);
    }
}

#[test]
fn the_same_request_after_the_end_is_a_new_transfer() {
    for via in Via::SEEN {
        let mut gate = single(via);
        let transfer = run(&mut gate, via, via.client());
        let _ = gate.take(transfer.data(2, 1)).sent();
        let _ = gate.take(transfer.ack(2)).sent();
        gate.moves();
        let again = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img")).with_tid(1234);
        let moves = gate.moves();
        assert_eq!((moves.get("started"), moves.get("replaced")), (Some(&1), None));
        again.client_gets(gate.take(again.data(1, 512)), &again.data(1, 512).payload);
    }
}

#[test]
fn the_tid_before_the_last_is_not_taken_for_the_new_one_either() {
    let via = Via::Nat;
    let mut gate = single(via);
    let first = run(&mut gate, via, via.client()).with_tid(50_000);
    gate.wait(BOOT);
    let second = ask(&mut gate, via, &rrq(via.client(), via.vip(), "b")).with_tid(50_001);
    let _ = gate.take(second.data(1, 512)).sent();
    let third = ask(&mut gate, via, &rrq(via.client(), via.vip(), "c")).with_tid(50_002);
    first.server_is_told_off(gate.take(first.data(2, 512)));
    second.server_is_told_off(gate.take(second.data(1, 512)));
    third.client_gets(gate.take(third.data(1, 512)), &third.data(1, 512).payload);
}

#[test]
fn unanswered_requests_between_do_not_make_the_old_tid_forgotten() {
    let via = Via::Nat;
    let mut gate = single(via);
    let old = run(&mut gate, via, via.client());
    gate.wait(BOOT);
    for file in ["b", "c", "d", "e"] {
        ask(&mut gate, via, &rrq(via.client(), via.vip(), file));
    }
    old.server_is_told_off(gate.take(old.data(2, 512)));
    assert_eq!(gate.transfer(via.client()).tid, None);
}

#[test]
fn a_server_that_was_given_up_does_not_reach_the_client() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let request = rrq(via.client(), via.vip(), "boot.img");
    let first = ask(&mut gate, via, &request);
    // The answer is lost behind the gate; the client repeats its request, and the other backend gets it.
    let _ = gate.take(first.data(1, 512)).sent();
    gate.wait(20);
    ask(&mut gate, via, &request);
    // The first server repeats its block. It may get an ERROR, but the kernel must not route the block to the client
    // with the server's own address.
    let repeated = gate.take(first.data(1, 512));
    assert!(matches!(repeated.verdict, Verdict::Answer | Verdict::Drop(_)), "{repeated:?}");
}
