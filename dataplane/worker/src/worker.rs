//! One core's loop. A turn is: take news, inhale, exhale, tick.

use crate::kernel::KernelRings;
use crate::latency::{self, Latencies};
use crate::links::{Link, Links};
use crate::mesh::{Batch, Mesh};
use crate::news::{Desk, News, Return};
use crate::outgoing::Outgoing;
use crate::port::Port;
use engine::core::Core;
use engine::flow::key::Seed;
use engine::flow::view::FlowQuery;
use engine::fragments::{HELD, Slot};
use engine::frame::{BURST, Burst, Frame};
use engine::here::By;
use engine::own::Own;
use engine::reason::Reason;
use engine::tables::{InterfaceId, Tables};
use engine::tick::Tick;
use engine::verdict::Verdict;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Bursts taken from a device in one turn, as long as they are full ones: what else belongs to a turn
/// takes as long as several packets.
const BURSTS: usize = 4;

/// One worker, with its queues on every port.
pub struct Worker<P: Port> {
    number: u16,
    core: Core,
    desk: Desk,
    ports: Vec<P>,
    links: Links,
    kernel: Vec<KernelRings<P::Buffer>>,
    mesh: Mesh<P::Buffer>,
    /// By port.
    outgoing: Vec<Outgoing<P::Buffer>>,
    /// Frames of a device that interfaces share, by interface.
    sorted: Vec<Burst<P::Buffer>>,
    leaving: Vec<Burst<P::Buffer>>,
    /// By [`engine::fragments::Slot`].
    held: Vec<Option<Held<P::Buffer>>>,
    /// Slots that were let go: empty but while that is done.
    released: Vec<Slot>,
    question: Option<Box<FlowQuery>>,
    latencies: Box<Latencies>,
    /// When the last turn began, if it had frames of a device.
    busy_since: Option<Instant>,
}

/// A frame that waits, and where it came in.
struct Held<B> {
    from: InterfaceId,
    frame: B,
}

/// What a worker is made of.
pub struct Parts<P: Port> {
    /// Its number, from 0.
    pub number: u16,
    /// Its queues, by device.
    pub ports: Vec<P>,
    /// What the interfaces are on these.
    pub links: Vec<Link>,
    /// Its rings to and from the kernel, by interface.
    pub kernel: Vec<KernelRings<P::Buffer>>,
    /// The way to the other workers.
    pub mesh: Mesh<P::Buffer>,
    /// The way to control.
    pub desk: Desk,
    /// The first snapshot.
    pub tables: Arc<Tables>,
    /// Room for so many transfers.
    pub max_flows: u32,
    /// Of the flow tables' hashes.
    pub seed: Seed,
}

impl<P: Port> Worker<P> {
    /// Takes all the memory that the worker will ever need.
    pub fn new(parts: Parts<P>) -> Worker<P> {
        let Parts { number, ports, links, kernel, mesh, desk, tables, max_flows, seed } = parts;
        let counters = Arc::clone(&desk.counters);
        let own = Own::new(number, mesh.workers(), max_flows, &tables, seed, counters);
        Worker {
            number,
            core: Core { tables, own },
            outgoing: ports.iter().map(|_| Outgoing::new()).collect(),
            sorted: links.iter().map(|_| Burst::new()).collect(),
            links: Links::new(links, ports.len()),
            leaving: (0..mesh.workers()).map(|_| Burst::new()).collect(),
            held: (0..HELD).map(|_| None).collect(),
            released: Vec::with_capacity(HELD),
            question: None,
            latencies: Box::new(latency::none()),
            busy_since: None,
            desk,
            ports,
            kernel,
            mesh,
        }
    }

    /// Turns until told to stop. Time counts from `start`, the same for all workers.
    pub fn run(mut self, start: Instant, stop: &AtomicBool) {
        while !stop.load(Relaxed) {
            let begun = Instant::now();
            self.turn(Tick::at(begun.duration_since(start)), begun);
        }
    }

    /// One turn, which begins now: `now` for the engine, `begun` for the histogram.
    pub fn turn(&mut self, now: Tick, begun: Instant) {
        // The clock is read once a turn: it takes as long as a packet.
        if let Some(before) = self.busy_since.take() {
            latency::record(&mut self.latencies, begun.duration_since(before));
        }
        self.take_news();
        if self.inhale(now) {
            self.busy_since = Some(begun);
        }
        self.exhale();
        self.tick(now);
    }

    /// One message a turn, and only while the way back has room for what it replaces.
    fn take_news(&mut self) {
        // Far cheaper than asking for a message that is hardly ever there.
        if self.desk.news.is_empty() || self.desk.returns.is_full() {
            return;
        }
        match self.desk.news.pop() {
            Some(News::Tables(tables)) => {
                let old = std::mem::replace(&mut self.core.tables, tables);
                self.give_back(Return::Tables(old));
            }
            Some(News::Flows(question)) => {
                if let Some(unanswered) = self.question.replace(question) {
                    self.give_back(Return::Flows(unanswered));
                }
            }
            Some(News::Latencies(empty)) => {
                let recorded = std::mem::replace(&mut self.latencies, empty);
                self.give_back(Return::Latencies(recorded));
            }
            None => {}
        }
    }

    /// Takes frames in, from everywhere. Answers whether a device had any.
    fn inhale(&mut self, now: Tick) -> bool {
        let mut received = false;
        for from in 0..self.ports.len() {
            for _ in 0..BURSTS {
                let taken = self.inhale_from(from, now);
                received |= taken > 0;
                if taken < BURST {
                    break;
                }
            }
        }
        // As many batches as the others can leave in a turn of theirs, no more: their traffic does
        // not hold up our own ports.
        for _ in 0..usize::from(self.mesh.workers() - 1) * self.kernel.len() * BURSTS {
            let Some(Batch { from, mut frames }) = self.mesh.take_over(self.number) else { break };
            self.desk.counters.packets.taken_over.add(frames.len() as u64);
            self.handle(&mut frames, from, By::Worker, now);
        }
        self.let_go(now);
        self.inhale_from_kernel();
        received
    }

    /// Takes one burst of frames in from a device. Answers how many there were.
    fn inhale_from(&mut self, from: usize, now: Tick) -> usize {
        let mut burst = Burst::new();
        self.ports[from].receive(&mut burst);
        let taken = burst.len();
        if taken > 0 {
            let packets = &self.desk.counters.packets;
            packets.received.add(taken as u64);
            packets.bytes_received.add(burst.iter().map(|b| b.bytes().len() as u64).sum());
            match self.links.plain(from) {
                Some(interface) => self.handle(&mut burst, interface, By::Device, now),
                None => self.handle_by_vlan(burst, from, now),
            }
        }
        taken
    }

    /// Has each interface's frames handled for themselves.
    fn handle_by_vlan(&mut self, burst: Burst<P::Buffer>, port: usize, now: Tick) {
        for mut frame in burst {
            match self.links.untag(port, &mut frame) {
                Some(interface) => self.sorted[usize::from(interface)].push(frame),
                None => self.desk.counters.verdict(Reason::ForeignVlan.into(), 0),
            }
        }
        for place in 0..self.links.on(port).len() {
            let interface = self.links.on(port)[place];
            let mut frames = self.sorted[usize::from(interface)].take();
            if !frames.is_empty() {
                self.handle(&mut frames, interface, By::Device, now);
            }
        }
    }

    fn inhale_from_kernel(&mut self) {
        for interface in 0..self.kernel.len() {
            if self.kernel[interface].from_kernel.is_empty() {
                continue;
            }
            for _ in 0..BURST {
                let Some(frame) = self.kernel[interface].from_kernel.pop() else { break };
                self.desk.counters.packets.from_kernel.add(1);
                let interface = interface as InterfaceId;
                self.send(frame, interface, false);
            }
        }
    }

    /// Has the engine decide on each frame, and does as it says.
    fn handle(&mut self, burst: &mut Burst<P::Buffer>, from: InterfaceId, by: By, now: Tick) {
        let verdicts = self.core.walk(now, from, by, burst);
        if let Some(interface) = same_way(&verdicts)
            && self.links.is_plain(interface)
        {
            let port = self.links.port(interface);
            let outgoing = &mut self.outgoing[port];
            return outgoing.push_all(burst, &mut self.ports[port], &self.desk.counters);
        }
        for (frame, verdict) in burst.drain(..).zip(verdicts) {
            match verdict {
                Verdict::Transmit(interface) => self.send(frame, interface, false),
                Verdict::Answer => self.send(frame, from, true),
                Verdict::Kernel => self.leave_to_kernel(frame, from, now),
                Verdict::HandOver(worker) => self.leaving[usize::from(worker)].push(frame),
                Verdict::Hold(slot) => {
                    self.desk.counters.verdict(verdict, 0);
                    self.held[usize::from(slot)] = Some(Held { from, frame });
                }
                Verdict::Drop(_) => self.desk.counters.verdict(verdict, 0),
            }
        }
        self.hand_over(from);
    }

    /// Handles the frames that the engine held and holds no longer.
    fn let_go(&mut self, now: Tick) {
        if self.core.released().is_empty() {
            return;
        }
        std::mem::swap(self.core.released(), &mut self.released);
        let (mut burst, mut of) = (Burst::new(), 0);
        for place in 0..self.released.len() {
            let slot = usize::from(self.released[place]);
            let Some(Held { from, frame }) = self.held[slot].take() else { continue };
            self.desk.counters.packets.released.add(1);
            if from != of || burst.is_full() {
                self.handle(&mut burst, of, By::Release, now);
                burst.clear();
                of = from;
            }
            burst.push(frame);
        }
        self.handle(&mut burst, of, By::Release, now);
        self.released.clear();
    }

    fn send(&mut self, mut frame: P::Buffer, interface: InterfaceId, is_answer: bool) {
        if !self.links.is_plain(interface) && !self.links.tag(interface, &mut frame) {
            return self.desk.counters.verdict(Reason::TooBig.into(), 0);
        }
        let port = self.links.port(interface);
        let outgoing = &mut self.outgoing[port];
        outgoing.push(frame, is_answer, &mut self.ports[port], &self.desk.counters);
    }

    /// The kernel does not mind a tag that only gives a priority, and so would take what is for a VIP: such a frame
    /// comes as it is without one.
    fn leave_to_kernel(&mut self, mut frame: P::Buffer, from: InterfaceId, now: Tick) {
        if Links::unmark(&mut frame) {
            return self.handle(&mut Burst::from_iter([frame]), from, By::Device, now);
        }
        let verdict = match self.kernel[usize::from(from)].to_kernel.push(frame) {
            Ok(()) => Verdict::Kernel,
            Err(_frame) => Reason::KernelFull.into(),
        };
        self.desk.counters.verdict(verdict, 0);
    }

    fn hand_over(&mut self, from: InterfaceId) {
        for (worker, leaving) in (0..).zip(&mut self.leaving) {
            if leaving.is_empty() {
                continue;
            }
            let batch = Batch { from, frames: leaving.take() };
            let count = batch.frames.len();
            let verdict = match self.mesh.hand_over(worker, batch) {
                Ok(()) => Verdict::HandOver(worker),
                Err(_batch) => Reason::HandOverFull.into(),
            };
            (0..count).for_each(|_| self.desk.counters.verdict(verdict, 0));
        }
    }

    fn exhale(&mut self) {
        for (outgoing, port) in self.outgoing.iter_mut().zip(&mut self.ports) {
            outgoing.flush(port, &self.desk.counters);
        }
    }

    fn tick(&mut self, now: Tick) {
        self.core.expire(now);
        if let Some(mut question) = self.question.take() {
            if self.core.answer(&mut question, now) && !self.desk.returns.is_full() {
                self.give_back(Return::Flows(question));
            } else {
                self.question = Some(question);
            }
        }
    }

    /// There is room: only this worker fills the ring, and every caller has looked.
    fn give_back(&self, what: Return) {
        let _ = self.desk.returns.push(what);
    }
}

/// The one interface that all frames of a burst leave by: then nothing needs to be sorted.
#[inline]
fn same_way(verdicts: &[Verdict]) -> Option<InterfaceId> {
    let first = *verdicts.first()?;
    let Verdict::Transmit(interface) = first else { return None };
    verdicts.iter().all(|&verdict| verdict == first).then_some(interface)
}
