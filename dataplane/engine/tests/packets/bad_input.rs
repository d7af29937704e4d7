//! Truncated, malformed, looped and hostile frames: each has its drop reason. Frames for no service go to the kernel
//! unchanged.

use crate::pools::leave_ports;
use engine::flow::state::TransferState;
use engine::scheduler::backend_group::Scheduler;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::types::drop_reason::DropReason;
use engine::types::mode::Mode;
use engine::types::verdict::Verdict;
use etherparse::{EtherType, IpNumber};
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{CLIENT, arp, data, datagram, fragment, frame, ip, ping, rrq};
use kit::topology::{FLOWS, INSIDE, OUTSIDE, SNAT, Via, gate_mac, groups, mac};
use kit::transfer::{TID, ask, client, run};
use std::net::{IpAddr, SocketAddr};
use wire::ethernet::Mac;
use wire::ip::PROTOCOL_UDP;

const VIA: Via = Via::Nat;
const IP_AT: usize = 14;
const UDP_AT: usize = IP_AT + 20;

fn request() -> Packet {
    rrq(CLIENT, VIA.vip(), "boot.img")
}

/// The request with some bytes of its IPv4 header replaced and its checksum corrected.
fn with_ip(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = request().bytes();
    frame[IP_AT + at..][..bytes.len()].copy_from_slice(bytes);
    frame[IP_AT + 10..][..2].fill(0);
    let sum = frame[IP_AT..UDP_AT]
        .chunks(2)
        .fold(0u32, |sum, word| sum + u32::from(u16::from_be_bytes([word[0], word[1]])));
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    frame[IP_AT + 10..][..2].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    frame
}

/// The request with some bytes of its UDP header replaced.
fn with_udp(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = request().bytes();
    frame[UDP_AT + at..][..bytes.len()].copy_from_slice(bytes);
    frame
}

/// The request from another address.
fn from_address(source: [u8; 4]) -> Vec<u8> {
    Packet { source: SocketAddr::new(source.into(), 2070), ..request() }.bytes()
}

#[test]
fn frames_that_are_dropped_at_the_door() {
    let len = request().bytes().len();
    let ip_len = (len - IP_AT) as u16;
    let cases: Vec<(&str, Vec<u8>, DropReason)> = vec![
        ("nothing", vec![], DropReason::Truncated),
        ("no Ethernet header", request().bytes()[..13].into(), DropReason::Truncated),
        ("no IPv4 header", request().bytes()[..33].into(), DropReason::Truncated),
        ("our own", Packet { from: gate_mac(OUTSIDE), ..request() }.into(), DropReason::Looped),
        (
            "for another",
            Packet { to: mac(CLIENT.ip()), ..request() }.into(),
            DropReason::ForeignMac,
        ),
        ("IPv6 inside", with_ip(0, &[0x65]), DropReason::BadIpv4),
        ("a header of 16 bytes", with_ip(0, &[0x44]), DropReason::BadIpv4),
        ("a header of 60 bytes", with_ip(0, &[0x4f]), DropReason::BadIpv4),
        ("length below the header's", with_ip(2, &[0, 19]), DropReason::BadIpv4),
        ("longer than the frame", with_ip(2, &(ip_len + 1).to_be_bytes()), DropReason::BadIpv4),
        ("of the MTU", with_ip(2, &1500_u16.to_be_bytes()), DropReason::BadIpv4),
        ("larger than the MTU", with_ip(2, &1501_u16.to_be_bytes()), DropReason::Merged),
        ("a wrong checksum", changed(request(), IP_AT + 10), DropReason::BadChecksum),
        ("a bit flipped on the way", changed(request(), IP_AT + 8), DropReason::BadChecksum),
        ("UDP ends early", with_ip(2, &[0, 27]), DropReason::BadUdp),
        ("UDP length 0", with_udp(4, &[0, 0]), DropReason::BadUdp),
        ("UDP length 7", with_udp(4, &[0, 7]), DropReason::BadUdp),
        ("UDP longer than IP", with_udp(4, &(ip_len - 19).to_be_bytes()), DropReason::BadUdp),
        ("from port 0", with_udp(0, &[0, 0]), DropReason::BadUdp),
        ("to port 0", with_udp(2, &[0, 0]), DropReason::BadUdp),
        ("from this host", from_address([127, 0, 0, 1]), DropReason::BadSource),
        ("from no host", from_address([0, 0, 0, 0]), DropReason::BadSource),
        ("from a group", from_address([224, 0, 0, 1]), DropReason::BadSource),
        ("from the reserved", from_address([240, 0, 0, 1]), DropReason::BadSource),
        ("from all", from_address([255, 255, 255, 255]), DropReason::BadSource),
        ("from the VIP itself", from_address(octets(VIA.vip().ip())), DropReason::BadSource),
        ("from another VIP", from_address(octets(Via::Dsr.vip().ip())), DropReason::BadSource),
        ("from a SNAT address", from_address(octets(SNAT)), DropReason::BadSource),
        ("UDP to another port", to_port(request(), 70), DropReason::NoService),
        ("TCP with a wrong checksum", with_ip(9, &[6]), DropReason::BadTcp),
        ("SCTP", with_ip(9, &[132]), DropReason::NoService),
        ("GRE", with_ip(9, &[47]), DropReason::NoService),
        ("no ICMP message", with_ip(9, &[1]), DropReason::NoService),
    ];
    for (name, frame, reason) in cases {
        let mut gate = EngineHarness::new();
        let outcome = gate.take_by(OUTSIDE, frame);
        assert_eq!(outcome.verdict, Verdict::Drop(reason), "{name}");
        gate.moved(&[("received", 1), (reason.name(), 1)]);
    }
}

fn changed(packet: Packet, at: usize) -> Vec<u8> {
    let mut frame = packet.bytes();
    frame[at] ^= 1;
    frame
}

fn octets(address: IpAddr) -> [u8; 4] {
    let IpAddr::V4(address) = address else { panic!("{address}") };
    address.octets()
}

fn to_port(packet: Packet, port: u16) -> Vec<u8> {
    Packet { destination: SocketAddr::new(packet.destination.ip(), port), ..packet }.bytes()
}

#[test]
fn every_reason_can_be_provoked() {
    for &reason in DropReason::ALL {
        let Some(outcome) = provoked(reason) else { continue };
        assert_eq!(outcome.verdict, Verdict::Drop(reason));
    }
}

/// A packet that is dropped for this reason; `None` for reasons outside of the engine.
fn provoked(reason: DropReason) -> Option<kit::engine_harness::Outcome> {
    let mut gate = EngineHarness::new();
    let take = |gate: &mut EngineHarness, frame: Vec<u8>| Some(gate.take_by(OUTSIDE, frame));
    match reason {
        DropReason::Truncated => take(&mut gate, vec![]),
        DropReason::Looped => {
            take(&mut gate, Packet { from: gate_mac(OUTSIDE), ..request() }.into())
        }
        DropReason::ForeignMac => {
            take(&mut gate, Packet { to: gate_mac(INSIDE), ..request() }.into())
        }
        DropReason::BadIpv4 => take(&mut gate, with_ip(0, &[0x44])),
        DropReason::BadIpv6 => take(&mut gate, crate::bad_ipv6::with_ip(0, &[0x40])),
        DropReason::Merged => take(&mut gate, with_ip(2, &[0xff, 0xff])),
        DropReason::BadChecksum => take(&mut gate, changed(request(), IP_AT + 1)),
        DropReason::BadUdp => take(&mut gate, with_udp(4, &[0, 0])),
        DropReason::BadSource => take(&mut gate, from_address([127, 0, 0, 1])),
        DropReason::Fragment => take(&mut gate, with_ip(6, &[0x20, 0])),
        DropReason::Redirect => {
            let redirect = [5, 1, 0, 0, 10, 0, 0, 9];
            take(&mut gate, ip(CLIENT.ip(), VIA.vip().ip(), IpNumber::ICMP, &redirect))
        }
        DropReason::VipDown => {
            gate.change(|snapshot| snapshot.set_live(VIA.vip_id(), false));
            take(&mut gate, request().into())
        }
        DropReason::NoService => take(&mut gate, to_port(request(), 70)),
        DropReason::BadTftp => take(&mut gate, datagram(CLIENT, VIA.vip(), b"").into()),
        DropReason::NoTransfer => take(&mut gate, data(CLIENT, VIA.vip(), 1, 9).into()),
        DropReason::AdoptionRate => {
            // In the first second.
            gate.change(|snapshot| {
                snapshot[Via::Dsr.group()] = groups(Via::Dsr, Scheduler::SourceHash, [1, 1]);
            });
            take(&mut gate, data(CLIENT, Via::Dsr.vip(), 1, 9).into())
        }
        DropReason::WrongTid => {
            let transfer = run(&mut gate, VIA, CLIENT);
            take(&mut gate, transfer.with_tid(TID + 1).ack(1).into())
        }
        DropReason::StrayTid => {
            let transfer = run(&mut gate, VIA, CLIENT);
            Some(gate.take(transfer.with_tid(TID + 1).server_error(0)))
        }
        DropReason::UnheardClient => {
            let transfer = ask(&mut gate, VIA, &request());
            (0..3).map(|_| gate.take(transfer.data(1, 512))).last()
        }
        DropReason::WrongOrigin => {
            let transfer = run(&mut gate, VIA, CLIENT);
            take(&mut gate, Packet { to: gate_mac(OUTSIDE), ..transfer.data(2, 512) }.into())
        }
        DropReason::NoBackend => {
            gate.change(|snapshot| snapshot.backends.iter_mut().for_each(|b| b.hop = None));
            take(&mut gate, request().into())
        }
        DropReason::BackendsFull => {
            gate.change(|snapshot| {
                let full = || Some(TransferLimit::new(0, Places::default()));
                snapshot.backends.iter_mut().for_each(|b| b.cap = full());
            });
            take(&mut gate, request().into())
        }
        DropReason::BackendDown => {
            let transfer = run(&mut gate, VIA, CLIENT);
            gate.change(|snapshot| snapshot.backends.iter_mut().for_each(|b| b.hop = None));
            take(&mut gate, transfer.ack(2).into())
        }
        DropReason::FlowTableFull => {
            for n in 0..FLOWS as u16 {
                run(&mut gate, VIA, client(VIA, n));
            }
            take(&mut gate, request().into())
        }
        DropReason::SnatPoolEmpty => {
            let ask = Via::Snat.client();
            leave_ports(&mut gate, (Via::Snat, PROTOCOL_UDP), ask, 0);
            take(&mut gate, rrq(ask, Via::Snat.vip(), "f").into())
        }
        DropReason::SnatDown => {
            gate.change(|snapshot| snapshot[Via::Snat.service()].mode = Mode::Snat(vec![]));
            take(&mut gate, rrq(CLIENT, Via::Snat.vip(), "f").into())
        }
        DropReason::TtlExpired => {
            let to_all = Packet { ttl: 1, to: Mac::BROADCAST, ..request() };
            take(&mut gate, to_all.into())
        }
        DropReason::TooBig => {
            gate.change(|snapshot| snapshot[INSIDE].mtu = 40);
            take(&mut gate, Packet { to: Mac::BROADCAST, ..request() }.into())
        }
        // The client gets an ERROR.
        DropReason::Refused => None,
        // Tested with connections.
        DropReason::BadTcp
        | DropReason::NoConnection
        | DropReason::BadReset
        | DropReason::LateReset
        | DropReason::OutOfOrder
        | DropReason::ClientFull
        | DropReason::SessionsFull
        | DropReason::NoRoute => None,
        // Reasons of devices, rings and queues, which the engine does not have.
        DropReason::ForeignVlan
        | DropReason::TransmitFull
        | DropReason::KernelFull
        | DropReason::HandOverFull
        | DropReason::Interrupted => None,
    }
}

#[test]
fn a_vip_that_the_kernel_does_not_hold_is_dead() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.change(|snapshot| snapshot.set_live(via.vip_id(), false));
        gate.moves();
        gate.take(rrq(client(via, 1), via.vip(), "f")).dropped(DropReason::VipDown);
        gate.take(transfer.ack(2)).dropped(DropReason::VipDown);
        gate.take(ping(via.client().ip(), via.vip().ip(), 1, 1, b"")).dropped(DropReason::VipDown);
        gate.moved(&[("received", 3), ("vip-down", 3)]);
        gate.change(|snapshot| snapshot.set_live(via.vip_id(), true));
        let _ = gate.take(transfer.ack(2)).sent();
    }
}

#[test]
fn what_is_not_ours_is_the_kernel_s() {
    let mut gate = EngineHarness::new();
    let client = CLIENT.ip();
    let host = IpAddr::from([10, 0, 0, 2]);
    let ours = gate_mac(OUTSIDE);
    let tagged = request().bytes()[12..].to_vec();
    for frame in [
        arp(client, host),
        frame(mac(client), ours, EtherType::VLAN_TAGGED_FRAME, &[&[0, 212][..], &tagged].concat()),
        frame(mac(client), Mac([1, 0x80, 0xc2, 0, 0, 0]), EtherType(38), &[0; 46]),
        ping(client, host, 1, 1, b"to the appliance itself"),
        ip(client, host, IpNumber::TCP, &[0; 20]),
        datagram(client_at(53), SocketAddr::new(host, 53), b"dns").bytes(),
        fragment(client, host, IpNumber::UDP, &[0; 16], 0, true),
        ip(Via::Nat.server(0), client, IpNumber::TCP, &[0; 20]),
        data(client_at(9), SocketAddr::new(Via::Nat.server(0), 69), 1, 1).bytes(),
        ip(Via::Snat.server(0), client, IpNumber::UDP, &[0; 7]),
    ] {
        gate.take(frame).to_kernel();
    }
    gate.moved(&[("received", 10), ("to_kernel", 10)]);
}

fn client_at(port: u16) -> SocketAddr {
    SocketAddr::new(CLIENT.ip(), port)
}

#[test]
fn a_source_that_is_ours_is_forged_wherever_it_goes() {
    let mut gate = EngineHarness::new();
    let host = SocketAddr::from(([10, 0, 0, 2], 9));
    for source in [VIA.vip().ip(), SNAT] {
        let forged = Packet { source: SocketAddr::new(source, 69), ..request() };
        gate.take(Packet { destination: host, ..forged }).dropped(DropReason::BadSource);
    }
    gate.moved(&[("received", 2), ("bad-source", 2)]);
}

#[test]
fn a_frame_cut_off_anywhere_is_dropped() {
    for via in [Via::Nat, Via::Snat, Via::Nat6, Via::Snat6] {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let _ = gate.take(transfer.data(1, 512)).sent();
        let ping = ping(via.client().ip(), via.vip().ip(), 1, 1, b"hello");
        let request = rrq(via.client(), via.vip(), "x");
        let whole = [request.bytes(), transfer.data(2, 64).bytes(), transfer.ack(1).bytes(), ping];
        for frame in whole {
            for len in 0..frame.len() {
                let (headers, bad) =
                    if via.is_v6() { (54, DropReason::BadIpv6) } else { (34, DropReason::BadIpv4) };
                let reason = if len < headers { DropReason::Truncated } else { bad };
                let by = if frame[..6] == gate_mac(INSIDE).0 { INSIDE } else { OUTSIDE };
                gate.take_by(by, &frame[..len]).dropped(reason);
            }
        }
    }
}

/// The packet with a wrong UDP checksum.
fn damaged(packet: &Packet) -> Vec<u8> {
    let mut frame = packet.bytes();
    let checksum = IP_AT + if packet.is_v6() { 40 } else { 20 } + 6;
    frame[checksum] ^= 0x10;
    frame
}

/// The receiver would not have accepted the packet either.
#[test]
fn what_was_damaged_on_the_way_begins_teaches_and_ends_nothing() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        gate.take(damaged(&request)).dropped(DropReason::BadUdp);
        assert!(gate.transfers().is_empty(), "{via:?}");
        let transfer = ask(&mut gate, via, &request);
        if !via.is_dsr() {
            gate.take(damaged(&transfer.with_tid(TID + 1).data(1, 512)))
                .dropped(DropReason::BadUdp);
            let _ = gate.take(transfer.data(1, 512)).sent();
        }
        gate.take(damaged(&transfer.ack(1))).dropped(DropReason::BadUdp);
        let _ = gate.take(transfer.ack(1)).sent();
        gate.take(damaged(&transfer.client_error(0))).dropped(DropReason::BadUdp);
        if !via.is_dsr() {
            let _ = gate.take(transfer.data(2, 9)).sent();
            gate.take(damaged(&transfer.ack(2))).dropped(DropReason::BadUdp);
        }
        assert_eq!(gate.transfer(via.client()).state, TransferState::Established, "{via:?}");
        let moves = gate.moves();
        let bad = if via.is_dsr() { 3 } else { 5 };
        assert_eq!((moves.get("bad-udp"), moves.get("retransmitted")), (Some(&bad), None));
    }
}

#[test]
fn a_request_without_a_checksum_is_served_over_ipv4() {
    for via in [Via::Nat, Via::Snat, Via::Dsr] {
        let _ =
            EngineHarness::new().take(rrq(via.client(), via.vip(), "boot.img").unsummed()).sent();
    }
}
