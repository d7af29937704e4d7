//! Verdicts carried out: a frame is sent, held, dropped, or passed to the kernel or another worker.

use super::{Held, Worker};
use crate::capture::Fate;
use crate::handover::Batch;
use crate::port::Port;
use crate::tx_buffer::{Egress, TxBuffer};
use crate::vlan_ports::VlanPorts;
use engine::context::Ingress;
use engine::stage::urgent::is_urgent;
use engine::types::drop_reason::DropReason;
use engine::types::frame::{BURST, Burst, Frame};
use engine::types::id::InterfaceId;
use engine::types::tick::Tick;
use engine::types::verdict::Verdict;

impl<P: Port> Worker<P> {
    /// Has the engine process a burst, and carries out its verdicts.
    pub(super) fn process(
        &mut self,
        burst: &mut Burst<P::Buffer>,
        from: InterfaceId,
        by: Ingress,
        now: Tick,
    ) {
        let verdicts = match &self.recorder.capture {
            None => self.engine.process(now, from, by, burst),
            Some(_) => self.process_captured(burst, from, by, now),
        };
        if let Some(interface) = common_egress(&verdicts)
            && self.vlan_ports.is_untagged(interface)
        {
            let port = self.vlan_ports.port(interface);
            let (tx_buffer, egress) = self.egress(port);
            return tx_buffer.push_all(burst, egress);
        }
        for (frame, verdict) in burst.drain(..).zip(verdicts) {
            match verdict {
                Verdict::Transmit(interface) => self.send(frame, interface, false),
                Verdict::Answer => self.send(frame, from, true),
                Verdict::Kernel => self.pass_to_kernel(frame, from, now),
                Verdict::HandOver(worker) => self.handing_over[usize::from(worker)].push(frame),
                Verdict::Hold(slot) => {
                    self.channel.counters.verdict(verdict, 0);
                    self.held[usize::from(slot)] = Some(Held { from, frame });
                }
                Verdict::Absorb => self.channel.counters.verdict(verdict, 0),
                Verdict::Drop(reason) => {
                    self.channel.counters.verdict(verdict, 0);
                    self.recorder.keep(reason, from, frame.bytes());
                }
            }
        }
        self.hand_over(from);
    }

    /// Processes the frames that the engine held and has released.
    pub(super) fn process_released(&mut self, now: Tick) {
        if self.engine.released().is_empty() {
            return;
        }
        std::mem::swap(self.engine.released(), &mut self.released);
        let (mut burst, mut of) = (Burst::new(), InterfaceId(0));
        for place in 0..self.released.len() {
            let slot = usize::from(self.released[place]);
            let Some(Held { from, frame }) = self.held[slot].take() else { continue };
            self.channel.counters.packets.released.add(1);
            if from != of || burst.is_full() {
                self.process(&mut burst, of, Ingress::Fragment, now);
                burst.clear();
                of = from;
            }
            burst.push(frame);
        }
        self.process(&mut burst, of, Ingress::Fragment, now);
        self.released.clear();
    }

    /// Sends frames that the engine originates, at most a burst.
    pub(super) fn originate(&mut self, now: Tick) {
        for _ in 0..BURST {
            let Some((interface, words)) = self.engine.originate(now) else { return };
            let port = self.vlan_ports.port(interface);
            // Without a free buffer the frame counts as lost on the way.
            let Some(mut frame) = self.ports[port].frame(&words) else { continue };
            self.channel.counters.packets.made.add(1);
            self.capture_sent(Fate::Originated, &mut frame, interface, now);
            self.send(frame, interface, false);
        }
    }

    pub(super) fn send(&mut self, mut frame: P::Buffer, interface: InterfaceId, is_answer: bool) {
        if !self.vlan_ports.is_untagged(interface) && !self.vlan_ports.tag(interface, &mut frame) {
            return self.lose(DropReason::TooBig, Some(interface), frame.bytes());
        }
        let (tx_buffer, egress) = self.egress(self.vlan_ports.port(interface));
        tx_buffer.push(frame, is_answer, egress);
    }

    /// The buffer of a device, and what its frames go to.
    pub(super) fn egress(&mut self, port: usize) -> (&mut TxBuffer<P::Buffer>, Egress<'_, P>) {
        let Worker { tx_buffers, ports, channel, vlan_ports, recorder, .. } = self;
        let (device, counters) = (&mut ports[port], &*channel.counters);
        let egress = Egress { port: device, number: port, counters, vlan_ports, recorder };
        (&mut tx_buffers[port], egress)
    }

    /// Counts a frame that is dropped before or after the engine's verdict, and keeps a copy of it.
    pub(super) fn lose(
        &mut self,
        reason: DropReason,
        interface: Option<InterfaceId>,
        frame: &[u8],
    ) {
        self.channel.counters.verdict(reason.into(), 0);
        self.recorder.lose(reason, interface, frame);
    }

    /// Passes a frame to the kernel. One with a priority tag is processed again without it: the kernel ignores such
    /// tags, and would accept frames for a VIP.
    fn pass_to_kernel(&mut self, mut frame: P::Buffer, from: InterfaceId, now: Tick) {
        if VlanPorts::strip_priority_tags(&mut frame) {
            return self.process(&mut Burst::from_iter([frame]), from, Ingress::Device, now);
        }
        let rings = &self.kernel[usize::from(from)];
        let is_urgent = is_urgent(frame.bytes_mut(), &self.engine.snapshot);
        let ring = if is_urgent { &rings.urgent } else { &rings.to_kernel };
        match ring.push(frame) {
            Ok(()) => self.channel.counters.verdict(Verdict::Kernel, 0),
            Err(frame) => self.lose(DropReason::KernelFull, Some(from), frame.bytes()),
        }
    }

    fn hand_over(&mut self, from: InterfaceId) {
        for worker in 0..self.inboxes.workers() {
            if self.handing_over[usize::from(worker)].is_empty() {
                continue;
            }
            let frames = self.handing_over[usize::from(worker)].take();
            let count = frames.len();
            match self.inboxes.hand_over(worker, Batch { from, frames }) {
                Ok(()) => self.channel.counters.packets.handed_over.add(count as u64),
                Err(Batch { frames, .. }) => {
                    let full = DropReason::HandOverFull;
                    frames.iter().for_each(|frame| self.lose(full, Some(from), frame.bytes()));
                }
            }
        }
    }
}

/// The one interface that all frames of a burst leave by. Such a burst need not be sorted.
#[inline]
fn common_egress(verdicts: &[Verdict]) -> Option<InterfaceId> {
    let first = *verdicts.first()?;
    let Verdict::Transmit(interface) = first else { return None };
    verdicts.iter().all(|&verdict| verdict == first).then_some(interface)
}
