//! Clients that broadcast their request and all later packets (Cisco Aironet access points).

use engine::net::address_map::Owner;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{ack, datagram, error, rrq, wrq};
use kit::topology::{FLOWS, INSIDE, OUTSIDE, TFTP, Via, mac, owner, snapshot};
use kit::transfer::{TID, Transfer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wire::ethernet::Mac;

const ALL: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);
const SUBNET: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 255));

/// A gate where broadcasts on the outside interface are for this VIP.
fn gate(via: Via) -> EngineHarness {
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| {
        snapshot[OUTSIDE].broadcast = Some(via.vip_id());
        for address in [ALL, SUBNET] {
            snapshot.addresses.insert(address, Owner::Everybody);
        }
    });
    gate
}

fn to_all(packet: Packet) -> Packet {
    Packet { to: Mac::BROADCAST, ..packet }
}

#[test]
fn a_transfer_of_which_every_packet_is_for_everybody() {
    for via in [Via::Nat, Via::Snat, Via::Snat46] {
        for everybody in [ALL, SUBNET] {
            let mut gate = gate(via);
            let at = |port| SocketAddr::new(everybody, port);
            let sent = gate.take_by(OUTSIDE, to_all(rrq(via.client(), at(TFTP), "c1200")));
            let sent = sent.sent();
            assert_eq!(sent.destination.port(), TFTP);
            let server = SocketAddr::new(sent.destination.ip(), TID);
            let (client, seen_as) = (via.client(), sent.source);
            let transfer = Transfer { via, client, vip: via.vip(), server, seen_as };
            transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
            for block in 1..=3 {
                let outcome = gate.take_by(OUTSIDE, to_all(ack(via.client(), at(TID), block)));
                transfer.server_gets(outcome, &[0, 4, 0, block as u8]);
                let next = transfer.data(block + 1, if block == 3 { 9 } else { 512 });
                transfer.client_gets(gate.take(&next), &next.payload);
            }
            let last = gate.take_by(OUTSIDE, to_all(ack(via.client(), at(TID), 4)));
            transfer.server_gets(last, &[0, 4, 0, 4]);
            assert_eq!(gate.moves().get("completed"), Some(&1), "{via:?} {everybody}");
        }
    }
}

#[test]
fn what_else_is_said_to_everybody_is_the_kernel_s() {
    let via = Via::Nat;
    let client = via.client();
    let mut gate = gate(via);
    for (from, to) in [
        // DHCP: the client has no address yet.
        (SocketAddr::from(([0, 0, 0, 0], 68)), SocketAddr::new(ALL, 67)),
        (client, SocketAddr::new(ALL, 137)),
        (client, SocketAddr::new(SUBNET, 4000)),
    ] {
        let frame = to_all(datagram(from, to, b"hello"));
        gate.take_by(OUTSIDE, frame).to_kernel();
    }
    // Without a service on it, all broadcasts go to the kernel.
    let inside = to_all(rrq(client, SocketAddr::new(ALL, TFTP), "f"));
    gate.take_by(INSIDE, inside.clone()).to_kernel();
    gate.change(|snapshot| snapshot.set_live(via.vip_id(), false));
    gate.take_by(OUTSIDE, inside.clone()).to_kernel();
    // Also without any `broadcast` setting.
    EngineHarness::new().take_by(OUTSIDE, inside).to_kernel();
}

#[test]
fn bad_messages_to_everybody_are_dropped_as_others() {
    let via = Via::Nat;
    let mut gate = gate(via);
    let at = SocketAddr::new(ALL, TFTP);
    let bad = [
        (to_all(datagram(via.client(), at, b"\0\x01f")), DropReason::BadTftp),
        (to_all(ack(via.client(), at, 1)), DropReason::NoTransfer),
        (to_all(error(via.client(), at, 5)), DropReason::NoTransfer),
        (to_all(rrq(SocketAddr::from(([0, 0, 0, 0], 68)), at, "f")), DropReason::BadSource),
    ];
    for (packet, reason) in bad {
        gate.take_by(OUTSIDE, packet).dropped(reason);
    }
}

#[test]
fn a_refusal_comes_from_the_vip() {
    let via = Via::Snat;
    let mut gate = gate(via);
    gate.change(|snapshot| snapshot[via.service()].access.read_only = true);
    let request = to_all(wrq(via.client(), SocketAddr::new(ALL, TFTP), "f"));
    let told = gate.take_by(OUTSIDE, request).answered();
    assert_eq!((told.source, told.to), (via.vip(), mac(via.client().ip())));
}

#[test]
fn a_client_of_everybody_has_one_worker() {
    let via = Via::Nat;
    let mut snapshot = snapshot();
    snapshot[OUTSIDE].broadcast = Some(via.vip_id());
    snapshot.addresses.insert(ALL, Owner::Everybody);
    let right = owner(via.client().ip(), 3);
    for worker in 0..3 {
        let mut gate = EngineHarness::one_of(worker, 3, snapshot.clone(), FLOWS);
        let request = to_all(rrq(via.client(), SocketAddr::new(ALL, TFTP), "f"));
        let verdict = gate.take_by(OUTSIDE, request).verdict;
        if worker == right {
            assert_eq!(verdict, Verdict::Transmit(INSIDE));
        } else {
            assert_eq!(verdict, Verdict::HandOver(right));
        }
    }
}
