//! Properties of any packet.

use engine::scheduler::backend_group::Scheduler;
use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;
use engine::types::verdict::Verdict;
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::{datagram, rrq};
use kit::topology::{OUTSIDE, TFTP, Via, gate_mac, groups, v6};
use kit::transfer::{Transfer, ask};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

fn seen() -> impl Strategy<Value = Via> {
    prop::sample::select(vec![Via::Nat, Via::Snat, Via::Nat6, Via::Snat6])
}

/// The fields that a sender may choose freely.
#[derive(Debug, Clone)]
pub struct Shape {
    ttl: u8,
    id: u16,
    options: Vec<u8>,
    summed: bool,
    padding: Vec<u8>,
}

impl Shape {
    pub fn of(self, packet: Packet) -> Packet {
        let Shape { ttl, id, options, summed, padding } = self;
        let summed = summed || packet.is_v6();
        Packet { ttl, id, options, summed, padding, ..packet }
    }
}

pub fn shape() -> impl Strategy<Value = Shape> {
    let options =
        (0usize..=10).prop_flat_map(|words| prop::collection::vec(any::<u8>(), words * 4));
    let padding = prop::collection::vec(any::<u8>(), 0..30);
    (2u8.., any::<u16>(), options, any::<bool>(), padding)
        .prop_map(|(ttl, id, options, summed, padding)| Shape { ttl, id, options, summed, padding })
}

/// The IPv6 endpoint with the same number.
fn over_v6(client: SocketAddr) -> SocketAddr {
    let IpAddr::V4(address) = client.ip() else { panic!("{client}") };
    SocketAddr::new(v6(address), client.port())
}

pub fn file_data() -> impl Strategy<Value = Vec<u8>> {
    // Zeroes and ones produce the sums that are easy to get wrong.
    let byte = prop_oneof![Just(0u8), Just(0xff), any::<u8>()];
    prop::collection::vec(byte, 0..1400).prop_map(|data| [&[0, 3, 0, 1][..], &data].concat())
}

fn client() -> impl Strategy<Value = SocketAddr> {
    let address = (1u8..127, any::<u8>(), any::<u8>(), any::<u8>());
    let ours = [10, 127];
    (address, 1u16..)
        .prop_filter("our own networks", move |((a, ..), _)| !ours.contains(a))
        .prop_map(|((a, b, c, d), port)| SocketAddr::from(([a, b, c, d], port)))
}

proptest! {
    // A gate is large: it holds all ports of an address.
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// [`Outcome::sent`] verifies every checksum by etherparse.
    #[test]
    fn nat_there_and_back_is_the_identity(
        (via, tid) in (seen(), 1u16..), client in client(),
        (request, down, up) in (shape(), shape(), shape()),
        (block, upload) in (file_data(), file_data()),
    ) {
        let mut gate = EngineHarness::new();
        let client = if via.is_v6() { over_v6(client) } else { client };
        let asked = request.of(rrq(client, via.vip(), "boot.img"));
        let transfer = ask(&mut gate, via, &asked).with_tid(tid);
        let server_side = down.of(transfer.says(&block));
        let client_side = gate.take(&server_side).sent();
        let vip = SocketAddr::new(via.vip().ip(), tid);
        let expected = Packet {
            from: client_side.from, to: asked.from, source: vip, destination: client,
            ttl: server_side.ttl - 1, ..server_side.clone()
        };
        prop_assert_eq!(client_side, expected);
        // The client's answer arrives where the packet came from.
        let answer = up.of(datagram(client, vip, &upload));
        let arrived = gate.take(&answer).sent();
        let expected = Packet {
            from: arrived.from, to: server_side.from, source: server_side.destination,
            destination: server_side.source, ttl: answer.ttl - 1, ..answer.clone()
        };
        prop_assert_eq!(arrived, expected);
    }

    #[test]
    fn a_checksum_is_never_zero_unless_it_was(
        via in seen(), (down, data) in (shape(), file_data()), add in any::<[u8; 2]>(),
    ) {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        let even = data.len() & !1;
        let packet = down.of(transfer.says(&[&data[..even], &add].concat()));
        let summed = packet.summed;
        prop_assert_eq!(gate.take(packet).sent().summed, summed);
    }

    #[test]
    fn any_bytes_end_in_one_verdict(frames in prop::collection::vec(any_frame(), 1..20)) {
        let mut gate = EngineHarness::new();
        for (from, frame) in frames {
            // The gate verifies the sums.
            let _ = gate.take_by(InterfaceId(from), frame);
        }
    }

    #[test]
    fn any_damage_to_a_sound_packet_ends_in_one_verdict(
        via in prop::sample::select(Via::ALL.to_vec()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut gate = EngineHarness::new();
        let transfer = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        for packet in [rrq(via.client(), via.vip(), "x"), transfer.data(1, 40), transfer.ack(1)] {
            let mut frame = packet.bytes();
            for (at, byte) in &damage {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            if let Some(cut) = &cut {
                frame.truncate(cut.index(frame.len()));
            }
            let _ = gate.take(frame);
        }
    }

    /// Clients, servers and strangers send anything in any order.
    #[test]
    fn a_client_only_ever_hears_its_own_server(
        script in prop::collection::vec(line(), 1..60), adopts in any::<bool>(),
    ) {
        let mut gate = EngineHarness::new();
        if adopts {
            gate.change(|world| for via in [Via::Dsr, Via::Dsr6] {
                world[via.group()] = groups(via, Scheduler::SourceHash, [1, 1]);
            });
            gate.wait(10);
        }
        let mut talks: Vec<Transfer> = Vec::new();
        for (line, n, port, payload) in script {
            let via = Via::ALL[usize::from(n) % Via::ALL.len()];
            let client = kit::transfer::client(via, u16::from(n / 8 % 3));
            let outcome = match line {
                Line::Request => {
                    let request = rrq(client, via.vip(), ["a", "b"][usize::from(port) % 2]);
                    let request = Packet { source: client, ..request };
                    talks.push(ask(&mut gate, via, &request));
                    continue;
                }
                Line::Wait => {
                    gate.wait(u32::from(port) * 10);
                    continue;
                }
                Line::Client => {
                    let to = SocketAddr::new(via.vip().ip(), [TFTP, 5000 + port][usize::from(port > 0)]);
                    gate.take(datagram(client, to, &payload))
                }
                Line::Server => {
                    let Some(transfer) = talks.get(usize::from(n) % talks.len().max(1)) else { continue };
                    gate.take(transfer.with_tid(5000 + port).says(&payload))
                }
            };
            hears_its_own(&gate, outcome, line);
        }
        gate.now = gate.now.after(2000);
        gate.wait(1);
        prop_assert!(gate.transfers().is_empty());
        let counters = &gate.engine.state.counters;
        for set in &counters.backends {
            prop_assert_eq!(set.entered(), set.ended.value());
            let ends = [
                &set.completed, &set.size_probes, &set.not_found, &set.failed,
                &set.unheard, &set.unanswered, &set.timed_out, &set.replaced, &set.evicted,
            ];
            prop_assert_eq!(set.ended.value(), ends.iter().map(|end| end.value()).sum::<u64>());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Line {
    Request,
    Client,
    Server,
    Wait,
}

fn line() -> impl Strategy<Value = (Line, u8, u16, Vec<u8>)> {
    let line = prop::sample::select(vec![
        Line::Request,
        Line::Client,
        Line::Client,
        Line::Server,
        Line::Server,
        Line::Wait,
    ]);
    let payload = prop_oneof![
        (0u8..7, 0u8..3, 0usize..3).prop_map(|(opcode, n, len)| {
            [&[0, opcode, 0, n][..], &vec![0; len * 256]].concat()
        }),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    (line, any::<u8>(), 0u16..4, payload)
}

/// Only a VIP sends to a client, and only from its transfer's TID.
fn hears_its_own(gate: &EngineHarness, outcome: kit::engine_harness::Outcome, line: Line) {
    match outcome.verdict {
        Verdict::Transmit(_) if line == Line::Server => {
            let packet = outcome.sent();
            let vip = Via::ALL.iter().find(|via| via.vip().ip() == packet.source.ip());
            let service = vip.expect("from a VIP").service();
            let mut ours = gate.transfers().into_iter().filter(|t| t.client == packet.destination);
            let ours = ours.find(|transfer| transfer.service == service).expect("a transfer");
            assert_eq!(ours.tid, Some(packet.source.port()));
        }
        Verdict::Answer => {
            let packet = outcome.answered();
            let server = Via::SEEN
                .iter()
                .any(|via| [0, 1].map(|n| via.server(n)).contains(&packet.destination.ip()));
            assert!(server, "an ERROR 5 to {}", packet.destination);
        }
        Verdict::HandOver(worker) => panic!("to worker {worker} of one"),
        Verdict::Transmit(_)
        | Verdict::Absorb
        | Verdict::Kernel
        | Verdict::Drop(_)
        | Verdict::Hold(_) => {}
    }
}

/// From noise to nearly valid frames.
fn any_frame() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..120);
    let types = prop::sample::select(vec![[0x08, 0], [0x86, 0xdd]]);
    let addressed = (bytes(), 0u8..2, types).prop_map(|(bytes, by, ether_type)| {
        [&gate_mac(InterfaceId(by)).0[..], &[2, 0, 0, 0, 0, 9], &ether_type, &bytes].concat()
    });
    let ours = Via::ALIKE.map(|via| (via.client(), [via.vip().ip(), via.snat(), via.server(0)]));
    let address = (prop::sample::select(ours.to_vec()), 0usize..3)
        .prop_map(|((client, addresses), one)| (client, addresses[one]));
    let datagram = (address, any::<u16>(), any::<u16>(), bytes(), any::<u8>()).prop_map(
        |((client, to), source, destination, payload, ttl)| {
            let from = SocketAddr::new(client.ip(), source);
            let to = SocketAddr::new(to, if destination % 2 == 0 { TFTP } else { destination });
            Packet { ttl, ..datagram(from, to, &payload) }.bytes()
        },
    );
    (0u8..2, prop_oneof![bytes(), addressed, datagram])
}

#[test]
fn a_burst_is_walked_in_order() {
    let mut gate = EngineHarness::new();
    let via = Via::Snat;
    let request = rrq(via.client(), via.vip(), "boot.img").bytes();
    let early = kit::packets::ack(via.client(), via.vip(), 1).bytes();
    let other = rrq(SocketAddr::new(via.client().ip(), 9), via.vip(), "boot.img").bytes();
    let verdicts = gate.take_burst(OUTSIDE, [early.clone(), request, early, vec![], other]);
    assert_eq!(
        verdicts,
        [
            Verdict::Drop(DropReason::NoTransfer),
            Verdict::Transmit(OUTSIDE),
            Verdict::Drop(DropReason::NoTransfer),
            Verdict::Drop(DropReason::Truncated),
            Verdict::Transmit(OUTSIDE),
        ]
    );
}
