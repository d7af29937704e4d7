//! Frames received: from devices, other workers and the kernel.

use super::Worker;
use crate::capture::Fate;
use crate::handover::Batch;
use crate::port::Port;
use engine::context::Ingress;
use engine::stage::redirect::is_redirect;
use engine::types::drop_reason::DropReason;
use engine::types::frame::{BURST, Burst, Frame};
use engine::types::id::InterfaceId;
use engine::types::tick::Tick;

/// Bursts received from a device in one turn, as long as they are full: the rest of a turn takes as long as several
/// packets.
const BURSTS: usize = 4;

impl<P: Port> Worker<P> {
    /// Receives frames from devices, other workers and the kernel. Returns whether a device had any, and whether there
    /// were any at all.
    pub(super) fn inhale(&mut self, now: Tick) -> (bool, bool) {
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
        let mut any = received;
        // No more batches than the other workers can push in a turn: their traffic does not hold up our ports.
        for _ in 0..usize::from(self.inboxes.workers() - 1) * self.kernel.len() * BURSTS {
            let Some(Batch { from, mut frames }) = self.inboxes.take_over(self.number) else {
                break;
            };
            any = true;
            self.channel.counters.packets.taken_over.add(frames.len() as u64);
            self.process(&mut frames, from, Ingress::Worker, now);
        }
        self.process_released(now);
        any |= self.inhale_from_kernel(now);
        (received, any)
    }

    /// Receives one burst of frames from a device. Returns the number of frames.
    fn inhale_from(&mut self, from: usize, now: Tick) -> usize {
        let mut burst = Burst::new();
        self.ports[from].receive(&mut burst);
        let taken = burst.len();
        if taken > 0 {
            let packets = &self.channel.counters.packets;
            packets.received.add(taken as u64);
            packets.bytes_received.add(burst.iter().map(|b| b.bytes().len() as u64).sum());
            match self.vlan_ports.sole_untagged(from) {
                Some(interface) => self.process(&mut burst, interface, Ingress::Device, now),
                None => self.process_by_vlan(burst, from, now),
            }
        }
        taken
    }

    /// Sorts frames by interface, and processes each interface's.
    fn process_by_vlan(&mut self, burst: Burst<P::Buffer>, port: usize, now: Tick) {
        for mut frame in burst {
            match self.vlan_ports.untag(port, &mut frame) {
                Some(interface) => self.sorted[usize::from(interface)].push(frame),
                None => self.lose(DropReason::ForeignVlan, None, frame.bytes()),
            }
        }
        for place in 0..self.vlan_ports.on(port).len() {
            let interface = self.vlan_ports.on(port)[place];
            let mut frames = self.sorted[usize::from(interface)].take();
            if !frames.is_empty() {
                self.process(&mut frames, interface, Ingress::Device, now);
            }
        }
    }

    /// Receives frames from the kernel. Returns whether there were any.
    fn inhale_from_kernel(&mut self, now: Tick) -> bool {
        let mut any = false;
        for interface in 0..self.kernel.len() {
            if self.kernel[interface].from_kernel.is_empty() {
                continue;
            }
            any = true;
            for _ in 0..BURST {
                let Some(mut frame) = self.kernel[interface].from_kernel.pop() else { break };
                self.channel.counters.packets.from_kernel.add(1);
                let interface = InterfaceId(interface as u8);
                if is_redirect(frame.bytes_mut()) {
                    self.lose(DropReason::Redirect, Some(interface), frame.bytes());
                    continue;
                }
                self.capture_sent(Fate::FromKernel, &mut frame, interface, now);
                self.send(frame, interface, false);
            }
        }
        any
    }
}
