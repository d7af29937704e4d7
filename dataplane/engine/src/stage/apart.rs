//! What is no whole datagram, but of a transfer: parts of one, and errors about one. They come after the whole
//! ones of their burst.

use super::admit::{Packet, ether_type};
use super::error::error;
use super::part::part;
use crate::family::Family;
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use wire::ethernet::Ethernet;
use wire::icmp;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use zerocopy::FromBytes;

/// Whether it is a part of a datagram, or tells of an error.
pub fn is_apart<H: Family>(split: &Split<H>) -> bool {
    split.fragment.is_some() || split.protocol == H::ICMP && icmp::is_error::<H>(split.body)
}

/// Decides on the frames at these places, in their order: the parts of a datagram follow its first one. Answers
/// whether some are strays.
#[cold]
pub fn pass_apart<F: Frame>(
    places: &[usize],
    burst: &mut [F],
    verdicts: &mut [Verdict],
    here: &Here,
    own: &mut Own,
) -> bool {
    let mut strays = false;
    for &place in places {
        let frame = burst[place].bytes_mut();
        let step = match ether_type(frame) {
            Ok(Ipv6::ETHER_TYPE) => apart::<Ipv6>(frame, place, here, own),
            _ => apart::<Ipv4>(frame, place, here, own),
        };
        strays |= step == Err(Reason::StrayTid.into());
        verdicts[place] = step.unwrap_or_else(|why_not| why_not);
    }
    strays
}

fn apart<H: Family>(frame: &mut [u8], place: usize, here: &Here, own: &mut Own) -> Step<Verdict> {
    let (ethernet, rest) = Ethernet::mut_from_prefix(frame).map_err(|_| Reason::Truncated)?;
    let split: Split<H> = H::split(rest).map_err(|_| H::BAD)?;
    let packet = Packet { ethernet, split };
    match packet.split.fragment {
        Some(fragment) => part(packet, fragment, place, here, own),
        None => error(packet, place, here, own),
    }
}
