//! Learning the TID, and packets that must not teach it.

use engine::flow::state::TransferState;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{CLIENT, ack, data, error, oack, rrq, rrq_with, wrq};
use kit::topology::{Via, mac, origins};
use kit::transfer::{TID, Transfer, ask, run};
use std::net::SocketAddr;

#[test]
fn any_first_answer_teaches_the_tid() {
    for via in Via::SEEN {
        let answers: [&[u8]; 4] =
            [b"\0\x06blksize\x001428\0", b"\0\x03\0\x01abc", b"\0\x04\0\0", b"\0\x05\0\x02no\0"];
        for answer in answers {
            let mut gate = EngineHarness::new();
            let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
            assert_eq!(gate.transfer(via.client()).tid, None);
            transfer.client_gets(gate.take(transfer.says(answer)), answer);
            assert_eq!(gate.transfer(via.client()).tid, Some(TID), "{via:?} {answer:?}");
        }
    }
}

#[test]
fn what_is_no_answer_teaches_nothing() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        gate.moves();
        gate.take(transfer.says(b"\0\x07\0\0")).dropped(DropReason::BadTftp);
        gate.take(transfer.says(b"")).dropped(DropReason::BadTftp);
        gate.take(transfer.says(b"\0\x01f\0octet\0")).dropped(DropReason::BadTftp);
        gate.moved(&[("received", 3), ("bad-tftp", 3)]);
        assert_eq!(gate.transfer(via.client()).tid, None);
    }
}

#[test]
fn a_repeated_request_goes_to_the_same_server_and_the_first_tid_wins() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        let transfer = ask(&mut gate, via, &request);
        gate.wait(10);
        let again = ask(&mut gate, via, &request);
        assert_eq!((again.server, again.seen_as), (transfer.server, transfer.seen_as));
        gate.moves();
        let (first, second) = (transfer.with_tid(1111), transfer.with_tid(2222));
        first.client_gets(gate.take(first.data(1, 512)), &first.data(1, 512).payload);
        second.server_is_told_off(gate.take(second.data(1, 512)));
        gate.moved(&[
            ("received", 2),
            ("transmitted", 1),
            ("answered", 1),
            ("packets_out", 1),
            ("responded", 1),
            ("strays", 1),
        ]);
        first.server_gets(gate.take(first.ack(1)), &first.ack(1).payload);
        assert_eq!(gate.transfer(via.client()).tid, Some(1111));
    }
}

#[test]
fn a_repetition_that_crosses_the_answer_changes_nothing() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        let first = ask(&mut gate, via, &request).with_tid(1111);
        let _ = gate.take(first.data(1, 512)).sent();
        gate.wait(3);
        gate.moves();
        let second = ask(&mut gate, via, &request).with_tid(2222);
        assert_eq!(second.seen_as, first.seen_as);
        second.server_is_told_off(gate.take(second.data(1, 512)));
        first.server_gets(gate.take(first.ack(1)), &first.ack(1).payload);
        gate.moved(&[
            ("received", 3),
            ("transmitted", 2),
            ("answered", 1),
            ("retransmitted", 1),
            ("packets_in", 2),
            ("strays", 1),
        ]);
    }
}

#[test]
fn a_repetition_that_crosses_a_repeated_answer_changes_nothing() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        let first = ask(&mut gate, via, &request);
        // The answer is lost behind the gate. Both sides wait for a second and repeat themselves.
        let _ = gate.take(first.data(1, 512)).sent();
        gate.wait(15);
        first.client_gets(gate.take(first.data(1, 512)), &first.data(1, 512).payload);
        let _ = gate.take(&request).sent();
        first.server_gets(gate.take(first.ack(1)), &first.ack(1).payload);
    }
}

#[test]
fn a_request_that_the_network_repeats_late_changes_nothing() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        let first = run(&mut gate, via, via.client());
        // Not the client but the network: a copy that took another path, a moment later.
        let _ = gate.take(&request);
        let again = gate.take(first.data(2, 512));
        first.client_gets(again, &first.data(2, 512).payload);
        first.server_gets(gate.take(first.ack(2)), &first.ack(2).payload);
        let second = first.with_tid(2222);
        second.server_is_told_off(gate.take(second.data(1, 512)));
    }
}

#[test]
fn a_stray_error_is_not_answered() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.moves();
        let stray = transfer.with_tid(2222);
        gate.take(stray.server_error(5)).dropped(DropReason::StrayTid);
        gate.moved(&[("received", 1), ("stray-tid", 1), ("strays", 1)]);
    }
}

#[test]
fn a_stray_in_any_shape_gets_a_sound_answer() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let stray = transfer.with_tid(2222);
        for packet in [
            stray.data(9, 0),
            stray.data(9, 0).padded(),
            stray.data(9, 1400),
            Packet { options: vec![1; 40], ..stray.data(9, 3) },
            Packet { ttl: 1, ..stray.data(9, 512) }.unsummed(),
        ] {
            let outcome = gate.take(&packet);
            assert_eq!(
                outcome.bytes.len(),
                14 + via.at_server().ip_header() + 8 + wire::tftp::UNKNOWN_TID.len()
            );
            stray.server_is_told_off(outcome);
        }
    }
}

#[test]
fn a_stray_that_the_gate_was_sent_by_broadcast_is_answered_from_its_own_address() {
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, Via::Snat, CLIENT).with_tid(2222);
    let to_all = Packet { to: wire::ethernet::Mac::BROADCAST, ..transfer.data(1, 512) };
    let outcome = gate.take(to_all);
    let packet = outcome.answered();
    assert!(!packet.from.is_group(), "answered as {}", packet.from);
}

#[test]
fn a_single_port_server_answers_from_the_service_s_port() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "a")).with_tid(69);
        transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
        transfer.server_gets(gate.take(transfer.ack(1)), &transfer.ack(1).payload);
        // The next transfer of the same endpoint learns 69 again.
        gate.wait(20);
        let next = ask(&mut gate, via, &rrq(via.client(), via.vip(), "b")).with_tid(69);
        next.client_gets(gate.take(next.data(1, 512)), &next.data(1, 512).payload);
        assert_eq!(gate.moves().get("to_service_port"), None);
    }
}

#[test]
fn a_client_may_send_from_port_69() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let client = SocketAddr::new(via.client().ip(), 69);
        let transfer = ask(&mut gate, via, &rrq(client, via.vip(), "boot.img"));
        if !via.is_dsr() {
            transfer.client_gets(gate.take(transfer.data(1, 9)), &transfer.data(1, 9).payload);
            transfer.server_gets(gate.take(transfer.ack(1)), &transfer.ack(1).payload);
            assert_eq!(gate.transfer(client).state, TransferState::Completed);
        } else {
            let _ = gate.take(transfer.ack(1)).sent();
        }
    }
}

#[test]
fn a_client_that_never_leaves_port_69_is_led_to_the_tid() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let _ = gate.take(transfer.data(1, 512)).sent();
        gate.moves();
        transfer.server_gets(gate.take(ack(via.client(), via.vip(), 1)), &[0, 4, 0, 1]);
        gate.moved(&[
            ("received", 1),
            ("transmitted", 1),
            ("packets_in", 1),
            ("to_service_port", 1),
        ]);
        let _ = gate.take(transfer.data(2, 3)).sent();
        let _ = gate.take(ack(via.client(), via.vip(), 2)).sent();
        assert_eq!(gate.transfer(via.client()).state, TransferState::Completed);
    }
}

#[test]
fn any_other_port_is_the_wrong_tid() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.moves();
        gate.take(transfer.with_tid(TID + 1).ack(1)).dropped(DropReason::WrongTid);
        gate.moved(&[("received", 1), ("wrong-tid", 1)]);
        assert_eq!(gate.transfer(via.client()).tid, Some(TID));
    }
}

#[test]
fn a_client_that_speaks_before_the_server_is_not_heard() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        gate.moves();
        gate.take(transfer.ack(1)).dropped(DropReason::NoTransfer);
        gate.take(ack(via.client(), via.vip(), 1)).dropped(DropReason::NoTransfer);
        gate.moved(&[("received", 2), ("no-transfer", 2)]);
    }
}

#[test]
fn a_client_may_not_say_what_only_servers_say() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.take(oack(via.client(), transfer.vip_tid(), &[])).dropped(DropReason::BadTftp);
        gate.take(rrq(via.client(), transfer.vip_tid(), "boot.img")).dropped(DropReason::NoService);
        assert_eq!(gate.transfer(via.client()).state, TransferState::Established);
    }
}

#[test]
fn an_answer_from_another_address_is_nobody_s() {
    let mut gate = EngineHarness::new();
    let transfer = ask(&mut gate, Via::Snat, &rrq(CLIENT, Via::Snat.vip(), "boot.img"));
    gate.moves();
    let alias = SocketAddr::new(Via::Snat.host(0, 77), TID);
    gate.take(data(alias, transfer.seen_as, 1, 512)).dropped(DropReason::NoTransfer);
    let other = SocketAddr::new(Via::Snat.server(1), TID);
    gate.take(data(other, transfer.seen_as, 1, 512)).dropped(DropReason::NoTransfer);
    gate.moved(&[("received", 2), ("no-transfer", 2)]);
    assert_eq!(gate.transfer(CLIENT).tid, None);
}

#[test]
fn other_datagrams_of_a_nat_server_are_the_kernel_s_to_route() {
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, Via::Nat, CLIENT);
    gate.moves();
    let elsewhere = SocketAddr::new(CLIENT.ip(), CLIENT.port() + 1);
    gate.take(data(transfer.server, elsewhere, 1, 512)).to_kernel();
    // A server that was replaced must not reach the client.
    let other = SocketAddr::new(Via::Nat.server(1), TID);
    assert_eq!(gate.take(data(other, CLIENT, 1, 512)).verdict, Verdict::Answer);
    gate.moved(&[("received", 2), ("to_kernel", 1), ("answered", 1)]);
}

#[test]
fn the_server_is_asked_in_the_client_s_own_words() {
    for via in Via::ALL {
        let options = [("tsize", 0), ("blksize", 1428), ("windowsize", 4)];
        for request in [
            rrq_with(via.client(), via.vip(), "dir\\x.img", &options),
            wrq(via.client(), via.vip(), "up"),
        ] {
            let sent = EngineHarness::new().take(&request).sent();
            assert_eq!((sent.payload, sent.destination.port()), (request.payload, 69));
            assert_eq!(sent.to, mac(via.server(0)));
        }
    }
}

#[test]
fn malformed_requests_are_dropped() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let broken: [&[u8]; 7] = [
            b"",
            b"\0",
            b"\0\x01",
            b"\0\x01boot.img",
            b"\0\x01boot.img\0octet",
            b"\0\x01\0octet\0",
            b"\0\x02boot.img\0binary\0",
        ];
        for payload in broken {
            let packet = Packet { payload: payload.into(), ..rrq(via.client(), via.vip(), "") };
            gate.take(packet).dropped(DropReason::BadTftp);
        }
        gate.moved(&[("received", 7), ("bad-tftp", 7)]);
        assert!(gate.transfers().is_empty());
    }
}

#[test]
fn an_error_without_a_transfer_is_dropped() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        gate.take(error(via.client(), via.vip(), 5)).dropped(DropReason::NoTransfer);
        gate.moved(&[("received", 1), ("no-transfer", 1)]);
    }
}

/// A gate where the first backend's server has two aliases, and a transfer that it answers from the second alias.
fn answered_by_an_alias(via: Via, request: &Packet) -> (EngineHarness, Transfer) {
    let net = u8::from(!via.is_snat());
    let other = |n: u8| via.at_server().host(net, 200 + n);
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| {
        let server = snapshot.addresses.get(via.server(0)).expect("a server");
        let aliases = vec![other(0), other(1)];
        aliases.iter().for_each(|&alias| snapshot.addresses.insert(alias, server));
        origins(snapshot, via.backend(0), &[via.server(0), aliases[0], aliases[1]]);
        snapshot[via.backend(0)].aliases = aliases;
    });
    let asked = ask(&mut gate, via, request);
    assert_eq!(asked.server.ip(), via.server(0));
    let transfer = Transfer { server: SocketAddr::new(other(1), TID), ..asked };
    transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
    (gate, transfer)
}

#[test]
fn a_server_that_answers_from_an_alias_is_talked_to_there() {
    for via in Via::SEEN {
        let (mut gate, transfer) =
            answered_by_an_alias(via, &rrq(via.client(), via.vip(), "boot.img"));
        for block in [1, 2] {
            let sent = gate.take(transfer.ack(block)).sent();
            assert_eq!((sent.destination, sent.to), (transfer.server, mac(via.server(0))));
            let block = transfer.data(block + 1, 512);
            transfer.client_gets(gate.take(&block), &block.payload);
        }
    }
}

#[test]
fn requests_go_to_the_backend_s_own_address() {
    for via in Via::SEEN {
        let request = rrq(via.client(), via.vip(), "boot.img");
        let (mut gate, _) = answered_by_an_alias(via, &request);
        let sent = gate.take(&request).sent();
        assert_eq!(sent.destination, SocketAddr::new(via.server(0), 69), "repeated");
        gate.take(rrq(via.client(), via.vip(), "another")).sent();
        let sent = gate.take(rrq(via.client(), via.vip(), "third")).sent();
        assert_eq!(sent.destination, SocketAddr::new(via.server(0), 69), "in turn");
    }
}

#[test]
fn an_alias_that_is_gone_leaves_the_backend_s_own_address() {
    for via in Via::SEEN {
        let (mut gate, transfer) =
            answered_by_an_alias(via, &rrq(via.client(), via.vip(), "boot.img"));
        gate.change(|snapshot| snapshot[via.backend(0)].aliases.clear());
        let sent = gate.take(transfer.ack(1)).sent();
        assert_eq!(sent.destination, SocketAddr::new(via.server(0), TID));
    }
}
