//! What is no whole datagram, but of a transfer: parts of one, and errors about one. They come after the whole
//! ones of their burst.

use super::admit::ether_type;
use super::error::error;
use super::part::part;
use crate::family::Family;
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use wire::ethernet;
use wire::icmp;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

/// Whether it is a part of a datagram, or tells of an error.
pub fn is_apart<H: Family>(split: &Split<H>) -> bool {
    split.fragment.is_some() || split.protocol == H::ICMP && icmp::is_error::<H>(split.body)
}

/// Decides on the frames at these places, in their order: the parts of a datagram follow its first one.
#[cold]
pub fn pass_apart<F: Frame>(
    places: &[usize],
    burst: &mut [F],
    verdicts: &mut [Verdict],
    here: &Here,
    own: &mut Own,
) {
    for &place in places {
        let frame = burst[place].bytes_mut();
        let step = match ether_type(frame) {
            Ok(Ipv6::ETHER_TYPE) => apart::<Ipv6>(frame, place, here, own),
            _ => apart::<Ipv4>(frame, place, here, own),
        };
        verdicts[place] = step.unwrap_or_else(|why_not| why_not);
    }
}

fn apart<H: Family>(frame: &mut [u8], place: usize, here: &Here, own: &mut Own) -> Step<Verdict> {
    let packet = frame.get_mut(ethernet::HEADER..).ok_or(Reason::Truncated)?;
    let is_part = H::split(packet).is_ok_and(|split| split.fragment.is_some());
    if is_part { part::<H>(frame, place, here, own) } else { error::<H>(frame, place, here, own) }
}
