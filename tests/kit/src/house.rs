//! Some workers over wires that a test holds the other ends of, turned by hand.

use crate::ledger::{Ledger, balances};
use crate::world::{self, INSIDE, OUTSIDE};
use engine::count::Counters;
use engine::flow::key::Seed;
use engine::own::Own;
use engine::tables::{InterfaceId, Tables};
use engine::tick::Tick;
use std::sync::Arc;
use std::time::Instant;
use wire::vlan::Vlans;
use worker::kernel::KernelRings;
use worker::links::Link;
use worker::memory::{MemoryFrame, MemoryPort};
use worker::mesh::Mesh;
use worker::news::Desk;
use worker::port::Port;
use worker::worker::{Parts, Worker};

/// A port whose other end the test holds.
pub trait Wire: Port + Clone {
    /// A wire that holds so many frames at each end.
    fn new(room: usize) -> Self;

    /// A frame arrives.
    fn arrive(&self, frame: &[u8]);

    /// The oldest frame that was sent.
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
        use engine::frame::Frame;
        self.wire_out.pop().map(|frame| frame.bytes().to_vec())
    }
}

/// Workers, their wires and their desks.
pub struct House<W: Wire> {
    /// The workers.
    pub workers: Vec<Worker<W>>,
    /// Each worker's wires, by interface.
    pub wires: Vec<[W; 2]>,
    /// Each worker's way to control.
    pub desks: Vec<Desk>,
    /// Each worker's rings to the kernel, by interface.
    pub kernel: Vec<Vec<KernelRings<W::Buffer>>>,
    /// The time.
    pub now: Tick,
    before: Ledger,
}

/// Services and backends that a test may add.
const MORE: usize = 8;

/// Frames that a wire holds at each end, unless said otherwise.
pub const ROOM: usize = 4096;

impl<W: Wire> House<W> {
    /// So many workers in this world.
    pub fn new(workers: u16, tables: Tables) -> House<W> {
        House::with(workers, tables, world::FLOWS, |_| W::new(ROOM))
    }

    /// So many workers in this world, with room for so many transfers each, and these wires.
    pub fn with(
        workers: u16,
        tables: Tables,
        max_flows: u32,
        wire: impl FnMut(InterfaceId) -> W,
    ) -> House<W> {
        let links = [0, 1].map(|port| Link { port, vlans: Vlans::NONE });
        House::linked(workers, tables, max_flows, links.into(), wire)
    }

    /// The same, with interfaces that are this on their wires.
    pub fn linked(
        workers: u16,
        tables: Tables,
        max_flows: u32,
        links: Vec<Link>,
        mut wire: impl FnMut(InterfaceId) -> W,
    ) -> House<W> {
        let tables = Arc::new(tables);
        let mesh = Mesh::new(workers);
        let now = Tick(1000);
        let before = Ledger::default();
        let mut house =
            House { workers: vec![], wires: vec![], desks: vec![], kernel: vec![], now, before };
        for number in 0..workers {
            let counters = Counters::with_room(&tables, MORE);
            let desk = Desk::new(Arc::new(counters));
            let kernel: Vec<_> = [OUTSIDE, INSIDE].map(|_| KernelRings::new()).into();
            let wires = [OUTSIDE, INSIDE].map(&mut wire);
            house.workers.push(Worker::new(Parts {
                number,
                ports: wires.to_vec(),
                links: links.clone(),
                kernel: kernel.clone(),
                mesh: mesh.clone(),
                desk: desk.clone(),
                tables: Arc::clone(&tables),
                store: Own::store(max_flows),
                now,
                seed: Seed([21, 22]),
            }));
            house.wires.push(wires);
            house.desks.push(desk);
            house.kernel.push(kernel);
        }
        house
    }

    /// A frame arrives on a worker's queue of the interface whose hardware address it names.
    pub fn arrive(&self, worker: usize, frame: impl Into<Vec<u8>>) {
        let frame = frame.into();
        let inside = frame.get(..6) == Some(&world::gate_mac(INSIDE).0);
        self.wires[worker][usize::from(inside)].arrive(&frame);
    }

    /// One turn of each worker. Time stands still.
    ///
    /// # Panics
    ///
    /// The counters do not balance.
    pub fn turn(&mut self) {
        for (worker, desk) in self.workers.iter_mut().zip(&self.desks) {
            worker.turn(self.now, Instant::now());
            balances(&desk.counters);
        }
    }

    /// So many turns, and so many ticks.
    pub fn wait(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.now = self.now.after(1);
            self.turn();
        }
    }

    /// So many ticks at once, as for workers that got no turn in that time.
    pub fn skip(&mut self, ticks: u32) {
        self.now = self.now.after(ticks);
        self.turn();
    }

    /// All frames that were sent.
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

    /// What all workers' counters stand at.
    pub fn ledger(&self) -> Ledger {
        Ledger::of_all(self.desks.iter().map(|desk| &*desk.counters))
    }

    /// These counters moved since the last call, and none other did.
    ///
    /// # Panics
    ///
    /// Others did.
    #[track_caller]
    pub fn moved(&mut self, stated: &[(&str, u64)]) {
        let now = self.ledger();
        let moves = now.since(&self.before);
        self.before = now;
        assert_eq!(moves, stated.iter().copied().collect());
    }
}
