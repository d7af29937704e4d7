//! Frames of running transfers or open connections, derived from one template when needed: so they occupy no cache.

use super::frame::{Flat, Way, endpoint};
use crate::connections::Connection;
use crate::packet::Packet;
use crate::packets;
use crate::segment::Segment;
use crate::topology::{self, Via, first_port};
use engine::ip_family::IpFamily;
use engine::net::rss::ENTRIES;
use engine::types::frame::Frame;
use engine::types::id::InterfaceId;
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

/// Frames of transfers, one per client: client `n` has the address 11.0.0.0 + `n`, over IPv6 the same in fd00::/96.
pub struct Frames {
    via: Via,
    /// SNAT addresses.
    pool: Vec<IpAddr>,
    /// Servers, in round robin order.
    servers: u32,
    /// The endpoint of the service.
    asked: SocketAddr,
    /// The servers' source port, to which clients then send.
    port: u16,
    ack: Vec<u8>,
    data: Vec<u8>,
    request: Vec<u8>,
    error: Vec<u8>,
}

impl Frames {
    /// Frames of a service whose clients go to one or both of its servers in turn; in `snat` servers see these
    /// addresses.
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
            ack: padded(packets::ack(client, vip, 1)),
            data: padded(packets::data(server, client, 1, 512)),
            request: padded(packets::rrq(client, via.vip(), "pxelinux.0")),
            error: padded(packets::error(client, vip, 3)),
        }
    }

    /// Segments of connections like this one; clients go to both servers in turn.
    pub(crate) fn of_line(line: &Connection, pool: Vec<IpAddr>) -> Frames {
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
            error: bytes(line.from_client("R", "")),
        }
    }

    /// Frames addressed to this hardware address.
    pub fn to(mut self, gate: Mac) -> Frames {
        for frame in [&mut self.ack, &mut self.data, &mut self.request, &mut self.error] {
            frame[..6].copy_from_slice(&gate.0);
        }
        self
    }

    pub(super) fn inside(&self) -> InterfaceId {
        topology::interface(self.via.server(0))
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

    /// The client's ERROR, which ends its transfer.
    pub fn error(&self, client: u32, frame: &mut Flat) {
        self.to_tid(&self.error, client, frame);
    }

    fn ack(&self, client: u32, frame: &mut Flat) {
        self.to_tid(&self.ack, client, frame);
    }

    /// A client's packet to its server's TID.
    fn to_tid(&self, packet: &[u8], client: u32, frame: &mut Flat) {
        frame.copy(packet);
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

    /// The server of a client.
    pub(crate) fn server(&self, client: u32) -> SocketAddr {
        SocketAddr::new(self.via.server((client % self.servers) as usize), self.port)
    }

    /// The packet that teaches the TID: in `dsr` the client's first one.
    pub fn first_answer(&self, client: u32, frame: &mut Flat) {
        if self.via.is_dsr() { self.ack(client, frame) } else { self.data(client, frame) }
    }

    /// SNAT addresses are chosen by the client's address. Of 128 clients in a row at an address each has another RSS entry,
    /// and so the same place among its entry's ports.
    pub(crate) fn seen_as(&self, client: u32) -> SocketAddr {
        if !self.via.is_snat() {
            return endpoint(self.via, client);
        }
        // The pool's size is a power of two, and the first client's number a multiple of it.
        let pool = self.pool.len() as u32;
        let address = self.pool[(client % pool) as usize];
        let place = client / pool / u32::from(ENTRIES);
        SocketAddr::new(address, first_port(endpoint(self.via, client).ip()) + place as u16)
    }
}

/// Sets the source hardware address to the sender's: another origin would be unusual.
fn sent_by(sender: SocketAddr, frame: &mut Flat) {
    frame.bytes_mut()[6..12].copy_from_slice(&topology::mac(sender.ip()).0);
}

fn padded(packet: Packet) -> Vec<u8> {
    packet.padded().bytes()
}

/// Writes another transfer's endpoints into a valid frame.
fn readdress(frame: &mut [u8], source: SocketAddr, destination: SocketAddr) {
    match source {
        SocketAddr::V4(_) => readdress_in::<Ipv4>(frame, source, destination),
        SocketAddr::V6(_) => readdress_in::<Ipv6>(frame, source, destination),
    }
}

fn readdress_in<H: IpFamily>(frame: &mut [u8], source: SocketAddr, destination: SocketAddr) {
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
