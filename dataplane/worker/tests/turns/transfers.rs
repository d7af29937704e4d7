//! Whole transfers through one worker and through several.

use kit::farm::Farm;
use kit::topology::{FLOWS, Via, owner, snapshot};
use kit::worker_set::{Wire, WorkerSet};
use std::net::SocketAddr;
use worker::memory::MemoryPort;

/// Carries frames until all transfers are complete, and a while longer; a frame arrives on the queue that `queue`
/// chooses by its client-side address.
///
/// # Panics
///
/// The transfers are not complete in time.
pub fn carry<W: Wire>(
    set: &mut WorkerSet<W>,
    farm: &mut Farm,
    ticks: u32,
    mut queue: impl FnMut() -> usize,
) {
    let mut after = 10;
    for _ in 0..ticks {
        pass(set, farm, &mut queue);
        after -= i32::from(farm.is_done());
        if after == 0 {
            return;
        }
    }
    panic!("the transfers are not through after {ticks} ticks");
}

/// Carries the frames of one tick.
pub fn pass<W: Wire>(set: &mut WorkerSet<W>, farm: &mut Farm, queue: &mut impl FnMut() -> usize) {
    let said = farm.says();
    for packet in farm.bypass(said) {
        set.arrive(queue(), packet);
    }
    // A frame may cross two workers.
    set.turn();
    set.wait(1);
    set.left().iter().for_each(|frame| farm.hears(frame));
}

/// Eight clients for each mode, which read and write files of telling sizes.
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
    let mut set = WorkerSet::<MemoryPort>::new(1, snapshot());
    let mut farm = crowd(&Via::ALL);
    carry(&mut set, &mut farm, 500, || 0);
    let counter_values = set.counter_values();
    assert_eq!((farm.foreign, farm.errors, farm.told_off), (0, 0, 0));
    assert_eq!(counter_values.at("started"), 128);
    // Of direct server return, the last block is not seen.
    assert_eq!(counter_values.at("completed"), 96);
    assert_eq!((counter_values.at("handed_over"), counter_values.at("strays")), (0, 0));
    set.wait(1000);
    assert_eq!(set.counter_values().at("ended"), 128);
}

#[test]
fn several_workers_carry_what_arrives_at_the_wrong_one() {
    for workers in [2, 3] {
        for wrong in 0..usize::from(workers) {
            let mut set = WorkerSet::<MemoryPort>::new(workers, snapshot());
            let mut farm = crowd(&Via::ALL);
            carry(&mut set, &mut farm, 500, || wrong);
            let counter_values = set.counter_values();
            assert_eq!((farm.foreign, farm.errors, farm.told_off), (0, 0, 0));
            assert_eq!((counter_values.at("started"), counter_values.at("completed")), (128, 96));
            assert!(counter_values.at("handed_over") > 0);
            assert_eq!(counter_values.at("handed_over"), counter_values.at("taken_over"));
            assert_eq!(
                counter_values.at("received") - counter_values.at("transmitted"),
                0,
                "no drops"
            );
        }
    }
}

#[test]
fn frames_may_come_by_any_queue() {
    let mut set = WorkerSet::<MemoryPort>::new(3, snapshot());
    let mut farm = crowd(&Via::ALL);
    let mut turn = 0;
    let round_robin = || {
        turn = (turn + 1) % 3;
        turn
    };
    carry(&mut set, &mut farm, 500, round_robin);
    assert_eq!((farm.foreign, farm.errors, farm.told_off), (0, 0, 0));
    assert_eq!(set.counter_values().at("completed"), 96);
}

#[test]
fn every_worker_gets_its_share() {
    let workers = 3;
    let mut set =
        WorkerSet::<MemoryPort>::with(workers, snapshot(), FLOWS, |_| MemoryPort::new(4096));
    let mut farm = crowd(&Via::SEEN);
    carry(&mut set, &mut farm, 500, || 0);
    for (number, channel) in set.channels.iter().enumerate() {
        let clients = (0..)
            .zip(Via::SEEN)
            .flat_map(|(m, via)| (0..8).map(move |n| via.address([192, 168, m, n])));
        let owned = clients.filter(|&client| usize::from(owner(client, workers)) == number).count();
        let started: u64 = channel.counters.backends.iter().map(|s| s.started.value()).sum();
        assert_eq!(started, 2 * owned as u64);
        assert!(owned > 0);
    }
}
