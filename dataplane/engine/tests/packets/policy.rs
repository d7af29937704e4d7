//! Access rules, option limits, and rules that select backends.

use engine::flow::state::TransferState;
use engine::scheduler::backend_group::Scheduler;
use engine::snapshot::access::Access;
use engine::snapshot::option_limits::OptionLimits;
use engine::snapshot::rule::Rule;
use engine::snapshot::service::Service;
use engine::types::drop_reason::DropReason;
use engine::types::id::{GroupId, InterfaceId};
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::fragments::cut;
use kit::packet::Packet;
use kit::packets::{oack, rrq, rrq_with, wrq};
use kit::topology::{OUTSIDE, Via, gate_mac, groups, mac};
use kit::transfer::{Transfer, ask, client};

fn gate(via: Via, change: impl FnOnce(&mut Service)) -> EngineHarness {
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| change(&mut snapshot[via.service()]));
    gate
}

/// The client gets an ERROR 2 with this text from the endpoint that it asked.
#[track_caller]
fn refused(gate: &mut EngineHarness, request: &Packet, text: &str) {
    let told = gate.take(request).answered();
    let message = [b"\0\x05\0\x02", text.as_bytes(), b"\0"].concat();
    assert_eq!(told.payload, message);
    assert_eq!((told.source, told.destination), (request.destination, request.source));
    assert_eq!((told.from, told.to), (gate_mac(OUTSIDE), request.from));
}

#[test]
fn a_refused_request_is_answered_from_the_vip() {
    for via in Via::ALL {
        let mut gate = gate(via, |service| {
            service.access = Access {
                read_only: true,
                deny_files: vec!["secret/**".into()],
                allow_clients: vec![
                    format!("{}/128", via.client().ip())
                        .parse()
                        .unwrap_or_else(|_| format!("{}/32", via.client().ip()).parse().unwrap()),
                ],
                ..Access::default()
            };
        });
        refused(&mut gate, &wrq(via.client(), via.vip(), "f"), "This service takes no uploads");
        let denied = rrq(via.client(), via.vip(), "/secret/key").padded();
        refused(&mut gate, &denied, "This file is not served here");
        let stranger = rrq(client(via, 5), via.vip(), "f");
        refused(&mut gate, &stranger, "This service is not for you");
        gate.moved(&[
            ("received", 3),
            ("answered", 3),
            ("read_only", 1),
            ("file", 1),
            ("client", 1),
        ]);
        assert!(gate.transfers().is_empty());
        let _ = gate.take(rrq(via.client(), via.vip(), "public")).sent();
    }
}

#[test]
fn a_client_that_asks_too_often_is_told() {
    for via in Via::ALL {
        let mut gate = gate(via, |service| service.access.max_requests = Some(3));
        // A new engine, which allocates the request counters.
        gate = EngineHarness::with(engine::snapshot::Snapshot::clone(&gate.engine.snapshot), 64);
        for n in 0..3 {
            let _ = gate.take(rrq(via.client(), via.vip(), &n.to_string())).sent();
        }
        refused(&mut gate, &rrq(via.client(), via.vip(), "4"), "Too many requests");
        // A repeated request does not count, and other clients are not affected.
        let _ = gate.take(rrq(via.client(), via.vip(), "2")).sent();
        let _ = gate.take(rrq(client(via, 5), via.vip(), "4")).sent();
        gate.now = gate.now.after(200);
        let _ = gate.take(rrq(via.client(), via.vip(), "4")).sent();
        assert_eq!(gate.moves().get("rate"), Some(&1));
    }
}

#[test]
fn a_running_transfer_is_not_refused() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = kit::transfer::run(&mut gate, via, via.client());
        gate.change(|snapshot| {
            snapshot[via.service()].access.deny_files = vec!["**".into()];
        });
        transfer.client_gets(gate.take(transfer.data(2, 512)), &transfer.data(2, 512).payload);
        transfer.server_gets(gate.take(transfer.ack(2)), &transfer.ack(2).payload);
    }
}

fn limits() -> OptionLimits {
    OptionLimits {
        max_blksize: Some(1428),
        max_windowsize: Some(4),
        strip: vec!["multicast".into()],
    }
}

#[test]
fn the_server_gets_a_request_within_the_limits() {
    for via in Via::ALL {
        let mut gate = gate(via, |service| service.options = limits());
        let options = [("tsize", 0), ("blksize", 65464), ("multicast", 1), ("windowsize", 64)];
        for (request, padded) in [
            (rrq_with(via.client(), via.vip(), "f", &options), false),
            (rrq_with(via.client(), via.vip(), "g", &options), true),
        ] {
            let shaped = if padded { request.clone().padded() } else { request.unsummed() };
            // Parsed with every checksum and length.
            let sent = gate.take(&shaped).sent();
            let expected = [("tsize", 0), ("blksize", 1428), ("windowsize", 4)];
            let file = if padded { "g" } else { "f" };
            let within = rrq_with(via.client(), via.vip(), file, &expected);
            assert_eq!(sent.payload, within.payload, "{via:?}");
            assert_eq!(sent.summed, shaped.summed || sent.is_v6());
            assert!(sent.padding.is_empty());
        }
        // Nothing to change: the packet is forwarded unchanged.
        let modest = rrq_with(via.client(), via.vip(), "h", &[("blksize", 512)]);
        assert_eq!(gate.take(&modest).sent().payload, modest.payload);
    }
}

#[test]
fn an_oack_loses_what_the_client_did_not_ask_for() {
    for via in Via::SEEN {
        let mut gate = gate(via, |service| service.options = limits());
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "f"));
        let granted = [("blksize", 1428), ("multicast", 7)];
        let outcome = gate.take(oack(transfer.server, transfer.seen_as, &granted));
        transfer.client_gets(outcome, b"\0\x06blksize\x001428\0");
        // Removed before.
        let _ = gate.take(transfer.ack(0)).sent();
        let _ = gate.take(transfer.data(1, 1428)).sent();
        let _ = gate.take(transfer.ack(1)).sent();
        assert_eq!(gate.transfer(via.client()).state, TransferState::Established);
    }
}

#[test]
fn a_repeated_request_is_known_again_though_it_was_changed() {
    for via in Via::ALL {
        let mut gate = gate(via, |service| service.options = limits());
        let request = rrq_with(via.client(), via.vip(), "f", &[("blksize", 8192)]);
        let first = gate.take(&request).sent();
        let second = gate.take(&request).sent();
        assert_eq!((first.to, first.payload), (second.to, second.payload));
        assert_eq!(gate.moves().get("retransmitted"), Some(&1));
    }
}

/// A new checksum would hide the damage.
#[test]
fn a_damaged_request_is_not_changed_but_dropped() {
    for via in Via::ALL {
        let mut gate = gate(via, |service| service.options = limits());
        let mut frame = rrq_with(via.client(), via.vip(), "f", &[("blksize", 8192)]).bytes();
        let checksum = 14 + via.ip_header() + 6;
        frame[checksum] ^= 0x40;
        gate.take(frame).dropped(DropReason::BadUdp);
    }
}

#[test]
fn rules_send_requests_to_some_of_the_backends() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        gate.change(|snapshot| {
            let second = GroupId(snapshot.groups.len() as u16);
            snapshot.groups.push(groups(via, Scheduler::RoundRobin, [0, 1]));
            let service = &mut snapshot[via.service()];
            let uploads = Rule { is_write: Some(true), ..Rule::default() };
            let efi = Rule { files: vec!["*.efi".into()], ..Rule::default() };
            let far = Rule {
                clients: vec![
                    "192.168.0.0/16".parse().unwrap(),
                    "fd00::c0a8:0/112".parse().unwrap(),
                ],
                ..Rule::default()
            };
            service.rules = [uploads, efi, far].into_iter().map(|rule| (rule, second)).collect();
        });
        gate = EngineHarness::with(engine::snapshot::Snapshot::clone(&gate.engine.snapshot), 64);
        let server = |gate: &mut EngineHarness, request: Packet| gate.take(&request).sent().to;
        let second = mac(via.server(1));
        for n in 0..3 {
            let file = |kind: &str| format!("{n}.{kind}");
            assert_eq!(server(&mut gate, wrq(via.client(), via.vip(), &file("img"))), second);
            assert_eq!(server(&mut gate, rrq(via.client(), via.vip(), &file("efi"))), second);
            assert_eq!(server(&mut gate, rrq(client(via, n), via.vip(), &file("img"))), second);
        }
        // All others take turns among all backends.
        let others: Vec<_> = (0..4)
            .map(|n| server(&mut gate, rrq(via.client(), via.vip(), &format!("{n}.img"))))
            .collect();
        assert_eq!(others, [0, 1, 0, 1].map(|n| mac(via.server(n))));
    }
}

/// A spoofed request causes at most two messages.
#[test]
fn a_server_does_not_go_on_talking_to_nobody() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer: Transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "large"));
        for _ in 0..2 {
            transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
        }
        for _ in 0..4 {
            assert_eq!(gate.transfer(via.client()).state, TransferState::Established);
            gate.take(transfer.data(1, 512)).dropped(DropReason::UnheardClient);
        }
        assert_eq!(gate.transfer(via.client()).state, TransferState::Closing);
        for _ in 0..3 {
            gate.now = gate.now.after(150);
            gate.wait(1);
            transfer.server_is_told_off(gate.take(transfer.data(1, 512)));
        }
        let moves = gate.moves();
        assert_eq!((moves.get("unheard"), moves.get("ended")), (Some(&1), Some(&1)));
        assert_eq!(moves.get("packets_out"), Some(&2));
    }
}

/// The client has received none of them.
#[test]
fn a_client_that_asks_again_gets_two_more() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "large");
        let transfer: Transfer = ask(&mut gate, via, &request);
        for _ in 0..3 {
            for _ in 0..2 {
                transfer
                    .client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
            }
            gate.take(transfer.data(1, 512)).dropped(DropReason::UnheardClient);
            let again = ask(&mut gate, via, &request);
            assert_eq!(again.seen_as, transfer.seen_as);
        }
        transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
        transfer.server_gets(gate.take(transfer.ack(1)), &transfer.ack(1).payload);
    }
}

#[test]
fn what_comes_in_fragments_counts_once() {
    for via in [Via::Nat, Via::Nat6, Via::Snat, Via::Snat6] {
        let mut gate = EngineHarness::new();
        let transfer: Transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "large"));
        for n in 0..3 {
            for part in cut(&Packet { id: n, ..transfer.data(1, 2000) }, 1000) {
                match n {
                    0 | 1 => assert!(matches!(gate.take(part).verdict, Verdict::Transmit(_))),
                    _ => gate.take(part).dropped(DropReason::UnheardClient),
                }
            }
        }
    }
}

/// Repeated ERRORs count, too.
#[test]
fn errors_count_too() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer: Transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "none"));
        for _ in 0..2 {
            let _ = gate.take(transfer.server_error(1)).sent();
        }
        for _ in 0..300 {
            gate.take(transfer.server_error(1)).dropped(DropReason::UnheardClient);
        }
        assert_eq!(gate.moves().get("not_found"), Some(&1));
    }
}

/// The client may have been busy.
#[test]
fn a_client_that_speaks_at_last_is_served_to_the_end() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer: Transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "large"));
        for n in 0..6 {
            assert_eq!(
                gate.take(transfer.data(1, 512)).verdict == Verdict::Transmit(InterfaceId(0)),
                n < 2
            );
        }
        transfer.server_gets(gate.take(transfer.ack(1)), &transfer.ack(1).payload);
        for (block, len) in [(2, 512), (3, 9)] {
            transfer.client_gets(
                gate.take(transfer.data(block, len)),
                &transfer.data(block, len).payload,
            );
            transfer.server_gets(gate.take(transfer.ack(block)), &transfer.ack(block).payload);
        }
    }
}

#[test]
fn a_client_that_speaks_is_served_however_often_its_server_repeats_itself() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = kit::transfer::run(&mut gate, via, via.client());
        for _ in 0..20 {
            transfer.client_gets(gate.take(transfer.data(2, 512)), &transfer.data(2, 512).payload);
        }
        assert_eq!(gate.transfer(via.client()).state, TransferState::Established);
    }
}

#[test]
fn no_refusal_is_lost_in_a_burst() {
    let via = Via::Nat;
    let mut gate = gate(via, |service| service.access.read_only = true);
    let up = wrq(via.client(), via.vip(), "f").bytes();
    let down = rrq(client(via, 1), via.vip(), "f").bytes();
    let verdicts = gate.take_burst(OUTSIDE, [up.clone(), down, up]);
    assert_eq!(verdicts, [Verdict::Answer, Verdict::Transmit(InterfaceId(1)), Verdict::Answer]);
}
