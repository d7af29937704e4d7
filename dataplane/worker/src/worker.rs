//! One core's loop. A turn is: take news, inhale, exhale, tick.

mod handle;

use crate::kernel::KernelRings;
use crate::latency::{self, Latencies};
use crate::links::{Link, Links};
use crate::mesh::{Batch, Mesh};
use crate::news::{Desk, News, Return};
use crate::outgoing::Outgoing;
use crate::port::Port;
use engine::core::Core;
use engine::flow::key::Seed;
use engine::flow::store::Store;
use engine::flow::view::FlowQuery;
use engine::fragments::{HELD, Slot};
use engine::frame::{BURST, Burst, Frame};
use engine::here::By;
use engine::own::Own;
use engine::own::adopt::Adopted;
use engine::own::uses::Uses;
use engine::reason::Reason;
use engine::select::look::Look;
use engine::stage::redirect::is_redirect;
use engine::tables::{InterfaceId, Tables};
use engine::tick::Tick;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// Bursts taken from a device in one turn, as long as they are full ones: what else belongs to a turn
/// takes as long as several packets.
const BURSTS: usize = 4;

/// One worker, with its queues on every port.
pub struct Worker<P: Port> {
    /// The fate of an earlier process's transfers.
    pub adopted: Adopted,
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
    question: Option<Question>,
    latencies: Box<Latencies>,
    /// When the last turn began, if it had frames of a device.
    busy_since: Option<Instant>,
}

/// A question of control about the transfers.
enum Question {
    Flows(Box<FlowQuery>),
    Uses(Box<Uses>),
    Look(Box<Look>),
}

/// A frame that waits, and where it came in.
struct Held<B> {
    from: InterfaceId,
    frame: B,
}

impl From<Question> for Return {
    fn from(question: Question) -> Return {
        match question {
            Question::Flows(query) => Return::Flows(query),
            Question::Uses(uses) => Return::Uses(uses),
            Question::Look(look) => Return::Look(look),
        }
    }
}

/// The parts of a worker.
pub struct Parts<P: Port> {
    /// The worker's number, from 0.
    pub number: u16,
    /// The worker's queues, by device.
    pub ports: Vec<P>,
    /// The places of interfaces on these.
    pub links: Vec<Link>,
    /// The worker's rings to and from the kernel, by interface.
    pub kernel: Vec<KernelRings<P::Buffer>>,
    /// The way to the other workers.
    pub mesh: Mesh<P::Buffer>,
    /// The way to control.
    pub desk: Desk,
    /// The first snapshot.
    pub tables: Arc<Tables>,
    /// Where its transfers lie, perhaps with some of an earlier process.
    pub store: Store,
    /// Of the flow tables' hashes.
    pub seed: Seed,
    /// The time.
    pub now: Tick,
}

impl<P: Port> Worker<P> {
    /// Takes all the memory that the worker will ever need.
    pub fn new(parts: Parts<P>) -> Worker<P> {
        let Parts { number, ports, links, kernel, mesh, desk, tables, store, seed, now } = parts;
        let counters = Arc::clone(&desk.counters);
        let (own, adopted) =
            Own::new((number, mesh.workers()), store, &tables, seed, counters, now);
        Worker {
            adopted,
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
        if self.core.has_to_speak() {
            self.speak(now);
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
                let old = self.core.adopt(tables);
                self.give_back(Return::Tables(old));
            }
            Some(News::Room(mut room)) => {
                self.core.move_to(&mut room);
                self.give_back(Return::Room(room));
            }
            Some(News::Flows(question)) => self.ask(Question::Flows(question)),
            Some(News::Uses(question)) => self.ask(Question::Uses(question)),
            Some(News::Look(question)) => self.ask(Question::Look(question)),
            Some(News::Latencies(empty)) => {
                let recorded = std::mem::replace(&mut self.latencies, empty);
                self.give_back(Return::Latencies(recorded));
            }
            None => {}
        }
    }

    /// Takes a question up; one that was not yet answered goes back as it is.
    fn ask(&mut self, question: Question) {
        if let Some(unanswered) = self.question.replace(question) {
            self.give_back(unanswered.into());
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
                let Some(mut frame) = self.kernel[interface].from_kernel.pop() else { break };
                self.desk.counters.packets.from_kernel.add(1);
                if is_redirect(frame.bytes_mut()) {
                    self.desk.counters.verdict(Reason::Redirect.into(), 0);
                    continue;
                }
                let interface = interface as InterfaceId;
                self.send(frame, interface, false);
            }
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
            let is_answered = match &mut question {
                Question::Flows(query) => self.core.answer(query, now),
                Question::Uses(uses) => self.core.note_uses(uses),
                Question::Look(look) => {
                    self.core.look(look, now);
                    true
                }
            };
            if is_answered && !self.desk.returns.is_full() {
                self.give_back(question.into());
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
