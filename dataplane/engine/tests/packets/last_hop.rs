//! Answers go to the client's last hop. A host that spoofs the client does not get them; a client or router with a new
//! hardware address gets them after a repetition or two. Answers that are not heard there go by the kernel's route.

use engine::net::route_table::{Route, RouteTable};
use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use engine::types::next_hop::NextHop;
use ipnet::IpNet;
use kit::connections::{Connection, snapshot};
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{datagram, rrq};
use kit::segment::Segment;
use kit::topology::{FLOWS, INSIDE, OUTSIDE, Via, gate_mac, mac};
use kit::transfer::{Transfer, ask, run};
use std::net::{IpAddr, SocketAddr};
use wire::ethernet::Mac;

const OTHER: Mac = Mac([2, 0, 0, 0, 0x66, 0x66]);
const PORT: u16 = 7007;
const NOBODY: [IpAddr; 0] = [];

/// Ticks of a retransmission timeout.
const SECOND: u32 = 10;

/// The client's packet from another hardware address on its link.
fn moved(packet: Packet) -> Packet {
    Packet { from: OTHER, ..packet }
}

/// Adds the kernel's route to the client by this hardware address.
fn route(gate: &mut EngineHarness, client: IpAddr, mac: Mac) {
    let hop = Some(NextHop { mac, interface: OUTSIDE });
    gate.change(|snapshot| {
        snapshot.routes = RouteTable::new([Route { to: IpNet::from(client), gateway: None, hop }]);
    });
}

/// Hardware address that the next block goes to.
#[track_caller]
fn way(gate: &mut EngineHarness, transfer: Transfer, block: u16) -> Mac {
    gate.take(transfer.data(block, 512)).sent().to
}

#[test]
fn a_guess_at_the_tid_does_not_move_a_transfer() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        for _ in 0..3 {
            gate.take(moved(transfer.with_tid(40_000).ack(1))).dropped(DropReason::WrongTid);
            // The right TID, and a block out of turn.
            for block in [0, 3, 700, 40_000] {
                let _ = gate.take(moved(transfer.ack(block)));
            }
            gate.wait(SECOND);
        }
        assert_eq!(way(&mut gate, transfer, 2), mac(via.client().ip()), "{via:?}");
    }
}

#[test]
fn a_client_that_repeats_its_ack_from_another_hop_is_answered_there() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        let _ = gate.take(moved(transfer.ack(1))).sent();
        assert_eq!(way(&mut gate, transfer, 2), mac(via.client().ip()), "once is not enough");
        gate.wait(SECOND);
        let _ = gate.take(moved(transfer.ack(1))).sent();
        assert_eq!(way(&mut gate, transfer, 2), OTHER, "{via:?}");
        let _ = gate.take(moved(transfer.ack(2))).sent();
        assert_eq!(way(&mut gate, transfer, 3), OTHER, "it goes on");
    }
}

/// The router of an upload's client fails over while blocks keep coming.
#[test]
fn a_client_that_goes_on_from_another_hop_is_answered_there() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        for block in [2, 3] {
            let _ = gate.take(transfer.data(block, 512)).sent();
            let _ = gate.take(moved(transfer.ack(block))).sent();
        }
        assert_eq!(way(&mut gate, transfer, 4), OTHER, "{via:?}");
    }
}

#[test]
fn the_kernel_s_word_moves_it_at_once() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        route(&mut gate, via.client().ip(), OTHER);
        assert_eq!(way(&mut gate, transfer, 2), mac(via.client().ip()), "the last hop first");
        let _ = gate.take(moved(transfer.ack(1))).sent();
        assert_eq!(way(&mut gate, transfer, 2), OTHER, "{via:?}");
    }
}

/// The kernel may not know the client, as workers answer requests for the VIP's hardware address.
#[test]
fn the_kernel_is_asked_for_a_client_that_comes_from_another_hop() {
    let unresolved =
        |gate: &EngineHarness| gate.engine.snapshot.unresolved.take().collect::<Vec<_>>();
    for via in Via::SEEN {
        let client = via.client();
        let mut tftp_gate = EngineHarness::new();
        let transfer = run(&mut tftp_gate, via, client);
        let mut tcp_gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let line = Connection::open(&mut tcp_gate, via, client, PORT);
        assert_eq!([unresolved(&tftp_gate), unresolved(&tcp_gate)], [NOBODY; 2], "{via:?}");
        let _ = tftp_gate.take(moved(transfer.ack(1))).sent();
        let _ = tcp_gate.take(elsewhere(line.from_client("A", ""))).sent_segment();
        assert_eq!([unresolved(&tftp_gate), unresolved(&tcp_gate)], [[client.ip()]; 2], "{via:?}");
        for gate in [&mut tftp_gate, &mut tcp_gate] {
            route(gate, client.ip(), mac(client.ip()));
        }
        let _ = tftp_gate.take(moved(transfer.ack(1))).sent();
        let _ = tcp_gate.take(elsewhere(line.from_client("A", ""))).sent_segment();
        assert_eq!([unresolved(&tftp_gate), unresolved(&tcp_gate)], [NOBODY; 2], "it is known");
    }
}

/// Packets take two paths at once.
#[test]
fn between_two_routers_nothing_flaps() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        for block in 2..40 {
            assert_eq!(way(&mut gate, transfer, block), mac(via.client().ip()), "{via:?} {block}");
            let ack = transfer.ack(block);
            let ack = if block % 2 == 0 { moved(ack) } else { ack };
            let _ = gate.take(ack).sent();
            gate.wait(3);
        }
        assert_eq!(gate.transfers().len(), 1);
    }
}

#[test]
fn a_repeated_request_moves_what_is_not_answered_only_in_earnest() {
    for via in Via::SEEN {
        let request = rrq(via.client(), via.vip(), "boot.img");
        for (known, moves) in [(None, true), (Some(mac(via.client().ip())), false)] {
            let mut gate = EngineHarness::new();
            known.into_iter().for_each(|mac| route(&mut gate, via.client().ip(), mac));
            let transfer = ask(&mut gate, via, &request);
            let _ = gate.take(moved(request.clone())).sent();
            let _ = gate.take(moved(request.clone())).sent();
            gate.wait(SECOND);
            let asked = gate.take(moved(request.clone())).sent();
            let transfer = Transfer {
                server: SocketAddr::new(asked.destination.ip(), transfer.server.port()),
                seen_as: asked.source,
                ..transfer
            };
            let to = if moves { OTHER } else { mac(via.client().ip()) };
            assert_eq!(way(&mut gate, transfer, 1), to, "{via:?} {known:?}");
        }
    }
}

/// Boot ROMs use the same ports at every boot, and the machine may have another network card.
#[test]
fn a_new_request_is_answered_where_it_came_from() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let _ = run(&mut gate, via, via.client());
        gate.wait(5 * SECOND);
        let transfer = ask(&mut gate, via, &moved(rrq(via.client(), via.vip(), "another")));
        assert_eq!(way(&mut gate, transfer.with_tid(51_000), 1), OTHER, "{via:?}");
    }
}

#[test]
fn the_way_may_be_by_another_interface() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let transfer = run(&mut gate, via, via.client());
    for _ in 0..2 {
        let indirect = Packet { from: OTHER, to: gate_mac(INSIDE), ..transfer.ack(1) };
        let _ = gate.take_by(INSIDE, &indirect).sent();
    }
    let sent = gate.take(transfer.data(2, 512)).sent();
    assert_eq!((sent.from, sent.to), (gate_mac(INSIDE), OTHER));
}

fn elsewhere(segment: Segment) -> Segment {
    Segment { from: OTHER, ..segment }
}

/// Hardware address that the server's next segment goes to.
#[track_caller]
fn heard_at(gate: &mut EngineHarness, line: &Connection) -> Mac {
    gate.take(line.from_server("A", "")).sent_segment().to
}

#[test]
fn a_blind_segment_does_not_move_a_connection() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let line = Connection::open(&mut gate, via, via.client(), PORT);
        for (by, flags) in
            [(1 << 20, "A"), (1 << 31, "AP"), (u32::MAX - 1000, "A"), (0, "S"), (1 << 30, "FA")]
        {
            for step in [0, 1, 2, 3] {
                let mut candidate = line.clone();
                // One number, the other one, or both are wrong.
                candidate.next[0] = candidate.next[0].wrapping_add(if step != 1 { by } else { 0 });
                candidate.next[1] = candidate.next[1].wrapping_add(if step != 0 { by } else { 0 });
                if by != 0 {
                    let _ = gate.take(elsewhere(candidate.from_client(flags, "x")));
                }
            }
        }
        for _ in 0..4 {
            let _ = gate.take(elsewhere(line.from_client("S", "")));
            gate.wait(SECOND);
        }
        assert_eq!(heard_at(&mut gate, &line), mac(via.client().ip()), "{via:?}");
    }
}

/// A download's client sends only acknowledgements.
#[test]
fn acknowledgements_from_another_hop_move_a_download() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), PORT);
        for n in 0..2 {
            let _ = line.server_says(&mut gate, "A", &"x".repeat(1000));
            let _ = gate.take(elsewhere(line.from_client("A", ""))).sent_segment();
            let at = if n == 0 { mac(via.client().ip()) } else { OTHER };
            assert_eq!(heard_at(&mut gate, &line), at, "{via:?} {n}");
        }
    }
}

#[test]
fn what_a_client_sends_again_from_another_hop_moves_its_connection() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), PORT);
        let said = line.from_client("AP", "hello");
        let _ = line.client_says(&mut gate, "AP", "hello");
        for _ in 0..2 {
            let _ = gate.take(elsewhere(said.clone())).sent_segment();
        }
        assert_eq!(heard_at(&mut gate, &line), OTHER, "{via:?}");
    }
}

#[test]
fn a_probe_whether_the_server_lives_moves_an_idle_connection() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let line = Connection::open(&mut gate, via, via.client(), PORT);
        let probe = line.from_client("A", "");
        let probe = Segment { sequence: probe.sequence.wrapping_sub(1), ..probe };
        for _ in 0..2 {
            let _ = gate.take(elsewhere(probe.clone())).sent_segment();
        }
        assert_eq!(heard_at(&mut gate, &line), OTHER, "{via:?}");
    }
}

#[test]
fn segments_by_two_routers_do_not_flap() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), PORT);
        for n in 0..40 {
            let said = line.from_client("AP", "word");
            let said = if n % 2 == 0 { elsewhere(said) } else { said };
            let _ = gate.take(said).sent_segment();
            line.goes_on(0, "AP", "word");
            assert_eq!(heard_at(&mut gate, &line), mac(via.client().ip()), "{via:?} {n}");
        }
    }
}

/// An answer from the gate would reveal the numbers.
#[test]
fn a_blind_command_gets_no_answer_of_ours() {
    let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(ftp, 21), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), 21);
        let mut candidate = line.clone();
        candidate.next = candidate.next.map(|next| next.wrapping_add(1 << 20));
        gate.take(elsewhere(candidate.from_client("AP", "PASV\r\n")))
            .dropped(DropReason::WrongOrigin);
        let _ = line.client_says(&mut gate, "AP", "NOOP\r\n");
    }
}

#[test]
fn a_datagram_in_another_s_name_does_not_have_the_answers() {
    for via in Via::SEEN {
        for (known, moves) in [(None, true), (Some(mac(via.client().ip())), false)] {
            let mut gate = EngineHarness::with(snapshot(Protocol::Udp, PORT), FLOWS);
            known.into_iter().for_each(|mac| route(&mut gate, via.client().ip(), mac));
            let vip = SocketAddr::new(via.vip().ip(), PORT);
            let question = datagram(via.client(), vip, b"question");
            let heard = gate.take(&question).sent();
            let answer = datagram(heard.destination, heard.source, b"answer");
            for _ in 0..9 {
                let _ = gate.take(moved(question.clone())).sent();
            }
            assert_eq!(gate.take(&answer).sent().to, mac(via.client().ip()), "{via:?}");
            // A client that is heard by the old hop has not moved.
            gate.wait(SECOND);
            let _ = gate.take(&question).sent();
            let _ = gate.take(moved(question.clone())).sent();
            assert_eq!(gate.take(&answer).sent().to, mac(via.client().ip()), "{via:?}");
            gate.wait(SECOND);
            let _ = gate.take(moved(question.clone())).sent();
            let at = if moves { OTHER } else { mac(via.client().ip()) };
            assert_eq!(gate.take(&answer).sent().to, at, "{via:?} {known:?}");
        }
    }
}

/// The router's old hardware address is dead; the kernel knows the other router.
#[test]
fn what_a_server_sends_again_goes_by_the_route() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), PORT);
        route(&mut gate, via.client().ip(), OTHER);
        let old = mac(via.client().ip());
        let text = "x".repeat(1000);
        let said = line.from_server("A", &text);
        let _ = line.server_says(&mut gate, "A", &text);
        let again = |gate: &mut EngineHarness| {
            gate.wait(3);
            gate.take(said.clone()).sent_segment().to
        };
        assert_eq!(again(&mut gate), old, "{via:?}: it may have got lost");
        assert_eq!(again(&mut gate), OTHER, "{via:?}");
        // The client's answers come by the new router, and none by the old one.
        let _ = gate.take(elsewhere(line.from_client("A", ""))).sent_segment();
        assert_eq!(heard_at(&mut gate, &line), OTHER, "{via:?}");
    }
}

/// The kernel's route leads nowhere: the last hop was right, and the client was away for a while.
#[test]
fn what_is_not_heard_by_the_route_goes_the_old_way_again() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), PORT);
        route(&mut gate, via.client().ip(), OTHER);
        let said = line.from_server("A", "x");
        let _ = line.server_says(&mut gate, "A", "x");
        let old = mac(via.client().ip());
        for to in [old, OTHER, old, OTHER, old] {
            gate.wait(3);
            assert_eq!(gate.take(said.clone()).sent_segment().to, to, "{via:?}");
        }
        let _ = gate.take(line.from_client("A", "")).sent_segment();
        assert_eq!(heard_at(&mut gate, &line), old, "{via:?}");
    }
}

/// The only sign is the server's retransmission: the kernel has to resolve the client.
#[test]
fn a_client_that_does_not_hear_is_looked_for() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), PORT);
        let said = line.from_server("A", "x");
        let _ = line.server_says(&mut gate, "A", "x");
        assert_eq!(gate.engine.snapshot.unresolved.take().count(), 0);
        let _ = gate.take(said.clone()).sent_segment();
        assert_eq!(
            gate.engine.snapshot.unresolved.take().collect::<Vec<_>>(),
            [via.client().ip()],
            "{via:?}"
        );
    }
}

/// Segments are lost where answers may take either hop, and the client acknowledges others.
#[test]
fn a_lost_segment_changes_nothing() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), PORT);
        route(&mut gate, via.client().ip(), OTHER);
        let lost = line.from_server("A", "x");
        for _ in 0..9 {
            gate.wait(3);
            let _ = line.server_says(&mut gate, "A", "x");
            let _ = gate.take(line.from_client("A", "")).sent_segment();
            let sent = gate.take(lost.clone()).sent_segment();
            assert_eq!(sent.to, mac(via.client().ip()), "{via:?}");
        }
    }
}

/// Inspected control connections use the same hop.
#[test]
fn a_reply_that_is_sent_again_goes_by_the_route() {
    let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(ftp, 21), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), 21);
        route(&mut gate, via.client().ip(), OTHER);
        let said = line.from_server("AP", "220 ready\r\n");
        let _ = line.server_says(&mut gate, "AP", "220 ready\r\n");
        for to in [mac(via.client().ip()), OTHER] {
            gate.wait(3);
            assert_eq!(gate.take(said.clone()).sent_segment().to, to, "{via:?}");
        }
    }
}

/// Some NIC teams do so, and hosts with a cluster address.
#[test]
fn a_neighbour_that_sends_from_one_hop_and_hears_at_another_is_answered_there() {
    for via in Via::SEEN {
        let client = via.client();
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        route(&mut gate, client.ip(), OTHER);
        let mut line = Connection::open(&mut gate, via, client, PORT);
        for _ in 0..4 {
            let sent = line.server_says(&mut gate, "AP", "hello");
            assert_eq!(sent.to, OTHER, "{via:?}");
            gate.wait(SECOND);
            let _ = line.client_says(&mut gate, "AP", "world");
        }

        let mut gate = EngineHarness::with(snapshot(Protocol::Udp, PORT), FLOWS);
        route(&mut gate, client.ip(), OTHER);
        let question = datagram(client, SocketAddr::new(via.vip().ip(), PORT), b"question");
        for _ in 0..4 {
            let heard = gate.take(&question).sent();
            let answer = datagram(heard.destination, heard.source, b"answer");
            assert_eq!(gate.take(&answer).sent().to, OTHER, "{via:?}");
            gate.wait(SECOND);
        }

        let mut gate = EngineHarness::new();
        route(&mut gate, client.ip(), OTHER);
        let transfer = run(&mut gate, via, client);
        for block in 2..6 {
            assert_eq!(way(&mut gate, transfer, block), OTHER, "{via:?}");
            gate.wait(SECOND);
            let _ = gate.take(transfer.ack(block)).sent();
        }
    }
}

/// The kernel resolves the address only on request.
#[test]
fn a_transfer_whose_answers_are_not_heard_goes_by_the_route() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let request = rrq(via.client(), via.vip(), "boot.img");
        let ask_again = |gate: &mut EngineHarness| {
            let transfer = ask(gate, via, &request);
            let to = way(gate, transfer, 1);
            gate.wait(2 * SECOND);
            (transfer, to)
        };
        let old = mac(via.client().ip());
        assert_eq!(ask_again(&mut gate).1, old);
        assert_eq!(ask_again(&mut gate).1, old);
        assert_eq!(
            gate.engine.snapshot.unresolved.take().collect::<Vec<_>>(),
            [via.client().ip()],
            "{via:?}"
        );
        let known = Some(NextHop { mac: OTHER, interface: OUTSIDE });
        let around = IpNet::new(via.client().ip(), 16).expect("a network");
        gate.change(|snapshot| {
            snapshot.routes = RouteTable::new([Route { to: around, gateway: None, hop: known }])
        });
        let (transfer, to) = ask_again(&mut gate);
        assert_eq!(to, OTHER, "{via:?}");
        for block in 1..6 {
            let _ = gate.take(transfer.ack(block)).sent();
            gate.wait(SECOND);
            assert_eq!(way(&mut gate, transfer, block + 1), OTHER, "{via:?}");
        }
    }
}

#[test]
fn blocks_that_a_client_asks_for_again_go_by_the_route() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        route(&mut gate, via.client().ip(), OTHER);
        let old = mac(via.client().ip());
        for to in [old, old, OTHER] {
            assert_eq!(way(&mut gate, transfer, 2), to, "{via:?}");
            gate.wait(SECOND);
            let _ = gate.take(transfer.ack(1)).sent();
        }
        // Not heard there either.
        gate.wait(SECOND);
        let _ = gate.take(transfer.ack(1)).sent();
        assert_eq!(way(&mut gate, transfer, 2), old, "{via:?}");
    }
}

/// A restored row names no hop, as it may not exist any more.
#[test]
fn what_was_not_heard_counts_no_longer_after_a_restart() {
    let known = |gate: &mut EngineHarness, via: Via| route(gate, via.client().ip(), OTHER);
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let transfer = run(&mut gate, via, via.client());
        known(&mut gate, via);
        for _ in 0..2 {
            let _ = way(&mut gate, transfer, 2);
            gate.wait(SECOND);
            let _ = gate.take(transfer.ack(1)).sent();
        }
        assert_eq!(way(&mut gate, transfer, 2), OTHER, "{via:?}");
        let mut gate = gate.reborn(kit::topology::snapshot());
        known(&mut gate, via);
        gate.wait(SECOND);
        let _ = gate.take(transfer.ack(1)).sent();
        assert_eq!(way(&mut gate, transfer, 2), OTHER, "{via:?}: it may have got lost");

        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, PORT), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), PORT);
        known(&mut gate, via);
        let said = line.from_server("A", "x");
        let _ = line.server_says(&mut gate, "A", "x");
        for _ in 0..2 {
            gate.wait(3);
            let _ = gate.take(said.clone()).sent_segment();
        }
        let mut gate = gate.reborn(snapshot(Protocol::Tcp, PORT));
        known(&mut gate, via);
        gate.wait(3);
        assert_eq!(gate.take(said).sent_segment().to, OTHER, "{via:?}");
    }
}

/// The kernel's entry comes after the first datagram.
#[test]
fn a_neighbour_over_udp_is_answered_where_the_kernel_finds_it_later() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(snapshot(Protocol::Udp, PORT), FLOWS);
        let question = datagram(via.client(), SocketAddr::new(via.vip().ip(), PORT), b"question");
        for (known, at) in [(None, mac(via.client().ip())), (Some(OTHER), OTHER), (None, OTHER)] {
            known.into_iter().for_each(|mac| route(&mut gate, via.client().ip(), mac));
            let heard = gate.take(&question).sent();
            let answer = datagram(heard.destination, heard.source, b"answer");
            assert_eq!(gate.take(&answer).sent().to, at, "{via:?}");
            gate.wait(SECOND);
        }
    }
}
