//! The kernel's own redirects (RFC 792, RFC 4861 §8.3). A gate with one arm forwards packets back to the link that they
//! came from, and the kernel would tell their senders to pass it by. Over IPv6 it has no setting against that, over IPv4
//! one of the whole machine.

use super::parse::ether_type;
use crate::ip_family::IpFamily;
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::{ethernet, icmp};

/// Whether a frame of the kernel's is a redirect.
pub fn is_redirect(frame: &mut [u8]) -> bool {
    match ether_type(frame) {
        Ok(Ipv4::ETHER_TYPE) => is_one::<Ipv4>(frame),
        Ok(Ipv6::ETHER_TYPE) => is_one::<Ipv6>(frame),
        Ok(_) | Err(_) => false,
    }
}

fn is_one<H: IpFamily>(frame: &mut [u8]) -> bool {
    let packet = frame.get_mut(ethernet::HEADER..).and_then(|packet| H::split(packet).ok());
    packet.is_some_and(|split| icmp::is_redirect(&split))
}
