//! Requests for a VIP's hardware address are answered by the worker; all other neighbour messages go to the kernel.

use engine::net::route_table::{Route, RouteTable};
use engine::stage::urgent::is_urgent;
use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;
use engine::types::next_hop::NextHop;
use engine::types::verdict::Verdict;
use etherparse::{Icmpv6Type, IpNumber};
use ipnet::IpNet;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{datagram, icmpv6, ip, rrq, who_has};
use kit::topology::{INSIDE, OUTSIDE, Via, gate_mac, mac};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use wire::ethernet::Mac;
use wire::neighbour::{announcement, probe};

const OTHER: Mac = Mac([2, 0, 0, 0, 0x66, 0x66]);

const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);

/// A unicast solicitation, by which a host verifies that the gate is reachable.
fn still_there(asker: IpAddr, address: Ipv6Addr) -> Vec<u8> {
    let kind = Icmpv6Type::Unknown { type_u8: 135, code_u8: 0, bytes5to8: [0; 4] };
    icmpv6(asker, address.into(), kind, 255, &address.octets())
}

/// Takes a request, and checks that the answer goes to the asker.
#[track_caller]
fn is_answered(gate: &mut EngineHarness, question: Vec<u8>) {
    let outcome = gate.take(question.clone());
    assert_eq!(outcome.verdict, Verdict::Answer);
    assert_eq!(outcome.bytes.len(), question.len());
    assert_eq!(outcome.bytes[..6], question[6..12]);
    assert_eq!(outcome.bytes[6..12], gate_mac(OUTSIDE).0);
    gate.moved(&[("received", 1), ("answered", 1)]);
}

#[test]
fn who_asks_for_an_address_of_ours_is_answered() {
    for via in Via::ALIKE {
        let mut gate = EngineHarness::new();
        is_answered(&mut gate, who_has(via.client().ip(), via.vip().ip()));
        is_answered(&mut gate, who_has(via.client().ip(), via.snat()));
        if let IpAddr::V6(vip) = via.vip().ip() {
            is_answered(&mut gate, still_there(via.client().ip(), vip));
            is_answered(&mut gate, still_there(LINK_LOCAL.into(), vip));
            is_answered(&mut gate, who_has(LINK_LOCAL.into(), vip.into()));
        }
    }
}

#[test]
fn who_asks_for_another_address_asks_the_kernel() {
    for via in Via::ALIKE {
        let mut gate = EngineHarness::new();
        let (client, vip) = (via.client().ip(), via.vip().ip());
        gate.take(who_has(client, via.host(0, 2))).to_kernel();
        gate.take(who_has(client, via.host(0, 200))).to_kernel();
        // On a link where the kernel does not hold the VIP.
        gate.take_by(INSIDE, who_has(client, vip)).to_kernel();
        gate.change(|snapshot| {
            snapshot[OUTSIDE].held.remove(&vip);
        });
        gate.take(who_has(client, vip)).to_kernel();
    }
}

/// Senders that are not answered: the gate, a backend, no host, broadcast, another network.
#[test]
fn only_hosts_of_the_link_are_answered() {
    for via in Via::ALIKE {
        let mut gate = EngineHarness::new();
        let vip = via.vip().ip();
        let ours = [vip, via.snat(), via.host(0, 2)];
        let special = [0, 255].map(|host| via.host(0, host));
        let others = [via.address([0, 0, 0, 0]), via.address([192, 168, 0, 9])];
        let servers = (!via.is_dsr()).then(|| via.server(0));
        for asker in ours.into_iter().chain(special).chain(others).chain(servers) {
            let outcome = gate.take(who_has(asker, vip));
            assert_ne!(outcome.verdict, Verdict::Answer, "{asker}");
            assert_eq!(outcome.bytes, outcome.before);
        }
    }
}

/// The kernel has an entry for the router anyway.
#[test]
fn a_router_asks_the_kernel() {
    for via in Via::ALIKE {
        let mut gate = EngineHarness::new();
        let far = IpNet::from(via.address([192, 168, 0, 9]));
        let routers = [via.client().ip(), LINK_LOCAL.into()];
        gate.change(|snapshot| {
            let route = |gateway| Route { to: far, gateway: Some(gateway), hop: None };
            snapshot.routes = RouteTable::new(routers.map(route));
        });
        let of_its_family = routers.into_iter().filter(|one| one.is_ipv6() == via.is_v6());
        for router in of_its_family {
            gate.take(who_has(router, via.vip().ip())).to_kernel();
        }
    }
}

/// The kernel learns that a known host has moved.
#[test]
fn whom_the_kernel_knows_elsewhere_asks_the_kernel() {
    fn knows(gate: &mut EngineHarness, host: IpAddr, hop: Option<(InterfaceId, Mac)>) {
        let hop = hop.map(|(interface, mac)| NextHop { mac, interface });
        gate.change(|snapshot| {
            snapshot.routes =
                RouteTable::new([Route { to: IpNet::from(host), gateway: None, hop }]);
        });
    }
    for via in Via::ALIKE {
        let mut gate = EngineHarness::new();
        let (client, vip) = (via.client().ip(), via.vip().ip());
        for elsewhere in [(OUTSIDE, OTHER), (INSIDE, mac(client))] {
            knows(&mut gate, client, Some(elsewhere));
            gate.take(who_has(client, vip)).to_kernel();
            gate.moves();
        }
        for known in [Some((OUTSIDE, mac(client))), None] {
            knows(&mut gate, client, known);
            is_answered(&mut gate, who_has(client, vip));
        }
    }
}

#[test]
fn neighbours_routers_and_checks_come_first() {
    let gate = EngineHarness::new();
    let snapshot = &gate.engine.snapshot;
    let urgent = |mut frame: Vec<u8>| is_urgent(&mut frame, snapshot);
    for via in Via::ALIKE {
        let (client, server) = (via.client(), via.server(0));
        let ours = via.host(0, 2);
        assert!(urgent(who_has(client.ip(), ours)));
        for router in [89, 112] {
            assert!(urgent(ip(client.ip(), ours, IpNumber(router), &[0; 20])), "{router}");
        }
        // The peers of health checks.
        let asked = if via.is_dsr() { via.vip().ip() } else { server };
        let [check, other] = [asked, client.ip()].map(|from| SocketAddr::new(from, 69));
        let to = |at, port| SocketAddr::new(at, port);
        assert!(urgent(datagram(check, to(ours, 5000), b"x").bytes()), "{via:?}");
        assert!(urgent(datagram(other, to(ours, 3784), b"x").bytes()), "{via:?}");
        assert!(!urgent(datagram(other, to(ours, 5000), b"x").bytes()), "{via:?}");
        // A backend's packets through the gate.
        assert!(!urgent(datagram(check, to(client.ip(), 5000), b"x").bytes()), "{via:?}");
    }
}

/// A bulk sender could choose such ports.
#[test]
fn what_is_routed_never_comes_first() {
    let gate = EngineHarness::new();
    let snapshot = &gate.engine.snapshot;
    let urgent = |mut frame: Vec<u8>| is_urgent(&mut frame, snapshot);
    for via in Via::ALIKE {
        let (client, other) = (via.client(), via.host(1, 77));
        for port in [3784, 3785, 4784] {
            let [from, to] = [client.ip(), other].map(|host| SocketAddr::new(host, port));
            assert!(!urgent(datagram(client, to, b"bulk").bytes()), "{via:?} to {port}");
            assert!(!urgent(datagram(from, SocketAddr::new(other, 9), b"bulk").bytes()), "{via:?}");
        }
        for router in [2, 89, 103, 112] {
            let packet = ip(client.ip(), other, IpNumber(router), &[0; 20]);
            assert!(!urgent(packet), "{via:?} {router}");
        }
    }
}

#[test]
fn routers_come_first_where_all_of_a_link_are_to_hear_them() {
    let gate = EngineHarness::new();
    let snapshot = &gate.engine.snapshot;
    let ends = [("10.78.0.9", "224.0.0.5"), ("fe80::9", "ff02::5"), ("fe80::9", "fe80::1")];
    for (from, to) in ends {
        let [from, to] = [from, to].map(|end| end.parse().unwrap());
        assert!(is_urgent(&mut ip(from, to, IpNumber(89), &[0; 20]), snapshot), "{to}");
    }
}

/// Clients of a virtual router learn and use its hardware address.
#[test]
fn an_address_on_a_macvlan_link_is_at_that_link_s_hardware_address() {
    const VIRTUAL: Mac = Mac([0, 0, 0x5e, 0, 1, 0x33]);
    for via in Via::ALIKE {
        let mut gate = EngineHarness::new();
        let (client, vip) = (via.client().ip(), via.vip().ip());
        let to = |mac| Packet { to: mac, ..rrq(via.client(), via.vip(), "f") };
        gate.take(to(VIRTUAL)).dropped(DropReason::ForeignMac);
        gate.change(|snapshot| {
            snapshot[OUTSIDE].virtual_macs.push(VIRTUAL);
            snapshot[OUTSIDE].held.insert(vip, VIRTUAL);
        });
        for question in [who_has(client, vip), who_has(client, via.snat())] {
            let outcome = gate.take(question);
            assert_eq!(outcome.verdict, Verdict::Answer);
            let told = if via.is_v6() { outcome.bytes.len() - 6 } else { 22 };
            let is_of_vip = outcome.bytes[6..12] == VIRTUAL.0;
            assert_eq!(outcome.bytes[told..][..6], outcome.bytes[6..12], "both say the same");
            let is_of_interface = outcome.bytes[6..12] == gate_mac(OUTSIDE).0;
            assert!(is_of_vip != is_of_interface);
        }
        assert_eq!(gate.take(who_has(client, vip)).bytes[6..12], VIRTUAL.0);
        gate.take(to(VIRTUAL)).sent();
        gate.take(to(OTHER)).dropped(DropReason::ForeignMac);
        gate.take_by(INSIDE, to(VIRTUAL)).dropped(DropReason::ForeignMac);
        // The other gate of a pair advertises itself from the same address.
        let mut advert = ip(client, via.host(0, 2), IpNumber::VRRP, b"advert");
        advert[..6].copy_from_slice(&VIRTUAL.0);
        advert[6..12].copy_from_slice(&VIRTUAL.0);
        gate.take(advert).to_kernel();
    }
}

/// The kernel's side of the gate tells of conflicts.
#[test]
fn the_kernel_hears_of_another_host_that_has_an_address_of_ours() {
    for via in Via::ALIKE {
        let mut gate = EngineHarness::new();
        for ours in [via.vip().ip(), via.snat()] {
            gate.take(announcement(ours, OTHER)).to_kernel();
            gate.take(probe(ours, OTHER)).to_kernel();
        }
    }
}
