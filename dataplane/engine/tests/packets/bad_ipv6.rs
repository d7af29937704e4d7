//! Malformed IPv6 packets, one fault at a time.

use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;
use engine::types::verdict::Verdict;
use etherparse::IpNumber;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{datagram, frame, ip, rrq};
use kit::topology::{OUTSIDE, Via, gate_mac, mac};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const VIA: Via = Via::Nat6;
const IP_AT: usize = 14;
const UDP_AT: usize = IP_AT + 40;

fn request() -> Packet {
    rrq(VIA.client(), VIA.vip(), "boot.img")
}

/// A request with other bytes in its IP header.
pub fn with_ip(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = request().bytes();
    frame[IP_AT + at..][..bytes.len()].copy_from_slice(bytes);
    frame
}

fn with_udp(at: usize, bytes: &[u8]) -> Vec<u8> {
    with_ip(UDP_AT - IP_AT + at, bytes)
}

fn from_address(address: &str) -> Vec<u8> {
    let address: Ipv6Addr = address.parse().unwrap();
    let source = SocketAddr::new(address.into(), 2070);
    Packet { source, ..request() }.bytes()
}

#[test]
fn one_fault_at_a_time() {
    let len = (request().bytes().len() - UDP_AT) as u16;
    let (client, vip) = (VIA.client().ip(), VIA.vip().ip());
    let cases = [
        ("version 4", with_ip(0, &[0x45]), DropReason::BadIpv6),
        ("version 0", with_ip(0, &[0]), DropReason::BadIpv6),
        ("longer than the frame", with_ip(4, &(len + 1).to_be_bytes()), DropReason::BadIpv6),
        ("of the MTU", with_ip(4, &1460_u16.to_be_bytes()), DropReason::BadIpv6),
        ("larger than the MTU", with_ip(4, &1461_u16.to_be_bytes()), DropReason::Merged),
        ("an extension that is not there", with_ip(4, &[0, 0, 60]), DropReason::BadIpv6),
        ("an extension over the end", with_ip(6, &[60]), DropReason::BadIpv6),
        ("length 0", with_ip(4, &[0, 0]), DropReason::BadUdp),
        ("UDP cut off", with_ip(4, &[0, 7]), DropReason::BadUdp),
        ("UDP length 0", with_udp(4, &[0, 0]), DropReason::BadUdp),
        ("UDP longer than IP", with_udp(4, &(len + 1).to_be_bytes()), DropReason::BadUdp),
        ("no UDP checksum", with_udp(6, &[0, 0]), DropReason::BadUdp),
        ("from port 0", with_udp(0, &[0, 0]), DropReason::BadUdp),
        ("to port 0", with_udp(2, &[0, 0]), DropReason::BadUdp),
        ("from this host", from_address("::1"), DropReason::BadSource),
        ("from no host", from_address("::"), DropReason::BadSource),
        ("from a group", from_address("ff02::1"), DropReason::BadSource),
        ("from IPv4", from_address("::ffff:10.0.0.9"), DropReason::BadSource),
        ("from the VIP itself", from_address(&vip.to_string()), DropReason::BadSource),
        ("from a SNAT address", from_address(&VIA.snat().to_string()), DropReason::BadSource),
        ("TCP", ip(client, vip, IpNumber::TCP, &[0; 20]), DropReason::BadTcp),
        ("no next header", with_ip(6, &[59]), DropReason::NoService),
        ("encrypted", with_ip(6, &[50]), DropReason::NoService),
        ("IPv4's ICMP", with_ip(6, &[1]), DropReason::NoService),
    ];
    for (name, frame, reason) in cases {
        let mut gate = EngineHarness::new();
        let outcome = gate.take_by(OUTSIDE, frame);
        assert_eq!(outcome.verdict, Verdict::Drop(reason), "{name}");
        gate.moved(&[("received", 1), (reason.name(), 1)]);
    }
}

#[test]
fn what_is_not_ours_is_the_kernel_s() {
    let (client, host) = (VIA.client(), VIA.host(0, 2));
    let server = VIA.server(0);
    for frame in [
        ip(client.ip(), host, IpNumber::TCP, &[0; 20]),
        datagram(SocketAddr::new(client.ip(), 53), SocketAddr::new(host, 53), b"dns").bytes(),
        ip(server, client.ip(), IpNumber::TCP, &[0; 20]),
        ip(server, client.ip(), IpNumber::IPV6_NO_NEXT_HEADER, b""),
        datagram(SocketAddr::new(server, 53), client, b"no transfer").bytes(),
        frame(mac(client.ip()), gate_mac(OUTSIDE), etherparse::EtherType(0x88cc), &[0; 46]),
    ] {
        EngineHarness::new().take(frame).to_kernel();
    }
}

/// An IPv6 client is interned with its first flow: a stranger has no id.
#[test]
fn a_client_without_a_transfer_has_no_name() {
    let mut gate = EngineHarness::new();
    let names = |gate: &EngineHarness| gate.engine.state.hosts.len();
    let before = names(&gate);
    gate.take(datagram(VIA.client(), VIA.vip(), &[0, 4, 0, 1])).dropped(DropReason::NoTransfer);
    assert_eq!(names(&gate), before);
    let _ = gate.take(request()).sent();
    assert_eq!(names(&gate), before + 1);
    // From one more port of the same client.
    let again = SocketAddr::new(VIA.client().ip(), 2071);
    let _ = gate.take(rrq(again, VIA.vip(), "boot.img")).sent();
    assert_eq!(names(&gate), before + 1);
    gate.now = gate.now.after(2000);
    gate.wait(1);
    assert_eq!(names(&gate), before);
}

#[test]
fn a_request_that_no_backend_takes_leaves_no_name() {
    let mut gate = EngineHarness::new();
    let before = gate.engine.state.hosts.len();
    gate.change(|snapshot| snapshot.backends.iter_mut().for_each(|backend| backend.hop = None));
    gate.take(request()).dropped(DropReason::NoBackend);
    assert_eq!(gate.engine.state.hosts.len(), before);
}

#[test]
fn many_clients_come_and_go() {
    let mut gate = EngineHarness::new();
    let before = gate.engine.state.hosts.len();
    for n in 0..10_000u32 {
        let IpAddr::V6(base) = VIA.host(2, 0) else { panic!() };
        let client = Ipv6Addr::from_bits(base.to_bits() + u128::from(n));
        let request = rrq(SocketAddr::new(client.into(), 2070), VIA.vip(), "boot.img");
        // Unanswered transfers make room.
        let _ = gate.take(request).sent();
    }
    assert_eq!(gate.engine.state.hosts.len(), before + kit::topology::FLOWS as usize);
}

/// The packets of a burst are classified before the first of them creates a transfer.
#[test]
fn a_burst_may_begin_with_the_request_that_names_the_client() {
    let mut gate = EngineHarness::new();
    let [first, again] = [request(), request()].map(|packet| packet.bytes());
    let answer = |n| kit::packets::data(SocketAddr::new(VIA.server(n), 5000), VIA.client(), 1, 512);
    let verdicts = gate.take_burst(OUTSIDE, [first, again]);
    assert_eq!(verdicts, [Verdict::Transmit(InterfaceId(1)), Verdict::Transmit(InterfaceId(1))]);
    assert_eq!(gate.transfers().len(), 1);
    assert_eq!(gate.take(answer(0)).sent().destination, VIA.client());
}

#[test]
fn a_name_may_pass_to_another_client_within_a_burst() {
    // One row: the second client's request replaces the first one's, id included.
    let mut gate = EngineHarness::with(kit::topology::snapshot(), 1);
    let other = SocketAddr::new(VIA.host(0, 10), 2070);
    let _ = gate.take(request()).sent();
    let late = kit::packets::data(SocketAddr::new(VIA.server(0), 5000), VIA.client(), 1, 512);
    let late = Packet { to: gate_mac(OUTSIDE), ..late };
    // A burst belongs to one interface.
    gate.change(|snapshot| snapshot.servers.clear());
    let frames = [rrq(other, VIA.vip(), "f").bytes(), request().bytes(), late.bytes()];
    let verdicts = gate.take_burst(OUTSIDE, frames);
    assert_eq!(verdicts[..2], [Verdict::Transmit(InterfaceId(1)); 2]);
    let transfer = gate.transfer(VIA.client());
    assert_eq!((transfer.tid, gate.transfers().len()), (Some(5000), 1));
}
