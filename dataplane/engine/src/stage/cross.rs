//! From one version of IP to the other, where the client's is not its server's (RFC 7915): the packet
//! gets another header. Its length changes, so that happens when all packets of the burst have been
//! through [`super::translate`], which says what the new header is to be.

use super::classify::{Parcel, Side};
use super::translate::server;
use super::transmit::check_size;
use crate::family::Family;
use crate::flow::hosts::Hosts;
use crate::flow::record::Flow;
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use std::net::SocketAddr;
use wire::checksum::Delta;
use wire::ethernet::{self, Ethernet};
use wire::ip::{PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tftp::Message;
use wire::udp::{self, Udp};
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, IntoBytes};

/// A packet that is to get another header.
#[derive(Debug, Clone, Copy)]
pub struct Crossing {
    /// Its place in the burst.
    pub place: usize,
    /// Who the receiver is to see.
    pub source: SocketAddr,
    /// Who the receiver is.
    pub destination: SocketAddr,
}

/// An IPv6 packet of at most so many bytes goes over every link of IPv6, and may be fragmented over IPv4
/// (RFC 7915 §5.1).
const SMALL: usize = 1260;

impl Crossing {
    /// What the other side is to see of this packet.
    pub fn of<H: Family>(
        parcel: &Parcel<H>,
        message: Message,
        flow: &Flow,
        here: &Here,
        hosts: &Hosts,
    ) -> Step<Crossing> {
        let (ip, udp, place) = (&parcel.packet.ip, &parcel.packet.udp, parcel.place);
        if ip.hops() <= 1 {
            return Err(Reason::TtlExpired.into());
        }
        let growth = Crossing::growth::<H>(parcel.side, flow, here);
        check_size(ip.total_len() + usize::from(growth), parcel.side, flow, here)?;
        let (source, destination) = match parcel.side {
            Side::Client(_) => {
                let (&address, port) = server(message, flow, here);
                (hosts.socket_address(flow.seen_as()), SocketAddr::new(address, port))
            }
            Side::Server | Side::ServerToClient => {
                let vip = here.tables.vips[usize::from(flow.vip())].address;
                (SocketAddr::new(vip, udp.source()), hosts.socket_address(flow.client()))
            }
        };
        Ok(Crossing { place, source, destination })
    }

    /// Bytes that a packet may grow by on this way.
    pub fn growth<H: Family>(side: Side, flow: &Flow, here: &Here) -> u16 {
        let receiver = match side {
            Side::Client(_) => here.tables.backends[usize::from(flow.backend)].address,
            Side::Server | Side::ServerToClient => {
                here.tables.vips[usize::from(flow.vip())].address
            }
        };
        let larger = size_of::<Ipv6>() - size_of::<Ipv4>();
        if receiver.is_ipv6() && size_of::<H>() == size_of::<Ipv4>() { larger as u16 } else { 0 }
    }
}

/// Gives packets for the other side's version of IP its header.
#[cold]
pub fn over<F: Frame>(burst: &mut [F], verdicts: &mut [Verdict], own: &mut Own) {
    for crossing in own.crossings.take() {
        let (frame, verdict) = (&mut burst[crossing.place], &mut verdicts[crossing.place]);
        if !matches!(verdict, Verdict::Transmit(_)) {
            continue;
        }
        let id = own.next_id();
        let step = match crossing.destination {
            SocketAddr::V4(_) => crossing.carry_out::<Ipv6, Ipv4>(frame, id),
            SocketAddr::V6(_) => crossing.carry_out::<Ipv4, Ipv6>(frame, id),
        };
        if let Err(why_not) = step {
            *verdict = why_not;
        }
    }
}

/// The headers to come, and how the frame is divided before.
struct Plan<B> {
    ethernet: Ethernet,
    ip: B,
    /// Where the datagram begins.
    at: usize,
    /// Its length.
    len: usize,
}

impl Crossing {
    /// Replaces the frame's header, of version `A`, by one of version `B`. `id` is not that of another datagram under way.
    fn carry_out<A: Family, B: Family>(&self, frame: &mut impl Frame, id: u16) -> Step<()> {
        let Plan { ethernet, ip, at, len } = self.plan::<A, B>(frame.bytes_mut(), id)?;
        let head = ethernet::HEADER + size_of::<B>();
        let moved = match head.checked_sub(at) {
            Some(more) => frame.grow_front(more),
            None => frame.cut_front(at - head),
        };
        // What lies behind the datagram goes.
        if !(moved && frame.set_len(head + len)) {
            return Err(Reason::TooBig.into());
        }
        let bytes = frame.bytes_mut();
        bytes[..ethernet::HEADER].copy_from_slice(ethernet.as_bytes());
        bytes[ethernet::HEADER..head].copy_from_slice(ip.as_bytes());
        Ok(())
    }

    /// Makes the headers to come, and rewrites that of UDP.
    fn plan<A: Family, B: Family>(&self, frame: &mut [u8], id: u16) -> Step<Plan<B>> {
        let (ethernet, rest) = Ethernet::mut_from_prefix(frame).map_err(|_| Reason::Truncated)?;
        let ethernet = Ethernet { kind: U16::new(B::ETHER_TYPE), ..*ethernet };
        let Split { ip: old, body, .. } = A::split(rest).map_err(|_| A::BAD)?;
        let at = ethernet::HEADER + old.total_len() - body.len();
        let (udp, data) = Udp::split(body).ok_or(Reason::BadUdp)?;
        let len = udp::HEADER + data.len();
        let mut ip = self.header::<A, B>(old, len)?;
        if old.total_len() <= SMALL {
            ip.allow_fragments(id);
        }
        let addresses = Delta::replaced(old.addresses(), ip.addresses());
        udp.set_ports(self.source.port(), self.destination.port(), addresses);
        if !udp.is_summed() && !B::UNSUMMED_UDP {
            udp.make_checksum(&ip, data);
        }
        Ok(Plan { ethernet, ip, at, len })
    }

    /// The new IP header; the old one's options and extensions are not carried over.
    fn header<A: Family, B: Family>(&self, old: &A, len: usize) -> Step<B> {
        let ends = (B::of(&self.source.ip()), B::of(&self.destination.ip()));
        let (Some(source), Some(destination)) = ends else { return Err(Reason::NoBackend.into()) };
        let mut ip = B::new(PROTOCOL_UDP, source, destination, len);
        ip.set_hops(old.hops().saturating_sub(1));
        ip.set_class(old.class());
        Ok(ip)
    }
}
