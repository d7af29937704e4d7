//! Packets to the service's port in the name of a client with a running transfer: everybody knows that port.

use engine::flow::state::TransferState;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{ack, data, error, wrq};
use kit::topology::{Via, mac};
use kit::transfer::{TID, Transfer, run};
use wire::ethernet::Mac;

const ATTACKER: Mac = Mac([2, 0, 0, 0, 0x66, 0x66]);
/// Modes in which answers pass the gate; elsewhere clients are believed.
const SEEN: [Via; 5] = [Via::Nat, Via::Snat, Via::Nat6, Via::Snat64, Via::Snat46];

/// Spoofed copies of the packet: from behind the client's own router, and from elsewhere.
fn spoofed(packet: Packet) -> [Packet; 2] {
    [packet.clone(), Packet { from: ATTACKER, ..packet }]
}

/// An upload whose first block the server has acknowledged.
fn upload(gate: &mut EngineHarness, via: Via) -> Transfer {
    let transfer = kit::transfer::ask(gate, via, &wrq(via.client(), via.vip(), "boot.img"));
    let transfer = transfer.with_tid(TID);
    let _ = gate.take(ack(transfer.server, transfer.seen_as, 0)).sent();
    let _ = gate.take(data(transfer.client, transfer.vip_tid(), 1, 512)).sent();
    let _ = gate.take(ack(transfer.server, transfer.seen_as, 1)).sent();
    transfer
}

/// Whether the packet reaches the server's TID.
fn arrives(gate: &mut EngineHarness, transfer: Transfer, packet: &Packet) -> bool {
    let outcome = gate.take(packet);
    let is_sent = matches!(outcome.verdict, engine::types::verdict::Verdict::Transmit(_));
    is_sent && outcome.sent().destination == transfer.server
}

#[test]
fn a_spoofed_error_does_not_end_a_running_download() {
    for via in SEEN {
        for code in [0, 1, 3, 5, 8] {
            for nth in 0..2 {
                let mut gate = EngineHarness::new();
                let transfer = run(&mut gate, via, via.client());
                let packet = spoofed(error(transfer.client, transfer.vip, code))[nth].clone();
                let arrives = arrives(&mut gate, transfer, &packet);
                let is_running = gate.transfers()[0].state == TransferState::Established;
                assert!(!arrives && is_running, "{via:?} {code} {nth}: {arrives} {is_running}");
            }
        }
    }
}

#[test]
fn a_spoofed_error_does_not_end_a_running_upload() {
    for via in SEEN {
        let mut gate = EngineHarness::new();
        let transfer = upload(&mut gate, via);
        let packet = spoofed(error(transfer.client, transfer.vip, 0))[1].clone();
        let arrives = arrives(&mut gate, transfer, &packet);
        let is_running = gate.transfers()[0].state == TransferState::Established;
        assert!(!arrives && is_running, "{via:?}: {arrives} {is_running}");
    }
}

#[test]
fn a_spoofed_block_is_no_part_of_a_running_upload() {
    for via in SEEN {
        for nth in 0..2 {
            let mut gate = EngineHarness::new();
            let transfer = upload(&mut gate, via);
            // The last block, too, which would truncate the file.
            for len in [512, 17] {
                let packet = spoofed(data(transfer.client, transfer.vip, 2, len))[nth].clone();
                assert!(!arrives(&mut gate, transfer, &packet), "{via:?} {nth} {len}");
            }
        }
    }
}

/// A host that does not see the transfer has to guess the TID, twice in a row, to get its answers.
#[test]
fn who_does_not_know_the_tid_does_not_get_the_answers() {
    for via in SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        // All recent blocks of the client, once each.
        for block in 0..16 {
            let _ = gate.take(&spoofed(ack(transfer.client, transfer.vip, block))[1]);
        }
        let sent = gate.take(transfer.data(2, 512)).sent();
        assert_eq!(sent.to, mac(transfer.client.ip()), "{via:?}");
    }
}
