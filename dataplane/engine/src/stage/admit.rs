//! Is it a sound IP packet for us?

use crate::family::Family;
use crate::reason::Reason;
use crate::verdict::Step;
use wire::ethernet::Ethernet;
use wire::ip::{Malformed, PROTOCOL_TCP, PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::plain::Plain;
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
    /// Its Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// Its IP header.
    pub ip: &'a mut H,
    /// Its UDP header.
    pub udp: &'a mut Udp,
    /// What UDP carries.
    pub data: &'a [u8],
}

/// A packet whose Ethernet and IP headers alone are known to be sound.
pub struct Packet<'a, H> {
    /// Its Ethernet header.
    pub ethernet: &'a mut Ethernet,
    /// The rest.
    pub split: Split<'a, H>,
}

impl<'a> Datagram<'a, Ipv4> {
    /// The datagram with `len` bytes of data of a frame that [`Plain::check`] found sound.
    #[inline]
    pub fn plain(frame: &'a mut [u8], len: usize) -> Option<Datagram<'a, Ipv4>> {
        let (Plain { ethernet, ip, udp }, data) = Plain::split(frame, len)?;
        Some(Datagram { ethernet, ip, udp, data })
    }
}

impl<H: Family> Datagram<'_, H> {
    /// Whether what it carries is as it was sent. Of one in parts, the first does not tell.
    pub fn check_sum(&self) -> Step<()> {
        let is_part = self.udp.total_len() > udp::HEADER + self.data.len();
        if is_part || self.udp.is_right(&*self.ip, self.data) {
            Ok(())
        } else {
            Err(Reason::BadUdp.into())
        }
    }
}

/// Whether the frame is for the station with this hardware address ([`wire::ethernet::Mac::word`]), and not its own.
#[inline]
pub fn check_station(frame: &[u8], mac: u64) -> Step<()> {
    let (ethernet, _) = Ethernet::ref_from_prefix(frame).map_err(|_| Reason::Truncated)?;
    if ethernet.source_word() == mac {
        return Err(Reason::Looped.into());
    }
    if ethernet.destination_word() == mac || ethernet.destination.is_group() {
        return Ok(());
    }
    Err(Reason::ForeignMac.into())
}

/// Header by header: what is wrong, or merely unusual? It came over a link where packets have `mtu` bytes at the most.
pub fn admit<H: Family>(frame: &mut [u8], mtu: u16) -> Step<Admitted<'_, H>> {
    let (ethernet, rest) = Ethernet::mut_from_prefix(frame).map_err(|_| Reason::Truncated)?;
    let split = H::split(rest).map_err(|malformed| match malformed {
        Malformed::Truncated => Reason::Truncated,
        Malformed::Short { len } if len > usize::from(mtu) => Reason::Merged,
        Malformed::Short { .. } | Malformed::Contradiction => H::BAD,
        Malformed::Checksum => Reason::BadChecksum,
    })?;
    if is_tcp(&split) && Tcp::is_sound(split.body) {
        let Split { ip, body, .. } = split;
        let (tcp, _, data) = Tcp::split(body).ok_or(Reason::BadTcp)?;
        return Ok(Admitted::Segment((ethernet, ip, tcp), data.len() as u32));
    }
    if !is_udp(&split) || !Udp::is_sound::<H>(split.body) {
        return Ok(Admitted::Other(Packet { ethernet, split }));
    }
    let (udp, data) = Udp::split(split.body).ok_or(Reason::BadUdp)?;
    Ok(Admitted::Datagram(Datagram { ethernet, ip: split.ip, udp, data }))
}

/// Whether it is a whole TCP segment, sound or not.
pub fn is_tcp<H>(split: &Split<H>) -> bool {
    split.protocol == PROTOCOL_TCP && split.fragment.is_none()
}

/// Whether it is a whole UDP datagram, sound or not.
pub fn is_udp<H>(split: &Split<H>) -> bool {
    split.protocol == PROTOCOL_UDP && split.fragment.is_none()
}

/// The version of IP that a frame carries; what is neither is the kernel's.
pub fn ether_type(frame: &[u8]) -> Step<u16> {
    let (ethernet, _) = Ethernet::ref_from_prefix(frame).map_err(|_| Reason::Truncated)?;
    Ok(ethernet.kind.get())
}
