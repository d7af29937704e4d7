//! Is it a sound IP packet for us?

use crate::context::BurstContext;
use crate::ip_family::IpFamily;
use crate::types::drop_reason::DropReason;
use crate::types::verdict::Step;
use wire::common_frame::Plain;
use wire::ethernet::{Ethernet, Mac};
use wire::ip::{Fragment, Malformed, PROTOCOL_TCP, PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::tcp::Tcp;
use wire::udp::{self, Udp};
use zerocopy::FromBytes;

/// A frame whose headers have been checked.
pub enum Admitted<'a, H> {
    /// A whole and sound UDP datagram.
    Datagram(Datagram<'a, H>),
    /// A whole TCP segment, and how much data it has.
    Segment((&'a mut Ethernet, &'a mut H, &'a mut Tcp), u32),
    /// Anything else in IP.
    Other(Packet<'a, H>),
}

/// A UDP datagram.
pub struct Datagram<'a, H> {
    /// The Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// The IP header.
    pub ip: &'a mut H,
    /// The UDP header.
    pub udp: &'a mut Udp,
    /// The payload of UDP.
    pub data: &'a [u8],
}

/// A packet whose Ethernet and IP headers alone are known to be sound.
pub struct Packet<'a, H> {
    /// The Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// The rest.
    pub split: Split<'a, H>,
}

/// Offsets of a parsed packet's headers in its frame: where the frame is borrowed anew, nothing is parsed again.
#[derive(Debug, Clone, Copy)]
pub struct Offsets {
    /// Bytes of the whole packet.
    pub total_len: usize,
    body_at: u16,
    protocol: u8,
    fragment: Option<Fragment>,
}

impl Offsets {
    /// The offsets of this packet.
    pub fn of<H: IpFamily>(split: &Split<H>) -> Offsets {
        let total_len = split.ip.total_len();
        Offsets {
            total_len,
            body_at: (total_len - split.body.len()) as u16,
            protocol: split.protocol,
            fragment: split.fragment,
        }
    }

    /// Whether the packet is a fragment.
    pub fn is_fragment(&self) -> bool {
        self.fragment.is_some()
    }

    /// The packet in its frame.
    ///
    /// # Errors
    ///
    /// The frame is not this packet's.
    pub fn packet<'f, H: IpFamily>(&self, frame: &'f mut [u8]) -> Step<Packet<'f, H>> {
        let (ethernet, rest) =
            Ethernet::mut_from_prefix(frame).map_err(|_| DropReason::Truncated)?;
        let packet = rest.get_mut(..self.total_len).ok_or(DropReason::Truncated)?;
        let (head, body) =
            packet.split_at_mut_checked(self.body_at.into()).ok_or(DropReason::Truncated)?;
        let (ip, _) = H::mut_from_prefix(head).map_err(|_| DropReason::Truncated)?;
        let split = Split { ip, protocol: self.protocol, fragment: self.fragment, body };
        Ok(Packet { ethernet, split })
    }
}

impl<'a> Datagram<'a, Ipv4> {
    /// The datagram with `len` bytes of data of a frame that [`Plain::check`] found sound.
    #[inline]
    pub fn plain(frame: &'a mut [u8], len: usize) -> Option<Datagram<'a, Ipv4>> {
        let (Plain { ethernet, ip, udp }, data) = Plain::split(frame, len)?;
        Some(Datagram { ethernet, ip, udp, data })
    }
}

impl<H: IpFamily> Datagram<'_, H> {
    /// Whether the checksum of UDP is right. A first fragment cannot tell.
    pub fn check_sum(&self) -> Step<()> {
        let is_fragment = self.udp.total_len() > udp::HEADER + self.data.len();
        if is_fragment || self.udp.is_right(&*self.ip, self.data) {
            Ok(())
        } else {
            Err(DropReason::BadUdp.into())
        }
    }
}

/// Checks that the frame is for this MAC address ([`wire::ethernet::Mac::word`]) or a virtual one of the interface, and
/// not from this one. Virtual routers of several gates send from the same virtual one.
#[inline]
pub fn check_mac(frame: &[u8], mac: u64, ctx: &BurstContext) -> Step<()> {
    let (ethernet, _) = Ethernet::ref_from_prefix(frame).map_err(|_| DropReason::Truncated)?;
    if ethernet.source_word() == mac {
        return Err(DropReason::Looped.into());
    }
    if ethernet.destination_word() == mac || ethernet.destination.is_group() {
        return Ok(());
    }
    check_virtual_mac(ethernet.destination, ctx)
}

/// Checks that the MAC address is a virtual one of the interface.
#[inline(never)]
fn check_virtual_mac(destination: Mac, ctx: &BurstContext) -> Step<()> {
    let is_ours = ctx.snapshot[ctx.interface].virtual_macs.contains(&destination);
    if is_ours { Ok(()) } else { Err(DropReason::ForeignMac.into()) }
}

/// Header by header: what is wrong, or merely unusual? It came over a link where packets have `mtu` bytes at the most.
pub fn admit<H: IpFamily>(frame: &mut [u8], mtu: u16) -> Step<Admitted<'_, H>> {
    let (ethernet, rest) = Ethernet::mut_from_prefix(frame).map_err(|_| DropReason::Truncated)?;
    let split = H::split(rest).map_err(|malformed| match malformed {
        Malformed::Truncated => DropReason::Truncated,
        Malformed::Short { len } if len > usize::from(mtu) => DropReason::Merged,
        Malformed::Short { .. } | Malformed::Contradiction => H::BAD,
        Malformed::Checksum => DropReason::BadChecksum,
    })?;
    if is_tcp(&split) && Tcp::is_sound(split.body) {
        let Split { ip, body, .. } = split;
        let (tcp, _, data) = Tcp::split(body).ok_or(DropReason::BadTcp)?;
        return Ok(Admitted::Segment((ethernet, ip, tcp), data.len() as u32));
    }
    if !is_udp(&split) || !Udp::is_sound::<H>(split.body) {
        return Ok(Admitted::Other(Packet { ethernet, split }));
    }
    let (udp, data) = Udp::split(split.body).ok_or(DropReason::BadUdp)?;
    Ok(Admitted::Datagram(Datagram { ethernet, ip: split.ip, udp, data }))
}

/// Whether the packet is a whole TCP segment, sound or not.
pub fn is_tcp<H>(split: &Split<H>) -> bool {
    split.protocol == PROTOCOL_TCP && split.fragment.is_none()
}

/// Whether the packet is a whole UDP datagram, sound or not.
pub fn is_udp<H>(split: &Split<H>) -> bool {
    split.protocol == PROTOCOL_UDP && split.fragment.is_none()
}

/// The EtherType of a frame.
pub fn ether_type(frame: &[u8]) -> Step<u16> {
    let (ethernet, _) = Ethernet::ref_from_prefix(frame).map_err(|_| DropReason::Truncated)?;
    Ok(ethernet.kind.get())
}
