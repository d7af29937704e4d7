//! A gate with many open TCP connections of one mode, and segments of theirs drawn at random: what benchmarks
//! measure, beside [`crate::field`].

use crate::connections::{Line, add};
use crate::field::{Flat, Frames, Random, Way, addresses, endpoint, roomy};
use crate::gate::Gate;
use crate::world::{self, Via};
use engine::core::Core;
use engine::frame::{BURST, Burst, Frame};
use engine::here::By;
use engine::tables::Protocol;
use engine::tick::Tick;
use engine::verdict::Verdict;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tcp::Tcp;
use zerocopy::FromBytes;

/// The port of the service.
const PORT: u16 = 22;

/// The connections, and the engine that knows them.
pub struct Lines {
    /// The engine.
    core: Core,
    now: Tick,
    via: Via,
    count: u32,
    frames: Frames,
    random: Random,
    /// Segments of all servers together: each ends so many bytes later than the first one.
    sent: u32,
}

impl Lines {
    /// So many open connections, one of each client.
    ///
    /// # Panics
    ///
    /// The gate did not take them.
    pub fn new(via: Via, count: u32) -> Lines {
        let room = count + count / 2;
        let mut tables = roomy(via, room);
        add(&mut tables, Protocol::Tcp, PORT, [1, 1]);
        let mut gate = Gate::with(tables, room);
        let first = Line::open(&mut gate, via, endpoint(via, 0), PORT);
        let frames = Frames::of_line(&first, addresses(&gate.core.tables));
        for client in 1..count {
            let line = Line::open(&mut gate, via, endpoint(via, client), PORT);
            assert_eq!(line.next, first.next);
            if !via.is_dsr() {
                let ends = (frames.server(client), frames.seen_as(client));
                assert_eq!((line.server, line.seen_as), ends);
            }
        }
        Lines {
            core: gate.core,
            now: gate.now,
            via,
            count,
            frames,
            random: Random::default(),
            sent: 0,
        }
    }

    /// Fills the frames with segments of random connections: acknowledgements one way, 512 bytes the other, which none has
    /// sent before.
    pub fn draw(&mut self, way: Way, frames: &mut [Flat]) {
        for frame in frames {
            self.frames.fill(way, self.random.below(self.count), frame);
            if way == Way::Out {
                self.sent = self.sent.wrapping_add(1);
                go_on(frame.bytes_mut(), self.via, self.sent);
            }
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

/// The same segment, so many bytes later. Its checksum is not made anew: nobody looks at it on the way.
fn go_on(frame: &mut [u8], via: Via, by: u32) {
    let ip = if via.vip().is_ipv4() { size_of::<Ipv4>() } else { size_of::<Ipv6>() };
    let segment = &mut frame[wire::ethernet::HEADER + ip..];
    let (tcp, _) = Tcp::mut_from_prefix(segment).expect("a segment");
    tcp.set_sequence(tcp.sequence().wrapping_add(by));
}
