//! ICMP errors about transfers: forwarded errors are translated, header and quote; others are originated by the gate.

use engine::flow::state::TransferState;
use engine::scheduler::persistence::Persistence;
use engine::snapshot::Snapshot;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::icmp_error::{EXPIRED, IcmpError, REFUSED, TOO_BIG, about};
use kit::packet::Packet;
use kit::packets::{data, rrq};
use kit::topology::{FLOWS, Via, mac, owner, snapshot};
use kit::transfer::{ask, run};
use std::net::SocketAddr;

/// The quote equals the packet, except for hop limit and checksums.
fn quotes(notice: &IcmpError, packet: &Packet) {
    let whole = packet.bytes()[14..].to_vec();
    let header = if packet.is_v6() { 40 } else { 20 };
    let same =
        |range: std::ops::Range<usize>| assert_eq!(notice.quote[range.clone()], whole[range]);
    same(header - if packet.is_v6() { 32 } else { 8 }..header);
    same(header..header + 6);
}

#[test]
fn the_client_hears_of_its_server_s_closed_port_and_the_transfer_ends() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(without_failover(via), FLOWS);
        let transfer = run(&mut gate, via, via.client());
        let sent = gate.take(transfer.ack(2)).sent();
        gate.moves();
        let server = transfer.server.ip();
        let refusal = about(&sent, server, REFUSED[via.at_server().family()], 0, 548);
        let outcome = gate.take(refusal);
        assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{via:?} {:?}", outcome.verdict);
        let heard = IcmpError::read(&outcome.bytes);
        assert_eq!((heard.from, heard.to), (via.vip().ip(), via.client().ip()));
        assert_eq!(heard.what, REFUSED[via.family()]);
        quotes(&heard, &transfer.ack(2));
        assert_eq!(outcome.bytes[..6], mac(via.client().ip()).0);
        gate.moved(&[
            ("received", 1),
            ("transmitted", 1),
            ("packets_out", 1),
            ("unreachable", 1),
            ("silences", 1),
            ("failed", 1),
            ("ended", 1),
        ]);
        assert_eq!(gate.transfer(via.client()).state, TransferState::Closing);
    }
}

/// A complete quote has a right checksum, too.
#[test]
fn what_is_quoted_whole_is_a_sound_datagram() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let sent = gate.take(transfer.ack(2)).sent();
        let outcome = gate.take(about(
            &sent,
            transfer.server.ip(),
            EXPIRED[via.at_server().family()],
            0,
            1000,
        ));
        let quote = IcmpError::read(&outcome.bytes).quote;
        let ethernet = &transfer.ack(2).bytes()[..14];
        let quoted = Packet::read(&[ethernet, &quote].concat());
        assert_eq!((quoted.source, quoted.destination), (via.client(), transfer.vip_tid()));
        assert_eq!(
            gate.transfer(via.client()).state,
            TransferState::Established,
            "on the way only"
        );
    }
}

/// Services without failover.
fn without_failover(via: Via) -> Snapshot {
    let mut snapshot = snapshot();
    snapshot[via.service()].failover = false;
    snapshot
}

/// A gate with persistence.
fn loyal(via: Via) -> EngineHarness {
    let mut snapshot = without_failover(via);
    snapshot[via.service()].persistence = Some(Persistence::of_clients(10_000));
    EngineHarness::with(snapshot, FLOWS)
}

/// A server process uses its port for one transfer.
#[test]
fn a_closed_port_after_the_end_is_no_failure() {
    for via in Via::SEEN {
        let mut gate = loyal(via);
        let transfer = run(&mut gate, via, via.client());
        let _ = gate.take(transfer.data(2, 9)).sent();
        let last = gate.take(transfer.ack(2)).sent();
        let what = REFUSED[via.at_server().family()];
        let outcome = gate.take(about(&last, transfer.server.ip(), what, 0, 28 + 20));
        assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{via:?}");
        let moves = gate.moves();
        assert_eq!((moves.get("completed"), moves.get("failed")), (Some(&1), None));
        let again = ask(&mut gate, via, &rrq(via.client(), via.vip(), "next"));
        assert_eq!(again.server.ip(), transfer.server.ip(), "it stays with its server");
    }
}

/// Strangers do not know the TID.
#[test]
fn errors_about_the_service_s_port_end_no_running_transfer() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let candidate = transfer.with_tid(69);
        let up = candidate.at_server(&transfer.client_error(0), 0);
        let down =
            Packet { source: candidate.vip_tid(), ..transfer.at_client(&transfer.data(1, 512), 0) };
        for (packet, from, family) in [
            (up, transfer.server.ip(), via.at_server().family()),
            (down, via.client().ip(), via.family()),
        ] {
            gate.take(about(&packet, from, REFUSED[family], 0, 48)).dropped(DropReason::NoTransfer);
        }
        assert_eq!(gate.transfer(via.client()).state, TransferState::Established);
    }
}

/// The first request met a closed port, the second one a server.
#[test]
fn a_transfer_that_was_given_up_ends_once() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        let transfer = ask(&mut gate, via, &request);
        let sent = gate.take(&request).sent();
        let what = REFUSED[via.at_server().family()];
        let _ = gate.take(about(&sent, transfer.server.ip(), what, 0, 28 + 20));
        transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
        gate.wait(1000);
        let moves = gate.moves();
        assert_eq!((moves.get("started"), moves.get("ended")), (Some(&1), Some(&1)), "{via:?}");
    }
}

#[test]
fn a_server_that_does_not_listen_at_all() {
    for via in Via::SEEN {
        let mut gate = loyal(via);
        let request = rrq(via.client(), via.vip(), "boot.img");
        let sent = gate.take(&request).sent();
        let server = sent.destination.ip();
        let what = REFUSED[via.at_server().family()];
        let outcome = gate.take(about(&sent, server, what, 0, 28 + 20));
        assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{via:?}");
        quotes(&IcmpError::read(&outcome.bytes), &request);
        // A repeated request goes to another server, in spite of persistence.
        assert_ne!(gate.take(&request).sent().destination.ip(), server);
    }
}

#[test]
fn the_server_hears_what_its_client_s_network_says() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let block = transfer.data(2, 512);
        let seen = gate.take(&block).sent();
        gate.moves();
        for (from, what, mtu) in [
            (via.client().ip(), REFUSED, 0),
            (via.host(0, 1), TOO_BIG, 1400),
            (via.host(0, 1), EXPIRED, 0),
        ] {
            let outcome = gate.take(about(&seen, from, what[via.family()], mtu, 28 + 20));
            assert!(
                matches!(outcome.verdict, Verdict::Transmit(_)),
                "{via:?} {:?}",
                outcome.verdict
            );
            let heard = IcmpError::read(&outcome.bytes);
            // IPv6 headers are 20 bytes longer.
            let mtu = match via {
                Via::Snat46 if mtu > 0 => mtu + 20,
                Via::Snat64 if mtu > 0 => mtu - 20,
                _ => mtu,
            };
            let what = what[via.at_server().family()];
            assert_eq!((heard.to, heard.what, heard.mtu), (transfer.server.ip(), what, mtu));
            let shown = if via.is_snat() { via.snat() } else { from };
            assert_eq!(heard.from, shown);
            quotes(&heard, &block);
            assert_eq!(outcome.bytes[..6], mac(transfer.server.ip()).0);
        }
        // The client may have gone; the server finds out itself.
        assert_eq!(gate.transfer(via.client()).state, TransferState::Established);
        gate.moved(&[("received", 3), ("transmitted", 3), ("packets_in", 3)]);
    }
}

/// In `dsr` the server's packets do not pass the gate, but errors about them come to the VIP.
#[test]
fn in_dsr_errors_go_on_to_the_server_as_they_are() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let past = data(transfer.vip_tid(), via.client(), 2, 512);
        let frame = about(&past, via.host(0, 1), TOO_BIG[via.family()], 1400, 100);
        let outcome = gate.take(frame.clone());
        assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{:?}", outcome.verdict);
        assert_eq!(outcome.bytes[..6], mac(transfer.server.ip()).0);
        assert_eq!(outcome.bytes[14..], frame[14..]);
    }
}

#[test]
fn errors_about_nothing_of_ours() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let what = REFUSED[via.at_server().family()];
        let sent = transfer.at_server(&transfer.ack(1), 0);
        // Another server port than the transfer's, or another client.
        let other = SocketAddr::new(transfer.server.ip(), 1);
        let wrong = about(&Packet { destination: other, ..sent.clone() }, other.ip(), what, 0, 48);
        gate.take(wrong).dropped(DropReason::NoTransfer);
        let seen = transfer.at_client(&transfer.data(1, 512), 0);
        let other = SocketAddr::new(via.host(0, 200), 2070);
        let what = REFUSED[via.family()];
        let wrong = about(&Packet { destination: other, ..seen.clone() }, other.ip(), what, 0, 48);
        gate.take(wrong).dropped(DropReason::NoTransfer);
        // Malformed, too short, or about another packet.
        let what = REFUSED[via.at_server().family()];
        let mut broken = about(&sent, transfer.server.ip(), what, 0, 48);
        *broken.last_mut().unwrap() ^= 1;
        let short = about(&sent, transfer.server.ip(), what, 0, via.at_server().ip_header() + 7);
        for frame in [broken, short] {
            let verdict = gate.take(frame).verdict;
            let nobody =
                if via.is_snat() { Verdict::Drop(DropReason::NoService) } else { Verdict::Kernel };
            assert_eq!(verdict, nobody, "{via:?}");
        }
        assert_eq!(gate.transfer(via.client()).state, TransferState::Established);
    }
}

/// Errors about a server's routed packets are the kernel's.
#[test]
fn errors_about_other_traffic_of_a_nat_server_are_the_kernel_s() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::new();
        let server = SocketAddr::new(via.server(0), 53);
        let routed = data(via.client(), server, 1, 100);
        let frame = about(&routed, via.server(0), REFUSED[via.family()], 0, 48);
        gate.take(frame).to_kernel();
    }
}

#[test]
fn errors_find_the_transfer_s_worker() {
    let workers = 3;
    for via in Via::SEEN {
        let right = owner(via.client().ip(), workers);
        let world = without_failover(via);
        let mut gate = EngineHarness::one_of(right, workers, world.clone(), FLOWS);
        let transfer = run(&mut gate, via, via.client());
        let what = REFUSED[via.at_server().family()];
        let up = about(&transfer.at_server(&transfer.ack(1), 0), transfer.server.ip(), what, 0, 48);
        let what = REFUSED[via.family()];
        let down =
            about(&transfer.at_client(&transfer.data(1, 9), 0), via.client().ip(), what, 0, 48);
        for frame in [up, down] {
            for worker in (0..workers).filter(|&worker| worker != right) {
                let mut other = EngineHarness::one_of(worker, workers, world.clone(), FLOWS);
                assert_eq!(other.take(frame.clone()).verdict, Verdict::HandOver(right), "{via:?}");
            }
            assert!(matches!(gate.take(frame).verdict, Verdict::Transmit(_)), "{via:?}");
        }
    }
}

#[test]
fn a_packet_at_its_last_hop_is_answered() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let family = via.family();
        let request = Packet { ttl: 1, ..rrq(via.client(), via.vip(), "boot.img") };
        gate.take(&request).told(via.vip().ip(), EXPIRED[family], 0);
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "another"));
        let family = via.at_server().family();
        let by = if via.is_snat() { via.snat() } else { via.vip().ip() };
        gate.take(Packet { ttl: 1, ..transfer.data(1, 1400) }).told(by, EXPIRED[family], 0);
        gate.take(Packet { ttl: 0, ..transfer.data(1, 5) }.padded()).told(by, EXPIRED[family], 0);
    }
}

#[test]
fn a_packet_that_is_too_big_is_answered_with_what_would_pass() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.change(|snapshot| snapshot.interfaces.iter_mut().for_each(|one| one.mtu = 1300));
        let family = via.at_server().family();
        let by = if via.is_snat() { via.snat() } else { via.vip().ip() };
        // Translation to IPv6 adds 20 bytes, translation to IPv4 removes them.
        let mtu = match via {
            Via::Snat64 => 1280,
            Via::Snat46 => 1320,
            _ => 1300,
        };
        let block = Packet { id: 9, ..transfer.data(2, 1400) };
        gate.take(&block).told(by, TOO_BIG[family], mtu);
        let fits = mtu as usize - via.at_server().ip_header() - 8 - 4;
        let _ = gate.take(transfer.data(2, fits)).sent();
        gate.take(transfer.data(2, fits + 1)).told(by, TOO_BIG[family], mtu);
    }
}

#[test]
fn notices_are_rationed() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, via, via.client());
    gate.moves();
    let late = Packet { ttl: 1, ..transfer.ack(2) };
    for _ in 0..200 {
        let _ = gate.take(&late);
    }
    gate.moved(&[("received", 200), ("answered", 50), (DropReason::TtlExpired.name(), 150)]);
}

#[test]
fn nobody_is_told_of_what_everybody_got() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, via, via.client());
    let to_all = Packet { to: wire::ethernet::Mac::BROADCAST, ttl: 1, ..transfer.ack(2) };
    gate.take(to_all).dropped(DropReason::TtlExpired);
}
