//! A fake worker, whose wire is the test: it receives the kernel's frames, answers ARP for hosts that are up, and sends
//! frames for the test.

use engine::types::frame::Frame;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wire::ethernet::Mac;
use worker::kernel_rings::KernelRings;
use worker::port::Pool;

/// A packet buffer in ordinary memory.
pub struct Bytes(pub Vec<u8>);

impl Frame for Bytes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn set_len(&mut self, len: usize) -> bool {
        self.0.resize(len, 0);
        true
    }
}

/// Unlimited buffers, until the heap is declared empty.
#[derive(Default)]
pub struct Heap {
    pub empty: AtomicBool,
}

impl Pool for Heap {
    type Buffer = Bytes;

    fn frame(&self, frame: &[u8]) -> Option<Bytes> {
        (!self.empty.load(Ordering::Relaxed)).then(|| Bytes(frame.to_vec()))
    }
}

/// An ARP packet for IPv4 over Ethernet, as far as needed here.
#[derive(Debug, PartialEq, Eq)]
pub struct Arp {
    pub request: bool,
    pub sender: (Mac, Ipv4Addr),
    pub target: (Mac, Ipv4Addr),
}

impl Arp {
    pub fn parse(frame: &[u8]) -> Option<Arp> {
        if frame.len() < 42 || frame[12..14] != [8, 6] {
            return None;
        }
        let mac = |at: usize| Mac(frame[at..at + 6].try_into().expect("six bytes"));
        let ip = |at: usize| Ipv4Addr::new(frame[at], frame[at + 1], frame[at + 2], frame[at + 3]);
        Some(Arp { request: frame[21] == 1, sender: (mac(22), ip(28)), target: (mac(32), ip(38)) })
    }

    /// Whether the packet asks for a neighbour: it is no announcement and no probe (RFC 5227 §1.1).
    pub fn asks(&self) -> bool {
        self.request && self.sender.1 != self.target.1 && !self.sender.1.is_unspecified()
    }

    pub fn frame(&self) -> Bytes {
        let mut frame = Vec::new();
        let destination = if self.request { Mac::BROADCAST } else { self.target.0 };
        frame.extend(destination.0);
        frame.extend(self.sender.0.0);
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, if self.request { 1 } else { 2 }]);
        for (mac, ip) in [self.sender, self.target] {
            frame.extend(mac.0);
            frame.extend(ip.octets());
        }
        Bytes(frame)
    }
}

/// The far end of the wire.
pub struct Wire {
    pub rings: KernelRings<Bytes>,
    pub pool: Arc<Heap>,
    /// Hosts that answer ARP.
    pub up: HashMap<Ipv4Addr, Mac>,
}

impl Wire {
    pub fn new() -> Wire {
        Wire { rings: KernelRings::new(), pool: Arc::default(), up: HashMap::new() }
    }

    /// Answers the kernel's ARP requests since the last call, and returns all frames that the kernel sent.
    pub fn turn(&self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        while let Some(Bytes(frame)) = self.rings.from_kernel.pop() {
            if let Some(Arp { request: true, sender, target: (_, wanted) }) = Arp::parse(&frame)
                && let Some(&mac) = self.up.get(&wanted)
            {
                self.send(Arp { request: false, sender: (mac, wanted), target: sender }.frame());
            }
            sent.push(frame);
        }
        sent
    }

    pub fn send(&self, frame: Bytes) {
        assert!(self.rings.to_kernel.push(frame).is_ok(), "the ring to the kernel is full");
    }
}
