//! Ends of transfers, and the time for which their rows are kept.

use engine::flow::state::TransferState;
use kit::engine_harness::EngineHarness;
use kit::packets::{CLIENT, data, rrq, rrq_with, wrq};
use kit::topology::{IDLE, Via};
use kit::transfer::{Transfer, ask, run};

/// Increase of this counter since the last call.
fn moved(gate: &mut EngineHarness, name: &str) -> u64 {
    gate.moves().get(name).copied().unwrap_or_default()
}

/// State of the only transfer.
fn state(gate: &EngineHarness) -> TransferState {
    let transfers = gate.transfers();
    assert_eq!(transfers.len(), 1);
    transfers[0].state
}

#[test]
fn a_download_ends_with_the_ack_of_its_last_short_block() {
    for via in Via::SEEN {
        for (blksize, last) in [(512, 511), (512, 0), (1428, 512), (1428, 1427), (8, 7)] {
            let mut gate = EngineHarness::new();
            let options = [("blksize", blksize as u32)];
            let request = rrq_with(via.client(), via.vip(), "boot.img", &options);
            let transfer = ask(&mut gate, via, &request);
            if blksize != 512 {
                let oack = format!("\0\x06blksize\0{blksize}\0");
                transfer.client_gets(gate.take(transfer.says(oack.as_bytes())), oack.as_bytes());
                let _ = gate.take(transfer.ack(0)).sent();
            }
            for block in 1..=3 {
                let _ = gate.take(transfer.data(block, blksize)).sent();
                let _ = gate.take(transfer.ack(block)).sent();
                assert_eq!(state(&gate), TransferState::Established);
            }
            let _ = gate.take(transfer.data(4, last)).sent();
            assert_eq!(state(&gate), TransferState::Established);
            let _ = gate.take(transfer.ack(3)).sent();
            assert_eq!(state(&gate), TransferState::Established, "an ACK of another block");
            assert_eq!(moved(&mut gate, "ended"), 0);
            let _ = gate.take(transfer.ack(4)).sent();
            gate.moved(&[
                ("received", 1),
                ("transmitted", 1),
                ("packets_in", 1),
                ("completed", 1),
                ("ended", 1),
            ]);
            assert_eq!(state(&gate), TransferState::Completed);
        }
    }
}

#[test]
fn an_upload_ends_with_the_server_s_ack_of_its_last_short_block() {
    for via in Via::SEEN {
        for blksize in [512, 1024] {
            let mut gate = EngineHarness::new();
            let transfer = ask(&mut gate, via, &wrq(via.client(), via.vip(), "core"));
            let first =
                if blksize == 512 { &b"\0\x04\0\0"[..] } else { b"\0\x06BLKSIZE\x001024\0" };
            let _ = gate.take(transfer.says(first)).sent();
            let _ = gate.take(data(via.client(), transfer.vip_tid(), 1, blksize)).sent();
            let _ = gate.take(transfer.says(&[0, 4, 0, 1])).sent();
            let _ = gate.take(data(via.client(), transfer.vip_tid(), 2, blksize - 1)).sent();
            assert_eq!(moved(&mut gate, "completed"), 0);
            let _ = gate.take(transfer.says(&[0, 4, 0, 2])).sent();
            assert_eq!(moved(&mut gate, "completed"), 1, "{via:?} {blksize}");
        }
    }
}

#[test]
fn a_server_that_refuses_the_block_size_sends_512() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request =
            rrq_with(via.client(), via.vip(), "boot.img", &[("blksize", 1428), ("tsize", 0)]);
        let transfer = ask(&mut gate, via, &request);
        let _ = gate.take(transfer.says(b"\0\x06tsize\x00512\0")).sent();
        let _ = gate.take(transfer.ack(0)).sent();
        let _ = gate.take(transfer.data(1, 512)).sent();
        let _ = gate.take(transfer.ack(1)).sent();
        assert_eq!(moved(&mut gate, "completed"), 0);
        let _ = gate.take(transfer.data(2, 0)).sent();
        let _ = gate.take(transfer.ack(2)).sent();
        assert_eq!(moved(&mut gate, "completed"), 1);
    }
}

#[test]
fn block_numbers_wrap_to_0_or_to_1() {
    for via in Via::SEEN {
        for wrapped in [0, 1] {
            let mut gate = EngineHarness::new();
            let transfer = run(&mut gate, via, via.client());
            gate.moves();
            let blocks = [32000, 64000, 65535, wrapped, wrapped + 1];
            for block in blocks {
                let _ = gate.take(transfer.data(block, 512)).sent();
                transfer.server_gets(gate.take(transfer.ack(block)), &transfer.ack(block).payload);
            }
            gate.moved(&[
                ("received", 10),
                ("transmitted", 10),
                ("packets_in", 5),
                ("packets_out", 5),
            ]);
            assert_eq!(state(&gate), TransferState::Established);
            let last = 65536 + u32::from(wrapped) + 1;
            assert_eq!(gate.transfer(via.client()).blocks, last);
        }
    }
}

#[test]
fn one_ack_may_stand_for_a_window_of_blocks() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        for block in 2..=5 {
            let _ = gate.take(transfer.data(block, 512)).sent();
        }
        let _ = gate.take(transfer.ack(3)).sent();
        for (block, len) in [(4, 512), (5, 512), (6, 512), (7, 100)] {
            let _ = gate.take(transfer.data(block, len)).sent();
        }
        assert_eq!(moved(&mut gate, "completed"), 0);
        let _ = gate.take(transfer.ack(7)).sent();
        assert_eq!(moved(&mut gate, "completed"), 1);
    }
}

#[test]
fn a_duplicated_packet_is_forwarded_once_each() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.moves();
        for _ in 0..2 {
            transfer.client_gets(gate.take(transfer.data(2, 512)), &transfer.data(2, 512).payload);
            transfer.server_gets(gate.take(transfer.ack(2)), &transfer.ack(2).payload);
        }
        gate.moved(&[("received", 4), ("transmitted", 4), ("packets_in", 2), ("packets_out", 2)]);
    }
}

#[test]
fn a_client_that_only_wants_the_size_has_not_failed() {
    for via in Via::SEEN {
        for code in [0, 8] {
            let mut gate = EngineHarness::new();
            let request = rrq_with(via.client(), via.vip(), "boot.img", &[("tsize", 0)]);
            let transfer = ask(&mut gate, via, &request);
            let _ = gate.take(transfer.says(b"\0\x06tsize\x001000\0")).sent();
            gate.moves();
            transfer.server_gets(
                gate.take(transfer.client_error(code)),
                &transfer.client_error(code).payload,
            );
            gate.moved(&[
                ("received", 1),
                ("transmitted", 1),
                ("packets_in", 1),
                ("size_probes", 1),
                ("ended", 1),
            ]);
            // The real request, from the same port at once.
            let transfer =
                ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img")).with_tid(1234);
            transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
            assert_eq!(gate.moves().get("replaced"), None, "it had ended");
        }
    }
}

#[test]
fn errors_end_a_transfer_as_what_they_say() {
    let by_client = |transfer: Transfer, code| transfer.client_error(code);
    let by_server = |transfer: Transfer, code| transfer.server_error(code);
    for via in Via::SEEN {
        for (who, code, counter) in [
            (&by_server as &dyn Fn(Transfer, u16) -> _, 1, "not_found"),
            (&by_server, 0, "failed"),
            (&by_server, 8, "failed"),
            (&by_client, 3, "failed"),
            (&by_client, 0, "failed"),
        ] {
            let mut gate = EngineHarness::new();
            let transfer = run(&mut gate, via, via.client());
            gate.moves();
            let _ = gate.take(who(transfer, code)).sent();
            let moves = gate.moves();
            assert_eq!((moves.get(counter), moves.get("ended")), (Some(&1), Some(&1)), "{code}");
            assert_eq!(state(&gate), TransferState::Closing);
        }
    }
}

#[test]
fn an_ended_transfer_lingers_for_a_lost_last_ack() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let _ = gate.take(transfer.data(2, 0)).sent();
        let _ = gate.take(transfer.ack(2)).sent();
        gate.wait(49);
        transfer.client_gets(gate.take(transfer.data(2, 0)), &transfer.data(2, 0).payload);
        transfer.server_gets(gate.take(transfer.ack(2)), &transfer.ack(2).payload);
        assert_eq!(moved(&mut gate, "ended"), 1, "once");
        gate.wait(49);
        assert_eq!(gate.transfers().len(), 1, "five seconds from the last packet");
        gate.wait(1);
        assert!(gate.transfers().is_empty());
        assert_eq!(gate.moves().len(), 0, "it had ended long ago");
    }
}

#[test]
fn a_silent_transfer_is_given_up_after_the_idle_timeout() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.wait(IDLE - 1);
        let _ = gate.take(transfer.data(2, 512)).sent();
        gate.wait(IDLE - 1);
        let _ = gate.take(transfer.ack(2)).sent();
        gate.moves();
        gate.wait(IDLE - 1);
        assert_eq!(gate.transfers().len(), 1);
        gate.wait(1);
        assert!(gate.transfers().is_empty());
        gate.moved(&[("timed_out", 1), ("ended", 1)]);
    }
}

#[test]
fn a_timeout_longer_than_the_wheel_is_kept() {
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| snapshot.services.iter_mut().for_each(|s| s.idle_timeout = 36_000));
    run(&mut gate, Via::Nat, CLIENT);
    gate.wait(35_999);
    assert_eq!(gate.transfers().len(), 1);
    gate.wait(1);
    assert!(gate.transfers().is_empty());
}

#[test]
fn an_unanswered_request_is_given_up() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        gate.moves();
        gate.wait(IDLE);
        gate.moved(&[("unanswered", 1), ("ended", 1)]);
        assert!(gate.transfers().is_empty());
    }
}

#[test]
fn a_worker_that_slept_gives_up_all_that_is_due() {
    let mut gate = EngineHarness::new();
    for n in 0..50 {
        ask(
            &mut gate,
            Via::Nat,
            &rrq(kit::transfer::client(Via::Nat, n), Via::Nat.vip(), "boot.img"),
        );
        gate.wait(30);
    }
    gate.moves();
    gate.now = gate.now.after(1_000_000);
    gate.engine.expire(gate.now);
    assert!(gate.transfers().is_empty());
    let left = moved(&mut gate, "unanswered");
    assert!(left > 0);
}
