//! Control messages about transfers' packets: those that pass are translated inside and outside, and some
//! are made here.

use engine::flow::view::State;
use engine::reason::Reason;
use engine::select::sticky::Persistence;
use engine::tables::Tables;
use engine::verdict::Verdict;
use kit::gate::Gate;
use kit::notice::{EXPIRED, Notice, REFUSED, TOO_BIG, about};
use kit::packet::Packet;
use kit::story::{data, rrq};
use kit::talk::{ask, run};
use kit::world::{FLOWS, Via, mac, owner, tables};
use std::net::SocketAddr;

/// The quoted packet begins as this one does, but for its hops and checksums.
fn quotes(notice: &Notice, packet: &Packet) {
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
        let mut gate = Gate::with(without_failover(via), FLOWS);
        let talk = run(&mut gate, via, via.client());
        let sent = gate.take(talk.ack(2)).sent();
        gate.moves();
        let server = talk.server.ip();
        let refusal = about(&sent, server, REFUSED[via.at_server().family()], 0, 548);
        let outcome = gate.take(refusal);
        assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{via:?} {:?}", outcome.verdict);
        let heard = Notice::read(&outcome.bytes);
        assert_eq!((heard.from, heard.to), (via.vip().ip(), via.client().ip()));
        assert_eq!(heard.what, REFUSED[via.family()]);
        quotes(&heard, &talk.ack(2));
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
        assert_eq!(gate.transfer(via.client()).state, State::Closing);
    }
}

/// The quoted datagram's checksum is right too, where all of it is there.
#[test]
fn what_is_quoted_whole_is_a_sound_datagram() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let sent = gate.take(talk.ack(2)).sent();
        let outcome =
            gate.take(about(&sent, talk.server.ip(), EXPIRED[via.at_server().family()], 0, 1000));
        let quote = Notice::read(&outcome.bytes).quote;
        let ethernet = &talk.ack(2).bytes()[..14];
        let quoted = Packet::read(&[ethernet, &quote].concat());
        assert_eq!((quoted.source, quoted.destination), (via.client(), talk.vip_tid()));
        assert_eq!(gate.transfer(via.client()).state, State::Established, "on the way only");
    }
}

/// No server goes on with what another one has begun.
fn without_failover(via: Via) -> Tables {
    let mut tables = tables();
    tables.services[usize::from(via.service())].failover = false;
    tables
}

/// A gate whose clients stay with their servers.
fn loyal(via: Via) -> Gate {
    let mut tables = without_failover(via);
    tables.services[usize::from(via.service())].persistence = Some(Persistence::of_clients(10_000));
    Gate::with(tables, FLOWS)
}

/// A server process has its port for one transfer.
#[test]
fn a_closed_port_after_the_end_is_no_failure() {
    for via in Via::SEEN {
        let mut gate = loyal(via);
        let talk = run(&mut gate, via, via.client());
        let _ = gate.take(talk.data(2, 9)).sent();
        let last = gate.take(talk.ack(2)).sent();
        let what = REFUSED[via.at_server().family()];
        let outcome = gate.take(about(&last, talk.server.ip(), what, 0, 28 + 20));
        assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{via:?}");
        let moves = gate.moves();
        assert_eq!((moves.get("completed"), moves.get("failed")), (Some(&1), None));
        let again = ask(&mut gate, via, &rrq(via.client(), via.vip(), "next"));
        assert_eq!(again.server.ip(), talk.server.ip(), "it stays with its server");
    }
}

/// The TID is what strangers don't know.
#[test]
fn errors_about_the_service_s_port_end_no_running_transfer() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let guess = talk.with_tid(69);
        let up = guess.at_server(&talk.client_error(0), 0);
        let down = Packet { source: guess.vip_tid(), ..talk.at_client(&talk.data(1, 512), 0) };
        for (packet, from, family) in [
            (up, talk.server.ip(), via.at_server().family()),
            (down, via.client().ip(), via.family()),
        ] {
            gate.take(about(&packet, from, REFUSED[family], 0, 48)).dropped(Reason::NoTransfer);
        }
        assert_eq!(gate.transfer(via.client()).state, State::Established);
    }
}

/// The first request's port was closed, but the second one found a server.
#[test]
fn a_transfer_that_was_given_up_ends_once() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        let talk = ask(&mut gate, via, &request);
        let sent = gate.take(&request).sent();
        let what = REFUSED[via.at_server().family()];
        let _ = gate.take(about(&sent, talk.server.ip(), what, 0, 28 + 20));
        talk.client_gets(gate.take(talk.data(1, 512)), &talk.data(1, 512).payload);
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
        quotes(&Notice::read(&outcome.bytes), &request);
        // Asked again, it is another server's turn, whatever the client is used to.
        assert_ne!(gate.take(&request).sent().destination.ip(), server);
    }
}

#[test]
fn the_server_hears_what_its_client_s_network_says() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let block = talk.data(2, 512);
        let seen = gate.take(&block).sent();
        gate.moves();
        for (from, what, mtu) in [
            (via.client().ip(), REFUSED, 0),
            (via.station(0, 1), TOO_BIG, 1400),
            (via.station(0, 1), EXPIRED, 0),
        ] {
            let outcome = gate.take(about(&seen, from, what[via.family()], mtu, 28 + 20));
            assert!(
                matches!(outcome.verdict, Verdict::Transmit(_)),
                "{via:?} {:?}",
                outcome.verdict
            );
            let heard = Notice::read(&outcome.bytes);
            // Over IPv6 headers are 20 bytes longer.
            let mtu = match via {
                Via::Snat46 if mtu > 0 => mtu + 20,
                Via::Snat64 if mtu > 0 => mtu - 20,
                _ => mtu,
            };
            let what = what[via.at_server().family()];
            assert_eq!((heard.to, heard.what, heard.mtu), (talk.server.ip(), what, mtu));
            let shown = if via.is_snat() { via.snat() } else { from };
            assert_eq!(heard.from, shown);
            quotes(&heard, &block);
            assert_eq!(outcome.bytes[..6], mac(talk.server.ip()).0);
        }
        // The client may have gone; the server finds out by itself.
        assert_eq!(gate.transfer(via.client()).state, State::Established);
        gate.moved(&[("received", 3), ("transmitted", 3), ("packets_in", 3)]);
    }
}

/// In direct server return the server's packets are not seen, but what is said of them comes to the VIP.
#[test]
fn in_dsr_errors_go_on_to_the_server_as_they_are() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let past = data(talk.vip_tid(), via.client(), 2, 512);
        let frame = about(&past, via.station(0, 1), TOO_BIG[via.family()], 1400, 100);
        let outcome = gate.take(frame.clone());
        assert!(matches!(outcome.verdict, Verdict::Transmit(_)), "{:?}", outcome.verdict);
        assert_eq!(outcome.bytes[..6], mac(talk.server.ip()).0);
        assert_eq!(outcome.bytes[14..], frame[14..]);
    }
}

#[test]
fn errors_about_nothing_of_ours() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let what = REFUSED[via.at_server().family()];
        let sent = talk.at_server(&talk.ack(1), 0);
        // Another port of the server than the transfer's, or another client.
        let other = SocketAddr::new(talk.server.ip(), 1);
        let wrong = about(&Packet { destination: other, ..sent.clone() }, other.ip(), what, 0, 48);
        gate.take(wrong).dropped(Reason::NoTransfer);
        let seen = talk.at_client(&talk.data(1, 512), 0);
        let other = SocketAddr::new(via.station(0, 200), 2070);
        let what = REFUSED[via.family()];
        let wrong = about(&Packet { destination: other, ..seen.clone() }, other.ip(), what, 0, 48);
        gate.take(wrong).dropped(Reason::NoTransfer);
        // Broken, too short to tell, or about something else.
        let what = REFUSED[via.at_server().family()];
        let mut broken = about(&sent, talk.server.ip(), what, 0, 48);
        *broken.last_mut().unwrap() ^= 1;
        let short = about(&sent, talk.server.ip(), what, 0, via.at_server().ip_header() + 7);
        for frame in [broken, short] {
            let verdict = gate.take(frame).verdict;
            let nobody =
                if via.is_snat() { Verdict::Drop(Reason::NoService) } else { Verdict::Kernel };
            assert_eq!(verdict, nobody, "{via:?}");
        }
        assert_eq!(gate.transfer(via.client()).state, State::Established);
    }
}

/// Errors about what the kernel routes for a server are the kernel's.
#[test]
fn errors_about_other_traffic_of_a_nat_server_are_the_kernel_s() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = Gate::new();
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
        let mut gate = Gate::one_of(right, workers, world.clone(), FLOWS);
        let talk = run(&mut gate, via, via.client());
        let what = REFUSED[via.at_server().family()];
        let up = about(&talk.at_server(&talk.ack(1), 0), talk.server.ip(), what, 0, 48);
        let what = REFUSED[via.family()];
        let down = about(&talk.at_client(&talk.data(1, 9), 0), via.client().ip(), what, 0, 48);
        for frame in [up, down] {
            for worker in (0..workers).filter(|&worker| worker != right) {
                let mut other = Gate::one_of(worker, workers, world.clone(), FLOWS);
                assert_eq!(other.take(frame.clone()).verdict, Verdict::HandOver(right), "{via:?}");
            }
            assert!(matches!(gate.take(frame).verdict, Verdict::Transmit(_)), "{via:?}");
        }
    }
}

#[test]
fn a_packet_at_its_last_hop_is_answered() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let family = via.family();
        let request = Packet { ttl: 1, ..rrq(via.client(), via.vip(), "boot.img") };
        gate.take(&request).told(via.vip().ip(), EXPIRED[family], 0);
        let talk = ask(&mut gate, via, &rrq(via.client(), via.vip(), "another"));
        let family = via.at_server().family();
        let by = if via.is_snat() { via.snat() } else { via.vip().ip() };
        gate.take(Packet { ttl: 1, ..talk.data(1, 1400) }).told(by, EXPIRED[family], 0);
        gate.take(Packet { ttl: 0, ..talk.data(1, 5) }.padded()).told(by, EXPIRED[family], 0);
    }
}

#[test]
fn a_packet_that_is_too_big_is_answered_with_what_would_pass() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        gate.change(|tables| tables.interfaces.iter_mut().for_each(|one| one.mtu = 1300));
        let family = via.at_server().family();
        let by = if via.is_snat() { via.snat() } else { via.vip().ip() };
        // On the way to IPv6 it grows by 20 bytes, on the way from there it shrinks.
        let mtu = match via {
            Via::Snat64 => 1280,
            Via::Snat46 => 1320,
            _ => 1300,
        };
        let block = Packet { id: 9, ..talk.data(2, 1400) };
        gate.take(&block).told(by, TOO_BIG[family], mtu);
        let fits = mtu as usize - via.at_server().ip_header() - 8 - 4;
        let _ = gate.take(talk.data(2, fits)).sent();
        gate.take(talk.data(2, fits + 1)).told(by, TOO_BIG[family], mtu);
    }
}

#[test]
fn notices_are_rationed() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let talk = run(&mut gate, via, via.client());
    gate.moves();
    let late = Packet { ttl: 1, ..talk.ack(2) };
    for _ in 0..200 {
        let _ = gate.take(&late);
    }
    gate.moved(&[("received", 200), ("answered", 50), (Reason::TtlExpired.name(), 150)]);
}

#[test]
fn nobody_is_told_of_what_everybody_got() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let talk = run(&mut gate, via, via.client());
    let to_all = Packet { to: wire::ethernet::Mac::BROADCAST, ttl: 1, ..talk.ack(2) };
    gate.take(to_all).dropped(Reason::TtlExpired);
}
