//! A server's packets are believed from where the server is: by its interface, and from its own station where that is on
//! the link.

use engine::flow::view::Stage;
use engine::origin::{Expected, Server};
use engine::reason::Reason;
use engine::tables::{InterfaceId, Protocol};
use engine::verdict::Verdict;
use kit::connections::{Line, add_rules, tables};
use kit::gate::Gate;
use kit::notice::{REFUSED, about};
use kit::packet::Packet;
use kit::parts::cut;
use kit::segment::Segment;
use kit::story::{datagram, rrq};
use kit::talk::{Talk, ask, run};
use kit::world::{FLOWS, INSIDE, OUTSIDE, Via, gate_mac, hop, interface, mac};
use std::net::SocketAddr;
use wire::ethernet::Mac;

/// Somebody else's station.
const OTHER: Mac = Mac([2, 0, 0, 0, 0x66, 0x66]);
const PORT: u16 = 7007;

fn other(interface: InterfaceId) -> InterfaceId {
    if interface == INSIDE { OUTSIDE } else { INSIDE }
}

/// The packet as somebody else sends it on the server's link, and as it comes by the other interface, from whomever.
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
        let mut gate = Gate::new();
        let talk = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        gate.moves();
        for tid in [40_000, 69] {
            for packet in spoofed(&talk.with_tid(tid).data(1, 512)) {
                gate.take(packet).dropped(Reason::WrongOrigin);
            }
        }
        gate.moved(&[("received", 6), ("wrong-origin", 6)]);
        assert_eq!(gate.transfer(via.client()).tid, None, "{via:?}");
        talk.client_gets(gate.take(talk.data(1, 512)), &talk.data(1, 512).payload);
    }
}

#[test]
fn nobody_else_speaks_in_a_running_transfer() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        gate.moves();
        let packets =
            [talk.data(2, 512), talk.data(2, 100), talk.server_error(0), talk.data(1, 512)];
        for packet in packets.iter().flat_map(spoofed) {
            gate.take(packet).dropped(Reason::WrongOrigin);
        }
        gate.moved(&[("received", 12), ("wrong-origin", 12)]);
        talk.client_gets(gate.take(talk.data(2, 512)), &talk.data(2, 512).payload);
    }
}

/// The server may have moved to another station: what the kernel says of it counts.
#[test]
fn a_server_is_where_the_kernel_has_found_it_last() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let moved = Packet { from: OTHER, ..talk.data(2, 512) };
        gate.take(&moved).dropped(Reason::WrongOrigin);
        let at = engine::tables::Hop { mac: OTHER, ..hop(via.server(0)) };
        gate.change(|tables| {
            tables.servers[usize::from(via.backend(0))] = Server::new([Expected::station(at)]);
        });
        talk.client_gets(gate.take(&moved), &moved.payload);
        gate.take(talk.data(3, 512)).dropped(Reason::WrongOrigin);
    }
}

fn behind_a_router(via: Via, gate: &mut Gate) {
    let link = Expected::link(interface(via.server(0)));
    gate.change(|tables| tables.servers.fill(Server::new([link])));
}

/// Of two routers one may be sent to while the other one sends.
#[test]
fn behind_routers_the_interface_counts() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        behind_a_router(via, &mut gate);
        let talk = run(&mut gate, via, via.client());
        for (block, station) in (2..).zip([OTHER, mac(via.server(0)), OTHER]) {
            let packet = Packet { from: station, ..talk.data(block, 512) };
            talk.client_gets(gate.take(&packet), &packet.payload);
        }
        let [_, elsewhere, _] = spoofed(&talk.data(5, 512));
        gate.take(elsewhere).dropped(Reason::WrongOrigin);
    }
}

/// Before the kernel has found a server for the first time, an earlier process's transfers go on.
#[test]
fn of_whom_nothing_is_known_all_is_believed() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        gate.change(|tables| tables.servers.fill(Server::new([Expected::ANYWHERE])));
        let talk = run(&mut gate, via, via.client());
        for packet in spoofed(&talk.data(2, 512)) {
            talk.client_gets(gate.take(&packet), &packet.payload);
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
        let mut gate = Gate::with(tables(Protocol::Tcp, PORT), FLOWS);
        let mut line = Line::new(via, via.client(), PORT);
        let syn = gate.take(line.from_client("S", ""));
        line.seen(syn.sent_segment());
        line.goes_on(0, "S", "");
        for answer in spoofed_segment(&line.from_server("SA", "")) {
            gate.take(answer).dropped(Reason::WrongOrigin);
        }
        assert_eq!(gate.connections()[0].stage, Stage::HalfOpen, "{via:?}");
        let line = Line::open(&mut gate, via, SocketAddr::new(via.client().ip(), 9999), PORT);
        gate.moves();
        for flags in ["A", "AP", "R", "RA", "FA"] {
            for segment in spoofed_segment(&line.from_server(flags, "")) {
                gate.take(segment).dropped(Reason::WrongOrigin);
            }
        }
        gate.moved(&[("received", 15), ("wrong-origin", 15)]);
        let _ = gate.take(line.from_server("AP", "hello")).sent_segment();
    }
}

#[test]
fn nobody_else_answers_for_a_server_over_udp() {
    for via in Via::SEEN {
        let mut gate = Gate::with(tables(Protocol::Udp, PORT), FLOWS);
        let vip = SocketAddr::new(via.vip().ip(), PORT);
        let heard = gate.take(datagram(via.client(), vip, b"question")).sent();
        let answer = datagram(heard.destination, heard.source, b"answer");
        for packet in spoofed(&answer) {
            gate.take(packet).dropped(Reason::WrongOrigin);
        }
        assert_eq!(gate.take(answer).sent().destination, via.client(), "{via:?}");
    }
}

/// Nor spoil a datagram of the server's by parts of their own.
#[test]
fn nobody_else_s_parts_are_taken_for_a_server_s() {
    for via in Via::SEEN {
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let whole = Packet { id: 77, ..talk.data(2, 512) };
        for packet in spoofed(&whole) {
            let id = interface(packet.source.ip());
            let by = if packet.to == gate_mac(id) { id } else { other(id) };
            for part in cut(&packet, 200).into_iter().rev() {
                gate.take_by(by, part).dropped(Reason::WrongOrigin);
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
        let mut gate = Gate::new();
        let talk = run(&mut gate, via, via.client());
        let sent = gate.take(talk.ack(2)).sent();
        gate.moves();
        let what = REFUSED[via.at_server().family()];
        let mut refusal = about(&sent, talk.server.ip(), what, 0, 548);
        refusal[6..12].copy_from_slice(&OTHER.0);
        gate.take(&refusal[..]).dropped(Reason::WrongOrigin);
        let by = other(interface(talk.server.ip()));
        refusal[..6].copy_from_slice(&gate_mac(by).0);
        gate.take_by(by, &refusal[..]).dropped(Reason::WrongOrigin);
        gate.moved(&[("received", 2), ("wrong-origin", 2)]);
    }
}

/// What a server sends to others is the kernel's to judge, which has its own filter.
#[test]
fn what_is_of_no_transfer_is_left_to_the_kernel() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    let own = datagram(SocketAddr::new(via.server(0), 123), "10.9.9.9:123".parse().unwrap(), b"x");
    gate.take(&own).to_kernel();
    for packet in spoofed(&own) {
        let id = if packet.to == gate_mac(INSIDE) { INSIDE } else { OUTSIDE };
        gate.take_by(id, packet).to_kernel();
    }
}

/// Nor does anybody open connections in a server's name that leave as a VIP.
#[test]
fn a_rule_is_for_the_server_alone() {
    for via in [Via::Nat, Via::Nat6] {
        let mut world = tables(Protocol::Tcp, PORT);
        add_rules(&mut world, None);
        let mut gate = Gate::with(world, FLOWS);
        let peer = SocketAddr::new(via.client().ip(), 8080);
        let line = Line {
            server: SocketAddr::new(via.server(0), 5555),
            seen_as: peer,
            ..Line::new(via, peer, 5555)
        };
        for syn in spoofed_segment(&line.from_server("S", "")) {
            gate.take(syn).dropped(Reason::WrongOrigin);
        }
        assert!(gate.connections().is_empty(), "{via:?}");
        let sent = gate.take(line.from_server("S", "")).sent_segment();
        assert_eq!(sent.source.ip(), via.vip().ip());
        for segment in spoofed_segment(&line.from_server("A", "x")) {
            gate.take(segment).dropped(Reason::WrongOrigin);
        }
    }
}

/// Both ends of one wire: the hardware address tells.
#[test]
fn with_one_arm_the_station_counts() {
    let via = Via::Snat;
    let mut gate = Gate::new();
    let talk: Talk = run(&mut gate, via, via.client());
    assert_eq!(interface(talk.server.ip()), interface(via.client().ip()));
    gate.take(Packet { from: mac(via.client().ip()), ..talk.data(2, 512) })
        .dropped(Reason::WrongOrigin);
}
