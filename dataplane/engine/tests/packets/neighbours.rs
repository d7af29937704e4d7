//! What of the kernel's comes first.

use engine::stage::urgent::is_urgent;
use etherparse::{Icmpv6Type, IpNumber};
use kit::gate::Gate;
use kit::story::{arp, datagram, icmpv6, ip};
use kit::world::{Via, mac};
use std::net::{IpAddr, SocketAddr};

/// A frame of a client's that asks everybody for this address.
fn who_has(via: Via, address: IpAddr) -> Vec<u8> {
    let client = via.client().ip();
    match address {
        IpAddr::V4(_) => arp(client, address),
        IpAddr::V6(address) => {
            let kind = Icmpv6Type::Unknown { type_u8: 135, code_u8: 0, bytes5to8: [0; 4] };
            let mut tail = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
            tail[13..].copy_from_slice(&address.octets()[13..]);
            let option = [&[1, 1], &mac(client).0[..]].concat();
            let asked = [&address.octets()[..], &option].concat();
            let mut frame = icmpv6(client, IpAddr::from(tail), kind, 255, &asked);
            frame[..6].copy_from_slice(&[&[0x33, 0x33], &tail[12..]].concat());
            frame
        }
    }
}

#[test]
fn neighbours_routers_and_checks_come_first() {
    let mut gate = Gate::new();
    let [own4, own6] = ["10.0.0.2/24", "fd00::2/64"].map(|own| own.parse().expect("a network"));
    gate.change(|tables| tables.local = vec![own4, own6]);
    let tables = &gate.core.tables;
    let urgent = |mut frame: Vec<u8>| is_urgent(&mut frame, tables);
    for via in Via::ALIKE {
        let (client, server) = (via.client(), via.server(0));
        let own = if server.is_ipv6() { own6.addr() } else { own4.addr() };
        assert!(urgent(who_has(via, own)));
        for router in [89, 112] {
            assert!(urgent(ip(client.ip(), own, IpNumber(router), &[0; 20])), "{router}");
        }
        // Whom health checks ask.
        let asked = if via.is_dsr() { via.vip().ip() } else { server };
        let [check, other] = [asked, client.ip()].map(|from| SocketAddr::new(from, 69));
        let to = |at, port| SocketAddr::new(at, port);
        assert!(urgent(datagram(check, to(own, 5000), b"x").bytes()), "{via:?}");
        assert!(urgent(datagram(other, to(own, 3784), b"x").bytes()), "{via:?}");
        assert!(!urgent(datagram(other, to(own, 5000), b"x").bytes()), "{via:?}");
        // What a backend sends through us.
        assert!(!urgent(datagram(check, to(client.ip(), 5000), b"x").bytes()), "{via:?}");
    }
}
