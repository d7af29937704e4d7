//! Successive transfers of an endpoint from the same TID: servers with a range of ports answer each request from the
//! first free one.

use engine::flow::state::TransferState;
use engine::scheduler::backend_group::Scheduler;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{data, rrq, rrq_with, wrq};
use kit::topology::{FLOWS, Via, groups, mac, owner, snapshot};
use kit::transfer::{Transfer, ask, run};
use wire::ip::PROTOCOL_UDP;

/// All requests go to this backend.
fn to_backend(gate: &mut EngineHarness, via: Via, n: usize) {
    let mut weights = [0; 2];
    weights[n] = 1;
    gate.change(|snapshot| snapshot[via.group()] = groups(via, Scheduler::RoundRobin, weights));
}

/// A gate with one free port in each SNAT pool, so that transfers share an endpoint there, too.
fn narrow(via: Via) -> EngineHarness {
    let mut gate = EngineHarness::new();
    to_backend(&mut gate, via, 0);
    if via.is_snat() {
        crate::pools::leave_ports(&mut gate, (via, PROTOCOL_UDP), via.client(), 1);
    }
    gate
}

/// The server's first message reaches the client.
#[track_caller]
fn begins(gate: &mut EngineHarness, transfer: Transfer, first: &[u8]) {
    transfer.client_gets(gate.take(transfer.says(first)), first);
}

/// The message does not reach the client, and the transfer waits for its server.
#[track_caller]
fn does_not_begin(gate: &mut EngineHarness, transfer: Transfer, first: &[u8]) {
    let verdict = gate.take(transfer.says(first)).verdict;
    assert!(
        matches!(verdict, Verdict::Answer | Verdict::Drop(_)),
        "{:?} {verdict:?}",
        transfer.via
    );
    assert_eq!(gate.transfer(transfer.client).tid, None, "{:?}", transfer.via);
}

/// The client's packets reach only its server.
#[track_caller]
fn goes_to_server(gate: &mut EngineHarness, transfer: Transfer, packet: &Packet) {
    let sent = gate.take(packet).sent();
    assert_eq!(sent.to, mac(transfer.server.ip()), "{:?}", transfer.via);
}

/// The transfer from its first block to its end.
fn completes(gate: &mut EngineHarness, transfer: Transfer, blocks: u16) {
    for block in 1..=blocks {
        let len = if block == blocks { 9 } else { 512 };
        if !transfer.via.is_dsr() {
            transfer.client_gets(
                gate.take(transfer.data(block, len)),
                &transfer.data(block, len).payload,
            );
        }
        goes_to_server(gate, transfer, &transfer.ack(block));
    }
    if !transfer.via.is_dsr() {
        assert_eq!(
            gate.transfer(transfer.client).state,
            TransferState::Completed,
            "{:?}",
            transfer.via
        );
    }
}

const OACK: &[u8] = b"\0\x06tsize\x001000\0";

fn get(via: Via, file: &str) -> Packet {
    rrq(via.client(), via.vip(), file)
}

fn probe(via: Via, file: &str) -> Packet {
    rrq_with(via.client(), via.vip(), file, &[("tsize", 0)])
}

/// UEFI and boot ROMs: the size, ERROR 8, and the file; then the next one.
#[test]
fn a_size_probe_and_the_real_request_from_one_tid() {
    for via in Via::ALL {
        for backends in [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0]] {
            for code in [8, 0] {
                let mut gate = EngineHarness::new();
                for (file, backends) in [("one", &backends[..2]), ("two", &backends[2..])] {
                    to_backend(&mut gate, via, backends[0]);
                    let asked = ask(&mut gate, via, &probe(via, file));
                    if !via.is_dsr() {
                        begins(&mut gate, asked, OACK);
                    }
                    // Another client may be behind the port: after one block, ERROR 0 could be of either transfer.
                    let code = if via.is_dsr() { 8 } else { code };
                    goes_to_server(&mut gate, asked, &asked.client_error(code));
                    to_backend(&mut gate, via, backends[1]);
                    let transfer = ask(&mut gate, via, &probe(via, file));
                    if !via.is_dsr() {
                        begins(&mut gate, transfer, OACK);
                    }
                    goes_to_server(&mut gate, transfer, &transfer.ack(0));
                    completes(&mut gate, transfer, 3);
                }
            }
        }
    }
}

#[test]
fn small_files_in_a_row_from_one_tid() {
    for via in Via::ALL {
        for blocks in [1, 2, 5] {
            for backends in [[0, 0, 0], [0, 1, 0], [1, 0, 0]] {
                let mut gate = if backends == [0; 3] { narrow(via) } else { EngineHarness::new() };
                for (n, backend) in (0..).zip(backends) {
                    to_backend(&mut gate, via, backend);
                    let transfer = ask(&mut gate, via, &get(via, &format!("file{n}")));
                    // No two files are alike.
                    let mut first = transfer.data(1, if blocks == 1 { 9 } else { 512 });
                    first.payload[4] = n;
                    if !via.is_dsr() {
                        begins(&mut gate, transfer, &first.payload);
                    }
                    goes_to_server(&mut gate, transfer, &transfer.ack(1));
                    for block in 2..=blocks {
                        let len = if block == blocks { 9 } else { 512 };
                        if !via.is_dsr() {
                            let block = transfer.data(block, len);
                            transfer.client_gets(gate.take(&block), &block.payload);
                        }
                        goes_to_server(&mut gate, transfer, &transfer.ack(block));
                    }
                    if !via.is_dsr() {
                        assert_eq!(
                            gate.transfer(via.client()).state,
                            TransferState::Completed,
                            "{via:?}"
                        );
                    }
                    gate.moves();
                }
            }
        }
    }
}

/// A Raspberry Pi asks for many files that do not exist.
#[test]
fn missing_files_in_a_row_from_one_tid() {
    for via in Via::SEEN {
        let mut gate = narrow(via);
        for n in 0..5 {
            let transfer = ask(&mut gate, via, &get(via, &format!("none{n}")));
            begins(&mut gate, transfer, b"\0\x05\0\x01none\0");
        }
        let transfer = ask(&mut gate, via, &get(via, "there"));
        completes(&mut gate, transfer, 2);
        assert_eq!(gate.moves().get("not_found"), Some(&5));
    }
}

#[test]
fn uploads_in_a_row_from_one_tid() {
    for via in Via::SEEN {
        let mut gate = narrow(via);
        for n in 0..3 {
            let transfer = ask(&mut gate, via, &wrq(via.client(), via.vip(), &format!("up{n}")));
            begins(&mut gate, transfer, b"\0\x04\0\0");
            for (block, len) in [(1, 512), (2, 9)] {
                let block_sent = data(via.client(), transfer.vip_tid(), block, len);
                goes_to_server(&mut gate, transfer, &block_sent);
                begins(&mut gate, transfer, &[0, 4, 0, block as u8]);
            }
            assert_eq!(gate.transfer(via.client()).state, TransferState::Completed, "{via:?}");
        }
    }
}

/// A message that can only be a beginning, from the TID of an aborted transfer.
#[test]
fn a_transfer_that_was_broken_off_does_not_keep_its_tid_from_the_next_one() {
    for via in Via::SEEN {
        let first: [(&[u8], u16); 4] =
            [(OACK, 1), (b"\0\x04\0\0", 1), (b"\0\x03\0\x01abc", 2), (OACK, 5)];
        // Less is known of a resting port.
        for (first, blocks) in first.into_iter().filter(|&(_, blocks)| blocks > 1 || !via.is_snat())
        {
            let mut gate = narrow(via);
            let old = ask(&mut gate, via, &get(via, "boot.img"));
            for block in 1..=blocks {
                old.client_gets(gate.take(old.data(block, 512)), &old.data(block, 512).payload);
                goes_to_server(&mut gate, old, &old.ack(block));
            }
            if via.is_snat() {
                // The pool has no other port until it is given up.
                gate.wait(600);
            } else {
                gate.wait(20);
            }
            let new = ask(&mut gate, via, &get(via, "other"));
            does_not_begin(&mut gate, new, &new.data(blocks, 512).payload[..4 + 512]);
            begins(&mut gate, new, first);
        }
    }
}

/// The server may not have heard the client.
#[test]
fn what_could_be_said_again_does_not_begin() {
    for via in Via::SEEN {
        let error = b"\0\x05\0\x00timeout\0";
        let first_block = data(via.client(), via.vip(), 1, 512).payload;
        let unheard: [[&[&[u8]]; 3]; 3] = [
            [&[OACK], &[OACK, b"\0\x04\0\0", &first_block, error], &[]],
            [&[&first_block], &[&first_block, error], &[OACK]],
            [&[b"\0\x04\0\0"], &[b"\0\x04\0\0", OACK, error], &[]],
        ];
        for [said, again, new] in unheard {
            let mut gate = narrow(via);
            let request = if said[0][1] == 4 {
                wrq(via.client(), via.vip(), "boot.img")
            } else {
                get(via, "boot.img")
            };
            let old = ask(&mut gate, via, &request);
            said.iter().for_each(|first| begins(&mut gate, old, first));
            gate.wait(20);
            let transfer = ask(&mut gate, via, &get(via, "other"));
            assert_eq!(transfer.seen_as, old.seen_as);
            again.iter().for_each(|first| does_not_begin(&mut gate, transfer, first));
            match new.first() {
                Some(first) => begins(&mut gate, transfer, first),
                None => completes(&mut gate, transfer.with_tid(50_001), 2),
            }
        }
    }
}

/// The server has missed the last ACK. It gets no ERROR: the new process may have its port.
#[test]
fn a_late_last_block_is_not_taken_for_the_new_transfer() {
    for via in Via::SEEN {
        for (blocks, tid) in [(1, 50_000), (1, 69), (3, 50_000), (3, 69), (1, 50_001)] {
            let mut gate = narrow(via);
            let old_tid = if tid == 69 { 69 } else { 50_000 };
            let old = ask(&mut gate, via, &get(via, "one")).with_tid(old_tid);
            completes(&mut gate, old, blocks);
            let new = ask(&mut gate, via, &get(via, "two")).with_tid(tid);
            let late = old.data(blocks, 9);
            // Behind a SNAT pool the port may belong to another transfer.
            let late = Packet { destination: new.seen_as, ..late };
            gate.take(&late).dropped(DropReason::NoTransfer);
            assert_eq!(gate.transfer(via.client()).tid, None);
            let mut first = new.data(1, 512);
            first.payload[4] = b'2';
            begins(&mut gate, new, &first.payload);
            goes_to_server(&mut gate, new, &new.ack(1));
            new.client_gets(gate.take(new.data(2, 9)), &new.data(2, 9).payload);
        }
    }
}

/// Only the server's repetition tells the transfers apart.
#[test]
fn two_files_that_are_alike_come_both() {
    for via in Via::SEEN {
        let mut gate = narrow(via);
        let old = ask(&mut gate, via, &get(via, "one"));
        completes(&mut gate, old, 1);
        // The same request is a repetition.
        let again = ask(&mut gate, via, &get(via, "one"));
        completes(&mut gate, again, 1);
        let other = ask(&mut gate, via, &get(via, "alike"));
        gate.take(other.data(1, 9)).dropped(DropReason::NoTransfer);
        completes(&mut gate, other, 1);
    }
}

#[test]
fn whoever_was_told_by_nobody_may_go_on() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = narrow(via);
        let old = run(&mut gate, via, via.client());
        // The ERROR does not reach the server: its next hop is unknown.
        gate.change(|snapshot| snapshot[via.backend(0)].hop = None);
        gate.take(old.client_error(8)).dropped(DropReason::BackendDown);
        gate.change(|snapshot| {
            snapshot[via.backend(0)].hop = Some(kit::topology::hop(via.server(0)));
        });
        let new = ask(&mut gate, via, &get(via, "other"));
        does_not_begin(&mut gate, new, &new.data(1, 512).payload);
        old.server_is_told_off(gate.take(old.data(2, 512)));
        begins(&mut gate, new, OACK);
    }
}

#[test]
fn what_is_known_of_old_tids_outlives_the_process() {
    for via in [Via::Nat, Via::Nat6] {
        for is_over in [false, true] {
            let mut gate = narrow(via);
            let old = ask(&mut gate, via, &get(via, "one"));
            begins(&mut gate, old, &old.data(1, 9).payload);
            if is_over {
                goes_to_server(&mut gate, old, &old.ack(1));
            }
            let mut gate = gate.reborn(snapshot());
            to_backend(&mut gate, via, 0);
            let new = ask(&mut gate, via, &get(via, "two"));
            let mut gate = gate.reborn(snapshot());
            does_not_begin(&mut gate, new, &old.data(1, 9).payload);
            let first = b"\0\x03\0\x01another";
            if is_over {
                begins(&mut gate, new, first);
            } else {
                does_not_begin(&mut gate, new, first);
            }
        }
    }
}

#[test]
fn each_worker_knows_its_clients() {
    const WORKERS: u16 = 3;
    for via in Via::ALL {
        let worker = owner(via.client().ip(), WORKERS);
        let mut gate = EngineHarness::one_of(worker, WORKERS, snapshot(), FLOWS);
        to_backend(&mut gate, via, 0);
        for n in 0..3 {
            let transfer = ask(&mut gate, via, &get(via, &format!("file{n}")));
            completes(&mut gate, transfer, 2);
        }
    }
}
