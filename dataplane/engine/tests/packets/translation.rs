//! Clients and servers of different address families: the whole outgoing frame equals one built from scratch (RFC
//! 7915).

use crate::properties::{file_data, shape};
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::fragments::cut;
use kit::icmp_error::{IcmpError, TOO_BIG, about, control};
use kit::packet::Packet;
use kit::packets::{data, datagram, rrq};
use kit::topology::{OUTSIDE, Via};
use kit::transfer::{ask, run};
use proptest::prelude::*;
use std::net::SocketAddr;

const BOTH: [Via; 2] = [Via::Snat46, Via::Snat64];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn there_and_back(
        via in prop::sample::select(BOTH.to_vec()), tid in 1u16..,
        (request, down, up) in (shape(), shape(), shape()),
        (block, upload) in (file_data(), file_data()),
    ) {
        let mut gate = EngineHarness::new();
        let asked = request.of(rrq(via.client(), via.vip(), "boot.img"));
        let transfer = ask(&mut gate, via, &asked).with_tid(tid);
        prop_assert_eq!(transfer.seen_as.is_ipv6(), !via.is_v6());
        // Each packet gets an identification; the request had the first.
        let server_side = down.of(transfer.says(&block));
        let expected = transfer.at_client(&server_side, 2);
        prop_assert_eq!(gate.take(&server_side).bytes, expected.bytes());
        let client_side = up.of(datagram(via.client(), transfer.vip_tid(), &upload));
        let expected = transfer.at_server(&client_side, 3);
        prop_assert_eq!(gate.take(&client_side).bytes, expected.bytes());
    }

    /// Each fragment is the one that a sender of the other family would have made (RFC 7915 §4.1, §5.1.1).
    #[test]
    fn fragments_are_translated_one_by_one(
        via in prop::sample::select(BOTH.to_vec()), len in 500..9000usize, size in 2..62usize,
        id: u16,
    ) {
        let size = size * 8;
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let down = Packet { id, ..transfer.data(2, len) };
        let expected = Packet { id, ..transfer.at_client(&down, 0) };
        prop_assert_eq!(taken(&mut gate, cut(&down, size)), cut(&expected, size));
        // All clients share the SNAT address, so the worker numbers their datagrams. Three packets came before.
        let up = Packet { id, ..datagram(via.client(), transfer.vip_tid(), &down.payload) };
        let expected = Packet { id: 4, ..transfer.at_server(&up, 0) };
        prop_assert_eq!(taken(&mut gate, cut(&up, size)), cut(&expected, size));
    }

    #[test]
    fn a_checksum_is_never_zero(
        via in prop::sample::select(BOTH.to_vec()), (down, data) in (shape(), file_data()),
        add in any::<[u8; 2]>(),
    ) {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let even = data.len() & !1;
        let packet = down.of(transfer.says(&[&data[..even], &add].concat()));
        let summed = packet.summed;
        // IPv6 always has a checksum.
        prop_assert_eq!(gate.take(packet).sent().summed, summed || via.is_v6());
    }
}

fn taken(gate: &mut EngineHarness, frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.into_iter().map(|frame| gate.take(frame).bytes).collect()
}

#[test]
fn a_checksum_that_comes_out_as_zero_is_written_in_its_other_form() {
    for via in BOTH {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let block = transfer.data(1, 512);
        let wanted = transfer.at_client(&block, 2).summing_to_zero();
        let block = Packet { payload: wanted.payload.clone(), ..block };
        assert_eq!(gate.take(&block).bytes, wanted.bytes(), "{via:?}");
    }
}

/// DSCP and ECN: the second byte of IPv4, and the bits behind the version of IPv6.
#[test]
fn the_traffic_class_goes_along() {
    let mut request = rrq(Via::Snat46.client(), Via::Snat46.vip(), "f").bytes();
    let sum = u16::from_be_bytes([request[24], request[25]]);
    request[15] = 0xb9;
    request[24..26].copy_from_slice(&(sum - 0xb9).to_be_bytes());
    let sent = EngineHarness::new().take(request);
    assert_eq!(sent.verdict, Verdict::Transmit(OUTSIDE));
    assert_eq!(sent.bytes[14..18], [0x6b, 0x90, 0, 0]);

    let mut request = rrq(Via::Snat64.client(), Via::Snat64.vip(), "f").bytes();
    request[14..16].copy_from_slice(&[0x6b, 0x90]);
    let sent = EngineHarness::new().take(request);
    assert_eq!(sent.verdict, Verdict::Transmit(OUTSIDE));
    assert_eq!(sent.bytes[15], 0xb9);
    let _ = sent.sent();
}

#[test]
fn the_longer_header_counts_against_the_mtu() {
    let mut gate = EngineHarness::new();
    // From IPv4 servers to IPv6 clients.
    let transfer = run(&mut gate, Via::Snat64, Via::Snat64.client());
    let _ = gate.take(transfer.data(2, 1500 - 40 - 8 - 4)).sent();
    // The shorter frame does not grow too large.
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, Via::Snat46, Via::Snat46.client());
    let sent = gate.take(transfer.data(2, 1500 - 40 - 8 - 4)).sent();
    assert!(!sent.may_be_fragmented);
}

/// A fragment needs an additional header over IPv6.
#[test]
fn fragments_that_do_not_fit_are_answered_with_what_would() {
    let via = Via::Snat64;
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, via, via.client());
    let sent = Packet { id: 7, ..transfer.data(2, 4000) };
    gate.take(&cut(&sent, 1480)[0][..]).told(via.snat(), TOO_BIG[0], 1500 - 28);
    // The fragments that its sender then makes.
    for frame in cut(&Packet { id: 8, ..sent }, 1448) {
        let outcome = gate.take(frame);
        assert_eq!(outcome.verdict, Verdict::Transmit(OUTSIDE));
        assert!(outcome.bytes.len() <= 14 + 1500);
    }
}

/// The checksum cannot be computed from a fragment.
#[test]
fn a_fragment_without_a_checksum_is_not_translated() {
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, Via::Snat64, Via::Snat64.client());
    let frames = cut(&transfer.data(2, 1000).unsummed(), 800);
    gate.take(&frames[0][..]).dropped(DropReason::BadUdp);
}

/// Errors about fragments quote the fragment that their receiver sent.
#[test]
fn errors_about_fragments_are_translated() {
    for via in BOTH {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let sent = Packet { id: 7, ..transfer.data(2, 3000) };
        let arrived = Packet { id: 7, ..transfer.at_client(&sent, 0) };
        let first = gate.take(&cut(&sent, 1200)[0][..]);
        assert_eq!(first.bytes, cut(&arrived, 1200)[0]);
        let quote = &first.bytes[14..];
        let error = control(via.host(0, 1), transfer.vip.ip(), TOO_BIG[via.family()], 1400, quote);
        let outcome = gate.take(error);
        assert_eq!(outcome.verdict, Verdict::Transmit(OUTSIDE));
        let heard = IcmpError::read(&outcome.bytes);
        assert_eq!((heard.from, heard.to), (via.snat(), transfer.server.ip()));
        let family = via.at_server().family();
        let (room, most) = if via.is_v6() { (1400 - 28, 576) } else { (1400 + 20, 1280) };
        assert_eq!((heard.what, heard.mtu), (TOO_BIG[family], room));
        let whole = &cut(&Packet { ttl: 63, ..sent }, 1200)[0][14..];
        assert!(whole.starts_with(&heard.quote), "{via:?}");
        assert_eq!(outcome.bytes.len(), 14 + most);
    }
}

#[test]
fn what_only_one_family_has_is_not_translated() {
    for (via, what) in [(Via::Snat46, [4, 2]), (Via::Snat64, [3, 14])] {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let sent = gate.take(transfer.ack(2)).sent();
        gate.take(about(&sent, transfer.server.ip(), what, 0, 80)).dropped(DropReason::NoTransfer);
    }
}

/// Fragments that fill IPv4 packets would not fit over IPv6.
#[test]
fn blocks_that_go_to_ipv6_are_held_to_what_fits_a_packet() {
    for via in BOTH {
        for opcode in [1, 2] {
            let is_write = opcode == 2;
            let to_v6 = is_write != via.is_v6();
            for (asked, in_one) in [(8192, 1448), (1449, 1448), (1448, 1448), (512, 512)] {
                // In the other direction fragments are allowed, except for a block that fits one packet at the client.
                let is_one = !is_write && asked <= 1468;
                let passed = if to_v6 || is_one { in_one } else { asked };
                let mut gate = EngineHarness::new();
                let request = |size: u16| {
                    let words = [&[0, opcode], &b"f\0octet\0"[..], &option(size)].concat();
                    datagram(via.client(), via.vip(), &words)
                };
                let transfer = ask(&mut gate, via, &request(asked));
                transfer
                    .with_tid(69)
                    .server_gets(gate.take(request(asked)), &request(passed).payload);
                // Whatever the server answers.
                let granted = |size: u16| [&b"\0\x06"[..], &option(size)].concat();
                let grants = if to_v6 { asked } else { passed };
                transfer.client_gets(gate.take(transfer.says(&granted(grants))), &granted(passed));
            }
        }
    }
}

fn option(blksize: u16) -> Vec<u8> {
    format!("blksize\0{blksize}\0").into_bytes()
}

#[test]
fn a_burst_may_hold_packets_of_both_families_and_both_directions() {
    let mut gate = EngineHarness::new();
    let talks = BOTH.map(|via| run(&mut gate, via, via.client()));
    let alike = run(&mut gate, Via::Snat, Via::Snat.client());
    let [up, down] = talks;
    let stray = data(SocketAddr::new(up.server.ip(), 7), up.seen_as, 1, 512);
    let frames = [up.ack(2), down.data(2, 9), alike.ack(2), stray, up.data(2, 512)];
    let verdicts = gate.take_burst(OUTSIDE, frames.map(|packet| packet.bytes()));
    assert_eq!(verdicts[..3], [Verdict::Transmit(OUTSIDE); 3]);
    assert_eq!(verdicts[3..], [Verdict::Answer, Verdict::Transmit(OUTSIDE)]);
}
