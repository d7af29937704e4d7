//! Headers of the other address family.

use crate::ip_family::IpFamily;
use crate::state::deferred::XlatEnds;
use crate::types::drop_reason::DropReason;
use crate::types::verdict::Step;
use arrayvec::ArrayVec;
use std::net::SocketAddr;
use std::ops::Range;
use wire::ethernet;
use wire::icmp::ERROR_HEADER;
use wire::ip::Fragment;
use wire::ipv6::Ipv6;
use zerocopy::{Immutable, IntoBytes};

/// A frame to be: its new headers, and the payload that it keeps.
pub struct Plan {
    /// The headers.
    pub head: Head,
    /// The payload, by its range in the frame as it is.
    pub rest: Range<usize>,
}

/// Headers, one behind the other: at most those of an ICMP error about a fragment.
pub type Head = ArrayVec<u8, { ethernet::HEADER + 2 * (size_of::<Ipv6>() + 8) + ERROR_HEADER }>;

/// The new IP header; the old one's options and extensions are not carried over.
pub fn translated<A: IpFamily, B: IpFamily>(
    new: &XlatEnds,
    old: &A,
    protocol: u8,
    len: usize,
) -> Step<B> {
    let mut ip: B = header(old, protocol, [new.source, new.destination], len)?;
    ip.set_hops(old.hops().saturating_sub(1));
    Ok(ip)
}

/// A new IP header between these ends, with all hops that the old one has.
pub fn header<A: IpFamily, B: IpFamily>(
    old: &A,
    protocol: u8,
    ends: [SocketAddr; 2],
    len: usize,
) -> Step<B> {
    let [Some(source), Some(destination)] = ends.map(|end| B::of(&end.ip())) else {
        return Err(DropReason::NoBackend.into());
    };
    let mut ip = B::new(protocol, source, destination, len);
    ip.set_hops(old.hops());
    ip.set_class(old.class());
    Ok(ip)
}

/// Adds an IP header, for a fragment if there is one.
pub fn add_ip<H: IpFamily>(head: &mut Head, mut ip: H, fragment: Option<Fragment>) {
    let between = fragment.map(|fragment| ip.make_fragment(fragment));
    add(head, &ip);
    if let Some(between) = between {
        add(head, &between);
    }
}

/// Adds a header as it is.
pub fn add(head: &mut Head, header: &(impl IntoBytes + Immutable + ?Sized)) {
    // Head has room for all there are.
    let _ = head.try_extend_from_slice(header.as_bytes());
}
