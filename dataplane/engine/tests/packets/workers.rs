//! The worker that owns a packet.

use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packets::{CLIENT, data, ping, rrq};
use kit::topology::{FLOWS, Via, owner, snapshot};

#[test]
fn a_packet_is_handed_to_its_owner_untouched() {
    let workers = 3;
    for via in Via::ALL {
        let right = owner(via.client().ip(), workers);
        for worker in 0..workers {
            let mut gate = EngineHarness::one_of(worker, workers, snapshot(), FLOWS);
            let outcome = gate.take(rrq(via.client(), via.vip(), "f"));
            if worker == right {
                let _ = outcome.sent();
            } else {
                assert_eq!(outcome.verdict, Verdict::HandOver(right));
                assert_eq!(outcome.bytes, outcome.before);
                gate.moved(&[("received", 1), ("handed_over", 1)]);
            }
        }
    }
}

#[test]
fn the_answer_is_owned_by_the_same_worker() {
    let workers = 3;
    for via in Via::SEEN {
        let right = owner(via.client().ip(), workers);
        let world = snapshot();
        let mut gate = EngineHarness::one_of(right, workers, world.clone(), FLOWS);
        let transfer = kit::transfer::ask(&mut gate, via, &rrq(via.client(), via.vip(), "f"));
        for worker in 0..workers {
            if worker != right {
                let mut other = EngineHarness::one_of(worker, workers, world.clone(), FLOWS);
                let outcome = other.take(data(transfer.server, transfer.seen_as, 1, 512));
                assert_eq!(outcome.verdict, Verdict::HandOver(right), "{via:?}");
            }
        }
        transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
    }
}

#[test]
fn any_worker_answers_a_ping() {
    for worker in 0..3 {
        let mut gate = EngineHarness::one_of(worker, 3, snapshot(), FLOWS);
        let outcome = gate.take(ping(CLIENT.ip(), Via::Nat.vip().ip(), 7, 1, b"hello"));
        assert_eq!(outcome.verdict, Verdict::Answer);
    }
}
