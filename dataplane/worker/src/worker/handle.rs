//! Verdicts on frames, carried out: they leave, wait, go to the kernel or to another worker.

use super::{Held, Worker};
use crate::links::Links;
use crate::mesh::Batch;
use crate::port::Port;
use engine::frame::{BURST, Burst, Frame};
use engine::here::By;
use engine::reason::Reason;
use engine::stage::urgent::is_urgent;
use engine::tables::InterfaceId;
use engine::tick::Tick;
use engine::verdict::Verdict;

impl<P: Port> Worker<P> {
    /// Has the engine decide on each frame, and does as it says.
    pub(super) fn handle(
        &mut self,
        burst: &mut Burst<P::Buffer>,
        from: InterfaceId,
        by: By,
        now: Tick,
    ) {
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
                Verdict::Absorb | Verdict::Drop(_) => self.desk.counters.verdict(verdict, 0),
            }
        }
        self.hand_over(from);
    }

    /// Handles the frames that the engine held and holds no longer.
    pub(super) fn let_go(&mut self, now: Tick) {
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

    /// Says what this worker has to say of its own accord, a burst at a time.
    pub(super) fn speak(&mut self, now: Tick) {
        for _ in 0..BURST {
            let Some((interface, words)) = self.core.speak(now) else { return };
            let port = self.links.port(interface);
            // Without a buffer it is as if it had got lost on the way.
            let Some(frame) = self.ports[port].frame(&words) else { continue };
            self.desk.counters.packets.made.add(1);
            self.send(frame, interface, false);
        }
    }

    pub(super) fn send(&mut self, mut frame: P::Buffer, interface: InterfaceId, is_answer: bool) {
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
        let rings = &self.kernel[usize::from(from)];
        let is_urgent = is_urgent(frame.bytes_mut(), &self.core.tables);
        let ring = if is_urgent { &rings.urgent } else { &rings.to_kernel };
        let verdict = match ring.push(frame) {
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
}

/// The one interface that all frames of a burst leave by: then nothing needs to be sorted.
#[inline]
fn same_way(verdicts: &[Verdict]) -> Option<InterfaceId> {
    let first = *verdicts.first()?;
    let Verdict::Transmit(interface) = first else { return None };
    verdicts.iter().all(|&verdict| verdict == first).then_some(interface)
}
