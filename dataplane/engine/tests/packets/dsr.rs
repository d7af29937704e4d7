//! Direct server return: only the client's packets pass the gate.

use engine::flow::state::TransferState;
use engine::scheduler::backend_group::Scheduler;
use engine::types::drop_reason::DropReason;
use engine::types::id::VipId;
use engine::types::verdict::Verdict;
use etherparse::IpNumber;
use kit::engine_harness::EngineHarness;
use kit::packets::{CLIENT, ack, data, datagram, error, ip, pong, rrq, wrq};
use kit::topology::{IDLE, Via, groups, mac};
use kit::transfer::{TID, ask, run};
use std::net::SocketAddr;

const VIA: Via = Via::Dsr;

#[test]
fn the_client_s_first_packet_teaches_the_tid() {
    for first in [ack(CLIENT, VIA.vip(), 1), data(CLIENT, VIA.vip(), 1, 512)] {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, VIA, &wrq(CLIENT, VIA.vip(), "f"));
        let packet = kit::packet::Packet { destination: transfer.vip_tid(), ..first };
        let sent = gate.take(&packet).sent();
        assert_eq!((sent.to, sent.destination), (mac(VIA.server(0)), transfer.vip_tid()));
        assert_eq!(gate.transfer(CLIENT).tid, Some(TID));
        gate.take(transfer.with_tid(TID + 1).ack(2)).dropped(DropReason::WrongTid);
    }
}

#[test]
fn a_client_that_turns_down_a_second_answer_keeps_the_first() {
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, VIA, CLIENT);
    gate.moves();
    let second = transfer.with_tid(TID + 1);
    // The second server process gets the ERROR; the transfer goes on.
    let sent = gate.take(second.client_error(5)).sent();
    assert_eq!((sent.to, sent.destination), (mac(VIA.server(0)), second.vip_tid()));
    gate.moved(&[("received", 1), ("transmitted", 1), ("packets_in", 1)]);
    let _ = gate.take(transfer.ack(2)).sent();
    assert_eq!(
        (gate.transfer(CLIENT).tid, gate.transfer(CLIENT).state),
        (Some(TID), TransferState::Established)
    );
}

#[test]
fn a_client_that_turns_down_a_stale_answer_first_has_not_ended_its_own_transfer() {
    // The client rebooted during a transfer from the first backend, which keeps sending; its new request went to the
    // second one.
    let mut gate = EngineHarness::new();
    let stale = run(&mut gate, VIA, CLIENT).with_tid(TID);
    gate.wait(20);
    let transfer = ask(&mut gate, VIA, &rrq(CLIENT, VIA.vip(), "other")).with_tid(TID + 1);
    assert_ne!(transfer.server.ip(), stale.server.ip());
    let _ = gate.take(error(CLIENT, stale.vip_tid(), 5));
    assert_eq!(gate.transfer(CLIENT).state, TransferState::Requested);
    let sent = gate.take(transfer.ack(1)).sent();
    assert_eq!(sent.to, mac(transfer.server.ip()));
}

#[test]
fn the_old_tid_of_the_same_server_is_not_learned_anew() {
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| snapshot.groups[0] = groups(VIA, Scheduler::RoundRobin, [1, 0]));
    let old = run(&mut gate, VIA, CLIENT);
    gate.wait(20);
    let new = ask(&mut gate, VIA, &rrq(CLIENT, VIA.vip(), "other")).with_tid(TID + 1);
    gate.take(old.ack(2)).dropped(DropReason::WrongTid);
    let _ = gate.take(new.ack(1)).sent();
    assert_eq!(gate.transfer(CLIENT).tid, Some(TID + 1));
}

#[test]
fn a_client_s_error_ends_the_transfer() {
    let mut gate = EngineHarness::new();
    let transfer = ask(&mut gate, VIA, &rrq(CLIENT, VIA.vip(), "f"));
    gate.moves();
    let _ = gate.take(transfer.client_error(8)).sent();
    gate.moved(&[
        ("received", 1),
        ("transmitted", 1),
        ("packets_in", 1),
        ("responded", 1),
        ("size_probes", 1),
        ("ended", 1),
    ]);
}

#[test]
fn a_client_that_leaves_us_after_the_request_is_forgotten_in_time() {
    let mut gate = EngineHarness::new();
    ask(&mut gate, VIA, &rrq(CLIENT, VIA.vip(), "f"));
    gate.wait(IDLE);
    assert!(gate.transfers().is_empty());
}

#[test]
fn a_repeated_request_goes_to_the_same_server() {
    let mut gate = EngineHarness::new();
    let request = rrq(CLIENT, VIA.vip(), "f");
    let first = ask(&mut gate, VIA, &request);
    gate.wait(20);
    assert_eq!(ask(&mut gate, VIA, &request).server, first.server);
}

#[test]
fn a_server_s_answer_that_passes_us_after_all_is_not_ours() {
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, VIA, CLIENT);
    gate.moves();
    // From the server's own address: the kernel's to route.
    gate.take(data(transfer.server, CLIENT, 1, 512)).to_kernel();
    gate.moved(&[("received", 1), ("to_kernel", 1)]);
}

/// Servers answer health checks from the VIP, since the kernel has sent the checks to the VIP. The kernel accepts
/// answers to its own checks and drops all other packets from a VIP; packets for a service do not reach it.
#[test]
fn what_servers_say_from_the_vip_is_the_kernel_s_to_judge() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::new();
        let vip = SocketAddr::new(via.vip().ip(), TID);
        let host = SocketAddr::new(via.host(0, 2), 40_000);
        let tcp = |to| ip(vip.ip(), to, IpNumber::TCP, &[0; 20]);
        // As a server sends it, not as the gate does.
        let mut echo = pong(vip.ip(), host.ip(), 1, 1, b"");
        echo[..12].copy_from_slice(&tcp(host.ip())[..12]);
        let answers = [data(vip, host, 1, 13).bytes(), tcp(host.ip()), echo];
        answers.clone().into_iter().for_each(|answer| gate.take(answer).to_kernel());
        for ours in [via.vip().ip(), via.snat()] {
            gate.take(data(vip, SocketAddr::new(ours, 2070), 1, 13)).dropped(DropReason::BadSource);
            gate.take(tcp(ours)).dropped(DropReason::BadSource);
        }
        gate.moved(&[("received", 7), ("to_kernel", 3), ("bad-source", 4)]);
        // The other gate of a pair has the VIP now; this gate keeps checking.
        gate.change(|snapshot| {
            (0..).zip(Via::ALL).for_each(|(id, _)| snapshot.set_live(VipId(id), false))
        });
        answers.into_iter().for_each(|answer| gate.take(answer).to_kernel());
        let nat = if via.is_v6() { Via::Nat6 } else { Via::Nat };
        let from_nat = SocketAddr::new(nat.vip().ip(), TID);
        gate.take(data(from_nat, host, 1, 13)).dropped(DropReason::BadSource);
        gate.moved(&[("received", 4), ("to_kernel", 3), ("bad-source", 1)]);
    }
}

#[test]
fn nobody_sends_from_another_vip_or_a_snat_address() {
    for via in [Via::Nat, Via::Snat, Via::Nat6, Via::Snat6] {
        let mut gate = EngineHarness::new();
        let host = SocketAddr::new(via.host(0, 2), 40_000);
        for ours in [via.vip().ip(), via.snat()] {
            gate.take(data(SocketAddr::new(ours, TID), host, 1, 13)).dropped(DropReason::BadSource);
            gate.take(ip(ours, host.ip(), IpNumber::TCP, &[0; 20])).dropped(DropReason::BadSource);
        }
        gate.moved(&[("received", 4), ("bad-source", 4)]);
    }
}

#[test]
fn the_packet_is_untouched_but_for_its_ethernet_header() {
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, VIA, CLIENT);
    let packet = datagram(CLIENT, transfer.vip_tid(), b"\0\x03\0\x02odd").padded();
    let outcome = gate.take(&packet);
    assert!(matches!(outcome.verdict, Verdict::Transmit(_)));
    assert_eq!(outcome.bytes[12..], outcome.before[12..]);
}

/// A small file is fetched twice in a row from one port: the end of the first transfer is not seen.
#[test]
fn the_same_request_at_once_follows_whoever_the_client_follows() {
    for tid in [TID, TID + 1] {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, VIA, CLIENT);
        let request = rrq(CLIENT, VIA.vip(), "boot.img");
        assert_eq!(gate.take(&request).sent().to, mac(transfer.server.ip()));
        let again = transfer.with_tid(tid);
        let _ = gate.take(again.ack(1)).sent();
        assert_eq!(gate.transfer(CLIENT).tid, Some(tid));
        gate.take(transfer.with_tid(TID + 2).ack(1)).dropped(DropReason::WrongTid);
    }
}
