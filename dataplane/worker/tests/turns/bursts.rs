//! How much a turn takes in, and in what order it goes out.

use engine::frame::BURST;
use kit::house::House;
use kit::story::{CLIENT, arp, rrq};
use kit::world::{FLOWS, Via, tables};
use std::net::SocketAddr;
use worker::memory::MemoryPort;

const REQUESTS: u16 = 5 * BURST as u16;

fn house() -> House<MemoryPort> {
    House::with(1, tables(), FLOWS, |_| MemoryPort::new(1024))
}

fn client(n: u16) -> SocketAddr {
    SocketAddr::new(CLIENT.ip(), 2000 + n)
}

fn request(house: &House<MemoryPort>, n: u16) {
    house.arrive(0, rrq(client(n), Via::Dsr.vip(), "f"));
}

/// The clients whose requests left, by number.
fn left(house: &House<MemoryPort>) -> Vec<u16> {
    const SOURCE_PORT: usize = 34;
    let number = |frame: &Vec<u8>| u16::from_be_bytes([frame[SOURCE_PORT], frame[SOURCE_PORT + 1]]);
    house.left().iter().map(|frame| number(frame) - 2000).collect()
}

#[test]
fn a_busy_device_gets_four_bursts_a_turn() {
    let mut house = house();
    (0..REQUESTS).for_each(|n| request(&house, n));
    house.turn();
    assert_eq!(left(&house), (0..4 * BURST as u16).collect::<Vec<_>>());
    house.turn();
    assert_eq!(left(&house), (4 * BURST as u16..REQUESTS).collect::<Vec<_>>());
}

#[test]
fn what_waits_from_a_mixed_burst_leaves_before_the_next_one() {
    let mut house = house();
    for n in 0..REQUESTS / 2 {
        if n == 5 {
            house.arrive(0, arp(CLIENT.ip(), Via::Nat.station(0, 2)));
        }
        request(&house, n);
    }
    house.turn();
    assert_eq!(left(&house), (0..REQUESTS / 2).collect::<Vec<_>>());
    assert_eq!(house.left_to_kernel().len(), 1);
}
