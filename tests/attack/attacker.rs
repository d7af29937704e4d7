//! An attacker on one of the gate's links, who can send any frames from any address.

use crate::wiring::plug;
use kit::lab::Lab;
use kit::packet::Packet;
use kit::segment::Segment;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tun_rs::SyncDevice;
use wire::ethernet::Mac;

/// A host on a link, simulated in this process.
pub struct Attacker {
    device: SyncDevice,
    /// The gate's hardware address on that link.
    pub gate: Mac,
}

/// The attacker's own hardware address.
pub const MAC: Mac = Mac([2, 0, 0, 0, 0x66, 0x66]);

impl Attacker {
    /// An attacker on the switch that servers, the gate's second arm and the client's second cable share. The gate
    /// must be running.
    pub fn among_servers(lab: &Lab) -> Attacker {
        let device = plug(lab, "switch", "evil");
        lab.must("switch", "ip link set evil master br0");
        Attacker { device, gate: gate(lab, "servers") }
    }

    /// An attacker beside the client on the gate's first arm. The gate must be running.
    pub fn among_clients(lab: &Lab) -> Attacker {
        for command in [
            "ip link add br1 type bridge",
            "ip address flush dev c0",
            "ip link set c0 master br1",
            "ip address add 10.78.0.10/16 dev br1",
            "ip link set br1 up",
        ] {
            lab.must("client", command);
        }
        let device = plug(lab, "client", "evil");
        lab.must("client", "ip link set evil master br1");
        Attacker { device, gate: gate(lab, "clients") }
    }

    /// A datagram to the gate, with any source.
    pub fn datagram(&self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Packet {
        Packet {
            from: MAC,
            to: self.gate,
            source,
            destination,
            ttl: 64,
            id: 0x6666,
            may_be_fragmented: false,
            options: vec![],
            summed: true,
            payload: payload.to_vec(),
            padding: vec![],
        }
    }

    /// The gate's hardware address on the attacker's link.
    pub fn gate(&self) -> Mac {
        self.gate
    }

    /// A TCP segment to the gate, with any source.
    pub fn segment(&self, source: SocketAddr, destination: SocketAddr, flags: &str) -> Segment {
        Segment {
            from: MAC,
            to: self.gate,
            source,
            destination,
            ttl: 64,
            flags: flags.to_owned(),
            sequence: 0x6666,
            acknowledgement: 0,
            options: vec![],
            payload: vec![],
        }
    }

    /// Sends a frame unchanged.
    pub fn send(&self, frame: impl Into<Vec<u8>>) {
        self.device.send(&frame.into()).expect("the link takes it");
    }

    /// Whether the attacker has received a frame with this word.
    pub fn has_heard(&self, word: &[u8]) -> bool {
        self.device.set_nonblocking(true).expect("it can be");
        let mut frame = [0; 2000];
        let mut next = || self.device.recv(&mut frame).ok().map(|len| frame[..len].to_vec());
        std::iter::from_fn(&mut next)
            .any(|heard| heard.windows(word.len()).any(|part| part == word))
    }

    /// Sends these frames at `a_second` frames per second; the attack ends with them.
    pub fn flood(&self, frames: impl IntoIterator<Item = impl Into<Vec<u8>>>, a_second: u32) {
        let (start, gap) = (Instant::now(), Duration::from_secs(1) / a_second);
        for (n, frame) in (0..).zip(frames) {
            std::thread::sleep((gap * n).saturating_sub(start.elapsed()));
            self.send(frame);
        }
    }
}

/// The gate's hardware address on an interface.
fn gate(lab: &Lab, interface: &str) -> Mac {
    let address = lab.must("gate", &format!("cat /sys/class/net/{interface}/address"));
    let bytes = address.trim().split(':').map(|byte| u8::from_str_radix(byte, 16));
    let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().expect("a hardware address");
    Mac(bytes.try_into().expect("six bytes"))
}
