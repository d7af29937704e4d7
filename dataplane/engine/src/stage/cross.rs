//! From one version of IP to the other, where the client's is not its server's (RFC 7915): the packet gets
//! another header. Its length changes, so that happens when all packets of the burst have been through
//! [`super::translate`], which says what the new header is to be.

mod datagram;
mod error;

use super::classify::Side;
use super::translate::server;
use crate::family::Family;
use crate::flow::hosts::Hosts;
use crate::flow::record::Flow;
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use arrayvec::ArrayVec;
use std::net::SocketAddr;
use std::ops::Range;
use wire::ethernet::{self, Ethernet};
use wire::icmp::ERROR_HEADER;
use wire::ip::Fragment;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tftp::Message;
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// What a packet's receiver is to see of it.
#[derive(Debug, Clone, Copy)]
pub struct Crossing {
    /// Its sender.
    pub source: SocketAddr,
    /// The receiver itself.
    pub destination: SocketAddr,
    /// A part's number, if it is not to keep its own.
    pub id: Option<u16>,
}

impl Crossing {
    /// What the other side is to see of a transfer's packet from this port.
    pub fn of(
        side: Side,
        from: u16,
        message: Message,
        flow: &Flow,
        here: &Here,
        hosts: &Hosts,
    ) -> Crossing {
        let (source, destination) = match side {
            Side::Client(_) => {
                let (&address, port) = server(message, flow, here);
                (hosts.socket_address(flow.seen_as()), SocketAddr::new(address, port))
            }
            Side::Server | Side::ServerToClient => {
                let vip = here.tables.vips[usize::from(flow.vip())].address;
                (
                    SocketAddr::new(vip, flow.client_tid().unwrap_or(from)),
                    hosts.socket_address(flow.client()),
                )
            }
        };
        Crossing { source, destination, id: None }
    }
}

/// Gives packets for the other side's version of IP its header.
#[cold]
pub fn over<F: Frame>(burst: &mut [F], verdicts: &mut [Verdict], own: &mut Own) {
    for (place, crossing) in own.crossings.take() {
        let (frame, verdict) = (&mut burst[place], &mut verdicts[place]);
        if !matches!(verdict, Verdict::Transmit(_)) {
            continue;
        }
        let step = match crossing.destination {
            SocketAddr::V4(_) => crossing.carry_out::<Ipv6, Ipv4>(frame, own),
            SocketAddr::V6(_) => crossing.carry_out::<Ipv4, Ipv6>(frame, own),
        };
        if let Err(why_not) = step {
            *verdict = why_not;
        }
    }
}

/// What a frame is to become: other headers, and what it holds between two places.
struct Plan {
    head: Head,
    rest: Range<usize>,
}

/// Headers, one behind the other: at most those of an error about a part.
type Head = ArrayVec<u8, { ethernet::HEADER + 2 * (size_of::<Ipv6>() + 8) + ERROR_HEADER }>;

impl Crossing {
    /// Replaces the frame's headers, of version `A`, by those of version `B`.
    fn carry_out<A: Family, B: Family>(&self, frame: &mut impl Frame, own: &mut Own) -> Step<()> {
        let (mut ethernet, _) =
            Ethernet::read_from_prefix(frame.bytes()).map_err(|_| Reason::Truncated)?;
        ethernet.kind = U16::new(B::ETHER_TYPE);
        let packet = frame.bytes_mut().get_mut(ethernet::HEADER..).ok_or(Reason::Truncated)?;
        let split = A::split(packet).map_err(|_| A::BAD)?;
        let is_error = split.protocol == A::ICMP;
        let mut head = Head::new();
        add(&mut head, &ethernet);
        let Plan { head, rest } = if is_error {
            self.error::<A, B>(split, head)?
        } else {
            self.datagram::<A, B>(split, head, own)?
        };
        put(frame, &head, rest)?;
        if is_error {
            error::seal::<B>(frame.bytes_mut());
        }
        Ok(())
    }

    /// The new IP header; the old one's options and extensions are not carried over.
    fn header<A: Family, B: Family>(&self, old: &A, protocol: u8, len: usize) -> Step<B> {
        let mut ip: B = header(old, protocol, [self.source, self.destination], len)?;
        ip.set_hops(old.hops().saturating_sub(1));
        Ok(ip)
    }
}

/// The same between these ends, with all hops that the old one has.
fn header<A: Family, B: Family>(
    old: &A,
    protocol: u8,
    ends: [SocketAddr; 2],
    len: usize,
) -> Step<B> {
    let [Some(source), Some(destination)] = ends.map(|end| B::of(&end.ip())) else {
        return Err(Reason::NoBackend.into());
    };
    let mut ip = B::new(protocol, source, destination, len);
    ip.set_hops(old.hops());
    ip.set_class(old.class());
    Ok(ip)
}

/// Adds a header, as that of a part if it is one's.
fn add_ip<H: Family>(head: &mut Head, mut ip: H, part: Option<Fragment>) {
    let between = part.map(|part| ip.make_part(part));
    add(head, &ip);
    if let Some(between) = between {
        add(head, &between);
    }
}

fn add(head: &mut Head, header: &(impl IntoBytes + Immutable + ?Sized)) {
    // Head has room for all there are.
    let _ = head.try_extend_from_slice(header.as_bytes());
}

/// The frame is to hold this head and, behind it, what it holds in that place now.
fn put(frame: &mut impl Frame, head: &Head, rest: Range<usize>) -> Step<()> {
    let moved = match head.len().checked_sub(rest.start) {
        Some(more) => frame.grow_front(more),
        None => frame.cut_front(rest.start - head.len()),
    };
    // What lies behind goes.
    if !(moved && frame.set_len(head.len() + rest.len())) {
        return Err(Reason::TooBig.into());
    }
    frame.bytes_mut()[..head.len()].copy_from_slice(head);
    Ok(())
}
