//! Origins of servers' packets: the server's interface, and its hardware address if it is on the link.

use engine::flow::state::ConnectionState;
use engine::net::origin::{ExpectedOrigin, Server};
use engine::snapshot::Protocol;
use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, add_rules, snapshot};
use kit::engine_harness::EngineHarness;
use kit::fragments::cut;
use kit::icmp_error::{REFUSED, about};
use kit::packet::Packet;
use kit::packets::{datagram, rrq};
use kit::segment::Segment;
use kit::topology::{FLOWS, INSIDE, OUTSIDE, Via, gate_mac, hop, interface, mac};
use kit::transfer::{Transfer, ask, run};
use std::net::SocketAddr;
use wire::ethernet::Mac;

/// Another host's hardware address.
const OTHER: Mac = Mac([2, 0, 0, 0, 0x66, 0x66]);
const PORT: u16 = 7007;

fn other(interface: InterfaceId) -> InterfaceId {
    if interface == INSIDE { OUTSIDE } else { INSIDE }
}

/// The packet from another host on the server's link, and from any host on the other interface.
fn spoofed(packet: &Packet) -> [Packet; 3] {
    let to = gate_mac(other(interface(packet.source.ip())));
    [
        Packet { from: OTHER, ..packet.clone() },
        Packet { to, ..packet.clone() },
        Packet { from: OTHER, to, ..packet.clone() },
    ]
}

#[test]
fn nobody_else_s_answer_reaches_a_client_that_has_just_asked() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        gate.moves();
        for tid in [40_000, 69] {
            for packet in spoofed(&transfer.with_tid(tid).data(1, 512)) {
                gate.take(packet).dropped(DropReason::WrongOrigin);
            }
        }
        gate.moved(&[("received", 6), ("wrong-origin", 6)]);
        assert_eq!(gate.transfer(via.client()).tid, None, "{via:?}");
        transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
    }
}

#[test]
fn nobody_else_speaks_in_a_running_transfer() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        gate.moves();
        let packets = [
            transfer.data(2, 512),
            transfer.data(2, 100),
            transfer.server_error(0),
            transfer.data(1, 512),
        ];
        for packet in packets.iter().flat_map(spoofed) {
            gate.take(packet).dropped(DropReason::WrongOrigin);
        }
        gate.moved(&[("received", 12), ("wrong-origin", 12)]);
        transfer.client_gets(gate.take(transfer.data(2, 512)), &transfer.data(2, 512).payload);
    }
}

/// The server may have a new hardware address: the kernel's entry counts.
#[test]
fn a_server_is_where_the_kernel_has_found_it_last() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let moved = Packet { from: OTHER, ..transfer.data(2, 512) };
        gate.take(&moved).dropped(DropReason::WrongOrigin);
        let at = engine::types::next_hop::NextHop { mac: OTHER, ..hop(via.server(0)) };
        gate.change(|snapshot| {
            snapshot.servers[usize::from(via.backend(0))] =
                Server::new([ExpectedOrigin::previous_hop(at)]);
        });
        transfer.client_gets(gate.take(&moved), &moved.payload);
        gate.take(transfer.data(3, 512)).dropped(DropReason::WrongOrigin);
    }
}

fn behind_a_router(via: Via, gate: &mut EngineHarness) {
    let link = ExpectedOrigin::link(interface(via.server(0)));
    gate.change(|snapshot| snapshot.servers.fill(Server::new([link])));
}

/// Packets go to one router, and may come from another one.
#[test]
fn behind_routers_the_interface_counts() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        behind_a_router(via, &mut gate);
        let transfer = run(&mut gate, via, via.client());
        for (block, from) in (2..).zip([OTHER, mac(via.server(0)), OTHER]) {
            let packet = Packet { from, ..transfer.data(block, 512) };
            transfer.client_gets(gate.take(&packet), &packet.payload);
        }
        let [_, elsewhere, _] = spoofed(&transfer.data(5, 512));
        gate.take(elsewhere).dropped(DropReason::WrongOrigin);
    }
}

/// Restored transfers go on before the kernel has resolved their server.
#[test]
fn of_whom_nothing_is_known_all_is_believed() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        gate.change(|snapshot| snapshot.servers.fill(Server::new([ExpectedOrigin::ANYWHERE])));
        let transfer = run(&mut gate, via, via.client());
        for packet in spoofed(&transfer.data(2, 512)) {
            transfer.client_gets(gate.take(&packet), &packet.payload);
        }
    }
}

fn spoofed_segment(segment: &Segment) -> [Segment; 3] {
    let to = gate_mac(other(interface(segment.source.ip())));
    [
        Segment { from: OTHER, ..segment.clone() },
        Segment { to, ..segment.clone() },
        Segment { from: OTHER, to, ..segment.clone() },
    ]
}

#[test]
fn nobody_else_answers_for_a_server_over_tcp() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::new(via, via.client(), PORT);
        let syn = gate.take(line.from_client("S", ""));
        line.seen(syn.sent_segment());
        line.goes_on(0, "S", "");
        for answer in spoofed_segment(&line.from_server("SA", "")) {
            gate.take(answer).dropped(DropReason::WrongOrigin);
        }
        assert_eq!(gate.connections()[0].state, ConnectionState::HalfOpen, "{via:?}");
        let line = Connection::open(&mut gate, via, SocketAddr::new(via.client().ip(), 9999), PORT);
        gate.moves();
        for flags in ["A", "AP", "R", "RA", "FA"] {
            for segment in spoofed_segment(&line.from_server(flags, "")) {
                gate.take(segment).dropped(DropReason::WrongOrigin);
            }
        }
        gate.moved(&[("received", 15), ("wrong-origin", 15)]);
        let _ = gate.take(line.from_server("AP", "hello")).sent_segment();
    }
}

#[test]
fn nobody_else_answers_for_a_server_over_udp() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Udp, PORT), FLOWS);
        let vip = SocketAddr::new(via.vip().ip(), PORT);
        let heard = gate.take(datagram(via.client(), vip, b"question")).sent();
        let answer = datagram(heard.destination, heard.source, b"answer");
        for packet in spoofed(&answer) {
            gate.take(packet).dropped(DropReason::WrongOrigin);
        }
        assert_eq!(gate.take(answer).sent().destination, via.client(), "{via:?}");
    }
}

/// Other hosts' fragments do not spoil a server's datagram.
#[test]
fn nobody_else_s_fragments_are_taken_for_a_server_s() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let whole = Packet { id: 77, ..transfer.data(2, 512) };
        for packet in spoofed(&whole) {
            let id = interface(packet.source.ip());
            let by = if packet.to == gate_mac(id) { id } else { other(id) };
            for part in cut(&packet, 200).into_iter().rev() {
                gate.take_by(by, part).dropped(DropReason::WrongOrigin);
            }
        }
        for part in cut(&whole, 200) {
            let verdict = gate.take(part).verdict;
            assert_eq!(verdict, Verdict::Transmit(OUTSIDE), "{via:?}");
        }
    }
}

#[test]
fn nobody_else_says_that_a_server_s_port_is_closed() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let sent = gate.take(transfer.ack(2)).sent();
        gate.moves();
        let what = REFUSED[via.at_server().family()];
        let mut refusal = about(&sent, transfer.server.ip(), what, 0, 548);
        refusal[6..12].copy_from_slice(&OTHER.0);
        gate.take(&refusal[..]).dropped(DropReason::WrongOrigin);
        let by = other(interface(transfer.server.ip()));
        refusal[..6].copy_from_slice(&gate_mac(by).0);
        gate.take_by(by, &refusal[..]).dropped(DropReason::WrongOrigin);
        gate.moved(&[("received", 2), ("wrong-origin", 2)]);
    }
}

/// A server's packets to other hosts go to the kernel, which has its own filter.
#[test]
fn what_is_of_no_transfer_is_left_to_the_kernel() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let ours = datagram(SocketAddr::new(via.server(0), 123), "10.9.9.9:123".parse().unwrap(), b"x");
    gate.take(&ours).to_kernel();
    for packet in spoofed(&ours) {
        let id = if packet.to == gate_mac(INSIDE) { INSIDE } else { OUTSIDE };
        gate.take_by(id, packet).to_kernel();
    }
}

/// Other hosts cannot open egress NAT connections in a server's name.
#[test]
fn a_rule_is_for_the_server_alone() {
    for via in [Via::Nat, Via::Nat6] {
        let mut world = snapshot(Protocol::Tcp, PORT);
        add_rules(&mut world, None);
        let mut gate = EngineHarness::with(world, FLOWS);
        let peer = SocketAddr::new(via.client().ip(), 8080);
        let line = Connection {
            server: SocketAddr::new(via.server(0), 5555),
            seen_as: peer,
            ..Connection::new(via, peer, 5555)
        };
        for syn in spoofed_segment(&line.from_server("S", "")) {
            gate.take(syn).dropped(DropReason::WrongOrigin);
        }
        assert!(gate.connections().is_empty(), "{via:?}");
        let sent = gate.take(line.from_server("S", "")).sent_segment();
        assert_eq!(sent.source.ip(), via.vip().ip());
        for segment in spoofed_segment(&line.from_server("A", "x")) {
            gate.take(segment).dropped(DropReason::WrongOrigin);
        }
    }
}

/// One interface for both sides: the hardware address decides.
#[test]
fn with_one_arm_the_previous_hop_counts() {
    let via = Via::Snat;
    let mut gate = EngineHarness::new();
    let transfer: Transfer = run(&mut gate, via, via.client());
    assert_eq!(interface(transfer.server.ip()), interface(via.client().ip()));
    gate.take(Packet { from: mac(via.client().ip()), ..transfer.data(2, 512) })
        .dropped(DropReason::WrongOrigin);
}
