//! ICMP to the gate's addresses: echo requests are answered, neighbour discovery goes to the kernel, all else is
//! dropped. Redirects are always dropped.

use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use etherparse::{IcmpEchoHeader, Icmpv4Type, Icmpv6Type, IpNumber};
use kit::engine_harness::EngineHarness;
use kit::packets::{fragment, icmp, icmpv6, ip, ping, pong};
use kit::topology::{OUTSIDE, Via, gate_mac, mac};
use std::net::IpAddr;

/// A client and the gate's addresses, for each address family.
fn ends() -> impl Iterator<Item = (IpAddr, IpAddr)> {
    Via::ALIKE.into_iter().flat_map(|via| {
        let client = via.client().ip();
        [(client, via.vip().ip()), (client, via.snat())]
    })
}

#[test]
fn a_ping_to_our_addresses_is_answered() {
    for (client, to) in ends() {
        for (id, seq, data) in
            [(1, 1, &b""[..]), (0, 1, b"a"), (0xffff, 0xffff, &[0xff; 56]), (7, 9, &[3; 1452])]
        {
            let mut gate = EngineHarness::new();
            let outcome = gate.take(ping(client, to, id, seq, data));
            assert_eq!(outcome.verdict, Verdict::Answer);
            assert_eq!(outcome.bytes, pong(to, client, id, seq, data), "{to} {id} {seq}");
            gate.moved(&[("received", 1), ("answered", 1)]);
        }
    }
}

#[test]
fn a_ping_of_nothing_but_zeroes_is_answered_with_a_right_checksum() {
    for (client, to) in ends() {
        let outcome = EngineHarness::new().take(ping(client, to, 0, 0, &[0; 8]));
        assert_eq!(outcome.bytes, pong(to, client, 0, 0, &[0; 8]));
    }
}

#[test]
fn the_answer_to_a_ping_has_hops_of_its_own() {
    let (client, vip) = (Via::Nat.client().ip(), Via::Nat.vip().ip());
    let mut question = ping(client, vip, 1, 1, b"");
    let sum = u16::from_be_bytes([question[24], question[25]]);
    question[22] = 1;
    question[24..26].copy_from_slice(&(sum + (63 << 8)).to_be_bytes());
    assert_eq!(EngineHarness::new().take(question).bytes, pong(vip, client, 1, 1, b""));

    let (client, vip) = (Via::Nat6.client().ip(), Via::Nat6.vip().ip());
    let mut question = ping(client, vip, 1, 1, b"");
    question[21] = 1;
    assert_eq!(EngineHarness::new().take(question).bytes, pong(vip, client, 1, 1, b""));
}

#[test]
fn a_ping_by_broadcast_is_answered_from_our_own_address_or_not_at_all() {
    for (client, to) in ends() {
        let mut question = ping(client, to, 1, 1, b"");
        question[..6].fill(0xff);
        let outcome = EngineHarness::new().take(question);
        if outcome.verdict == Verdict::Answer {
            assert_eq!(outcome.bytes[6..12], gate_mac(OUTSIDE).0);
        }
    }
}

#[test]
fn other_icmp_to_our_addresses_is_dropped() {
    let mut gate = EngineHarness::new();
    let (client, vip) = (Via::Nat.client().ip(), Via::Nat.vip().ip());
    let reply = Icmpv4Type::EchoReply(IcmpEchoHeader { id: 1, seq: 1 });
    gate.take(icmp(client, vip, reply, b"")).dropped(DropReason::NoService);
    let mut broken = ping(client, vip, 1, 1, b"abc");
    *broken.last_mut().unwrap() ^= 1;
    gate.take(broken).dropped(DropReason::NoService);
    gate.take(ip(client, vip, IpNumber::ICMP, b"")).dropped(DropReason::NoService);
    gate.take(ip(client, vip, IpNumber::ICMP, &[8, 0, 0xf7, 0xff])).dropped(DropReason::NoService);
    // ICMP's protocol number belongs to another protocol over the other address family.
    gate.take(ip(client, vip, IpNumber::IPV6_ICMP, &[135; 8])).dropped(DropReason::NoService);
    gate.moved(&[("received", 5), ("no-service", 5)]);

    let (client, vip) = (Via::Nat6.client().ip(), Via::Nat6.vip().ip());
    let reply = Icmpv6Type::EchoReply(IcmpEchoHeader { id: 1, seq: 1 });
    gate.take(icmpv6(client, vip, reply, 64, b"")).dropped(DropReason::NoService);
    // An IPv4 echo request with the checksum that IPv4 would have.
    gate.take(ip(client, vip, IpNumber::IPV6_ICMP, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0]))
        .dropped(DropReason::NoService);
    gate.take(ip(client, vip, IpNumber::IPV6_ICMP, b"")).dropped(DropReason::NoService);
    gate.moved(&[("received", 3), ("no-service", 3)]);
}

/// A minimal solicitation or advertisement.
fn about_neighbours(to: IpAddr, kind: u8, hop_limit: u8) -> Vec<u8> {
    let message = Icmpv6Type::Unknown { type_u8: kind, code_u8: 0, bytes5to8: [0; 4] };
    icmpv6(Via::Nat6.client().ip(), to, message, hop_limit, &[0; 16])
}

#[test]
fn neighbour_discovery_at_our_addresses_is_the_kernel_s() {
    let ours = [Via::Dsr6.vip().ip(), Via::Nat6.vip().ip(), Via::Snat6.snat()];
    for to in ours {
        for kind in [135, 136] {
            EngineHarness::new().take(about_neighbours(to, kind, 255)).to_kernel();
            // From behind a router it is forged (RFC 4861 §7.1).
            EngineHarness::new()
                .take(about_neighbours(to, kind, 254))
                .dropped(DropReason::NoService);
        }
    }
}

#[test]
fn so_is_what_is_sent_to_groups() {
    let mut solicited = about_neighbours("ff02::1:ff00:64".parse().unwrap(), 135, 255);
    solicited[..6].copy_from_slice(&[0x33, 0x33, 0xff, 0, 0, 0x64]);
    EngineHarness::new().take(solicited).to_kernel();
    // Duplicate address detection: the sender has no address yet (RFC 4862).
    let group = "ff02::1:ff00:64".parse().unwrap();
    let probe = Icmpv6Type::Unknown { type_u8: 135, code_u8: 0, bytes5to8: [0; 4] };
    let mut frame = icmpv6("::".parse().unwrap(), group, probe, 255, &[0; 16]);
    frame[6..12].copy_from_slice(&mac(Via::Nat6.client().ip()).0);
    EngineHarness::new().take(frame).to_kernel();
}

/// ICMP redirects that name the sender as better router: a whole one and, over IPv4, a first fragment.
fn redirects(from: IpAddr, to: IpAddr) -> Vec<Vec<u8>> {
    if let IpAddr::V4(better) = from {
        let quote = ip(to, Via::Nat.server(0), IpNumber::UDP, &[0; 8]);
        let message = [&[5, 1, 0, 0][..], &better.octets(), &quote[14..]].concat();
        let first = fragment(from, to, IpNumber::ICMP, &message[..8], 0, true);
        return vec![ip(from, to, IpNumber::ICMP, &message), first];
    }
    let message = Icmpv6Type::Unknown { type_u8: 137, code_u8: 0, bytes5to8: [0; 4] };
    vec![icmpv6(from, to, message, 255, &[0; 32])]
}

/// To the kernel's own address on this link, VIPs and SNAT pools.
#[test]
fn redirects_are_dropped_whoever_they_are_for() {
    for via in Via::ALIKE {
        let ours = via.host(0, 2);
        for to in [ours, via.vip().ip(), via.snat()] {
            for mut redirect in redirects(via.client().ip(), to) {
                let mut gate = EngineHarness::new();
                gate.take(redirect.clone()).dropped(DropReason::Redirect);
                // As broadcast.
                redirect[..6].fill(0xff);
                gate.take(redirect).dropped(DropReason::Redirect);
                gate.moved(&[("received", 2), ("redirect", 2)]);
            }
        }
    }
}

/// Routing daemons learn of neighbours by router advertisements; the kernel is configured to ignore them.
#[test]
fn router_advertisements_reach_the_kernel() {
    let all: IpAddr = "ff02::1".parse().unwrap();
    let mut advertisement = about_neighbours(all, 134, 255);
    advertisement[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    EngineHarness::new().take(advertisement).to_kernel();
}
