//! Options that a service limits: changed when the message has been through all other stages, which only
//! borrow it, and its frame can become shorter.

use super::admit::ether_type;
use crate::family::Family;
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::policy::OptionLimits;
use wire::ethernet;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::udp::Udp;

/// Holds the options of these messages to their services' limits.
#[cold]
pub fn options<F: Frame>(burst: &mut [F], here: &Here, own: &mut Own) {
    for (place, service) in own.edits.take() {
        let (frame, limits) =
            (&mut burst[place], &here.tables.services[usize::from(service)].options);
        let len = match ether_type(frame.bytes()) {
            Ok(Ipv6::ETHER_TYPE) => shorten::<Ipv6>(frame.bytes_mut(), limits),
            _ => shorten::<Ipv4>(frame.bytes_mut(), limits),
        };
        if let Some(len) = len {
            // It is no longer than it was.
            let _ = frame.set_len(len);
        }
    }
}

/// Rewrites the message in its frame; answers the frame's length now, if that is another one.
fn shorten<H: Family>(frame: &mut [u8], limits: &OptionLimits) -> Option<usize> {
    let Split { ip, body, .. } = H::split(frame.get_mut(ethernet::HEADER..)?).ok()?;
    let (udp, data) = Udp::split(body)?;
    // A new checksum would hide what was damaged on the way.
    if !udp.is_right(ip, data) {
        return None;
    }
    let before = data.len();
    let after = limits.apply(data);
    let summed = udp.is_summed();
    udp.set_data_len(after);
    ip.shorten(before - after);
    if summed {
        udp.make_checksum(ip, &data[..after]);
    }
    Some(ethernet::HEADER + ip.total_len())
}
