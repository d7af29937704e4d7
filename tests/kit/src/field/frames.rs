//! Frames of running transfers, or of open connections, made of one as they are needed: so they take no room in caches.

use super::{Flat, PORTS, Way, endpoint};
use crate::connections::Line;
use crate::packet::Packet;
use crate::segment::Segment;
use crate::story;
use crate::world::{self, Via};
use engine::family::Family;
use engine::frame::Frame;
use engine::tables::InterfaceId;
use std::net::{IpAddr, SocketAddr};
use wire::ethernet::{Ethernet, Mac};
use wire::ip::{PROTOCOL_TCP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tcp::Tcp;
use wire::udp::Udp;
use zerocopy::FromBytes;

/// The port that every server process answers from.
const TID: u16 = 40_000;

/// Frames of transfers, one of each client: number `n`'s address is 11.0.0.0 and `n`, over IPv6 the same
/// in fd00::/96.
pub struct Frames {
    via: Via,
    /// The SNAT addresses.
    pool: Vec<IpAddr>,
    /// Servers that clients were dealt to in turn.
    servers: u32,
    /// What clients ask first.
    asked: SocketAddr,
    /// The port that servers answer from, and that clients then talk to.
    port: u16,
    ack: Vec<u8>,
    data: Vec<u8>,
    request: Vec<u8>,
}

impl Frames {
    /// Those of a service whose clients are dealt to one or both of its servers in turn; in `snat`
    /// servers see them at these addresses.
    pub fn new(via: Via, pool: Vec<IpAddr>, servers: u32) -> Frames {
        let client = via.client();
        let server = SocketAddr::new(via.server(0), TID);
        let vip = SocketAddr::new(via.vip().ip(), TID);
        Frames {
            via,
            pool,
            servers,
            asked: via.vip(),
            port: TID,
            ack: padded(story::ack(client, vip, 1)),
            data: padded(story::data(server, client, 1, 512)),
            request: padded(story::rrq(client, via.vip(), "pxelinux.0")),
        }
    }

    /// Segments of connections like this one; clients are dealt to both servers.
    pub(crate) fn of_line(line: &Line, pool: Vec<IpAddr>) -> Frames {
        let block = "x".repeat(512);
        let bytes = |segment: Segment| {
            let mut frame = segment.bytes();
            frame.resize(frame.len().max(60), 0xee);
            frame
        };
        Frames {
            via: line.via,
            pool,
            servers: 2,
            asked: line.vip,
            port: line.vip.port(),
            ack: bytes(line.from_client("A", "")),
            data: bytes(line.from_server("A", &block)),
            request: bytes(line.from_client("S", "")),
        }
    }

    /// The same, all addressed to this station.
    pub fn to(mut self, gate: Mac) -> Frames {
        for frame in [&mut self.ack, &mut self.data, &mut self.request] {
            frame[..6].copy_from_slice(&gate.0);
        }
        self
    }

    pub(super) fn inside(&self) -> InterfaceId {
        world::interface(self.via.server(0))
    }

    /// A packet of a client's running transfer.
    pub fn fill(&self, way: Way, client: u32, frame: &mut Flat) {
        match way {
            Way::In => self.ack(client, frame),
            Way::Out => self.data(client, frame),
        }
    }

    /// The client's request.
    pub fn request(&self, client: u32, frame: &mut Flat) {
        frame.copy(&self.request);
        readdress(frame.bytes_mut(), endpoint(self.via, client), self.asked);
        sent_by(endpoint(self.via, client), frame);
    }

    fn ack(&self, client: u32, frame: &mut Flat) {
        frame.copy(&self.ack);
        let vip = SocketAddr::new(self.via.vip().ip(), self.port);
        readdress(frame.bytes_mut(), endpoint(self.via, client), vip);
        sent_by(endpoint(self.via, client), frame);
    }

    fn data(&self, client: u32, frame: &mut Flat) {
        frame.copy(&self.data);
        let server = self.server(client);
        readdress(frame.bytes_mut(), server, self.seen_as(client));
        sent_by(server, frame);
    }

    /// Who serves a client.
    pub(crate) fn server(&self, client: u32) -> SocketAddr {
        SocketAddr::new(self.via.server((client % self.servers) as usize), self.port)
    }

    /// What the gate learns the TID from: in `dsr` the client's first packet.
    pub fn first_answer(&self, client: u32, frame: &mut Flat) {
        if self.via.is_dsr() { self.ack(client, frame) } else { self.data(client, frame) }
    }

    /// SNAT addresses are taken by the client's address, their ports in order.
    pub(crate) fn seen_as(&self, client: u32) -> SocketAddr {
        if !self.via.is_snat() {
            return endpoint(self.via, client);
        }
        // Its size is a power of two, and the first client's number a multiple of that.
        let pool = self.pool.len() as u32;
        let address = self.pool[(client % pool) as usize];
        SocketAddr::new(address, 1024 + (client / pool % PORTS) as u16)
    }
}

/// Has the sender's own station send the frame: another one's would be unusual.
fn sent_by(sender: SocketAddr, frame: &mut Flat) {
    frame.bytes_mut()[6..12].copy_from_slice(&world::mac(sender.ip()).0);
}

fn padded(packet: Packet) -> Vec<u8> {
    packet.padded().bytes()
}

/// Another transfer's addresses and ports in a sound frame.
fn readdress(frame: &mut [u8], source: SocketAddr, destination: SocketAddr) {
    match source {
        SocketAddr::V4(_) => readdress_in::<Ipv4>(frame, source, destination),
        SocketAddr::V6(_) => readdress_in::<Ipv6>(frame, source, destination),
    }
}

fn readdress_in<H: Family>(frame: &mut [u8], source: SocketAddr, destination: SocketAddr) {
    let (_, rest) = Ethernet::mut_from_prefix(frame).expect("a whole frame");
    let Split { ip, protocol, body, .. } = H::split(rest).expect("a sound packet");
    let [from, to] = [source, destination].map(|end| H::of(&end.ip()).expect("its version"));
    let delta = ip.set_addresses(from, to);
    let ports = (source.port(), destination.port());
    if protocol == PROTOCOL_TCP {
        let (tcp, _, _) = Tcp::split(body).expect("a segment");
        tcp.set_ports(ports.0, ports.1, delta);
    } else {
        let (udp, _) = Udp::split(body).expect("a datagram");
        udp.set_ports(ports.0, ports.1, delta);
    }
}
