//! An attacker on a link who redirects packets.

use crate::attacker::{self, Attacker};
use crate::daemon::{Daemon, Setup};
use crate::peers::{self, Client};
use etherparse::icmpv4::RedirectHeader;
use etherparse::{Icmpv4Type, Icmpv6Type};
use kit::lab::{Lab, NAT_VIP, VIPS_V6, until};
use kit::packets::{icmp, icmpv6};
use std::net::{IpAddr, Ipv6Addr};

/// The attacker's link-local address.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x6666);

/// The frame addressed to all IPv6 nodes, or to the gate.
fn addressed(mut frame: Vec<u8>, to: [u8; 6]) -> Vec<u8> {
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&attacker::MAC.0);
    frame
}

/// A router advertisement: this address is on-link (RFC 4861 §4.6.2), and has a preferred route (RFC 4191).
fn advertisement(address: Ipv6Addr) -> Vec<u8> {
    let all: IpAddr = "ff02::1".parse().expect("all nodes");
    // Hop limit 64, router lifetime half an hour.
    let what = Icmpv6Type::Unknown { type_u8: 134, code_u8: 0, bytes5to8: [64, 0, 7, 8] };
    let hour = 3600u32.to_be_bytes();
    let prefix = [&[3, 4, 128, 0x80], &hour[..], &hour, &[0; 4], &address.octets()].concat();
    let route = [&[24, 3, 128, 8], &hour[..], &address.octets()].concat();
    let source = [&[1, 1][..], &attacker::MAC.0].concat();
    let body = [&[0; 8][..], &prefix, &route, &source].concat();
    addressed(icmpv6(LINK_LOCAL.into(), all, what, 255, &body), [0x33, 0x33, 0, 0, 0, 1])
}

/// A routing kernel ignores router advertisements; a gate need not be routing.
#[test]
fn a_router_advertisement_moves_no_backend() {
    let lab = Lab::new().with_ipv6();
    lab.must(
        "gate",
        "sysctl -q -w net.ipv6.conf.all.forwarding=0 net.ipv6.conf.default.forwarding=0",
    );
    let plens = "net.ipv6.conf.default.accept_ra_rt_info_max_plen=128";
    lab.must("gate", &format!("sysctl -q -w net.ipv6.conf.default.accept_ra=1 {plens}"));
    peers::files(&lab, &[("small", 1000)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa_v6(&lab, name));
    let daemon = Daemon::start(&lab, Setup { ipv6: true, ..Setup::default() });
    let attacker = Attacker::among_clients(&lab);
    lab.must("client", "ip -6 address add fd00:78::10/64 dev br1 nodad");
    let backends = ["fd00:77::30", "fd00:77::31"];
    let route = |address: &str| lab.must("gate", &format!("ip -6 route get {address}"));
    let before = backends.map(route);
    for _ in 0..3 {
        for address in backends {
            attacker.send(advertisement(address.parse().expect("an address")));
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(backends.map(route), before, "the attacker has a backend's address");
    assert!(!lab.must("gate", "ip -6 route show dev clients").contains("proto ra"));
    for _ in 0..4 {
        Client::Tftp.get(&lab, VIPS_V6[0], "small", None);
    }
    daemon.finish();
}

/// Over IPv4 and IPv6, to the gate's own address.
#[test]
fn redirects_are_not_believed() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("small", 1000)]);
    let _servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let daemon = Daemon::start(&lab, Setup { ipv6: true, ..Setup::default() });
    let attacker = Attacker::among_clients(&lab);
    let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
    let better = RedirectHeader {
        code: etherparse::icmpv4::RedirectCode::RedirectForHost,
        gateway_internet_address: [10, 78, 0, 66],
    };
    let quote = [0; 28];
    let v4 =
        icmp(address("10.78.0.254"), address("10.78.0.1"), Icmpv4Type::Redirect(better), &quote);
    let what = Icmpv6Type::Unknown { type_u8: 137, code_u8: 0, bytes5to8: [0; 4] };
    let targets = [LINK_LOCAL.octets(), "fd00:77::30".parse::<Ipv6Addr>().expect("one").octets()];
    let v6 = icmpv6(LINK_LOCAL.into(), address("fd00:78::1"), what, 255, &targets.concat());
    let before = daemon.stat("drops", "redirect");
    for frame in [v4, v6] {
        attacker.send(addressed(frame, attacker.gate().0));
    }
    until("both are dropped", || daemon.stat("drops", "redirect") == before + 2);
    Client::Tftp.get(&lab, NAT_VIP, "small", None);
    daemon.finish();
}

/// A one-armed gate forwards packets back to their link. A host that received a redirect would bypass the gate.
#[test]
fn nobody_is_told_to_pass_the_gate_by() {
    let lab = Lab::new().with_ipv6();
    let daemon = Daemon::start(&lab, Setup { ipv6: true, ..Setup::default() });
    lab.must("gate", "sysctl -q -w net.ipv4.conf.all.send_redirects=1");
    lab.must("s1", "ip route add 10.77.0.10/32 via 10.77.0.1");
    lab.must("s1", "ip -6 route add fd00:77::10/128 via fd00:77::1");
    for to in ["10.77.0.10", "fd00:77::10"] {
        let said = lab.must("s1", &format!("ping -c 5 -i 0.2 -W 2 {to}"));
        assert!(!said.contains("Redirect"), "{said}");
    }
    until("the kernel has sent some", || daemon.stat("drops", "redirect") >= 2);
    for routes in ["ip route show cache", "ip -6 route show cache"] {
        assert!(!lab.must("s1", routes).contains("redirected"), "{routes}");
    }
    daemon.finish();
}
