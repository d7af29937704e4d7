//! Whole transfers through one worker and through several.

use kit::farm::Farm;
use kit::house::{House, Wire};
use kit::world::{FLOWS, Via, owner, tables};
use std::net::SocketAddr;
use worker::memory::MemoryPort;

/// Carries what is said until all transfers are through, and a while longer; a frame arrives on the
/// queue that `queue` chooses by its client-side address.
///
/// # Panics
///
/// They are not through in time.
pub fn carry<W: Wire>(
    house: &mut House<W>,
    farm: &mut Farm,
    ticks: u32,
    mut queue: impl FnMut() -> usize,
) {
    let mut after = 10;
    for _ in 0..ticks {
        pass(house, farm, &mut queue);
        after -= i32::from(farm.is_done());
        if after == 0 {
            return;
        }
    }
    panic!("the transfers are not through after {ticks} ticks");
}

/// Carries what is said in a tick.
pub fn pass<W: Wire>(house: &mut House<W>, farm: &mut Farm, queue: &mut impl FnMut() -> usize) {
    let said = farm.says();
    for packet in farm.bypass(said) {
        house.arrive(queue(), packet);
    }
    // A frame may cross two workers.
    house.turn();
    house.wait(1);
    house.left().iter().for_each(|frame| farm.hears(frame));
}

/// Eight clients of their own for each mode, reading and writing files of telling sizes.
pub fn crowd(via: &[Via]) -> Farm {
    let mut farm = Farm::default();
    let sizes = [0, 1, 511, 512, 513, 5 * 512, 10_000, 20_000];
    for (m, via) in via.iter().enumerate() {
        for (n, size) in sizes.into_iter().enumerate() {
            let address = via.address([192, 168, m as u8, n as u8]);
            farm.get(SocketAddr::new(address, 2070), via.vip(), size);
            farm.put(SocketAddr::new(address, 2071), via.vip(), size);
        }
    }
    farm
}

#[test]
fn one_worker_carries_all_modes_at_once() {
    let mut house = House::<MemoryPort>::new(1, tables());
    let mut farm = crowd(&Via::ALL);
    carry(&mut house, &mut farm, 500, || 0);
    let ledger = house.ledger();
    assert_eq!((farm.foreign, farm.errors, farm.told_off), (0, 0, 0));
    assert_eq!(ledger.at("started"), 128);
    // Of direct server return, the last block is not seen.
    assert_eq!(ledger.at("completed"), 96);
    assert_eq!((ledger.at("handed_over"), ledger.at("strays")), (0, 0));
    house.wait(1000);
    assert_eq!(house.ledger().at("ended"), 128);
}

#[test]
fn several_workers_carry_what_arrives_at_the_wrong_one() {
    for workers in [2, 3] {
        for wrong in 0..usize::from(workers) {
            let mut house = House::<MemoryPort>::new(workers, tables());
            let mut farm = crowd(&Via::ALL);
            carry(&mut house, &mut farm, 500, || wrong);
            let ledger = house.ledger();
            assert_eq!((farm.foreign, farm.errors, farm.told_off), (0, 0, 0));
            assert_eq!((ledger.at("started"), ledger.at("completed")), (128, 96));
            assert!(ledger.at("handed_over") > 0);
            assert_eq!(ledger.at("handed_over"), ledger.at("taken_over"));
            assert_eq!(ledger.at("received") - ledger.at("transmitted"), 0, "no drops");
        }
    }
}

#[test]
fn frames_may_come_by_any_queue() {
    let mut house = House::<MemoryPort>::new(3, tables());
    let mut farm = crowd(&Via::ALL);
    let mut turn = 0;
    let round_robin = || {
        turn = (turn + 1) % 3;
        turn
    };
    carry(&mut house, &mut farm, 500, round_robin);
    assert_eq!((farm.foreign, farm.errors, farm.told_off), (0, 0, 0));
    assert_eq!(house.ledger().at("completed"), 96);
}

#[test]
fn every_worker_gets_its_share() {
    let workers = 3;
    let mut house = House::<MemoryPort>::with(workers, tables(), FLOWS, |_| MemoryPort::new(4096));
    let mut farm = crowd(&Via::SEEN);
    carry(&mut house, &mut farm, 500, || 0);
    for (number, desk) in house.desks.iter().enumerate() {
        let clients = (0..)
            .zip(Via::SEEN)
            .flat_map(|(m, via)| (0..8).map(move |n| via.address([192, 168, m, n])));
        let own = clients.filter(|&client| usize::from(owner(client, workers)) == number).count();
        let started: u64 = desk.counters.backends.iter().map(|s| s.started.value()).sum();
        assert_eq!(started, 2 * own as u64);
        assert!(own > 0);
    }
}
