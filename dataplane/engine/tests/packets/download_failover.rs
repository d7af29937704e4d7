//! Failover of downloads: the server has died, and another one takes over.

use engine::flow::state::TransferState;
use engine::scheduler::backend_group::Scheduler;
use engine::snapshot::BackendState;
use engine::types::id::SnatId;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::icmp_error::{REFUSED, about};
use kit::packet::Packet;
use kit::packets::{data, oack, rrq, rrq_with, wrq};
use kit::topology::{FLOWS, ORIGINATE_RATE, Via, groups, interface, mac, snapshot};
use kit::transfer::{Transfer, ask, run};
use std::net::SocketAddr;

/// Blocks that the client has when the server dies.
pub const HAD: u16 = 5;

/// The second server, with a process of its own for this client.
pub fn other(transfer: Transfer) -> Transfer {
    let other = if transfer.server.ip() == transfer.via.server(0) { 1 } else { 0 };
    Transfer { server: SocketAddr::new(transfer.via.server(other), 40_000), ..transfer }
}

/// A download of which the client has [`HAD`] blocks.
pub fn download(gate: &mut EngineHarness, via: Via) -> Transfer {
    let transfer = run(gate, via, via.client());
    for block in 2..=HAD {
        let _ = gate.take(transfer.data(block, 512)).sent();
        let _ = gate.take(transfer.ack(block)).sent();
    }
    transfer
}

pub fn die(gate: &mut EngineHarness, transfer: Transfer) {
    let dead = [0, 1].into_iter().find(|&n| transfer.via.server(n) == transfer.server.ip());
    let dead = transfer.via.backend(dead.expect("a server"));
    gate.change(|snapshot| snapshot[dead].state = BackendState::Down);
    gate.wait(1);
}

/// Frames that the gate originates, each valid and to the right hop.
pub fn said(gate: &mut EngineHarness) -> Vec<Packet> {
    let said = std::iter::from_fn(|| gate.engine.originate(gate.now)).map(|(by, frame)| {
        let packet = Packet::read(&frame);
        assert_eq!(
            (packet.to, by),
            (mac(packet.destination.ip()), interface(packet.destination.ip()))
        );
        packet
    });
    said.collect()
}

pub fn absorbed(gate: &mut EngineHarness, frame: impl Into<Vec<u8>>) {
    let outcome = gate.take(frame);
    assert_eq!(outcome.verdict, Verdict::Absorb);
}

/// The gate originates one message to a server, in the client's place.
#[track_caller]
pub fn says(gate: &mut EngineHarness, to: SocketAddr, seen_as: SocketAddr, payload: &[u8]) {
    let said = said(gate);
    let [packet] = &said[..] else { panic!("{said:?}") };
    assert_eq!((packet.source, packet.destination), (seen_as, to));
    assert_eq!(packet.payload, payload);
}

pub fn asks_again(gate: &mut EngineHarness, transfer: Transfer) {
    let to = SocketAddr::new(transfer.server.ip(), 69);
    says(gate, to, transfer.seen_as, &rrq(transfer.client, transfer.vip, "boot.img").payload);
}

/// A server has died, and another one was asked.
pub fn taken_over(via: Via) -> (EngineHarness, Transfer, Transfer) {
    let mut gate = EngineHarness::new();
    let first = download(&mut gate, via);
    die(&mut gate, first);
    absorbed(&mut gate, first.ack(HAD));
    let next = other(first);
    asks_again(&mut gate, next);
    (gate, first, next)
}

/// The new server sends blocks that the client already has.
pub fn catches_up(
    gate: &mut EngineHarness,
    transfer: Transfer,
    blocks: std::ops::RangeInclusive<u16>,
) {
    for block in blocks {
        absorbed(gate, transfer.data(block, 512));
        says(gate, transfer.server, transfer.seen_as, &transfer.ack(block).payload);
    }
}

/// The client knows only the first server's TID.
pub fn goes_on(
    gate: &mut EngineHarness,
    first: Transfer,
    next: Transfer,
    blocks: std::ops::RangeInclusive<u16>,
) {
    for block in blocks {
        first.client_gets(gate.take(next.data(block, 512)), &next.data(block, 512).payload);
        next.server_gets(gate.take(first.ack(block)), &first.ack(block).payload);
    }
}

#[test]
fn another_server_goes_on_at_the_client_s_block() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        die(&mut gate, first);
        gate.moves();
        absorbed(&mut gate, first.ack(HAD));
        gate.moved(&[
            ("received", 1),
            ("absorbed", 1),
            ("failed_over", 1),
            ("silences", 1),
            ("ended", 1),
            ("started", 1),
            ("resumed", 1),
        ]);
        let next = other(first);
        asks_again(&mut gate, next);
        catches_up(&mut gate, next, 1..=HAD);
        goes_on(&mut gate, first, next, HAD + 1..=HAD + 20);
        assert_eq!(said(&mut gate), []);
        let last = next.data(HAD + 21, 7);
        first.client_gets(gate.take(last.clone()), &last.payload);
        gate.moves();
        let _ = gate.take(first.ack(HAD + 21)).sent();
        let moves = gate.moves();
        assert_eq!((moves.get("completed"), moves.get("ended")), (Some(&1), Some(&1)), "{via:?}");
    }
}

#[test]
fn a_server_of_which_nothing_is_known_has_time() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        for wait in [3, 5, 10, 20] {
            gate.wait(wait);
            first.server_gets(gate.take(first.ack(HAD)), &first.ack(HAD).payload);
        }
        gate.wait(5);
        absorbed(&mut gate, first.ack(HAD));
        asks_again(&mut gate, other(first));

        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        for _ in 0..5 {
            gate.wait(50);
            let _ = gate.take(first.ack(HAD)).sent();
            // The server is alive; only its blocks are lost.
            let _ = gate.take(first.data(HAD + 1, 512)).sent();
        }
        assert_eq!(said(&mut gate), []);
    }
}

/// Another gate has the addresses for a while: it helps, and would be contradicted.
#[test]
fn a_gate_without_the_vip_starts_no_failover() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        gate.change(|snapshot| snapshot.set_live(via.vip_id(), false));
        die(&mut gate, first);
        gate.moves();
        gate.wait(50);
        assert_eq!(said(&mut gate), [], "{via:?}");
        gate.moved(&[]);
        gate.change(|snapshot| snapshot.set_live(via.vip_id(), true));
        gate.wait(20);
        asks_again(&mut gate, other(first));
    }
}

/// The VIP goes before the request, an ACK on the way to the client's block, or the ACK of that.
#[test]
fn a_gate_without_the_vip_goes_on_with_no_failover() {
    for via in Via::SEEN {
        for heard in [0, 2, HAD] {
            let (mut gate, first, next) = taken_over(via);
            if heard > 0 {
                catches_up(&mut gate, next, 1..=heard - 1);
                absorbed(&mut gate, next.data(heard, 512));
            }
            gate.change(|snapshot| snapshot.set_live(via.vip_id(), false));
            gate.wait(50);
            assert_eq!(said(&mut gate), [], "{via:?}: {heard}");
            gate.change(|snapshot| snapshot.set_live(via.vip_id(), true));
            gate.wait(50);
            if heard == 0 {
                asks_again(&mut gate, next);
            } else {
                says(&mut gate, next.server, next.seen_as, &next.ack(heard).payload);
            }
            catches_up(&mut gate, next, heard + 1..=HAD);
            goes_on(&mut gate, first, next, HAD + 1..=HAD + 2);
        }
    }
}

/// The addresses go in the middle of a failover.
#[test]
fn a_gate_without_the_snat_address_asks_no_server() {
    for (via, snat) in [(Via::Snat, SnatId(0)), (Via::Snat6, SnatId(1))] {
        let (mut gate, _, next) = taken_over(via);
        absorbed(&mut gate, next.data(1, 512));
        gate.change(|snapshot| snapshot.set_snat_live(snat, false));
        gate.wait(50);
        assert_eq!(said(&mut gate), [], "{via:?}");
        gate.change(|snapshot| snapshot.set_snat_live(snat, true));
        gate.wait(50);
        says(&mut gate, next.server, next.seen_as, &next.ack(1).payload);
    }
}

#[test]
fn a_suspected_server_has_less() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        let suspected = via.backend(0);
        gate.change(|snapshot| snapshot[suspected].state = BackendState::Suspect);
        gate.wait(3);
        first.server_gets(gate.take(first.ack(HAD)), &first.ack(HAD).payload);
        gate.wait(5);
        absorbed(&mut gate, first.ack(HAD));
        asks_again(&mut gate, other(first));
    }
}

#[test]
fn the_dead_one_wakes_up_too_late() {
    for via in Via::SEEN {
        let (mut gate, first, next) = taken_over(via);
        let late = |gate: &mut EngineHarness| {
            let outcome = gate.take(first.data(HAD + 1, 512));
            assert!(matches!(outcome.verdict, Verdict::Answer | Verdict::Drop(_)), "{outcome:?}");
        };
        late(&mut gate);
        catches_up(&mut gate, next, 1..=HAD);
        late(&mut gate);
        goes_on(&mut gate, first, next, HAD + 1..=HAD + 1);
        late(&mut gate);
        let _ = gate.take(next.data(HAD + 2, 9)).sent();
        let _ = gate.take(first.ack(HAD + 2)).sent();
        gate.wait(50);
        assert!(gate.transfers().is_empty(), "{via:?}");
        late(&mut gate);
    }
}

#[test]
fn what_gets_lost_meanwhile_is_said_again() {
    for via in Via::SEEN {
        let (mut gate, first, next) = taken_over(via);
        absorbed(&mut gate, next.data(1, 512));
        says(&mut gate, next.server, next.seen_as, &next.ack(1).payload);
        // The gate's ACK is lost.
        absorbed(&mut gate, next.data(1, 512));
        says(&mut gate, next.server, next.seen_as, &next.ack(1).payload);
        // The client repeats its ACK.
        absorbed(&mut gate, first.ack(HAD));
        assert_eq!(said(&mut gate), []);
        catches_up(&mut gate, next, 2..=HAD);
        // The gate's last ACK is lost: the client has the block, and its repetition helps.
        let again = next.data(HAD, 512);
        first.client_gets(gate.take(again.clone()), &again.payload);
        next.server_gets(gate.take(first.ack(HAD)), &first.ack(HAD).payload);
        goes_on(&mut gate, first, next, HAD + 1..=HAD + 2);
    }
}

#[test]
fn two_servers_that_die_one_after_the_other() {
    for via in Via::SEEN {
        let (mut gate, first, next) = taken_over(via);
        catches_up(&mut gate, next, 1..=2);
        let back = via.backend(0);
        gate.change(|snapshot| snapshot[back].state = BackendState::Active);
        die(&mut gate, next);
        absorbed(&mut gate, first.ack(HAD));
        let third = first.with_tid(41_000);
        asks_again(&mut gate, third);
        // The server's earlier process does not know that it was replaced.
        first.server_is_told_off(gate.take(first.data(HAD + 1, 512)));
        catches_up(&mut gate, third, 1..=HAD);
        goes_on(&mut gate, first, third, HAD + 1..=HAD + 2);
    }
}

#[test]
fn windows_are_acknowledged_as_windows_and_terms_must_agree() {
    for via in Via::SEEN {
        let options = [("tsize", 100_000), ("blksize", 1024), ("windowsize", 4)];
        let mut gate = EngineHarness::new();
        let request = rrq_with(via.client(), via.vip(), "boot.img", &options);
        let first = ask(&mut gate, via, &request);
        let _ = gate.take(oack(first.server, first.seen_as, &options)).sent();
        let _ = gate.take(first.ack(0)).sent();
        for block in 1..=HAD + 1 {
            let _ = gate.take(first.data(block, 1024)).sent();
        }
        let _ = gate.take(first.ack(4)).sent();
        let _ = gate.take(first.ack(HAD + 1)).sent();
        die(&mut gate, first);
        absorbed(&mut gate, first.ack(HAD + 1));
        let next = other(first);
        let to = SocketAddr::new(next.server.ip(), 69);
        says(&mut gate, to, next.seen_as, &request.payload);
        absorbed(&mut gate, oack(next.server, next.seen_as, &options));
        says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 0]);
        for block in 1..=3 {
            absorbed(&mut gate, next.data(block, 1024));
            assert_eq!(said(&mut gate), []);
        }
        absorbed(&mut gate, next.data(4, 1024));
        says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 4]);
        absorbed(&mut gate, next.data(5, 1024));
        absorbed(&mut gate, next.data(6, 1024));
        says(&mut gate, next.server, next.seen_as, &[0, 4, 0, 6]);
        let block = next.data(7, 1024);
        first.client_gets(gate.take(block.clone()), &block.payload);
    }
}

/// The client gets the ERROR from the server that it knows, and the new server is told to stop.
#[track_caller]
fn ends(gate: &mut EngineHarness, first: Transfer) {
    let said = said(gate);
    let [packet] = &said[..] else { panic!("{said:?}") };
    assert_eq!((packet.source, packet.destination), (first.vip_tid(), first.client));
    assert_eq!(packet.payload[..4], [0, 5, 0, 0]);
    assert_eq!(packet.payload.last(), Some(&0));
    assert_eq!(gate.transfer(first.client).state, TransferState::Closing);
    // In case the ERROR was lost.
    absorbed(gate, first.ack(HAD));
    assert_eq!(self::said(gate).len(), 1);
    let moves = gate.moves();
    assert_eq!((moves.get("lost"), moves.get("failed")), (Some(&1), None));
}

#[test]
fn another_file_is_not_passed_off_as_the_same() {
    for via in Via::SEEN {
        for shorter in [
            |next: Transfer| next.data(1, 100),
            |next: Transfer| next.server_error(1),
            |next: Transfer| oack(next.server, next.seen_as, &[("blksize", 1024)]),
        ] {
            let (mut gate, first, next) = taken_over(via);
            let outcome = gate.take(shorter(next));
            assert!(matches!(outcome.verdict, Verdict::Answer | Verdict::Drop(_)), "{outcome:?}");
            ends(&mut gate, first);
        }
    }
}

#[test]
fn an_upload_ends_with_an_error() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &wrq(via.client(), via.vip(), "crash.log"));
        let _ = gate.take(transfer.says(&[0, 4, 0, 0])).sent();
        let block = |n| data(transfer.client, transfer.vip_tid(), n, 512);
        let _ = gate.take(block(1)).sent();
        let _ = gate.take(transfer.says(&[0, 4, 0, 1])).sent();
        let _ = gate.take(block(2)).sent();
        // A slow disk is not a dead server.
        for _ in 0..3 {
            gate.wait(20);
            let _ = gate.take(block(2)).sent();
        }
        die(&mut gate, transfer);
        gate.moves();
        absorbed(&mut gate, block(2));
        let said = said(&mut gate);
        assert_eq!(said[0].payload[..4], [0, 5, 0, 0]);
        assert_eq!((said.len(), said[0].destination), (1, transfer.client));
        assert_eq!(gate.moves().get("lost"), Some(&1));
    }
}

#[test]
fn without_failover_or_another_server_all_stays_as_it_is() {
    for via in Via::SEEN {
        let mut off = snapshot();
        off[via.service()].failover = false;
        let mut alone = snapshot();
        alone[via.group()] = groups(via, Scheduler::RoundRobin, [1, 0]);
        for snapshot in [off, alone] {
            let mut gate = EngineHarness::with(snapshot, FLOWS);
            let first = download(&mut gate, via);
            die(&mut gate, first);
            for _ in 0..4 {
                gate.wait(20);
                first.server_gets(gate.take(first.ack(HAD)), &first.ack(HAD).payload);
            }
            assert_eq!(said(&mut gate), []);
        }
    }
}

#[test]
fn direct_return_is_left_alone() {
    for via in [Via::Dsr, Via::Dsr6] {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        die(&mut gate, transfer);
        for _ in 0..4 {
            gate.wait(20);
            let _ = gate.take(transfer.ack(1)).sent();
        }
        assert_eq!(said(&mut gate), []);
    }
}

#[test]
fn a_client_that_gives_up_ends_it() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        die(&mut gate, first);
        absorbed(&mut gate, first.ack(HAD));
        asks_again(&mut gate, other(first));
        absorbed(&mut gate, first.client_error(0));
        assert_eq!(gate.transfer(via.client()).state, TransferState::Closing);
        assert_eq!(said(&mut gate), []);
    }
}

/// A thousand transfers do not ask for a thousand blocks at once.
#[test]
fn so_much_is_said_in_a_tick() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let clients = (0..FLOWS as u16 - 1).map(|n| kit::transfer::client(via, n));
    let talks: Vec<_> = clients.map(|client| run(&mut gate, via, client)).collect();
    let (mine, other): (Vec<_>, Vec<_>) =
        talks.into_iter().partition(|transfer| transfer.server.ip() == via.server(0));
    assert!(mine.len() > ORIGINATE_RATE as usize && !other.is_empty());
    die(&mut gate, mine[0]);
    for transfer in &mine {
        absorbed(&mut gate, transfer.ack(1));
    }
    assert_eq!(said(&mut gate).len(), ORIGINATE_RATE as usize);
    assert_eq!(said(&mut gate).len(), 0);
    gate.wait(1);
    assert_eq!(said(&mut gate).len(), mine.len() - ORIGINATE_RATE as usize);
}

/// A request too long to be saved cannot be sent again.
#[test]
fn an_endless_name_is_asked_for_once() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), &"long/".repeat(60)));
        let _ = gate.take(transfer.data(1, 512)).sent();
        let _ = gate.take(transfer.ack(1)).sent();
        die(&mut gate, transfer);
        gate.moves();
        absorbed(&mut gate, transfer.ack(1));
        assert_eq!(said(&mut gate)[0].payload[..2], [0, 5]);
        assert_eq!(gate.moves().get("lost"), Some(&1));
    }
}

/// The host's ICMP error is sufficient, and the client does not see it.
#[test]
fn a_closed_port_is_death() {
    for via in Via::SEEN {
        let what = REFUSED[via.at_server().family()];
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        let up = gate.take(first.ack(HAD)).sent();
        gate.moves();
        let outcome = gate.take(about(&up, first.server.ip(), what, 0, 48));
        assert_eq!(outcome.verdict, Verdict::Absorb);
        gate.moved(&[
            ("received", 1),
            ("absorbed", 1),
            ("unreachable", 1),
            ("silences", 1),
            ("failed_over", 1),
            ("ended", 1),
            ("started", 1),
            ("resumed", 1),
        ]);
        // The client does not even have to repeat itself.
        let next = other(first);
        asks_again(&mut gate, next);
        // The new server's port is closed, too.
        let asked = next.with_tid(69).at_server(&rrq(first.client, first.vip, "boot.img"), 0);
        let outcome = gate.take(about(&asked, next.server.ip(), what, 0, 48));
        assert_eq!(outcome.verdict, Verdict::Absorb);
        absorbed(&mut gate, first.ack(HAD));
        asks_again(&mut gate, first);
        catches_up(&mut gate, first.with_tid(41_000), 1..=HAD);
        goes_on(&mut gate, first, first.with_tid(41_000), HAD + 1..=HAD + 2);
    }
}

/// If no other server is left, even an ejected one is asked.
#[test]
fn an_ejected_server_is_better_than_none() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        let next = other(first);
        let ejected = [0, 1].into_iter().find(|&n| via.server(n) == next.server.ip());
        let ejected = via.backend(ejected.expect("a server"));
        gate.change(|snapshot| snapshot[ejected].state = BackendState::Ejected);
        let up = gate.take(first.ack(HAD)).sent();
        let what = REFUSED[via.at_server().family()];
        absorbed(&mut gate, about(&up, first.server.ip(), what, 0, 48));
        asks_again(&mut gate, next);
        catches_up(&mut gate, next, 1..=HAD);
        goes_on(&mut gate, first, next, HAD + 1..=HAD + 2);
    }
}

#[test]
fn a_closed_port_at_the_request_sends_the_next_one_elsewhere() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        let asked = gate.take(&request).sent();
        let what = REFUSED[via.at_server().family()];
        let outcome = gate.take(about(&asked, asked.destination.ip(), what, 0, 28 + 20));
        assert_eq!(outcome.verdict, Verdict::Absorb);
        assert_ne!(gate.take(&request).sent().destination, asked.destination);
    }
}

/// No server can continue an upload.
#[test]
fn a_closed_port_ends_an_upload() {
    for via in Via::SEEN {
        let what = REFUSED[via.at_server().family()];
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &wrq(via.client(), via.vip(), "crash.log"));
        let _ = gate.take(transfer.says(&[0, 4, 0, 0])).sent();
        let up = gate.take(data(transfer.client, transfer.vip_tid(), 1, 512)).sent();
        absorbed(&mut gate, about(&up, transfer.server.ip(), what, 0, 28 + 20));
        assert_eq!(said(&mut gate)[0].payload[..4], [0, 5, 0, 0]);
        assert_eq!(gate.moves().get("lost"), Some(&1));
    }
}

/// curl waits for ever.
#[test]
fn a_client_that_never_repeats_itself() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let first = download(&mut gate, via);
        die(&mut gate, first);
        assert_eq!(said(&mut gate), []);
        gate.wait(5);
        let next = other(first);
        asks_again(&mut gate, next);
        gate.wait(11);
        // The request was lost.
        asks_again(&mut gate, next);
        catches_up(&mut gate, next, 1..=2);
        gate.wait(11);
        says(&mut gate, next.server, next.seen_as, &next.ack(2).payload);
        catches_up(&mut gate, next, 3..=HAD);
        goes_on(&mut gate, first, next, HAD + 1..=HAD + 2);
        gate.wait(30);
        assert_eq!(said(&mut gate), []);
    }
}
