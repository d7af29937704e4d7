//! What somebody says to the service's port in the name of a client that goes on with its transfer: everybody knows that
//! port.

use engine::flow::view::State;
use kit::gate::Gate;
use kit::packet::Packet;
use kit::story::{ack, data, error, wrq};
use kit::talk::{TID, Talk, run};
use kit::world::{Via, mac};
use wire::ethernet::Mac;

const ATTACKER: Mac = Mac([2, 0, 0, 0, 0x66, 0x66]);
/// Where answers are seen: elsewhere clients are taken at their word.
const SEEN: [Via; 5] = [Via::Nat, Via::Snat, Via::Nat6, Via::Snat64, Via::Snat46];

/// By somebody else, wherever from: behind the client's own router, and elsewhere.
fn spoofed(packet: Packet) -> [Packet; 2] {
    [packet.clone(), Packet { from: ATTACKER, ..packet }]
}

/// An upload whose first block the server has acknowledged.
fn upload(gate: &mut Gate, via: Via) -> Talk {
    let talk = kit::talk::ask(gate, via, &wrq(via.client(), via.vip(), "boot.img"));
    let talk = talk.with_tid(TID);
    let _ = gate.take(ack(talk.server, talk.seen_as, 0)).sent();
    let _ = gate.take(data(talk.client, talk.vip_tid(), 1, 512)).sent();
    let _ = gate.take(ack(talk.server, talk.seen_as, 1)).sent();
    talk
}

/// Whether this reaches the server's TID.
fn arrives(gate: &mut Gate, talk: Talk, packet: &Packet) -> bool {
    let outcome = gate.take(packet);
    let is_sent = matches!(outcome.verdict, engine::verdict::Verdict::Transmit(_));
    is_sent && outcome.sent().destination == talk.server
}

#[test]
fn a_spoofed_error_does_not_end_a_running_download() {
    for via in SEEN {
        for code in [0, 1, 3, 5, 8] {
            for nth in 0..2 {
                let mut gate = Gate::new();
                let talk = run(&mut gate, via, via.client());
                let packet = spoofed(error(talk.client, talk.vip, code))[nth].clone();
                let arrives = arrives(&mut gate, talk, &packet);
                let is_running = gate.transfers()[0].state == State::Established;
                assert!(!arrives && is_running, "{via:?} {code} {nth}: {arrives} {is_running}");
            }
        }
    }
}

#[test]
fn a_spoofed_error_does_not_end_a_running_upload() {
    for via in SEEN {
        let mut gate = Gate::new();
        let talk = upload(&mut gate, via);
        let packet = spoofed(error(talk.client, talk.vip, 0))[1].clone();
        let arrives = arrives(&mut gate, talk, &packet);
        let is_running = gate.transfers()[0].state == State::Established;
        assert!(!arrives && is_running, "{via:?}: {arrives} {is_running}");
    }
}

#[test]
fn a_spoofed_block_is_no_part_of_a_running_upload() {
    for via in SEEN {
        for nth in 0..2 {
            let mut gate = Gate::new();
            let talk = upload(&mut gate, via);
            // The last one, too: that would end the file here.
            for len in [512, 17] {
                let packet = spoofed(data(talk.client, talk.vip, 2, len))[nth].clone();
                assert!(!arrives(&mut gate, talk, &packet), "{via:?} {nth} {len}");
            }
        }
    }
}

/// The TID is half of what whoever does not see a transfer has to guess, twice in a row, to have its answers.
#[test]
fn who_does_not_know_the_tid_does_not_get_the_answers() {
    for via in SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        // All blocks that the client can have come to lately, once each.
        for block in 0..16 {
            let _ = gate.take(&spoofed(ack(talk.client, talk.vip, block))[1]);
        }
        let sent = gate.take(talk.data(2, 512)).sent();
        assert_eq!(sent.to, mac(talk.client.ip()), "{via:?}");
    }
}
