//! TCP load for benchmarks: a gate with many open connections of one mode, and random segments of these.

use crate::connections::{Connection, add};
use crate::engine_harness::EngineHarness;
use crate::topology::{self, Via};
use crate::udp_load::{Flat, Frames, Random, Way, addresses, endpoint, roomy};
use engine::context::Ingress;
use engine::engine::Engine;
use engine::snapshot::Protocol;
use engine::types::frame::{BURST, Burst, Frame};
use engine::types::tick::Tick;
use engine::types::verdict::Verdict;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tcp::Tcp;
use zerocopy::FromBytes;

/// The port of the service.
const PORT: u16 = 22;

/// Open connections, and their engine.
pub struct TcpLoad {
    /// The engine.
    engine: Engine,
    now: Tick,
    via: Via,
    count: u32,
    frames: Frames,
    random: Random,
    /// Number of servers' segments so far: each ends that many bytes later than the first one.
    sent: u32,
}

impl TcpLoad {
    /// Opens `count` connections, one per client.
    ///
    /// # Panics
    ///
    /// The gate refuses some.
    pub fn new(via: Via, count: u32) -> TcpLoad {
        let room = count + count / 2;
        let mut snapshot = roomy(via, room);
        add(&mut snapshot, Protocol::Tcp, PORT, [1, 1]);
        let mut gate = EngineHarness::with(snapshot, room);
        let first = Connection::open(&mut gate, via, endpoint(via, 0), PORT);
        let frames = Frames::of_line(&first, addresses(&gate.engine.snapshot));
        for client in 1..count {
            let line = Connection::open(&mut gate, via, endpoint(via, client), PORT);
            assert_eq!(line.next, first.next);
            if !via.is_dsr() {
                let ends = (frames.server(client), frames.seen_as(client));
                assert_eq!((line.server, line.seen_as), ends);
            }
        }
        TcpLoad {
            engine: gate.engine,
            now: gate.now,
            via,
            count,
            frames,
            random: Random::default(),
            sent: 0,
        }
    }

    /// Fills the frames with segments of random connections: ACKs from clients, or 512 new bytes from servers.
    pub fn draw(&mut self, way: Way, frames: &mut [Flat]) {
        for frame in frames {
            self.frames.fill(way, self.random.below(self.count), frame);
            if way == Way::Out {
                self.sent = self.sent.wrapping_add(1);
                go_on(frame.bytes_mut(), self.via, self.sent);
            }
        }
    }

    /// Processes a burst.
    pub fn process(&mut self, way: Way, frames: &mut [Flat]) -> Burst<Verdict> {
        assert!(frames.len() <= BURST);
        let from = match way {
            Way::In => topology::OUTSIDE,
            Way::Out => topology::interface(self.via.server(0)),
        };
        self.engine.process(self.now, from, Ingress::Device, frames)
    }
}

/// Advances a segment by `by` bytes. The checksum is left wrong, as the gate does not verify it.
fn go_on(frame: &mut [u8], via: Via, by: u32) {
    let ip = if via.vip().is_ipv4() { size_of::<Ipv4>() } else { size_of::<Ipv6>() };
    let segment = &mut frame[wire::ethernet::HEADER + ip..];
    let (tcp, _) = Tcp::mut_from_prefix(segment).expect("a segment");
    tcp.set_sequence(tcp.sequence().after(by));
}
