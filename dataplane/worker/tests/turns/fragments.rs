//! Whole transfers, and connections' datagrams, in fragments: cut, shuffled and repeated on the way to the gate, by
//! any queue.

use crate::transfers::crowd;
use engine::snapshot::Protocol;
use kit::connections;
use kit::farm::Farm;
use kit::fragments::{Joiner, cut};
use kit::packet::Packet;
use kit::packets::datagram;
use kit::topology::{Via, snapshot};
use kit::worker_set::WorkerSet;
use std::net::SocketAddr;
use worker::memory::MemoryPort;

/// Numbers that tell one run from another.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % end
    }
}

/// The order of frames on the way.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    SavedRequest,
    Reversed,
    Mixed,
}

/// Carries a crowd whose messages of more than some bytes come in fragments. Returns the counters.
fn carry(
    workers: u16,
    via: &[Via],
    order: Order,
    repeat: bool,
    seed: u64,
) -> WorkerSet<MemoryPort> {
    let mut set = WorkerSet::<MemoryPort>::new(workers, snapshot());
    let mut farm: Farm = crowd(via);
    let (mut dice, mut joiner, mut number) = (Dice(seed), Joiner::default(), 0u16);
    for _ in 0..3000 {
        let said = farm.says();
        let mut frames = vec![];
        for packet in farm.bypass(said) {
            number = number.wrapping_add(1);
            let mut parts = parts(&Packet { id: number, ..packet });
            if repeat && parts.len() > 1 {
                let again = parts[dice.below(parts.len())].clone();
                parts.push(again);
            }
            if order == Order::Reversed {
                parts.reverse();
            }
            frames.extend(parts);
        }
        if order == Order::Mixed {
            for last in (1..frames.len()).rev() {
                frames.swap(last, dice.below(last + 1));
            }
        }
        for frame in frames {
            set.arrive(dice.below(workers.into()), frame);
        }
        for _ in 0..4 {
            set.turn();
        }
        set.wait(1);
        let whole: Vec<_> = set.left().into_iter().filter_map(|frame| joiner.take(frame)).collect();
        whole.iter().for_each(|frame| farm.hears(frame));
        if farm.is_done() {
            assert_eq!((farm.foreign, farm.errors), (0, 0));
            return set;
        }
    }
    panic!("the transfers are not through");
}

/// A packet as it comes over short links.
pub fn parts(packet: &Packet) -> Vec<Vec<u8>> {
    if packet.payload.len() > 200 { cut(packet, 168) } else { vec![packet.bytes()] }
}

#[test]
fn fragments_in_order_are_hardly_ever_held() {
    for via in Via::ALL {
        let set = carry(1, &[via], Order::SavedRequest, false, 1);
        assert_eq!(
            (set.counter_values().at("held"), set.counter_values().at("fragment")),
            (0, 0),
            "{via:?}"
        );
    }
}

#[test]
fn fragments_in_any_order_arrive_by_any_queue() {
    for workers in [1, 2, 3] {
        for via in Via::ALL {
            for order in [Order::SavedRequest, Order::Reversed, Order::Mixed] {
                let set = carry(workers, &[via], order, false, 7);
                let counter_values = set.counter_values();
                assert_eq!(
                    counter_values.at("held"),
                    counter_values.at("released"),
                    "{via:?} {workers}"
                );
                assert_eq!(counter_values.at("fragment"), 0, "{via:?} {workers}");
            }
        }
    }
}

#[test]
fn a_fragment_that_comes_twice_costs_nothing() {
    for workers in [1, 2] {
        for seed in 1..4 {
            // Half of them before their datagram is whole, half after.
            for order in [Order::SavedRequest, Order::Reversed, Order::Mixed] {
                carry(workers, &Via::ALL, order, true, seed);
            }
        }
    }
}

/// The frames that leave when the fragments of a connection's datagram come in the wrong order, each by any queue.
fn pass(set: &mut WorkerSet<MemoryPort>, dice: &mut Dice, workers: u16, sent: &Packet) -> Packet {
    for frame in cut(sent, 400).into_iter().rev() {
        set.arrive(dice.below(workers.into()), frame);
    }
    for _ in 0..4 {
        set.turn();
    }
    let mut joiner = Joiner::default();
    let whole: Vec<_> = set.left().into_iter().filter_map(|frame| joiner.take(frame)).collect();
    let [whole] = &whole[..] else { panic!("one datagram: {}", whole.len()) };
    Packet::read(whole)
}

#[test]
fn fragments_of_connections_in_any_order_arrive_by_any_queue() {
    const PORT: u16 = 7007;
    for workers in [1, 2, 3] {
        for via in Via::ALL {
            let mut set = WorkerSet::new(workers, connections::snapshot(Protocol::Udp, PORT));
            let (mut dice, vip) = (Dice(3), SocketAddr::new(via.vip().ip(), PORT));
            for number in 0..20u8 {
                let client = SocketAddr::new(via.host(0, 200 + number % 4), 999);
                let words = [number; 1500];
                let question = datagram(client, vip, &words);
                let heard = pass(&mut set, &mut dice, workers, &question);
                assert_eq!(heard.payload, words, "{via:?} {workers}");
                if !via.is_dsr() {
                    let answer = datagram(heard.destination, heard.source, &words);
                    let heard = pass(&mut set, &mut dice, workers, &answer);
                    assert_eq!((heard.source, heard.destination), (vip, client), "{via:?}");
                    assert_eq!(heard.payload, words);
                }
            }
            let counter_values = set.counter_values();
            assert_eq!(
                counter_values.at("held"),
                counter_values.at("released"),
                "{via:?} {workers}"
            );
            assert_eq!(counter_values.at("fragment"), 0, "{via:?} {workers}");
        }
    }
}
