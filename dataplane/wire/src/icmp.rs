//! ICMP (RFC 792, for IPv6 RFC 4443): as much of it as answering an echo request takes.

use crate::checksum;
use crate::ip::Ip;
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Echo {
    kind: u8,
    code: u8,
    checksum: U16,
    id: U16,
    sequence: U16,
}

/// Turns an echo request into its reply. Answers false, and changes nothing, when the IP payload is
/// no sound echo request. The checksum covers both addresses alike, so it does not matter when they
/// are exchanged.
#[must_use]
pub fn answer_echo<H: Ip>(ip: &H, bytes: &mut [u8]) -> bool {
    let Ok(len) = u16::try_from(bytes.len()) else { return false };
    let pseudo = ip.icmp_sum(len);
    if checksum::fold(checksum::sum(bytes, pseudo)) != 0xffff {
        return false;
    }
    let Ok((echo, _data)) = Echo::mut_from_prefix(bytes) else { return false };
    if echo.kind != H::ECHO_REQUEST || echo.code != 0 {
        return false;
    }
    echo.kind = H::ECHO_REPLY;
    echo.checksum = U16::ZERO;
    // In full: mending can't tell the two zeroes of one's complement apart.
    let checksum = !checksum::fold(checksum::sum(bytes, pseudo));
    if let Ok((echo, _data)) = Echo::mut_from_prefix(bytes) {
        echo.checksum = U16::new(checksum);
    }
    true
}

/// Whether it is neighbour discovery, or what belongs to it (RFC 4861: from routers and neighbours on
/// this link alone).
pub fn is_about_neighbours<H: Ip>(ip: &H, bytes: &[u8]) -> bool {
    let kind = bytes.first().copied().unwrap_or_default();
    H::NEIGHBOURS.contains(&kind) && ip.hops() == 255
}
