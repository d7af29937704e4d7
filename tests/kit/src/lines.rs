//! A gate with many open TCP connections of one mode, and segments of theirs drawn at random: what benchmarks
//! measure, beside [`crate::field`].

use crate::connections::{self, FIRST, Line};
use crate::field::{Flat, Random, Way, endpoint};
use crate::gate::Gate;
use crate::segment::Segment;
use crate::world::{self, Via};
use engine::core::Core;
use engine::frame::{BURST, Burst};
use engine::here::By;
use engine::tables::Protocol;
use engine::tick::Tick;
use engine::verdict::Verdict;

/// The port of the service.
const PORT: u16 = 22;

/// The connections, and the engine that knows them.
pub struct Lines {
    /// The engine.
    core: Core,
    now: Tick,
    via: Via,
    /// By [`Way`]: a frame of each connection.
    frames: [Vec<Vec<u8>>; 2],
    random: Random,
}

impl Lines {
    /// So many open connections, one of each client.
    ///
    /// # Panics
    ///
    /// The gate did not take them.
    pub fn new(via: Via, count: u32) -> Lines {
        let tables = connections::tables(Protocol::Tcp, PORT);
        let mut gate = Gate::with(tables, count + count / 2);
        let mut frames = [vec![], vec![]];
        for client in 0..count {
            let line = Line::open(&mut gate, via, endpoint(via, client), PORT);
            assert_ne!(line.next, FIRST);
            let block = "x".repeat(512);
            frames[0].push(padded(line.from_client("A", "")));
            frames[1].push(padded(line.from_server("A", &block)));
        }
        Lines { core: gate.core, now: gate.now, via, frames, random: Random::default() }
    }

    /// Fills the frames with segments of random connections: acknowledgements one way, 512 bytes the other.
    pub fn draw(&mut self, way: Way, frames: &mut [Flat]) {
        let all = &self.frames[way as usize];
        for frame in frames {
            frame.copy(&all[self.random.below(all.len() as u32) as usize]);
        }
    }

    /// Walks a burst.
    pub fn walk(&mut self, way: Way, frames: &mut [Flat]) -> Burst<Verdict> {
        assert!(frames.len() <= BURST);
        let from = match way {
            Way::In => world::OUTSIDE,
            Way::Out => world::interface(self.via.server(0)),
        };
        self.core.walk(self.now, from, By::Device, frames)
    }
}

/// Ethernet's least frame.
fn padded(segment: Segment) -> Vec<u8> {
    let mut frame = segment.bytes();
    frame.resize(frame.len().max(60), 0xee);
    frame
}
