//! TFTP load for benchmarks: a gate with many running transfers of one mode, and random packets of these.

mod frame;
mod frames;

pub use frame::{Flat, Way, endpoint};
pub use frames::Frames;

use crate::records::EVERYTHING;
use crate::topology::{self, Via};
use crossbeam::queue::ArrayQueue;
use engine::context::Ingress;
use engine::counters::{Counters, Room};
use engine::engine::Engine;
use engine::flow::hash::Seed;
use engine::net::address_map::Owner;
use engine::snapshot::Snapshot;
use engine::snapshot::log_policy::LogPolicy;
use engine::state::WorkerState;
use engine::state::flow_log::DEPTH;
use engine::types::frame::{BURST, Burst};
use engine::types::id::{InterfaceId, SnatId};
use engine::types::mode::Mode;
use engine::types::tick::Tick;
use engine::types::verdict::Verdict;
use frame::{CLIENTS, address};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Running transfers, and their engine.
pub struct UdpLoad {
    /// The engine.
    pub engine: Engine,
    /// Time, which stands still.
    pub now: Tick,
    frames: Frames,
    flows: u32,
    random: Random,
}

impl UdpLoad {
    /// A gate with `room` rows and no transfer, for clients of `via`'s VIP.
    pub fn empty(via: Via, room: u32) -> UdpLoad {
        let snapshot = roomy(via, room);
        let counters = Arc::new(Counters::new(Room::of(&snapshot, 0)));
        let seed = Seed([0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321]);
        let now = Tick(1000);
        let (state, _) =
            WorkerState::new((0, 1), WorkerState::store(room), &snapshot, seed, counters, now);
        let engine = Engine { snapshot: Arc::new(snapshot), state };
        let frames = Frames::new(via, addresses(&engine.snapshot), 2);
        UdpLoad { engine, now, frames, flows: 0, random: Random::default() }
    }

    /// A gate with `flows` running transfers, one per client, and a quarter more rows.
    ///
    /// # Panics
    ///
    /// The gate refuses some.
    pub fn new(via: Via, flows: u32) -> UdpLoad {
        let mut load = UdpLoad::empty(via, flows + flows / 4);
        let mut burst = vec![Flat::EMPTY; BURST];
        for first in (0..flows).step_by(BURST) {
            let count = BURST.min((flows - first) as usize);
            let clients = first..first + count as u32;
            for (frame, client) in burst.iter_mut().zip(clients.clone()) {
                load.frames.request(client, frame);
            }
            load.pass(topology::OUTSIDE, &mut burst[..count]);
            for (frame, client) in burst.iter_mut().zip(clients.clone()) {
                load.frames.first_answer(client, frame);
            }
            let way = if via.is_dsr() { topology::OUTSIDE } else { load.frames.inside() };
            load.pass(way, &mut burst[..count]);
            // Both sides have been heard.
            for (frame, client) in burst.iter_mut().zip(clients) {
                load.frames.fill(Way::In, client, frame);
            }
            load.pass(topology::OUTSIDE, &mut burst[..count]);
        }
        load.flows = flows;
        load
    }

    /// Fills the frames with packets of random transfers.
    pub fn draw(&mut self, way: Way, frames: &mut [Flat]) {
        for frame in frames {
            self.frames.fill(way, self.random.below(self.flows), frame);
        }
    }

    /// Fills the frames with first requests of the clients from `first` on.
    pub fn ask(&mut self, first: u32, frames: &mut [Flat]) {
        for (client, frame) in (first..).zip(frames) {
            self.frames.request(client, frame);
        }
    }

    /// Fills the frames with the first blocks for the clients from `first` on.
    pub fn answer(&mut self, first: u32, frames: &mut [Flat]) {
        for (client, frame) in (first..).zip(frames) {
            self.frames.fill(Way::Out, client, frame);
        }
    }

    /// Fills the frames with the first ACKs of the clients from `first` on.
    pub fn acknowledge(&mut self, first: u32, frames: &mut [Flat]) {
        for (client, frame) in (first..).zip(frames) {
            self.frames.fill(Way::In, client, frame);
        }
    }

    /// Fills the frames with the ERRORs by which the clients from `first` on end their transfers.
    pub fn end(&mut self, first: u32, frames: &mut [Flat]) {
        for (client, frame) in (first..).zip(frames) {
            self.frames.error(client, frame);
        }
    }

    /// Switches the log of transfers on, or off.
    pub fn log(&mut self, is_on: bool) {
        let mut snapshot = Snapshot::clone(&self.engine.snapshot);
        let policy = if is_on { EVERYTHING } else { LogPolicy::default() };
        snapshot.services.iter_mut().for_each(|service| service.log = policy);
        self.engine.adopt(Arc::new(snapshot));
        self.engine.state.flow_log.records = Some(Arc::new(ArrayQueue::new(DEPTH)));
    }

    /// Processes a burst of this direction.
    pub fn process(&mut self, way: Way, burst: &mut [Flat]) -> Burst<Verdict> {
        let from = if way == Way::In { topology::OUTSIDE } else { self.frames.inside() };
        self.engine.process(self.now, from, Ingress::Device, burst)
    }

    fn pass(&mut self, from: InterfaceId, burst: &mut [Flat]) {
        for verdict in self.engine.process(self.now, from, Ingress::Device, burst) {
            assert!(matches!(verdict, Verdict::Transmit(_)), "{verdict:?}");
        }
    }
}

/// Xorshift: random enough to defeat caches, and reproducible.
pub struct Random(u64);

impl Default for Random {
    fn default() -> Random {
        Random(0x2545_f491_4f6c_dd1d)
    }
}

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(end)) >> 64) as u32
    }
}

/// The default snapshot, with further SNAT addresses if its clients need them.
pub(crate) fn roomy(via: Via, room: u32) -> Snapshot {
    let mut snapshot = topology::snapshot();
    // Of 128 clients in a row at one of two, four or eight addresses, some have the same RSS entry.
    let pool = match room.div_ceil(CLIENTS) {
        1 => 1,
        more => more.next_power_of_two().max(16) as u16,
    };
    if via.is_snat() {
        let base = Ipv4Addr::new(10, 2, 0, 0).to_bits();
        snapshot.snat = (0..u32::from(pool)).map(|n| address(via, base + n).into()).collect();
        for (id, one) in (0..).map(SnatId).zip(&snapshot.snat) {
            snapshot.addresses.insert(one.address, Owner::Snat(id));
        }
        snapshot[via.service()].mode = Mode::Snat((0..pool).map(SnatId).collect());
    }
    snapshot
}

/// The SNAT addresses.
pub(crate) fn addresses(snapshot: &Snapshot) -> Vec<IpAddr> {
    snapshot.snat.iter().map(|one| one.address).collect()
}
