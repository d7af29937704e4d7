//! Effects of options: how transfers are told apart, and the size of packets.

use crate::download_failover::{absorbed, die, other, said, says};
use engine::flow::state::TransferState;
use engine::snapshot::option_limits::OptionLimits;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{data, oack, rrq, rrq_with, wrq};
use kit::topology::Via;
use kit::transfer::{Transfer, ask};
use std::net::SocketAddr;

/// The option that the server gets for the client's option.
fn asked(gate: &mut EngineHarness, via: Via, is_write: bool, option: &str, size: u32) -> Vec<u8> {
    let mut request = rrq_with(via.client(), via.vip(), "f", &[(option, size)]);
    request.payload[1] = if is_write { 2 } else { 1 };
    gate.take(&request).sent().payload
}

fn request(is_write: bool, option: &str, size: u32) -> Vec<u8> {
    let opcode = if is_write { '\x02' } else { '\x01' };
    format!("\0{opcode}f\0octet\0{option}\0{size}\0").into_bytes()
}

/// U-Boot cannot reassemble fragments.
#[test]
fn a_block_of_one_packet_is_one_at_both_ends() {
    for mtu in [1500, 1400, 9000] {
        let (v4, v6) = (mtu - 32, mtu - 52);
        let same = |via, is_write, size| (via, is_write, size, size);
        let cases = [
            // Whether the client can reassemble is the client's concern.
            (Via::Snat46, false, v4, v6),
            (Via::Snat46, false, v6 + 1, v6),
            same(Via::Snat46, false, v6),
            same(Via::Snat46, false, v4 + 1),
            same(Via::Snat46, false, 65_464),
            // IPv4's fragments are too large for IPv6.
            (Via::Snat46, true, v4, v6),
            (Via::Snat46, true, 65_464, v6),
            (Via::Snat64, false, v4, v6),
            (Via::Snat64, false, 65_464, v6),
            same(Via::Snat64, true, v6),
            same(Via::Snat64, true, 65_464),
        ];
        let alike = Via::ALIKE.into_iter().flat_map(|via| {
            [v6, v4, v4 + 1]
                .into_iter()
                .flat_map(move |size| [same(via, false, size), same(via, true, size)])
        });
        for (via, is_write, size, becomes) in cases.into_iter().chain(alike) {
            let mut gate = EngineHarness::new();
            gate.change(|snapshot| {
                snapshot.interfaces.iter_mut().for_each(|one| one.mtu = mtu as u16)
            });
            let sent = asked(&mut gate, via, is_write, "blksize", size);
            assert_eq!(sent, request(is_write, "blksize", becomes), "{via:?} {is_write} {size}");
            // A power of two only if asked for.
            let power = if becomes < size { 1 << becomes.ilog2() } else { size };
            let mut gate = EngineHarness::new();
            gate.change(|snapshot| {
                snapshot.interfaces.iter_mut().for_each(|one| one.mtu = mtu as u16)
            });
            let sent = asked(&mut gate, via, is_write, "blksize2", size);
            assert_eq!(sent, request(is_write, "blksize2", power), "{via:?} {is_write} {size}");
        }
    }
}

/// The server gets no other limit than the one it was asked for.
#[test]
fn a_smaller_block_than_was_asked_for_is_granted_as_it_is() {
    let via = Via::Snat46;
    let mut gate = EngineHarness::new();
    let transfer =
        ask(&mut gate, via, &rrq_with(via.client(), via.vip(), "f", &[("blksize", 8192)]));
    let granted = oack(transfer.server, transfer.seen_as, &[("blksize", 1468)]);
    transfer.client_gets(gate.take(&granted), &granted.payload);
}

/// The next server may have the other address family, where another block size would fit.
#[test]
fn another_server_is_asked_for_the_block_that_was_granted() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let asked = |size| rrq_with(via.client(), via.vip(), "f", &[("blksize", size)]);
        let first = ask(&mut gate, via, &asked(1440));
        let granted =
            |transfer: Transfer| oack(transfer.server, transfer.seen_as, &[("blksize", 1024)]);
        let _ = gate.take(granted(first)).sent();
        let _ = gate.take(first.ack(0)).sent();
        let _ = gate.take(first.data(1, 1024)).sent();
        let _ = gate.take(first.ack(1)).sent();
        die(&mut gate, first);
        absorbed(&mut gate, first.ack(1));
        let next = other(first);
        let to = SocketAddr::new(next.server.ip(), 69);
        says(&mut gate, to, next.seen_as, &asked(1024).payload);
        absorbed(&mut gate, granted(next));
        says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 0]);
    }
}

fn limited(via: Via, limits: OptionLimits) -> EngineHarness {
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| snapshot[via.service()].options = limits);
    gate
}

/// The tftp-hpa option, which syslinux and FreeBSD have too.
#[test]
fn a_block_size_that_is_a_power_of_two_is_one() {
    for via in Via::SEEN {
        let limits = OptionLimits { max_blksize: Some(1428), ..OptionLimits::default() };
        let mut gate = limited(via, limits);
        let sent = asked(&mut gate, via, false, "blksize2", 4096);
        assert_eq!(sent, request(false, "blksize2", 1024), "{via:?}");
        for is_write in [false, true] {
            let file = format!("g{is_write}");
            let transfer = if is_write {
                ask(&mut gate, via, &wrq(via.client(), via.vip(), &file))
            } else {
                ask(&mut gate, via, &rrq(via.client(), via.vip(), &file))
            };
            gate.moves();
            let granted = oack(transfer.server, transfer.seen_as, &[("blksize2", 1024)]);
            transfer.client_gets(gate.take(&granted), &granted.payload);
            if !is_write {
                let _ = gate.take(transfer.ack(0)).sent();
            }
            for (block, len) in [(1, 1024), (2, 1023)] {
                assert_eq!(gate.transfer(via.client()).state, TransferState::Established);
                let (sent, heard) = if is_write {
                    (
                        data(transfer.client, transfer.vip_tid(), block, len),
                        transfer.says(&[0, 4, 0, block as u8]),
                    )
                } else {
                    (transfer.data(block, len), transfer.ack(block))
                };
                let _ = gate.take(sent).sent();
                let _ = gate.take(heard).sent();
            }
            assert_eq!(
                gate.transfer(via.client()).state,
                TransferState::Completed,
                "{via:?} {is_write}"
            );
            assert_eq!(gate.moves().get("completed"), Some(&1));
        }
    }
}

/// Microsoft's WDS: each ACK carries the number of blocks to send.
#[test]
fn a_window_in_each_ack_is_no_way_round_a_limit() {
    for via in Via::ALL {
        for (most, passes) in [(Some(1), false), (Some(64), false), (None, true)] {
            let limits = OptionLimits {
                max_windowsize: most,
                max_blksize: Some(1400),
                ..OptionLimits::default()
            };
            let mut gate = limited(via, limits);
            let options = [("tsize", 0), ("blksize", 1400), ("msftwindow", 31_416)];
            let request = rrq_with(via.client(), via.vip(), "boot.wim", &options);
            let kept = if passes { &options[..] } else { &options[..2] };
            let expected = rrq_with(via.client(), via.vip(), "boot.wim", kept);
            assert_eq!(gate.take(&request).sent().payload, expected.payload, "{via:?} {most:?}");
        }
    }
}

#[test]
fn another_server_is_spoken_to_as_the_client_did() {
    for via in Via::SEEN {
        for window in [8, 0] {
            let mut gate = EngineHarness::new();
            let options = [("tsize", 100_000), ("blksize", 1400), ("msftwindow", 27_182)];
            let request = rrq_with(via.client(), via.vip(), "boot.wim", &options);
            let first = ask(&mut gate, via, &request);
            let _ = gate.take(oack(first.server, first.seen_as, &options)).sent();
            let ack = |transfer: Transfer, block: u8| Packet {
                payload: vec![0, 4, 0, block, window],
                ..transfer.ack(0)
            };
            first.server_gets(gate.take(ack(first, 0)), &[0, 4, 0, 0, window]);
            for block in 1..=8 {
                let _ = gate.take(first.data(block, 1400)).sent();
            }
            first.server_gets(gate.take(ack(first, 8)), &[0, 4, 0, 8, window]);
            die(&mut gate, first);
            absorbed(&mut gate, ack(first, 8));
            let next = other(first);
            let to = SocketAddr::new(next.server.ip(), 69);
            says(&mut gate, to, next.seen_as, &request.payload);
            absorbed(&mut gate, oack(next.server, next.seen_as, &options));
            // The gate asks for one block at a time, and then for as many as the client did.
            says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 0, 1]);
            for block in 1..8 {
                absorbed(&mut gate, next.data(block, 1400));
                says(&mut gate, next.server, next.seen_as, &[0, 4, 0, block as u8, 1]);
            }
            absorbed(&mut gate, next.data(8, 1400));
            says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 8, window.max(1)]);
            let block = next.data(9, 1400);
            first.client_gets(gate.take(&block), &block.payload);
            next.server_gets(gate.take(ack(first, 9)), &[0, 4, 0, 9, window]);
        }
    }
}

#[test]
fn a_server_that_has_no_such_window_does_not_take_over() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let options = [("blksize", 1400), ("msftwindow", 27_182)];
        let first = ask(&mut gate, via, &rrq_with(via.client(), via.vip(), "boot.wim", &options));
        let _ = gate.take(oack(first.server, first.seen_as, &options)).sent();
        let _ = gate.take(first.ack(0)).sent();
        let _ = gate.take(first.data(1, 1400)).sent();
        let _ = gate.take(first.ack(1)).sent();
        die(&mut gate, first);
        absorbed(&mut gate, first.ack(1));
        let next = other(first);
        assert_eq!(said(&mut gate).len(), 1);
        let outcome = gate.take(oack(next.server, next.seen_as, &options[..1]));
        assert!(matches!(outcome.verdict, Verdict::Answer | Verdict::Drop(_)), "{outcome:?}");
        let said = said(&mut gate);
        assert_eq!((said[0].destination, &said[0].payload[..4]), (via.client(), &[0, 5, 0, 0][..]));
    }
}
