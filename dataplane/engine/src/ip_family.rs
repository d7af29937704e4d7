//! Differences between IPv4 and IPv6 that concern the engine. All other code is written once and specialised by the
//! compiler.

use crate::flow::endpoint::HostId;
use crate::flow::host_table::HostTable;
use crate::net::address_map::Owner;
use crate::net::rss;
use crate::snapshot::Snapshot;
use crate::types::drop_reason::DropReason;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

/// An address family.
pub trait IpFamily: Ip<Address: Into<IpAddr>> {
    /// The drop reason for a malformed header.
    const BAD: DropReason;
    /// Index into arrays with one item per address family.
    const PLACE: usize;
    /// Whether a `HostId` found before an earlier packet of the burst may stand for another address now.
    const HOST_IDS_CHANGE: bool;

    /// The owner of an address.
    fn owner(address: Self::Address, snapshot: &Snapshot) -> Option<Owner>;

    /// Whether the address is a valid host address.
    fn is_host(address: Self::Address) -> bool;

    /// The worker that owns a client.
    fn worker(client: Self::Address, workers: u16) -> u16;

    /// The `HostId` of an address in this worker.
    fn host_id(address: Self::Address, hosts: &HostTable) -> HostId;

    /// The address of a `HostId`, which must be of this family.
    fn resolve(host: HostId, hosts: &HostTable) -> Self::Address;

    /// The address, if it is of this family.
    fn of(address: &IpAddr) -> Option<Self::Address>;
}

impl IpFamily for Ipv4 {
    const BAD: DropReason = DropReason::BadIpv4;
    const PLACE: usize = 0;
    const HOST_IDS_CHANGE: bool = false;

    #[inline]
    fn owner(address: Ipv4Addr, snapshot: &Snapshot) -> Option<Owner> {
        snapshot.addresses.get_v4(address)
    }

    /// RFC 1122 §3.2.1.3.
    #[inline]
    fn is_host(address: Ipv4Addr) -> bool {
        // Excludes this network, loopback, multicast and reserved addresses.
        matches!(address.octets()[0], 1..=126 | 128..=223)
    }

    #[inline]
    fn worker(client: Ipv4Addr, workers: u16) -> u16 {
        rss::owner(client, workers)
    }

    #[inline]
    fn host_id(address: Ipv4Addr, _: &HostTable) -> HostId {
        HostId::v4(address)
    }

    #[inline]
    fn resolve(host: HostId, _: &HostTable) -> Ipv4Addr {
        Ipv4Addr::from_bits(host.to_bits())
    }

    #[inline]
    fn of(address: &IpAddr) -> Option<Ipv4Addr> {
        match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        }
    }
}

impl IpFamily for Ipv6 {
    const BAD: DropReason = DropReason::BadIpv6;
    const PLACE: usize = 1;
    const HOST_IDS_CHANGE: bool = true;

    fn owner(address: Ipv6Addr, snapshot: &Snapshot) -> Option<Owner> {
        snapshot.addresses.get_v6(address)
    }

    /// RFC 4291 §2.
    fn is_host(address: Ipv6Addr) -> bool {
        let special = address.is_unspecified() || address.is_loopback() || address.is_multicast();
        !special && address.to_ipv4_mapped().is_none()
    }

    fn worker(client: Ipv6Addr, workers: u16) -> u16 {
        rss::owner_v6(client, workers)
    }

    fn host_id(address: Ipv6Addr, hosts: &HostTable) -> HostId {
        hosts.find(address)
    }

    fn resolve(host: HostId, hosts: &HostTable) -> Ipv6Addr {
        hosts.as_v6(host).unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    fn of(address: &IpAddr) -> Option<Ipv6Addr> {
        match address {
            IpAddr::V6(address) => Some(*address),
            IpAddr::V4(_) => None,
        }
    }
}

/// Whether the address is a valid host address.
pub fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => Ipv4::is_host(address),
        IpAddr::V6(address) => Ipv6::is_host(address),
    }
}
