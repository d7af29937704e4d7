//! One engine with its clock and counters, processing one frame at a time.

use crate::counters::{CounterValues, balances};
use crate::icmp_error::IcmpError;
use crate::packet::Packet;
use crate::records::RecordLog;
use crate::segment::Segment;
use crate::topology;
use engine::context::Ingress;
use engine::counters::{Counters, Room};
use engine::engine::Engine;
use engine::flow::hash::Seed;
use engine::flow::query::{ConnectionView, FlowQuery, TransferView};
use engine::flow::rehome::{NewHomes, Which};
use engine::flow::store::Store;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::Snapshot;
use engine::state::WorkerState;
use engine::state::flow_log::FlowRecord;
use engine::state::restore::Adopted;
use engine::types::drop_reason::DropReason;
use engine::types::frame::Frame;
use engine::types::id::InterfaceId;
use engine::types::tick::{Millis, Tick};
use engine::types::verdict::Verdict;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A frame with room to grow.
pub struct Buffer(Vec<u8>);

const SEED: Seed = Seed([0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321]);

/// Most bytes of a frame.
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
pub struct EngineHarness {
    /// Engine.
    pub engine: Engine,
    /// Time.
    pub now: Tick,
    /// Result of restoring an earlier process's state.
    pub adopted: Adopted,
    before: CounterValues,
    records: RecordLog,
}

impl EngineHarness {
    /// The only worker of the default topology.
    pub fn new() -> EngineHarness {
        EngineHarness::with(topology::snapshot(), topology::FLOWS)
    }

    /// The only worker, with `flows` rows.
    pub fn with(snapshot: Snapshot, flows: u32) -> EngineHarness {
        EngineHarness::one_of(0, 1, snapshot, flows)
    }

    /// One of several workers. Backends without limit get one that is never reached, so that every test checks the
    /// counts.
    pub fn one_of(worker: u16, workers: u16, snapshot: Snapshot, flows: u32) -> EngineHarness {
        let store = WorkerState::store(flows);
        EngineHarness::over(store, (worker, workers), snapshot, SEED, Tick(1000))
    }

    /// The only worker of another gate, whose hashes have their own seed.
    pub fn of_another_gate(snapshot: Snapshot, flows: u32) -> EngineHarness {
        let seed = Seed([0x0f1e_2d3c_4b5a_6978, 0x8796_a5b4_c3d2_e1f0]);
        EngineHarness::over(WorkerState::store(flows), (0, 1), snapshot, seed, Tick(77_000))
    }

    /// Kills the process; the next one continues from its memory, with this snapshot.
    #[must_use]
    pub fn reborn(self, snapshot: Snapshot) -> EngineHarness {
        let WorkerState { worker, workers, .. } = self.engine.state;
        EngineHarness::over(self.engine.state.leave(), (worker, workers), snapshot, SEED, self.now)
    }

    /// Kills a process's workers; those of the next one, so many, continue from their memory, with this snapshot.
    #[must_use]
    pub fn rehomed(
        gates: Vec<EngineHarness>,
        workers: u16,
        snapshot: &Snapshot,
    ) -> Vec<EngineHarness> {
        let now = gates.first().map(|gate| gate.now).unwrap_or_default();
        let mut stores: Vec<_> =
            (0..workers).map(|_| WorkerState::store(topology::FLOWS)).collect();
        let mut homes = NewHomes::new(&mut stores, SEED);
        let former: Vec<_> = gates.into_iter().map(|gate| gate.engine.state.leave()).collect();
        for which in Which::ALL {
            for store in &former {
                homes.take_in(store, which);
            }
        }
        let gate = |(worker, store)| {
            EngineHarness::over(store, (worker, workers), snapshot.clone(), SEED, now)
        };
        (0..).zip(stores).map(gate).collect()
    }

    /// The only worker, which continues from an earlier process's memory.
    pub fn inheriting(store: Store, snapshot: Snapshot, now: Tick) -> EngineHarness {
        EngineHarness::over(store, (0, 1), snapshot, SEED, now)
    }

    fn over(
        store: Store,
        worker: (u16, u16),
        mut snapshot: Snapshot,
        seed: Seed,
        now: Tick,
    ) -> EngineHarness {
        for backend in &mut snapshot.backends {
            backend.cap.get_or_insert_with(|| TransferLimit::new(u32::MAX, Places::default()));
        }
        let counters = Arc::new(Counters::new(Room::of(&snapshot, 0)));
        let (mut state, adopted) = WorkerState::new(worker, store, &snapshot, seed, counters, now);
        let records = RecordLog::default();
        state.flow_log.records = Some(records.ring.clone());
        state.clock = clock(now);
        let engine = Engine { snapshot: Arc::new(snapshot), state };
        EngineHarness { engine, now, adopted, before: CounterValues::default(), records }
    }

    /// Processes a frame at the interface whose hardware address it has, else at the first one.
    pub fn take(&mut self, frame: impl Into<Vec<u8>>) -> Outcome {
        let frame = frame.into();
        let of = |id: &InterfaceId| frame.get(..6) == Some(&topology::gate_mac(*id).0);
        let from = [topology::OUTSIDE, topology::INSIDE].into_iter().find(of);
        self.take_by(from.unwrap_or(topology::OUTSIDE), frame)
    }

    /// Processes a frame at this interface.
    ///
    /// # Panics
    ///
    /// The counters or transfer limits do not balance.
    pub fn take_by(&mut self, from: InterfaceId, frame: impl Into<Vec<u8>>) -> Outcome {
        let before = frame.into();
        let mut burst = [Buffer(before.clone())];
        let verdict = self.engine.process(self.now, from, Ingress::Device, &mut burst)[0];
        let [Buffer(bytes)] = burst;
        let counters = &self.engine.state.counters;
        counters.packets.received.add(1);
        counters.verdict(verdict, bytes.len());
        balances(counters);
        self.limits_balance();
        self.records.settle(&self.engine.state.counters, &self.engine.snapshot);
        Outcome { verdict, before, bytes }
    }

    /// Processes several frames as one burst.
    pub fn take_burst<const N: usize>(
        &mut self,
        from: InterfaceId,
        frames: [Vec<u8>; N],
    ) -> Vec<Verdict> {
        self.engine.process(self.now, from, Ingress::Device, &mut frames.map(Buffer)).to_vec()
    }

    /// Lets ticks pass, with due timers.
    pub fn wait(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now = self.now.after(1);
            self.engine.state.clock = clock(self.now);
            self.engine.expire(self.now);
        }
        self.limits_balance();
        self.records.settle(&self.engine.state.counters, &self.engine.snapshot);
    }

    /// Asserts that every transfer of a backend with a limit is counted once, unless it was adopted beyond that.
    fn limits_balance(&self) {
        let Engine { snapshot, state } = &self.engine;
        let flows = state.counters.backends.iter().zip(&state.over_limit);
        for (backend, (transfers, &over_limit)) in snapshot.backends.iter().zip(flows) {
            if let Some(cap) = backend.cap.as_ref().filter(|_| state.workers == 1) {
                let within = transfers.now() - u64::from(over_limit);
                assert_eq!(u64::from(cap.taken()), within, "{}", backend.address);
            }
        }
    }

    /// Publishes a changed snapshot.
    pub fn change(&mut self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.engine.snapshot);
        change(&mut snapshot);
        self.engine.adopt(Arc::new(snapshot));
    }

    /// Asserts that exactly these counters changed since the last call.
    ///
    /// # Panics
    ///
    /// Other counters changed.
    #[track_caller]
    pub fn moved(&mut self, stated: &[(&str, u64)]) {
        let stated: BTreeMap<&str, u64> = stated.iter().copied().collect();
        assert_eq!(self.moves(), stated);
    }

    /// Changes since the last call.
    pub fn moves(&mut self) -> BTreeMap<&'static str, u64> {
        let now = CounterValues::of(&self.engine.state.counters);
        let moves = now.since(&self.before);
        self.before = now;
        moves
    }

    /// Records for the log since the last call.
    pub fn records(&mut self) -> Vec<FlowRecord> {
        self.records.take()
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
        let room = self.engine.state.transfers.capacity();
        let mut query = FlowQuery {
            service: None,
            client: None,
            found: Vec::with_capacity(room),
            connections: Vec::with_capacity(room),
            matching: 0,
            cursor: 0,
        };
        while !self.engine.answer(&mut query, self.now) {}
        assert_eq!(query.matching, query.found.len() + query.connections.len());
        query
    }

    /// The transfer of this client.
    ///
    /// # Panics
    ///
    /// The client has none, or several.
    pub fn transfer(&self, client: SocketAddr) -> TransferView {
        let mut found = self.transfers().into_iter().filter(|view| view.client == client);
        let first = found.next().expect("a transfer");
        assert!(found.next().is_none(), "two transfers");
        first
    }
}

/// The time of a tick's beginning.
fn clock(now: Tick) -> Millis {
    Millis(now.0.wrapping_mul(100))
}

impl Default for EngineHarness {
    fn default() -> EngineHarness {
        EngineHarness::new()
    }
}

/// The outcome for a frame.
#[derive(Debug)]
#[must_use = "a test says what it expects"]
pub struct Outcome {
    /// Verdict.
    pub verdict: Verdict,
    /// The frame as received.
    pub before: Vec<u8>,
    /// The frame afterwards.
    pub bytes: Vec<u8>,
}

impl Outcome {
    /// The packet was forwarded; returns it. Its source address is that of the outgoing interface.
    ///
    /// # Panics
    ///
    /// The packet was not forwarded, or a checksum is wrong.
    #[track_caller]
    pub fn sent(self) -> Packet {
        let Verdict::Transmit(interface) = self.verdict else { panic!("{:?}", self.verdict) };
        let packet = Packet::read(&self.bytes);
        assert_eq!(packet.from, topology::gate_mac(interface));
        packet
    }

    /// The segment was forwarded; returns it. Its source address is that of the outgoing interface.
    ///
    /// # Panics
    ///
    /// The segment was not forwarded, or a checksum is wrong.
    #[track_caller]
    pub fn sent_segment(self) -> Segment {
        let Verdict::Transmit(interface) = self.verdict else { panic!("{:?}", self.verdict) };
        let segment = Segment::read(&self.bytes);
        assert_eq!(segment.from, topology::gate_mac(interface));
        segment
    }

    /// The frame was answered by a segment; returns it.
    ///
    /// # Panics
    ///
    /// The frame was not answered, or a checksum is wrong.
    #[track_caller]
    pub fn answered_by_segment(self) -> Segment {
        assert_eq!(self.verdict, Verdict::Answer);
        Segment::read(&self.bytes)
    }

    /// The frame was answered; returns the answer.
    ///
    /// # Panics
    ///
    /// The frame was not answered, or a checksum is wrong.
    #[track_caller]
    pub fn answered(self) -> Packet {
        assert_eq!(self.verdict, Verdict::Answer);
        Packet::read(&self.bytes)
    }

    /// The frame was answered by an ICMP error from `by`, of this type, code and MTU. The error quotes the packet as
    /// received.
    ///
    /// # Panics
    ///
    /// The answer differs, or a checksum is wrong.
    #[track_caller]
    pub fn told(self, by: IpAddr, what: [u8; 2], mtu: u32) {
        assert_eq!(self.verdict, Verdict::Answer);
        let notice = IcmpError::read(&self.bytes);
        assert_eq!((notice.from, notice.what, notice.mtu), (by, what, mtu));
        assert_eq!(
            (&self.bytes[..6], &self.bytes[12..14]),
            (&self.before[6..12], &self.before[12..14])
        );
        assert!(self.before[14..].starts_with(&notice.quote), "{notice:?}");
        assert!(notice.quote.len() >= 28 && self.bytes.len() <= 14 + 1280);
    }

    /// The frame was dropped for this reason.
    ///
    /// # Panics
    ///
    /// The verdict differs.
    #[track_caller]
    pub fn dropped(self, reason: DropReason) {
        assert_eq!(self.verdict, Verdict::Drop(reason));
    }

    /// The kernel gets the frame unchanged.
    ///
    /// # Panics
    ///
    /// The verdict or the frame differs.
    #[track_caller]
    pub fn to_kernel(self) {
        assert_eq!(self.verdict, Verdict::Kernel);
        assert_eq!(self.bytes, self.before);
    }
}
