//! Several workers over in-memory wires, turned by hand.

use crate::counters::{CounterValues, balances};
use crate::topology::{self, INSIDE, OUTSIDE};
use engine::counters::{Counters, Room};
use engine::flow::hash::Seed;
use engine::snapshot::Snapshot;
use engine::state::WorkerState;
use engine::types::id::InterfaceId;
use engine::types::tick::Tick;
use std::sync::Arc;
use std::time::Instant;
use wire::vlan::Vlans;
use worker::command_channel::WorkerChannel;
use worker::handover::Inboxes;
use worker::kernel_rings::KernelRings;
use worker::memory::{MemoryFrame, MemoryPort};
use worker::port::Port;
use worker::vlan_ports::VlanPort;
use worker::worker::{Parts, Worker};

/// A port whose other end the test holds.
pub trait Wire: Port + Clone {
    /// A wire with room for `room` frames in each direction.
    fn new(room: usize) -> Self;

    /// Delivers a frame to the port.
    fn arrive(&self, frame: &[u8]);

    /// The oldest frame that the port has sent.
    fn leave(&self) -> Option<Vec<u8>>;
}

impl Wire for MemoryPort {
    fn new(room: usize) -> MemoryPort {
        MemoryPort::new(room)
    }

    fn arrive(&self, frame: &[u8]) {
        self.wire_in.push(MemoryFrame::new(frame)).expect("room on the wire");
    }

    fn leave(&self) -> Option<Vec<u8>> {
        use engine::types::frame::Frame;
        self.wire_out.pop().map(|frame| frame.bytes().to_vec())
    }
}

/// Workers, their wires, and their channels.
pub struct WorkerSet<W: Wire> {
    /// Workers.
    pub workers: Vec<Worker<W>>,
    /// Wires of each worker, by interface.
    pub wires: Vec<[W; 2]>,
    /// Channel of each worker to control.
    pub channels: Vec<WorkerChannel>,
    /// Kernel rings of each worker, by interface.
    pub kernel: Vec<Vec<KernelRings<W::Buffer>>>,
    /// Time.
    pub now: Tick,
    before: CounterValues,
}

/// Services and backends that a test may add.
const MORE: usize = 8;

/// Default room of a wire, in frames per direction.
pub const ROOM: usize = 4096;

impl<W: Wire> WorkerSet<W> {
    /// `workers` workers with this snapshot.
    pub fn new(workers: u16, snapshot: Snapshot) -> WorkerSet<W> {
        WorkerSet::with(workers, snapshot, topology::FLOWS, |_| W::new(ROOM))
    }

    /// `workers` workers with `max_flows` rows each and these wires.
    pub fn with(
        workers: u16,
        snapshot: Snapshot,
        max_flows: u32,
        wire: impl FnMut(InterfaceId) -> W,
    ) -> WorkerSet<W> {
        let vlan_ports = [0, 1].map(|port| VlanPort { port, vlans: Vlans::NONE });
        WorkerSet::linked(workers, snapshot, max_flows, vlan_ports.into(), wire)
    }

    /// As [`WorkerSet::with`], with these VLANs on the wires.
    pub fn linked(
        workers: u16,
        snapshot: Snapshot,
        max_flows: u32,
        vlan_ports: Vec<VlanPort>,
        mut wire: impl FnMut(InterfaceId) -> W,
    ) -> WorkerSet<W> {
        let snapshot = Arc::new(snapshot);
        let inboxes = Inboxes::new(workers);
        let now = Tick(1000);
        let before = CounterValues::default();
        let mut set = WorkerSet {
            workers: vec![],
            wires: vec![],
            channels: vec![],
            kernel: vec![],
            now,
            before,
        };
        for number in 0..workers {
            let counters = Counters::new(Room::of(&snapshot, MORE));
            let channel = WorkerChannel::new(Arc::new(counters));
            let kernel: Vec<_> = [OUTSIDE, INSIDE].map(|_| KernelRings::new()).into();
            let wires = [OUTSIDE, INSIDE].map(&mut wire);
            set.workers.push(Worker::new(Parts {
                number,
                ports: wires.to_vec(),
                vlan_ports: vlan_ports.clone(),
                kernel: kernel.clone(),
                inboxes: inboxes.clone(),
                channel: channel.clone(),
                snapshot: Arc::clone(&snapshot),
                store: WorkerState::store(max_flows),
                now,
                seed: Seed([21, 22]),
            }));
            set.wires.push(wires);
            set.channels.push(channel);
            set.kernel.push(kernel);
        }
        set
    }

    /// Delivers a frame to a worker's queue of the interface whose hardware address it has.
    pub fn arrive(&self, worker: usize, frame: impl Into<Vec<u8>>) {
        let frame = frame.into();
        let inside = frame.get(..6) == Some(&topology::gate_mac(INSIDE).0);
        self.wires[worker][usize::from(inside)].arrive(&frame);
    }

    /// One turn of each worker, without advancing time.
    ///
    /// # Panics
    ///
    /// The counters do not balance.
    pub fn turn(&mut self) {
        for (worker, channel) in self.workers.iter_mut().zip(&self.channels) {
            worker.turn(self.now, Instant::now());
            balances(&channel.counters);
        }
    }

    /// Advances by `ticks` ticks, with a turn for each.
    pub fn wait(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now = self.now.after(1);
            self.turn();
        }
    }

    /// Advances by `ticks` ticks in one step, as if workers had stalled.
    pub fn skip(&mut self, ticks: u32) {
        self.now = self.now.after(ticks);
        self.turn();
    }

    /// All frames sent so far.
    pub fn left(&self) -> Vec<Vec<u8>> {
        let all = self.wires.iter().flatten();
        all.flat_map(|wire| std::iter::from_fn(|| wire.leave())).collect()
    }

    /// All frames for the kernel.
    pub fn left_to_kernel(&self) -> Vec<W::Buffer> {
        let rings = self.kernel.iter().flatten();
        let next = |ring: &KernelRings<_>| ring.urgent.pop().or_else(|| ring.to_kernel.pop());
        rings.flat_map(|ring| std::iter::from_fn(move || next(ring))).collect()
    }

    /// Values of all workers' counters.
    pub fn counter_values(&self) -> CounterValues {
        CounterValues::of_all(self.channels.iter().map(|channel| &*channel.counters))
    }

    /// Asserts that exactly these counters changed since the last call.
    ///
    /// # Panics
    ///
    /// Other counters changed.
    #[track_caller]
    pub fn moved(&mut self, stated: &[(&str, u64)]) {
        let now = self.counter_values();
        let moves = now.since(&self.before);
        self.before = now;
        assert_eq!(moves, stated.iter().copied().collect());
    }
}
