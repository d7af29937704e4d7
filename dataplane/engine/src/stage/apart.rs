//! What is no whole datagram, but of a transfer: parts of one, and errors about one. They come after the whole
//! ones of their burst.

use super::admit::{Packet, ether_type};
use super::connection::connection;
use super::error::error;
use super::part::part;
use crate::family::Family;
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::Owner;
use crate::verdict::{Step, Verdict};
use wire::ethernet::Ethernet;
use wire::icmp;
use wire::ip::{Ip, PROTOCOL_UDP, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use zerocopy::FromBytes;

/// Whether it is a part of a datagram, tells of an error, or goes to a VIP of which a service has all that there is.
pub fn is_apart<H: Family>(split: &Split<H>, here: &Here) -> bool {
    split.fragment.is_some() || is_error(split) || is_anything(split, here)
}

fn is_error<H: Family>(split: &Split<H>) -> bool {
    split.protocol == H::ICMP && icmp::is_error::<H>(split.body)
}

/// Whether it goes where all goes that its client sends to that VIP. A ping is answered all the same, and a part of what
/// may be another service's waits for the first one.
pub fn is_anything<H: Family>(split: &Split<H>, here: &Here) -> bool {
    let is_echo = split.protocol == H::ICMP && split.body.first() == Some(&H::ECHO_REQUEST);
    let vip = match H::owner(split.ip.destination(), here.tables) {
        Some(Owner::Vip(vip)) => &here.tables.vips[usize::from(vip)],
        Some(_) | None => return false,
    };
    let is_parted = split.fragment.is_some() && split.protocol == PROTOCOL_UDP;
    vip.any.is_some() && !is_echo && (!is_parted || vip.udp.is_empty())
}

/// Decides on those frames of the burst, in their order: the parts of a datagram follow its first one. Answers
/// whether some are strays.
#[cold]
pub fn pass_apart<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    here: &Here,
    own: &mut Own,
) -> bool {
    let mut strays = false;
    for place in own.apart.take() {
        let frame = &mut burst[place];
        let step = match ether_type(frame.bytes()) {
            Ok(Ipv6::ETHER_TYPE) => apart::<Ipv6>(frame, place, here, own),
            Ok(Ipv4::ETHER_TYPE) => apart::<Ipv4>(frame, place, here, own),
            Ok(_) => Err(Verdict::Kernel),
            Err(why_not) => Err(why_not),
        };
        strays |= step == Err(Reason::StrayTid.into());
        verdicts[place] = step.unwrap_or_else(|why_not| why_not);
    }
    strays
}

fn apart<H: Family>(
    frame: &mut impl Frame,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let (ethernet, rest) =
        Ethernet::mut_from_prefix(frame.bytes_mut()).map_err(|_| Reason::Truncated)?;
    let split: Split<H> = H::split(rest).map_err(|_| H::BAD)?;
    let is_error = is_error(&split);
    let fragment = split.fragment.filter(|_| !is_anything(&split, here));
    match fragment {
        Some(fragment) => part::<H>(frame, fragment, place, here, own),
        None if is_error => error(Packet { ethernet, split }, place, here, own),
        None => connection::<H>(frame, place, here, own),
    }
}
