//! A gate with many running transfers of one mode, and packets of theirs drawn at random: what
//! benchmarks measure.

use crate::packet::Packet;
use crate::story;
use crate::world::{self, Via};
use engine::core::Core;
use engine::count::Counters;
use engine::family::Family;
use engine::flow::key::Seed;
use engine::frame::{BURST, Burst, Frame};
use engine::here::By;
use engine::own::Own;
use engine::tables::{Hop, InterfaceId, Mode, Owner, Tables};
use engine::tick::Tick;
use engine::verdict::Verdict;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use wire::ethernet::{Ethernet, Mac};
use wire::ip::Split;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp::Udp;
use zerocopy::FromBytes;

/// Bytes of a buffer: a DATA of 512 bytes fits, over IPv6 too, and the buffer fills cache lines.
const ROOM: usize = 640 - size_of::<usize>();
/// The port that every server process answers from.
const TID: u16 = 40_000;
/// SNAT ports that one address has.
const PORTS: u32 = 64_512;

/// A frame of at most [`ROOM`] bytes, without memory of its own elsewhere.
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

/// Frames of transfers, one of each client: number `n`'s address is 11.0.0.0 and `n`, over IPv6 the same
/// in fd00::/96.
pub struct Frames {
    via: Via,
    /// The SNAT addresses.
    pool: Vec<IpAddr>,
    /// Servers that clients were dealt to in turn.
    servers: u32,
    ack: Vec<u8>,
    data: Vec<u8>,
    request: Vec<u8>,
}

impl Field {
    /// A gate with room for `room` transfers, none running, whose clients ask `via`'s VIP.
    pub fn empty(via: Via, room: u32) -> Field {
        let tables = tables(via, room);
        let counters = Arc::new(Counters::new(&tables));
        let seed = Seed([0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321]);
        let now = Tick(1000);
        let (own, _) = Own::new((0, 1), Own::store(room), &tables, seed, counters, now);
        let core = Core { tables: Arc::new(tables), own };
        let frames = Frames::new(via, core.tables.snat.clone(), 2);
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

impl Frames {
    /// Those of a service whose clients are dealt to one or both of its servers in turn; in `snat`
    /// servers see them at these addresses.
    pub fn new(via: Via, pool: Vec<IpAddr>, servers: u32) -> Frames {
        let client = via.client();
        let server = SocketAddr::new(via.server(0), TID);
        let vip = SocketAddr::new(via.vip().ip(), TID);
        Frames {
            via,
            pool,
            servers,
            ack: padded(story::ack(client, vip, 1)),
            data: padded(story::data(server, client, 1, 512)),
            request: padded(story::rrq(client, via.vip(), "pxelinux.0")),
        }
    }

    /// The same, all addressed to this station.
    pub fn to(mut self, gate: Mac) -> Frames {
        for frame in [&mut self.ack, &mut self.data, &mut self.request] {
            frame[..6].copy_from_slice(&gate.0);
        }
        self
    }

    fn inside(&self) -> InterfaceId {
        world::interface(self.via.server(0))
    }

    /// A packet of a client's running transfer.
    pub fn fill(&self, way: Way, client: u32, frame: &mut Flat) {
        match way {
            Way::In => self.ack(client, frame),
            Way::Out => self.data(client, frame),
        }
    }

    /// The client's request.
    pub fn request(&self, client: u32, frame: &mut Flat) {
        frame.copy(&self.request);
        readdress(frame.bytes_mut(), endpoint(self.via, client), self.via.vip());
    }

    fn ack(&self, client: u32, frame: &mut Flat) {
        frame.copy(&self.ack);
        let vip = SocketAddr::new(self.via.vip().ip(), TID);
        readdress(frame.bytes_mut(), endpoint(self.via, client), vip);
    }

    fn data(&self, client: u32, frame: &mut Flat) {
        frame.copy(&self.data);
        let server = SocketAddr::new(self.via.server((client % self.servers) as usize), TID);
        readdress(frame.bytes_mut(), server, self.seen_as(client));
    }

    /// What the gate learns the TID from: in `dsr` the client's first packet.
    pub fn first_answer(&self, client: u32, frame: &mut Flat) {
        if self.via.is_dsr() { self.ack(client, frame) } else { self.data(client, frame) }
    }

    /// SNAT addresses are taken by the client's address, their ports in order.
    fn seen_as(&self, client: u32) -> SocketAddr {
        if !self.via.is_snat() {
            return endpoint(self.via, client);
        }
        // Its size is a power of two, and the first client's number a multiple of that.
        let pool = self.pool.len() as u32;
        let address = self.pool[(client % pool) as usize];
        SocketAddr::new(address, 1024 + (client / pool % PORTS) as u16)
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
fn tables(via: Via, room: u32) -> Tables {
    let mut tables = world::tables();
    let pool = (room.div_ceil(PORTS) + 1).next_power_of_two() as u16;
    if via.is_snat() {
        let base = Ipv4Addr::new(10, 2, 0, 0).to_bits();
        tables.snat = (0..u32::from(pool)).map(|n| address(via, base + n)).collect();
        for (id, &address) in (0..).zip(&tables.snat) {
            tables.addresses.insert(address, Owner::Snat(id));
        }
        tables.services[usize::from(via.service())].mode = Mode::Snat((0..pool).collect());
    }
    for backend in &mut tables.backends {
        backend.hop = backend.hop.map(|hop| Hop { mac: Mac([2, 0, 0, 0, 9, 9]), ..hop });
    }
    tables
}

/// One client each, from 11.0.0.0 on.
pub fn endpoint(via: Via, client: u32) -> SocketAddr {
    SocketAddr::new(address(via, 0x0b00_0000 + client), 2070)
}

fn address(via: Via, bits: u32) -> IpAddr {
    via.address(Ipv4Addr::from_bits(bits))
}

fn padded(packet: Packet) -> Vec<u8> {
    packet.padded().bytes()
}

/// Another transfer's addresses and ports in a sound frame.
fn readdress(frame: &mut [u8], source: SocketAddr, destination: SocketAddr) {
    match source {
        SocketAddr::V4(_) => readdress_in::<Ipv4>(frame, source, destination),
        SocketAddr::V6(_) => readdress_in::<Ipv6>(frame, source, destination),
    }
}

fn readdress_in<H: Family>(frame: &mut [u8], source: SocketAddr, destination: SocketAddr) {
    let (_, rest) = Ethernet::mut_from_prefix(frame).expect("a whole frame");
    let Split { ip, body, .. } = H::split(rest).expect("a sound packet");
    let (udp, _) = Udp::split(body).expect("a datagram");
    let [from, to] = [source, destination].map(|end| H::of(&end.ip()).expect("its version"));
    let delta = ip.set_addresses(from, to);
    udp.set_ports(source.port(), destination.port(), delta);
}
