//! Full tables.

use engine::flow::state::TransferState;
use engine::types::drop_reason::DropReason;
use kit::engine_harness::EngineHarness;
use kit::packets::rrq;
use kit::topology::{FLOWS, IDLE, Via};
use kit::transfer::{ask, client, run};

#[test]
fn a_full_table_forgets_the_oldest_unanswered_request() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let running = run(&mut gate, via, client(via, 0));
        for n in 1..FLOWS as u16 {
            ask(&mut gate, via, &rrq(client(via, n), via.vip(), "boot.img"));
        }
        // The oldest one has been answered meanwhile.
        let second = gate.transfer(client(via, 1));
        assert_eq!(second.state, TransferState::Requested);
        gate.moves();
        ask(&mut gate, via, &rrq(client(via, 1000), via.vip(), "boot.img"));
        gate.moved(&[
            ("received", 1),
            ("transmitted", 1),
            ("started", 1),
            ("packets_in", 1),
            ("evicted", 1),
            ("ended", 1),
        ]);
        let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
        assert!(!left.contains(&client(via, 1)) && left.contains(&client(via, 2)));
        assert!(left.contains(&running.client));
    }
}

#[test]
fn an_ended_transfer_makes_room() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let ended = run(&mut gate, via, client(via, 0));
    let _ = gate.take(ended.data(2, 1)).sent();
    let _ = gate.take(ended.ack(2)).sent();
    for n in 1..FLOWS as u16 {
        run(&mut gate, via, client(via, n));
    }
    gate.moves();
    ask(&mut gate, via, &rrq(client(via, 1000), via.vip(), "boot.img"));
    // Counted at its end.
    gate.moved(&[("received", 1), ("transmitted", 1), ("started", 1), ("packets_in", 1)]);
    assert!(gate.transfers().iter().all(|view| view.client != client(via, 0)));
}

#[test]
fn a_table_full_of_running_transfers_takes_no_more() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        for n in 0..FLOWS as u16 {
            run(&mut gate, via, client(via, n));
        }
        gate.moves();
        gate.take(rrq(client(via, 1000), via.vip(), "boot.img")).dropped(DropReason::FlowTableFull);
        gate.moved(&[("received", 1), ("flow-table-full", 1)]);
        // Another request of a known endpoint replaces the idle transfer.
        gate.take(rrq(client(via, 3), via.vip(), "other")).dropped(DropReason::FlowTableFull);
        gate.wait(20);
        ask(&mut gate, via, &rrq(client(via, 3), via.vip(), "other"));
        gate.wait(IDLE);
        assert!(gate.transfers().is_empty());
        ask(&mut gate, via, &rrq(client(via, 1000), via.vip(), "boot.img"));
    }
}

#[test]
fn a_flood_of_requests_leaves_running_transfers_alone() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let running: Vec<_> =
            (0..FLOWS as u16 / 2).map(|n| run(&mut gate, via, client(via, n))).collect();
        for n in 0..10 * FLOWS as u16 {
            ask(&mut gate, via, &rrq(client(via, 1000 + n), via.vip(), "flood"));
        }
        for transfer in running {
            if !via.is_dsr() {
                transfer
                    .client_gets(gate.take(transfer.data(2, 10)), &transfer.data(2, 10).payload);
            }
            let _ = gate.take(transfer.ack(2)).sent();
        }
        let counters = &gate.engine.state.counters;
        let ended = [0, 1].map(|n| counters.backend(via.backend(n)).completed.value());
        let completed = if via.is_dsr() { 0 } else { FLOWS / 2 };
        assert_eq!(ended.iter().sum::<u64>(), u64::from(completed));
        assert_eq!(gate.transfers().len(), FLOWS as usize);
    }
}
