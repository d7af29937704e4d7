//! Every mode in both directions: the whole outgoing frame equals one built from scratch.

use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{ack, data, datagram, rrq, wrq};
use kit::topology::{OUTSIDE, Via, interface};
use kit::transfer::{TID, Transfer, ask, run};
use std::net::SocketAddr;

type Shape = fn(Packet) -> Packet;

/// Variations of a packet that do not change its meaning.
const SHAPES: [(&str, Shape); 7] = [
    ("plain", |packet| packet),
    ("padded", Packet::padded),
    ("no UDP checksum", Packet::unsummed),
    ("IP options", |packet| Packet { options: vec![1, 1, 1, 1, 148, 4, 0, 0], ..packet }),
    ("last hop but one", |packet| Packet { ttl: 2, ..packet }),
    ("greatest TTL", |packet| Packet { ttl: 255, id: 0xffff, ..packet }),
    ("padded, no checksum", |packet| packet.padded().unsummed()),
];

#[test]
fn packets_to_the_server() {
    for via in Via::ALL {
        for (name, shape) in SHAPES {
            for request in
                [rrq(via.client(), via.vip(), "odd"), wrq(via.client(), via.vip(), "even")]
            {
                let mut gate = EngineHarness::new();
                let request = shape(request);
                let outcome = gate.take(&request);
                let port = gate.transfer(via.client()).seen_as.port();
                let seen_as =
                    if via.is_snat() { SocketAddr::new(via.snat(), port) } else { via.client() };
                let server = SocketAddr::new(via.server(0), 69);
                let transfer =
                    Transfer { via, client: via.client(), vip: via.vip(), server, seen_as };
                let expected = transfer.at_server(&request, 1);
                assert_eq!(outcome.verdict, Verdict::Transmit(interface(server.ip())));
                assert_eq!(outcome.bytes, expected.bytes(), "{via:?}, {name}");
                gate.moved(&[
                    ("received", 1),
                    ("transmitted", 1),
                    ("started", 1),
                    ("packets_in", 1),
                ]);
            }
        }
    }
}

#[test]
fn packets_to_the_client_and_its_answers() {
    for via in Via::SEEN {
        for (name, shape) in SHAPES {
            for len in [0, 1, 511, 512, 1400] {
                let mut gate = EngineHarness::new();
                let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
                let block = shape(transfer.data(1, len));
                let outcome = gate.take(&block);
                assert_eq!(outcome.verdict, Verdict::Transmit(OUTSIDE));
                assert_eq!(
                    outcome.bytes,
                    transfer.at_client(&block, 2).bytes(),
                    "{via:?} {name} {len}"
                );
                let ack = shape(transfer.ack(1));
                let outcome = gate.take(&ack);
                let expected = transfer.at_server(&ack, 3);
                assert_eq!(outcome.bytes, expected.bytes(), "{via:?} {name} {len}");
            }
        }
    }
}

#[test]
fn a_checksum_of_zero_goes_out_in_its_other_form() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let block = transfer.data(1, 512);
        let wanted = transfer.at_client(&block, 2).summing_to_zero();
        let block = Packet { payload: wanted.payload.clone(), ..block };
        assert_eq!(gate.take(&block).bytes, wanted.bytes(), "{via:?}");

        let upload = data(via.client(), transfer.vip_tid(), 1, 512);
        let wanted = transfer.at_server(&upload, 3).summing_to_zero();
        let upload = Packet { payload: wanted.payload.clone(), ..upload };
        assert_eq!(gate.take(&upload).bytes, wanted.bytes(), "{via:?}");
    }
}

#[test]
fn a_checksum_in_its_other_form_is_a_checksum() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let request = datagram(via.client(), via.vip(), b"\0\x01files\0octet\0x\x000\0\0\0");
        let request = request.summing_to_zero();
        let sent = gate.take(&request).sent();
        assert!(sent.summed, "{via:?}");
    }
}

/// In a running transfer the checksum is neither verified nor repaired.
#[test]
fn a_wrong_checksum_stays_wrong() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let blocks = [transfer.data(2, 512), transfer.ack(2)];
        for packet in &blocks[usize::from(via.is_dsr())..] {
            let mut frame = packet.bytes();
            frame[14 + if packet.is_v6() { 40 } else { 20 } + 6] ^= 0x40;
            let outcome = gate.take(frame);
            assert!(matches!(outcome.verdict, Verdict::Transmit(_)));
            let read = std::panic::catch_unwind(|| Packet::read(&outcome.bytes));
            assert!(read.is_err(), "{via:?}: a receiver must see the damage");
        }
    }
}

#[test]
fn the_last_hop_is_for_dsr_alone() {
    for via in [Via::Dsr, Via::Dsr6] {
        let request = Packet { ttl: 1, ..rrq(via.client(), via.vip(), "boot.img") };
        assert_eq!(EngineHarness::new().take(request).sent().ttl, 1);
    }
}

#[test]
fn padding_does_not_count_against_the_mtu() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        gate.change(|snapshot| snapshot.interfaces[0].mtu = 576);
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        // The larger of both headers.
        let header = if via == Via::Snat46 { 40 } else { via.ip_header() };
        let _ = gate.take(transfer.data(1, 576 - header - 8 - 4)).sent();
        let _ = gate.take(Packet { padding: vec![0; 600], ..transfer.data(3, 512) }).sent();
    }
}

#[test]
fn bytes_are_counted_as_ip_counts_them() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let request = rrq(via.client(), via.vip(), "boot.img").padded();
    let transfer = ask(&mut gate, via, &request);
    let _ = gate.take(transfer.data(1, 512)).sent();
    let _ = gate.take(ack(via.client(), transfer.vip_tid(), 1).padded()).sent();
    let backend = &gate.engine.state.counters.backend(via.backend(0));
    assert_eq!(backend.bytes_in.value(), (28 + 17) + (28 + 4));
    assert_eq!(backend.bytes_out.value(), 28 + 4 + 512);
    assert_eq!((backend.packets_in.value(), backend.packets_out.value()), (2, 1));
}

#[test]
fn a_transfer_shows_what_is_known_of_it() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &wrq(via.client(), via.vip(), "core.dump"));
        gate.wait(7);
        let _ = gate.take(transfer.says(&[0, 4, 0, 0])).sent();
        let _ = gate.take(data(via.client(), transfer.vip_tid(), 1, 512)).sent();
        gate.wait(5);
        let view = gate.transfer(via.client());
        assert_eq!((view.service, view.backend), (via.service(), via.backend(0)));
        assert_eq!((view.client, view.seen_as), (via.client(), transfer.seen_as));
        assert_eq!((view.tid, &view.file[..]), (Some(TID), &b"core.dump"[..]));
        assert_eq!((view.blocks, view.bytes, view.age, view.idle), (1, 512, 12, 5));
    }
}
