//! Datagrams in parts: what becomes of each, and of the others with it.

use engine::fragments::HELD;
use engine::reason::Reason;
use engine::verdict::Verdict;
use etherparse::IpNumber;
use kit::gate::Gate;
use kit::packet::Packet;
use kit::parts::{Joiner, cut, joined, part};
use kit::story::{data, datagram, fragment, ip};
use kit::talk::{Talk, run};
use kit::world::{FLOWS, OUTSIDE, Via, interface, tables};

/// A block that fills two parts and begins a third.
fn block(talk: Talk, number: u16) -> Packet {
    Packet { id: 7000 + number, ..talk.data(number, 1000) }
}

#[test]
fn a_server_s_parts_reach_the_client_as_from_the_vip() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        gate.moves();
        let sent = block(talk, 2);
        let got = joined(&mut gate, cut(&sent, 400));
        assert_eq!((got.source, got.destination), (talk.vip_tid(), via.client()));
        assert_eq!((got.payload, got.ttl), (sent.payload, 63));
        gate.moved(&[("received", 3), ("transmitted", 3), ("packets_out", 3)]);
    }
}

#[test]
fn a_client_s_parts_reach_its_server_in_every_mode() {
    for via in [Via::Dsr, Via::Dsr6].into_iter().chain(Via::SEEN) {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let sent = data(via.client(), talk.vip_tid(), 2, 1000);
        let got = joined(&mut gate, cut(&sent, 496));
        assert_eq!(got.payload, sent.payload);
        let ends = (got.source, got.destination);
        if via.is_dsr() {
            assert_eq!((ends, got.ttl), ((via.client(), talk.vip_tid()), 64));
        } else {
            assert_eq!((ends, got.ttl), ((talk.seen_as, talk.server), 63));
        }
    }
}

/// 512 bytes are a full block, and the first part has fewer.
#[test]
fn the_length_of_a_block_is_the_whole_datagram_s() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        joined(&mut gate, cut(&talk.data(2, 512), 256));
        let _ = gate.take(talk.ack(2)).sent();
        assert_eq!(gate.moves().get("completed"), None, "a full block is not the last");
        assert_eq!(gate.transfer(via.client()).bytes, 1024);
        joined(&mut gate, cut(&talk.data(3, 511), 256));
        let _ = gate.take(talk.ack(3)).sent();
        assert_eq!(gate.moves().get("completed"), Some(&1));
    }
}

/// A part that a first answer may begin with: it teaches the TID.
#[test]
fn a_first_answer_in_parts_teaches_the_tid() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let request = kit::story::rrq(via.client(), via.vip(), "f");
        let talk = kit::talk::ask(&mut gate, via, &request);
        joined(&mut gate, cut(&block(talk, 1), 400));
        assert_eq!(gate.transfer(via.client()).tid, Some(talk.server.port()));
    }
}

#[test]
fn parts_before_the_first_are_held() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        gate.moves();
        let [first, second, third] = &cut(&block(talk, 2), 400)[..] else { panic!() };
        assert_eq!(gate.take(&third[..]).verdict, Verdict::Hold(0));
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(1));
        assert!(gate.core.released().is_empty());
        assert!(matches!(gate.take(&first[..]).verdict, Verdict::Transmit(_)));
        assert_eq!(*gate.core.released(), [0, 1], "in the order in which they came");
        gate.moved(&[("received", 3), ("held", 2), ("transmitted", 1), ("packets_out", 1)]);
    }
}

#[test]
fn overlapping_parts_end_their_datagram() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let sent = block(talk, 2);
        let parts = cut(&sent, 400);
        let _ = gate.take(&parts[0][..]);
        gate.moves();
        // Eight bytes too early (RFC 5722).
        gate.take(part(&sent, 392, true, &[0; 400])).dropped(Reason::Fragment);
        gate.take(&parts[1][..]).dropped(Reason::Fragment);
        gate.take(&parts[2][..]).dropped(Reason::Fragment);
        gate.moved(&[("received", 3), ("fragment", 3)]);
        // The next datagram is another one.
        joined(&mut gate, cut(&block(talk, 3), 400));
    }
}

/// The first part is not to go on either, whenever it comes.
#[test]
fn overlapping_parts_before_the_first_one_end_their_datagram() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let sent = block(talk, 2);
        let [first, second, third] = &cut(&sent, 400)[..] else { panic!() };
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(0));
        gate.take(part(&sent, 392, true, &[0; 400])).dropped(Reason::Fragment);
        for late in [first, third] {
            gate.take(&late[..]).dropped(Reason::Fragment);
        }
        assert!(gate.core.released().is_empty());
    }
}

/// Senders use their numbers again.
#[test]
fn a_part_that_waited_in_vain_does_not_go_with_a_later_datagram() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let [_, second, _] = &cut(&block(talk, 2), 400)[..] else { panic!() };
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(0));
        gate.wait(30);
        let [first, second, third] = &cut(&block(talk, 2), 400)[..] else { panic!() };
        assert_eq!(gate.take(&second[..]).verdict, Verdict::Hold(1));
        assert!(matches!(gate.take(&first[..]).verdict, Verdict::Transmit(_)));
        assert_eq!(*gate.core.released(), [1]);
        assert!(matches!(gate.take(&third[..]).verdict, Verdict::Transmit(_)));
    }
}

#[test]
fn a_part_that_comes_twice_passes_once() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let parts = cut(&block(talk, 2), 400);
        let _ = gate.take(&parts[0][..]);
        let _ = gate.take(&parts[1][..]);
        gate.moves();
        gate.take(&parts[0][..]).dropped(Reason::Fragment);
        gate.take(&parts[1][..]).dropped(Reason::Fragment);
        assert_eq!(gate.take(&parts[2][..]).verdict, Verdict::Transmit(OUTSIDE));
        gate.moved(&[("received", 3), ("fragment", 2), ("transmitted", 1), ("packets_out", 1)]);
    }
}

#[test]
fn parts_that_are_none() {
    for via in Via::SEEN {
        let wrong = |parts: &dyn Fn(&Packet) -> Vec<Vec<u8>>| {
            let mut gate = Gate::new();
            let talk = run(&mut gate, via, via.client());
            let sent = block(talk, 2);
            let frames = parts(&sent);
            let last = frames.len() - 1;
            for (n, frame) in frames.into_iter().enumerate() {
                let verdict = gate.take(frame).verdict;
                if n == last {
                    assert_eq!(verdict, Verdict::Drop(Reason::Fragment), "{via:?}");
                }
            }
        };
        // The ports alone, the opcode in another one (RFC 1858's tiny fragment).
        wrong(&|sent| {
            vec![part(sent, 0, true, &sent.bytes()[via.at_server().ip_header() + 14..][..8])]
        });
        wrong(&|sent| vec![part(sent, 0, true, &[0; 4])]);
        // No multiple of eight, but not the last.
        wrong(&|sent| vec![part(sent, 400, true, &[0; 99])]);
        // Empty, beyond the longest datagram, behind the end, before which others lay.
        wrong(&|sent| vec![part(sent, 400, true, &[])]);
        wrong(&|sent| vec![part(sent, 65_528, false, &[0; 9])]);
        wrong(&|sent| vec![part(sent, 800, false, &[0; 9]), part(sent, 1600, true, &[0; 8])]);
        wrong(&|sent| vec![part(sent, 1600, true, &[0; 8]), part(sent, 800, false, &[0; 9])]);
        wrong(&|sent| vec![part(sent, 800, false, &[0; 16]), part(sent, 800, true, &[0; 16])]);
    }
}

#[test]
fn requests_do_not_come_in_parts() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let request = kit::story::rrq(via.client(), via.vip(), &"long".repeat(100));
        let parts = cut(&request, 200);
        gate.take(&parts[0][..]).dropped(Reason::Fragment);
        gate.take(&parts[1][..]).dropped(Reason::Fragment);
        assert!(gate.transfers().is_empty());
    }
}

#[test]
fn a_flood_without_first_parts_costs_no_transfer() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let running = cut(&block(talk, 2), 400);
        let _ = gate.take(&running[0][..]);
        for n in 0..20_000u32 {
            let flood = Packet { id: 10_000 + n as u16, ..talk.data(1, 64) };
            let from = std::net::SocketAddr::new(talk.server.ip(), n as u16);
            let verdict = gate.take(part(&Packet { source: from, ..flood }, 800, true, &[0; 8]));
            assert!(
                matches!(
                verdict.verdict,
                Verdict::Hold(slot) if usize::from(slot) < HELD)
                    || verdict.verdict == Verdict::Drop(Reason::Fragment)
            );
        }
        assert_eq!(gate.take(&running[1][..]).verdict, Verdict::Transmit(OUTSIDE), "{via:?}");
        assert_eq!(gate.take(&running[2][..]).verdict, Verdict::Transmit(OUTSIDE), "{via:?}");
        // And a new one goes its way.
        joined(&mut gate, cut(&Packet { id: 60_001, ..talk.data(3, 1000) }, 400));
    }
}

/// Parts that contradict each other, or can't be, take no place from a transfer's.
#[test]
fn a_flood_of_bad_parts_costs_no_transfer() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let running = cut(&data(via.client(), talk.vip_tid(), 2, 1000), 400);
        let _ = gate.take(&running[0][..]);
        for n in 0..5000u32 {
            let from = std::net::SocketAddr::new(via.client().ip(), n as u16);
            let flood = Packet { id: 20_000 + n as u16, ..data(from, talk.vip_tid(), 1, 64) };
            let bad = part(&flood, 400, true, &[0; 99]);
            gate.take(bad).dropped(Reason::Fragment);
            let _ = gate.take(part(&flood, 400, true, &[0; 16]));
            gate.take(part(&flood, 408, true, &[0; 16])).dropped(Reason::Fragment);
        }
        for frame in &running[1..] {
            assert!(matches!(gate.take(&frame[..]).verdict, Verdict::Transmit(_)), "{via:?}");
        }
        // And a new one goes its way.
        for frame in cut(&Packet { id: 9, ..data(via.client(), talk.vip_tid(), 3, 1000) }, 400) {
            assert!(matches!(gate.take(frame).verdict, Verdict::Transmit(_)), "{via:?}");
        }
    }
}

/// A server process of an earlier transfer, whose blocks come in parts: told once, by the part with the ports.
#[test]
fn a_stray_in_parts_is_told_once() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let stray = talk.with_tid(777);
        let [first, second, third] = &cut(&block(stray, 2), 400)[..] else { panic!() };
        stray.server_is_told_off(gate.take(&first[..]));
        gate.take(&second[..]).dropped(Reason::StrayTid);
        // Beside a whole one, too.
        let whole = stray.data(3, 9).bytes();
        let verdicts = gate.take_burst(interface(talk.server.ip()), [whole, third.clone()]);
        assert_eq!(verdicts, [Verdict::Answer, Verdict::Drop(Reason::StrayTid)]);
    }
}

#[test]
fn a_datagram_is_forgotten_when_its_rest_does_not_come() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let talk = run(&mut gate, via, via.client());
    let parts = cut(&block(talk, 2), 400);
    let _ = gate.take(&parts[0][..]);
    gate.now = gate.now.after(21);
    // The same number, another datagram.
    assert_eq!(gate.take(&parts[2][..]).verdict, Verdict::Hold(0));
    assert_eq!(gate.take(&parts[0][..]).verdict, Verdict::Transmit(OUTSIDE));
}

#[test]
fn parts_of_an_ended_transfer_go_nowhere() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let parts = cut(&block(talk, 2), 400);
        let _ = gate.take(&parts[0][..]);
        let _ = gate.take(talk.client_error(0)).sent();
        gate.now = gate.now.after(51);
        gate.wait(1);
        assert!(gate.transfers().is_empty());
        // Its entry is forgotten before: the part waits in vain.
        assert!(matches!(gate.take(&parts[1][..]).verdict, Verdict::Hold(_)));
    }
}

/// Behind one address, two clients' datagrams may have the same number.
#[test]
fn servers_do_not_mix_two_clients_datagrams() {
    for via in [Via::Snat, Via::Snat46, Via::Snat64] {
        let mut gate = Gate::new();
        let talks = [1, 3].map(|n| {
            let _ = run(&mut gate, via, kit::talk::client(via, n + 100));
            run(&mut gate, via, kit::talk::client(via, n))
        });
        assert_eq!(talks[0].server.ip(), talks[1].server.ip());
        let mut joiner = Joiner::default();
        let parts = talks.map(|talk| cut(&data(talk.client, talk.vip_tid(), 2, 1000), 400));
        let mut whole = vec![];
        for n in 0..3 {
            for parts in &parts {
                whole.extend(joiner.take(gate.take(&parts[n][..]).bytes));
            }
        }
        let from: Vec<_> = whole.iter().map(|frame| Packet::read(frame).source).collect();
        assert_eq!(from, talks.map(|talk| talk.seen_as));
    }
}

#[test]
fn other_parts_of_a_nat_server_are_the_kernel_s_to_route() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = Gate::new();
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
fn parts_of_something_else_for_us_are_dropped() {
    let both = Via::ALIKE.iter().flat_map(|via| [(via, via.vip().ip()), (via, via.snat())]);
    for (via, to) in both {
        let mut gate = Gate::new();
        for (offset, more) in [(0, true), (2, false)] {
            let from = if to == via.snat() { via.server(0) } else { via.client().ip() };
            let outcome = gate.take(fragment(from, to, IpNumber::ICMP, &[0; 16], offset, more));
            assert!(matches!(outcome.verdict, Verdict::Drop(_)), "{via:?} {to}");
        }
    }
}

/// The port of a SNAT address tells its worker, and only the first part has it.
#[test]
fn the_sender_s_worker_looks_after_parts_until_the_first_has_come() {
    let workers = 3;
    for via in [Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64] {
        let right = kit::world::owner(via.client().ip(), workers);
        let world = tables();
        let mut gates: Vec<_> =
            (0..workers).map(|n| Gate::one_of(n, workers, world.clone(), FLOWS)).collect();
        let talk = run(&mut gates[usize::from(right)], via, via.client());
        let guardian = kit::world::owner(talk.server.ip(), workers);
        let [first, second, third] = &cut(&block(talk, 2), 400)[..] else { panic!() };
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
        assert_eq!(*gate.core.released(), [0]);
    }
}
