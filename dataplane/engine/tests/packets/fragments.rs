//! Fragmented datagrams: the verdict on each fragment, and its effect on the others.

use engine::flow::fragment_table::HELD;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use etherparse::IpNumber;
use kit::engine_harness::EngineHarness;
use kit::fragments::{Joiner, cut, joined, part};
use kit::packet::Packet;
use kit::packets::{data, datagram, fragment, ip};
use kit::topology::{FLOWS, OUTSIDE, Via, interface, snapshot};
use kit::transfer::{Transfer, run};

/// A block of two full fragments and a third.
fn block(transfer: Transfer, number: u16) -> Packet {
    Packet { id: 7000 + number, ..transfer.data(number, 1000) }
}

#[test]
fn a_server_s_fragments_reach_the_client_as_from_the_vip() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.moves();
        let sent = block(transfer, 2);
        let got = joined(&mut gate, cut(&sent, 400));
        assert_eq!((got.source, got.destination), (transfer.vip_tid(), via.client()));
        assert_eq!((got.payload, got.ttl), (sent.payload, 63));
        gate.moved(&[("received", 3), ("transmitted", 3), ("packets_out", 3)]);
    }
}

#[test]
fn a_client_s_fragments_reach_its_server_in_every_mode() {
    for via in [Via::Dsr, Via::Dsr6].into_iter().chain(Via::SEEN) {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let sent = data(via.client(), transfer.vip_tid(), 2, 1000);
        let got = joined(&mut gate, cut(&sent, 496));
        assert_eq!(got.payload, sent.payload);
        let ends = (got.source, got.destination);
        if via.is_dsr() {
            assert_eq!((ends, got.ttl), ((via.client(), transfer.vip_tid()), 64));
        } else {
            assert_eq!((ends, got.ttl), ((transfer.seen_as, transfer.server), 63));
        }
    }
}

/// 512 bytes are a full block, and the first fragment has fewer.
#[test]
fn the_length_of_a_block_is_the_whole_datagram_s() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        joined(&mut gate, cut(&transfer.data(2, 512), 256));
        let _ = gate.take(transfer.ack(2)).sent();
        assert_eq!(gate.moves().get("completed"), None, "a full block is not the last");
        assert_eq!(gate.transfer(via.client()).bytes, 1024);
        joined(&mut gate, cut(&transfer.data(3, 511), 256));
        let _ = gate.take(transfer.ack(3)).sent();
        assert_eq!(gate.moves().get("completed"), Some(&1));
    }
}

/// A first answer may be fragmented: it teaches the TID.
#[test]
fn a_first_answer_in_fragments_teaches_the_tid() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = kit::packets::rrq(via.client(), via.vip(), "f");
        let transfer = kit::transfer::ask(&mut gate, via, &request);
        joined(&mut gate, cut(&block(transfer, 1), 400));
        assert_eq!(gate.transfer(via.client()).tid, Some(transfer.server.port()));
    }
}

#[test]
fn fragments_before_the_first_are_held() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.moves();
        let [first, second, third] = &cut(&block(transfer, 2), 400)[..] else { panic!() };
        assert_eq!(gate.take(&third[..]).verdict, Verdict::Hold(0));
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(1));
        assert!(gate.engine.released().is_empty());
        assert!(matches!(gate.take(&first[..]).verdict, Verdict::Transmit(_)));
        assert_eq!(*gate.engine.released(), [0, 1], "in the order in which they came");
        gate.moved(&[("received", 3), ("held", 2), ("transmitted", 1), ("packets_out", 1)]);
    }
}

#[test]
fn overlapping_fragments_end_their_datagram() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let sent = block(transfer, 2);
        let parts = cut(&sent, 400);
        let _ = gate.take(&parts[0][..]);
        gate.moves();
        // Eight bytes too early (RFC 5722).
        gate.take(part(&sent, 392, true, &[0; 400])).dropped(DropReason::Fragment);
        gate.take(&parts[1][..]).dropped(DropReason::Fragment);
        gate.take(&parts[2][..]).dropped(DropReason::Fragment);
        gate.moved(&[("received", 3), ("fragment", 3)]);
        // The next datagram has its own entry.
        joined(&mut gate, cut(&block(transfer, 3), 400));
    }
}

/// The first fragment is dropped, too, whenever it comes.
#[test]
fn overlapping_fragments_before_the_first_one_end_their_datagram() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let sent = block(transfer, 2);
        let [first, second, third] = &cut(&sent, 400)[..] else { panic!() };
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(0));
        gate.take(part(&sent, 392, true, &[0; 400])).dropped(DropReason::Fragment);
        for late in [first, third] {
            gate.take(&late[..]).dropped(DropReason::Fragment);
        }
        assert!(gate.engine.released().is_empty());
    }
}

/// Senders reuse identifications.
#[test]
fn a_fragment_that_waited_in_vain_does_not_go_with_a_later_datagram() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let [_, second, _] = &cut(&block(transfer, 2), 400)[..] else { panic!() };
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(0));
        gate.wait(30);
        let [first, second, third] = &cut(&block(transfer, 2), 400)[..] else { panic!() };
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(1));
        assert!(matches!(gate.take(&first[..]).verdict, Verdict::Transmit(_)));
        assert_eq!(*gate.engine.released(), [1]);
        assert!(matches!(gate.take(&third[..]).verdict, Verdict::Transmit(_)));
    }
}

#[test]
fn a_fragment_that_comes_twice_passes_once() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let parts = cut(&block(transfer, 2), 400);
        let _ = gate.take(&parts[0][..]);
        let _ = gate.take(&parts[1][..]);
        gate.moves();
        gate.take(&parts[0][..]).dropped(DropReason::Fragment);
        gate.take(&parts[1][..]).dropped(DropReason::Fragment);
        assert_eq!(gate.take(&parts[2][..]).verdict, Verdict::Transmit(OUTSIDE));
        gate.moved(&[("received", 3), ("fragment", 2), ("transmitted", 1), ("packets_out", 1)]);
    }
}

#[test]
fn fragments_that_are_none() {
    for via in Via::SEEN {
        let wrong = |parts: &dyn Fn(&Packet) -> Vec<Vec<u8>>| {
            let mut gate = EngineHarness::new();
            let transfer = run(&mut gate, via, via.client());
            let sent = block(transfer, 2);
            let frames = parts(&sent);
            let last = frames.len() - 1;
            for (n, frame) in frames.into_iter().enumerate() {
                let verdict = gate.take(frame).verdict;
                if n == last {
                    assert_eq!(verdict, Verdict::Drop(DropReason::Fragment), "{via:?}");
                }
            }
        };
        // Ports only, with the opcode in the next fragment (RFC 1858's tiny fragment).
        wrong(&|sent| {
            vec![part(sent, 0, true, &sent.bytes()[via.at_server().ip_header() + 14..][..8])]
        });
        wrong(&|sent| vec![part(sent, 0, true, &[0; 4])]);
        // Not a multiple of eight, but not the last fragment.
        wrong(&|sent| vec![part(sent, 400, true, &[0; 99])]);
        // Empty; beyond the longest datagram; behind the end; an end before earlier fragments.
        wrong(&|sent| vec![part(sent, 400, true, &[])]);
        wrong(&|sent| vec![part(sent, 65_528, false, &[0; 9])]);
        wrong(&|sent| vec![part(sent, 800, false, &[0; 9]), part(sent, 1600, true, &[0; 8])]);
        wrong(&|sent| vec![part(sent, 1600, true, &[0; 8]), part(sent, 800, false, &[0; 9])]);
        wrong(&|sent| vec![part(sent, 800, false, &[0; 16]), part(sent, 800, true, &[0; 16])]);
    }
}

#[test]
fn requests_do_not_come_in_fragments() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let request = kit::packets::rrq(via.client(), via.vip(), &"long".repeat(100));
        let parts = cut(&request, 200);
        gate.take(&parts[0][..]).dropped(DropReason::Fragment);
        gate.take(&parts[1][..]).dropped(DropReason::Fragment);
        assert!(gate.transfers().is_empty());
    }
}

#[test]
fn a_flood_without_first_fragments_costs_no_transfer() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let running = cut(&block(transfer, 2), 400);
        let _ = gate.take(&running[0][..]);
        for n in 0..20_000u32 {
            let flood = Packet { id: 10_000 + n as u16, ..transfer.data(1, 64) };
            let from = std::net::SocketAddr::new(transfer.server.ip(), n as u16);
            let verdict = gate.take(part(&Packet { source: from, ..flood }, 800, true, &[0; 8]));
            assert!(
                matches!(
                verdict.verdict,
                Verdict::Hold(slot) if usize::from(slot) < HELD)
                    || verdict.verdict == Verdict::Drop(DropReason::Fragment)
            );
        }
        assert_eq!(gate.take(&running[1][..]).verdict, Verdict::Transmit(OUTSIDE), "{via:?}");
        assert_eq!(gate.take(&running[2][..]).verdict, Verdict::Transmit(OUTSIDE), "{via:?}");
        // A new datagram passes.
        joined(&mut gate, cut(&Packet { id: 60_001, ..transfer.data(3, 1000) }, 400));
    }
}

/// Fragments that contradict each other take no entry from a transfer's datagram.
#[test]
fn a_flood_of_bad_fragments_costs_no_transfer() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let running = cut(&data(via.client(), transfer.vip_tid(), 2, 1000), 400);
        let _ = gate.take(&running[0][..]);
        for n in 0..5000u32 {
            let from = std::net::SocketAddr::new(via.client().ip(), n as u16);
            let flood = Packet { id: 20_000 + n as u16, ..data(from, transfer.vip_tid(), 1, 64) };
            let bad = part(&flood, 400, true, &[0; 99]);
            gate.take(bad).dropped(DropReason::Fragment);
            let _ = gate.take(part(&flood, 400, true, &[0; 16]));
            gate.take(part(&flood, 408, true, &[0; 16])).dropped(DropReason::Fragment);
        }
        for frame in &running[1..] {
            assert!(matches!(gate.take(&frame[..]).verdict, Verdict::Transmit(_)), "{via:?}");
        }
        // A new datagram passes.
        for frame in cut(&Packet { id: 9, ..data(via.client(), transfer.vip_tid(), 3, 1000) }, 400)
        {
            assert!(matches!(gate.take(frame).verdict, Verdict::Transmit(_)), "{via:?}");
        }
    }
}

/// Fragmented blocks of an earlier transfer's server process: one ERROR, for the fragment with the ports.
#[test]
fn a_stray_in_fragments_is_told_once() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let stray = transfer.with_tid(777);
        let [first, second, third] = &cut(&block(stray, 2), 400)[..] else { panic!() };
        stray.server_is_told_off(gate.take(&first[..]));
        gate.take(&second[..]).dropped(DropReason::StrayTid);
        // As with a whole datagram.
        let whole = stray.data(3, 9).bytes();
        let verdicts = gate.take_burst(interface(transfer.server.ip()), [whole, third.clone()]);
        assert_eq!(verdicts, [Verdict::Answer, Verdict::Drop(DropReason::StrayTid)]);
    }
}

#[test]
fn a_datagram_is_forgotten_when_its_rest_does_not_come() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, via, via.client());
    let parts = cut(&block(transfer, 2), 400);
    let _ = gate.take(&parts[0][..]);
    gate.now = gate.now.after(21);
    // The same identification, another datagram.
    assert_eq!(gate.take(&parts[2][..]).verdict, Verdict::Hold(0));
    assert_eq!(gate.take(&parts[0][..]).verdict, Verdict::Transmit(OUTSIDE));
}

#[test]
fn fragments_of_an_ended_transfer_go_nowhere() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let parts = cut(&block(transfer, 2), 400);
        let _ = gate.take(&parts[0][..]);
        let _ = gate.take(transfer.client_error(0)).sent();
        gate.now = gate.now.after(51);
        gate.wait(1);
        assert!(gate.transfers().is_empty());
        // The entry expires first: the held fragment is never released.
        assert!(matches!(gate.take(&parts[1][..]).verdict, Verdict::Hold(_)));
    }
}

/// Behind one SNAT address, two clients' datagrams may have the same identification.
#[test]
fn servers_do_not_mix_two_clients_datagrams() {
    for via in [Via::Snat, Via::Snat46, Via::Snat64] {
        let mut gate = EngineHarness::new();
        let talks = [1, 3].map(|n| {
            let _ = run(&mut gate, via, kit::transfer::client(via, n + 100));
            run(&mut gate, via, kit::transfer::client(via, n))
        });
        assert_eq!(talks[0].server.ip(), talks[1].server.ip());
        let mut joiner = Joiner::default();
        let parts =
            talks.map(|transfer| cut(&data(transfer.client, transfer.vip_tid(), 2, 1000), 400));
        let mut whole = vec![];
        for n in 0..3 {
            for parts in &parts {
                whole.extend(joiner.take(gate.take(&parts[n][..]).bytes));
            }
        }
        let from: Vec<_> = whole.iter().map(|frame| Packet::read(frame).source).collect();
        assert_eq!(from, talks.map(|transfer| transfer.seen_as));
    }
}

#[test]
fn other_fragments_of_a_nat_server_are_the_kernel_s_to_route() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::new();
        let server = std::net::SocketAddr::new(via.server(0), 2049);
        let elsewhere = std::net::SocketAddr::new(via.client().ip(), 900);
        for frame in cut(&datagram(server, elsewhere, &[1; 1000]), 400) {
            gate.take(frame).to_kernel();
        }
        gate.take(fragment(via.server(0), via.client().ip(), IpNumber::TCP, &[0; 16], 2, true))
            .to_kernel();
        gate.take(ip(via.server(0), via.client().ip(), IpNumber::TCP, &[0; 16])).to_kernel();
    }
}

#[test]
fn fragments_of_something_else_for_us_are_dropped() {
    let both = Via::ALIKE.iter().flat_map(|via| [(via, via.vip().ip()), (via, via.snat())]);
    for (via, to) in both {
        let mut gate = EngineHarness::new();
        for (offset, more) in [(0, true), (2, false)] {
            let from = if to == via.snat() { via.server(0) } else { via.client().ip() };
            let outcome = gate.take(fragment(from, to, IpNumber::ICMP, &[0; 16], offset, more));
            assert!(matches!(outcome.verdict, Verdict::Drop(_)), "{via:?} {to}");
        }
    }
}

/// The port of a SNAT address determines the worker, and only the first fragment carries it.
#[test]
fn the_sender_s_worker_looks_after_fragments_until_the_first_has_come() {
    let workers = 3;
    for via in [Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64] {
        let right = kit::topology::owner(via.client().ip(), workers);
        let world = snapshot();
        let mut gates: Vec<_> =
            (0..workers).map(|n| EngineHarness::one_of(n, workers, world.clone(), FLOWS)).collect();
        let transfer = run(&mut gates[usize::from(right)], via, via.client());
        let guardian = kit::topology::owner(transfer.server.ip(), workers);
        let [first, second, third] = &cut(&block(transfer, 2), 400)[..] else { panic!() };
        for (worker, gate) in (0..).zip(&mut gates) {
            let verdict = gate.take(&second[..]).verdict;
            if worker == guardian {
                assert_eq!(verdict, Verdict::Hold(0));
            } else {
                assert_eq!(verdict, Verdict::HandOver(guardian));
            }
        }
        let gate = &mut gates[usize::from(guardian)];
        let verdict = gate.take(&first[..]).verdict;
        if guardian == right {
            assert_eq!(verdict, Verdict::Transmit(interface(via.client().ip())));
        } else {
            assert_eq!(verdict, Verdict::HandOver(right));
            assert_eq!(gate.take(&third[..]).verdict, Verdict::HandOver(right));
        }
        assert_eq!(*gate.engine.released(), [0]);
    }
}
