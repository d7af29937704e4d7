//! A gate with many running transfers of one mode, and packets of theirs drawn at random: what
//! benchmarks measure.

mod frames;

pub use frames::Frames;

use crate::world::{self, Via};
use engine::core::Core;
use engine::count::Counters;
use engine::flow::key::Seed;
use engine::frame::{BURST, Burst, Frame};
use engine::here::By;
use engine::own::Own;
use engine::tables::{InterfaceId, Mode, Owner, Tables};
use engine::tick::Tick;
use engine::verdict::Verdict;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Bytes of a buffer: a DATA of 512 bytes fits, over IPv6 too, and the buffer fills cache lines.
const ROOM: usize = 640 - size_of::<usize>();
/// SNAT ports that one address has.
const PORTS: u32 = 64_512;

/// A frame of at most `ROOM` bytes, without memory of its own elsewhere.
#[derive(Clone)]
#[repr(align(64))]
pub struct Flat {
    bytes: [u8; ROOM],
    len: usize,
}

impl Flat {
    /// No bytes.
    pub const EMPTY: Flat = Flat { bytes: [0; ROOM], len: 0 };

    pub(crate) fn copy(&mut self, frame: &[u8]) {
        self.bytes[..frame.len()].copy_from_slice(frame);
        self.len = frame.len();
    }
}

impl Frame for Flat {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    fn set_len(&mut self, len: usize) -> bool {
        self.len = len.min(ROOM);
        len <= ROOM
    }
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// ACKs of clients.
    In,
    /// Blocks of 512 bytes by servers.
    Out,
}

/// The transfers, and the engine that knows them.
pub struct Field {
    /// The engine.
    pub core: Core,
    /// The time, which stands still.
    pub now: Tick,
    frames: Frames,
    flows: u32,
    random: Random,
}

impl Field {
    /// A gate with room for `room` transfers, none running, whose clients ask `via`'s VIP.
    pub fn empty(via: Via, room: u32) -> Field {
        let tables = roomy(via, room);
        let counters = Arc::new(Counters::new(&tables));
        let seed = Seed([0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321]);
        let now = Tick(1000);
        let (own, _) = Own::new((0, 1), Own::store(room), &tables, seed, counters, now);
        let core = Core { tables: Arc::new(tables), own };
        let frames = Frames::new(via, addresses(&core.tables), 2);
        Field { core, now, frames, flows: 0, random: Random::default() }
    }

    /// The same with `flows` running transfers, one of each client, and room for a quarter more.
    ///
    /// # Panics
    ///
    /// The gate did not take them.
    pub fn new(via: Via, flows: u32) -> Field {
        let mut field = Field::empty(via, flows + flows / 4);
        let mut burst = vec![Flat::EMPTY; BURST];
        for first in (0..flows).step_by(BURST) {
            let count = BURST.min((flows - first) as usize);
            let clients = first..first + count as u32;
            for (frame, client) in burst.iter_mut().zip(clients.clone()) {
                field.frames.request(client, frame);
            }
            field.pass(world::OUTSIDE, &mut burst[..count]);
            for (frame, client) in burst.iter_mut().zip(clients.clone()) {
                field.frames.first_answer(client, frame);
            }
            let way = if via.is_dsr() { world::OUTSIDE } else { field.frames.inside() };
            field.pass(way, &mut burst[..count]);
            // Both sides have spoken.
            for (frame, client) in burst.iter_mut().zip(clients) {
                field.frames.fill(Way::In, client, frame);
            }
            field.pass(world::OUTSIDE, &mut burst[..count]);
        }
        field.flows = flows;
        field
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

    /// Sends a burst, which goes this way, through the gate.
    pub fn walk(&mut self, way: Way, burst: &mut [Flat]) -> Burst<Verdict> {
        let from = if way == Way::In { world::OUTSIDE } else { self.frames.inside() };
        self.core.walk(self.now, from, By::Device, burst)
    }

    fn pass(&mut self, from: InterfaceId, burst: &mut [Flat]) {
        for verdict in self.core.walk(self.now, from, By::Device, burst) {
            assert!(matches!(verdict, Verdict::Transmit(_)), "{verdict:?}");
        }
    }
}

/// Xorshift: good enough to defeat caches, and the same in every run.
pub struct Random(u64);

impl Default for Random {
    fn default() -> Random {
        Random(0x2545_f491_4f6c_dd1d)
    }
}

impl Random {
    /// A number below this.
    pub fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(end)) >> 64) as u32
    }
}

/// The small world with more SNAT addresses, if that is what its clients need.
pub(crate) fn roomy(via: Via, room: u32) -> Tables {
    let mut tables = world::tables();
    let pool = (room.div_ceil(PORTS) + 1).next_power_of_two() as u16;
    if via.is_snat() {
        let base = Ipv4Addr::new(10, 2, 0, 0).to_bits();
        tables.snat = (0..u32::from(pool)).map(|n| address(via, base + n).into()).collect();
        for (id, one) in (0..).zip(&tables.snat) {
            tables.addresses.insert(one.address, Owner::Snat(id));
        }
        tables.services[usize::from(via.service())].mode = Mode::Snat((0..pool).collect());
    }
    tables
}

/// The SNAT addresses.
pub(crate) fn addresses(tables: &Tables) -> Vec<IpAddr> {
    tables.snat.iter().map(|one| one.address).collect()
}

/// One client each, from 11.0.0.0 on.
pub fn endpoint(via: Via, client: u32) -> SocketAddr {
    SocketAddr::new(address(via, 0x0b00_0000 + client), 2070)
}

fn address(via: Via, bits: u32) -> IpAddr {
    via.address(Ipv4Addr::from_bits(bits))
}
