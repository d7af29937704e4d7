//! One engine, its clock and its counters, taking one frame at a time.

use crate::ledger::{Ledger, balances};
use crate::notice::Notice;
use crate::packet::Packet;
use crate::segment::Segment;
use crate::world;
use engine::core::Core;
use engine::count::Counters;
use engine::flow::key::Seed;
use engine::flow::store::Store;
use engine::flow::view::{ConnectionView, FlowQuery, TransferView};
use engine::frame::Frame;
use engine::here::By;
use engine::own::Own;
use engine::own::adopt::Adopted;
use engine::reason::Reason;
use engine::select::cap::{Cap, Places};
use engine::tables::{InterfaceId, Tables};
use engine::tick::Tick;
use engine::verdict::Verdict;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A frame with room behind it.
pub struct Buffer(Vec<u8>);

const SEED: Seed = Seed([0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321]);

/// Bytes that a frame can grow to.
const ROOM: usize = 2048;

impl Frame for Buffer {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn set_len(&mut self, len: usize) -> bool {
        let fits = len <= ROOM;
        if fits {
            self.0.resize(len, 0xdb);
        }
        fits
    }
}

/// The engine under test.
pub struct Gate {
    /// The engine.
    pub core: Core,
    /// The time.
    pub now: Tick,
    /// What became of what an earlier process has left.
    pub adopted: Adopted,
    before: Ledger,
}

impl Gate {
    /// The only worker of the small world.
    pub fn new() -> Gate {
        Gate::with(world::tables(), world::FLOWS)
    }

    /// The only worker of some world, with room for so many transfers.
    pub fn with(tables: Tables, flows: u32) -> Gate {
        Gate::one_of(0, 1, tables, flows)
    }

    /// One of several workers. Backends without a limit get one that is never reached, so that places are
    /// counted whatever the test is about.
    pub fn one_of(worker: u16, workers: u16, tables: Tables, flows: u32) -> Gate {
        Gate::over(Own::store(flows), (worker, workers), tables, Tick(1000))
    }

    /// The process is killed, and the next one starts with what it has left, in this world.
    #[must_use]
    pub fn reborn(self, tables: Tables) -> Gate {
        let Own { worker, workers, .. } = self.core.own;
        Gate::over(self.core.own.leave(), (worker, workers), tables, self.now)
    }

    /// The only worker of this world, with what an earlier process has left in this store.
    pub fn inheriting(store: Store, tables: Tables, now: Tick) -> Gate {
        Gate::over(store, (0, 1), tables, now)
    }

    fn over(store: Store, worker: (u16, u16), mut tables: Tables, now: Tick) -> Gate {
        for backend in &mut tables.backends {
            backend.cap.get_or_insert_with(|| Cap::new(u32::MAX, Places::default()));
        }
        let counters = Arc::new(Counters::new(&tables));
        let (own, adopted) = Own::new(worker, store, &tables, SEED, counters, now);
        let core = Core { tables: Arc::new(tables), own };
        Gate { core, now, adopted, before: Ledger::default() }
    }

    /// Takes a frame by the interface whose hardware address it names, else by the first.
    pub fn take(&mut self, frame: impl Into<Vec<u8>>) -> Outcome {
        let frame = frame.into();
        let of = |id: &InterfaceId| frame.get(..6) == Some(&world::gate_mac(*id).0);
        let from = [world::OUTSIDE, world::INSIDE].into_iter().find(of);
        self.take_by(from.unwrap_or(world::OUTSIDE), frame)
    }

    /// Takes a frame by this interface.
    ///
    /// # Panics
    ///
    /// The counters do not balance, or the places.
    pub fn take_by(&mut self, from: InterfaceId, frame: impl Into<Vec<u8>>) -> Outcome {
        let before = frame.into();
        let mut burst = [Buffer(before.clone())];
        let verdict = self.core.walk(self.now, from, By::Device, &mut burst)[0];
        let [Buffer(bytes)] = burst;
        let counters = &self.core.own.counters;
        counters.packets.received.add(1);
        counters.verdict(verdict, bytes.len());
        balances(counters);
        self.places_balance();
        Outcome { verdict, before, bytes }
    }

    /// Takes several frames in one burst.
    pub fn take_burst<const N: usize>(
        &mut self,
        from: InterfaceId,
        frames: [Vec<u8>; N],
    ) -> Vec<Verdict> {
        self.core.walk(self.now, from, By::Device, &mut frames.map(Buffer)).to_vec()
    }

    /// Lets time pass, and what is due with it.
    pub fn wait(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now = self.now.after(1);
            self.core.expire(self.now);
        }
        self.places_balance();
    }

    /// Every transfer of a backend with a limit has one place there.
    fn places_balance(&self) {
        let Core { tables, own } = &self.core;
        for (backend, transfers) in tables.backends.iter().zip(&own.counters.backends) {
            if let Some(cap) = backend.cap.as_ref().filter(|_| own.workers == 1) {
                assert_eq!(u64::from(cap.taken()), transfers.now(), "{}", backend.address);
            }
        }
    }

    /// Control sees the world change.
    pub fn change(&mut self, change: impl FnOnce(&mut Tables)) {
        let mut tables = Tables::clone(&self.core.tables);
        change(&mut tables);
        self.core.adopt(Arc::new(tables));
    }

    /// These counters moved since the last call, and none other did.
    ///
    /// # Panics
    ///
    /// Others did.
    #[track_caller]
    pub fn moved(&mut self, stated: &[(&str, u64)]) {
        let stated: BTreeMap<&str, u64> = stated.iter().copied().collect();
        assert_eq!(self.moves(), stated);
    }

    /// What moved since the last call.
    pub fn moves(&mut self) -> BTreeMap<&'static str, u64> {
        let now = Ledger::of(&self.core.own.counters);
        let moves = now.since(&self.before);
        self.before = now;
        moves
    }

    /// All transfers.
    pub fn transfers(&self) -> Vec<TransferView> {
        self.flows().found
    }

    /// All connections.
    pub fn connections(&self) -> Vec<ConnectionView> {
        self.flows().connections
    }

    fn flows(&self) -> FlowQuery {
        let room = self.core.own.flows.capacity();
        let mut query = FlowQuery {
            service: None,
            client: None,
            found: Vec::with_capacity(room),
            connections: Vec::with_capacity(room),
            matching: 0,
            cursor: 0,
        };
        while !self.core.answer(&mut query, self.now) {}
        assert_eq!(query.matching, query.found.len() + query.connections.len());
        query
    }

    /// The transfer of this client.
    ///
    /// # Panics
    ///
    /// It has none, or several.
    pub fn transfer(&self, client: SocketAddr) -> TransferView {
        let mut found = self.transfers().into_iter().filter(|view| view.client == client);
        let first = found.next().expect("a transfer");
        assert!(found.next().is_none(), "two transfers");
        first
    }
}

impl Default for Gate {
    fn default() -> Gate {
        Gate::new()
    }
}

/// What became of a frame.
#[derive(Debug)]
#[must_use = "a test says what it expects"]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The frame as it came.
    pub before: Vec<u8>,
    /// The frame as it is now.
    pub bytes: Vec<u8>,
}

impl Outcome {
    /// It was sent on by the interface that the new source address is of.
    ///
    /// # Panics
    ///
    /// It was not, or a checksum is wrong.
    #[track_caller]
    pub fn sent(self) -> Packet {
        let Verdict::Transmit(interface) = self.verdict else { panic!("{:?}", self.verdict) };
        let packet = Packet::read(&self.bytes);
        assert_eq!(packet.from, world::gate_mac(interface));
        packet
    }

    /// It was sent on as a segment, by the interface that the new source address is of.
    ///
    /// # Panics
    ///
    /// It was not, or a checksum is wrong.
    #[track_caller]
    pub fn sent_segment(self) -> Segment {
        let Verdict::Transmit(interface) = self.verdict else { panic!("{:?}", self.verdict) };
        let segment = Segment::read(&self.bytes);
        assert_eq!(segment.from, world::gate_mac(interface));
        segment
    }

    /// It became a segment to its sender.
    ///
    /// # Panics
    ///
    /// It did not, or a checksum is wrong.
    #[track_caller]
    pub fn answered_by_segment(self) -> Segment {
        assert_eq!(self.verdict, Verdict::Answer);
        Segment::read(&self.bytes)
    }

    /// It became an answer.
    ///
    /// # Panics
    ///
    /// It did not, or a checksum is wrong.
    #[track_caller]
    pub fn answered(self) -> Packet {
        assert_eq!(self.verdict, Verdict::Answer);
        Packet::read(&self.bytes)
    }

    /// Its sender was told this of it, by that address: kind, code and MTU of a control message. What is
    /// quoted is the packet as it came.
    ///
    /// # Panics
    ///
    /// It was not, or a checksum is wrong.
    #[track_caller]
    pub fn told(self, by: IpAddr, what: [u8; 2], mtu: u32) {
        assert_eq!(self.verdict, Verdict::Answer);
        let notice = Notice::read(&self.bytes);
        assert_eq!((notice.from, notice.what, notice.mtu), (by, what, mtu));
        assert_eq!(
            (&self.bytes[..6], &self.bytes[12..14]),
            (&self.before[6..12], &self.before[12..14])
        );
        assert!(self.before[14..].starts_with(&notice.quote), "{notice:?}");
        assert!(notice.quote.len() >= 28 && self.bytes.len() <= 14 + 1280);
    }

    /// It was dropped for this reason.
    ///
    /// # Panics
    ///
    /// It was not.
    #[track_caller]
    pub fn dropped(self, reason: Reason) {
        assert_eq!(self.verdict, Verdict::Drop(reason));
    }

    /// The kernel gets it, as it came.
    ///
    /// # Panics
    ///
    /// It does not.
    #[track_caller]
    pub fn to_kernel(self) {
        assert_eq!(self.verdict, Verdict::Kernel);
        assert_eq!(self.bytes, self.before);
    }
}
