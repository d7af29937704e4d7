//! Idle timeouts of transfers, and packets that come afterwards.

use engine::types::drop_reason::DropReason;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{data, oack, rrq_with};
use kit::topology::{IDLE, Via, snapshot};
use kit::transfer::{Transfer, ask, run};
use std::net::SocketAddr;

/// The option, its seconds, and the transfer's idle timeout in ticks.
const GRANTED: (&str, u32, u32) = ("timeout", 70, 3 * 700);

#[test]
fn a_transfer_outlives_three_of_the_timeouts_that_were_granted() {
    for via in Via::ALL {
        for (option, value, lives) in
            [GRANTED, ("utimeout", 70_000_000, 2100), ("timeout", 5, IDLE), ("timeout", 255, 7650)]
        {
            let mut gate = EngineHarness::new();
            let options = [(option, value)];
            let request = rrq_with(via.client(), via.vip(), "f", &options);
            let transfer = ask(&mut gate, via, &request);
            if !via.is_dsr() {
                let _ = gate.take(oack(transfer.server, transfer.seen_as, &options)).sent();
            }
            let _ = gate.take(transfer.ack(0)).sent();
            gate.wait(lives - 1);
            if !via.is_dsr() {
                let first = transfer.data(1, 512);
                transfer.client_gets(gate.take(&first), &first.payload);
            }
            let _ = gate.take(transfer.ack(1)).sent();
            let mut gate = gate.reborn(snapshot());
            gate.wait(lives - 1);
            assert_eq!(gate.transfers().len(), 1, "{via:?} {option} {value}");
            gate.wait(1);
            assert!(gate.transfers().is_empty(), "{via:?} {option} {value}");
        }
    }
}

/// A request may be spoofed.
#[test]
fn a_client_that_was_not_heard_has_no_longer_a_life_by_it() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let (option, value, _) = GRANTED;
        let request = rrq_with(via.client(), via.vip(), "f", &[(option, value)]);
        let transfer = ask(&mut gate, via, &request);
        if !via.is_dsr() {
            let _ = gate.take(oack(transfer.server, transfer.seen_as, &[(option, value)])).sent();
        }
        gate.wait(IDLE);
        assert!(gate.transfers().is_empty(), "{via:?}");
    }
}

/// However the transfer was forgotten.
#[test]
fn a_server_whose_transfer_was_forgotten_does_not_reach_its_client() {
    let ends: [fn(&mut EngineHarness, Transfer); 3] = [
        |gate, _| gate.wait(IDLE),
        |gate, transfer| {
            let _ = gate.take(transfer.client_error(3)).sent();
            gate.wait(50);
        },
        |gate, transfer| {
            let _ = gate.take(transfer.data(2, 9)).sent();
            let _ = gate.take(transfer.ack(2)).sent();
            gate.wait(50);
        },
    ];
    for via in Via::SEEN {
        for end in ends {
            let mut gate = EngineHarness::new();
            let transfer = run(&mut gate, via, via.client());
            end(&mut gate, transfer);
            for _ in 0..3 {
                let late = gate.take(transfer.data(2, 9));
                if via.is_snat() {
                    late.dropped(DropReason::NoTransfer);
                } else {
                    transfer.server_is_told_off(late);
                }
                gate.wait(200);
            }
            if !via.is_snat() {
                // Packets to other endpoints go to the kernel, as do those after the wait.
                let elsewhere = SocketAddr::new(via.client().ip(), via.client().port() + 1);
                gate.take(data(transfer.server, elsewhere, 1, 512)).to_kernel();
                gate.take(Packet { payload: b"no TFTP".into(), ..transfer.data(1, 1) }).to_kernel();
                gate.wait(IDLE);
                gate.take(transfer.data(2, 9)).to_kernel();
            }
        }
    }
}
