//! Clients and servers of different versions of IP: the whole frame that leaves is the one built from
//! scratch (RFC 7915).

use crate::properties::{file_data, shape};
use engine::verdict::Verdict;
use kit::gate::Gate;
use kit::packet::Packet;
use kit::story::{data, datagram, rrq};
use kit::talk::{ask, run};
use kit::world::{OUTSIDE, Via};
use proptest::prelude::*;
use std::net::SocketAddr;

const BOTH: [Via; 2] = [Via::Snat46, Via::Snat64];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn there_and_back(
        via in prop::sample::select(BOTH.to_vec()), tid in 1u16..,
        (request, down, up) in (shape(), shape(), shape()),
        (block, upload) in (file_data(), file_data()),
    ) {
        let mut gate = Gate::new();
        let asked = request.of(rrq(via.client(), via.vip(), "boot.img"));
        let talk = ask(&mut gate, via, &asked).with_tid(tid);
        prop_assert_eq!(talk.seen_as.is_ipv6(), !via.is_v6());
        // Each packet gets a number; the request was the first.
        let server_side = down.of(talk.says(&block));
        let expected = talk.at_client(&server_side, 2);
        prop_assert_eq!(gate.take(&server_side).bytes, expected.bytes());
        let client_side = up.of(datagram(via.client(), talk.vip_tid(), &upload));
        let expected = talk.at_server(&client_side, 3);
        prop_assert_eq!(gate.take(&client_side).bytes, expected.bytes());
    }

    #[test]
    fn a_checksum_is_never_zero(
        via in prop::sample::select(BOTH.to_vec()), (down, data) in (shape(), file_data()),
        add in any::<[u8; 2]>(),
    ) {
        let mut gate = Gate::new();
        let talk = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let even = data.len() & !1;
        let packet = down.of(talk.says(&[&data[..even], &add].concat()));
        let summed = packet.summed;
        // Over IPv6 there always is one.
        prop_assert_eq!(gate.take(packet).sent().summed, summed || via.is_v6());
    }
}

#[test]
fn a_checksum_that_comes_out_as_zero_is_written_in_its_other_form() {
    for via in BOTH {
        let mut gate = Gate::new();
        let talk = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let block = talk.data(1, 512);
        let wanted = talk.at_client(&block, 2).summing_to_zero();
        let block = Packet { payload: wanted.payload.clone(), ..block };
        assert_eq!(gate.take(&block).bytes, wanted.bytes(), "{via:?}");
    }
}

/// DSCP and ECN: the second byte of IPv4, and the 4 bits behind the version of IPv6.
#[test]
fn the_traffic_class_goes_along() {
    let mut request = rrq(Via::Snat46.client(), Via::Snat46.vip(), "f").bytes();
    let sum = u16::from_be_bytes([request[24], request[25]]);
    request[15] = 0xb9;
    request[24..26].copy_from_slice(&(sum - 0xb9).to_be_bytes());
    let sent = Gate::new().take(request);
    assert_eq!(sent.verdict, Verdict::Transmit(OUTSIDE));
    assert_eq!(sent.bytes[14..18], [0x6b, 0x90, 0, 0]);

    let mut request = rrq(Via::Snat64.client(), Via::Snat64.vip(), "f").bytes();
    request[14..16].copy_from_slice(&[0x6b, 0x90]);
    let sent = Gate::new().take(request);
    assert_eq!(sent.verdict, Verdict::Transmit(OUTSIDE));
    assert_eq!(sent.bytes[15], 0xb9);
    let _ = sent.sent();
}

#[test]
fn the_longer_header_counts_against_the_mtu() {
    let mut gate = Gate::new();
    // From servers over IPv4 to clients over IPv6.
    let talk = run(&mut gate, Via::Snat64, Via::Snat64.client());
    let _ = gate.take(talk.data(2, 1500 - 40 - 8 - 4)).sent();
    // And the shorter one not.
    let mut gate = Gate::new();
    let talk = run(&mut gate, Via::Snat46, Via::Snat46.client());
    let sent = gate.take(talk.data(2, 1500 - 40 - 8 - 4)).sent();
    assert!(!sent.may_be_fragmented);
}

#[test]
fn a_burst_may_hold_packets_of_both_versions_and_of_both_ways() {
    let mut gate = Gate::new();
    let talks = BOTH.map(|via| run(&mut gate, via, via.client()));
    let alike = run(&mut gate, Via::Snat, Via::Snat.client());
    let [up, down] = talks;
    let stray = data(SocketAddr::new(up.server.ip(), 7), up.seen_as, 1, 512);
    let frames = [up.ack(2), down.data(2, 9), alike.ack(2), stray, up.data(2, 512)];
    let verdicts = gate.take_burst(OUTSIDE, frames.map(|packet| packet.bytes()));
    assert_eq!(verdicts[..3], [Verdict::Transmit(OUTSIDE); 3]);
    assert_eq!(verdicts[3..], [Verdict::Answer, Verdict::Transmit(OUTSIDE)]);
}
