//! The addresses of a packet, as far as it was parsed.

use etherparse::LaxNetSlice;
use std::net::IpAddr;

/// Source and destination of an IP packet; `None`: ARP.
pub fn addresses(net: &LaxNetSlice) -> Option<[IpAddr; 2]> {
    match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            Some([header.source_addr().into(), header.destination_addr().into()])
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            Some([header.source_addr().into(), header.destination_addr().into()])
        }
        LaxNetSlice::Arp(_) => None,
    }
}
