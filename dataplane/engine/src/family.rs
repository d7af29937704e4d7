//! What the two versions of IP differ in, as far as the engine cares. All else is one code for both,
//! which the compiler specialises.

use crate::flow::hosts::{Host, Hosts};
use crate::here::Here;
use crate::reason::Reason;
use crate::stage::admit::Packet;
use crate::stage::neighbour;
use crate::steer;
use crate::tables::{Owner, Tables};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;

/// A version of IP.
pub trait Family: Ip<Address: Into<IpAddr>> {
    /// Why a contradictory header is dropped.
    const BAD: Reason;
    /// Its place where there is one thing for each version.
    const PLACE: usize;
    /// Whether a name can be another address's after the packet before.
    const NAMES_CHANGE: bool;

    /// Whose an address is.
    fn owner(address: Self::Address, tables: &Tables) -> Option<Owner>;

    /// Whether a single host can have this address.
    fn is_host(address: Self::Address) -> bool;

    /// The worker that owns a client.
    fn worker(client: Self::Address, workers: u16) -> u16;

    /// The name of an address in this worker.
    fn name(address: Self::Address, hosts: &Hosts) -> Host;

    /// The address with this name, which is of this version.
    fn named(host: Host, hosts: &Hosts) -> Self::Address;

    /// The address, if it is of this version.
    fn of(address: &IpAddr) -> Option<Self::Address>;

    /// Answers who asks for an address of ours in packets of this version ([`neighbour`]). Answers false if it is
    /// something else.
    fn answer_neighbour(packet: &mut Packet<Self>, here: &Here) -> bool;
}

impl Family for Ipv4 {
    const BAD: Reason = Reason::BadIpv4;
    const PLACE: usize = 0;
    const NAMES_CHANGE: bool = false;

    #[inline]
    fn owner(address: Ipv4Addr, tables: &Tables) -> Option<Owner> {
        tables.addresses.get_v4(address)
    }

    /// RFC 1122 §3.2.1.3.
    #[inline]
    fn is_host(address: Ipv4Addr) -> bool {
        // Not this network, loopback, multicast or reserved.
        matches!(address.octets()[0], 1..=126 | 128..=223)
    }

    #[inline]
    fn worker(client: Ipv4Addr, workers: u16) -> u16 {
        steer::owner(client, workers)
    }

    #[inline]
    fn name(address: Ipv4Addr, _: &Hosts) -> Host {
        Host::v4(address)
    }

    #[inline]
    fn named(host: Host, _: &Hosts) -> Ipv4Addr {
        Ipv4Addr::from_bits(host.to_bits())
    }

    #[inline]
    fn of(address: &IpAddr) -> Option<Ipv4Addr> {
        match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        }
    }

    /// ARP is no IP.
    fn answer_neighbour(_: &mut Packet<Ipv4>, _: &Here) -> bool {
        false
    }
}

impl Family for Ipv6 {
    const BAD: Reason = Reason::BadIpv6;
    const PLACE: usize = 1;
    const NAMES_CHANGE: bool = true;

    fn owner(address: Ipv6Addr, tables: &Tables) -> Option<Owner> {
        tables.addresses.get_v6(address)
    }

    /// RFC 4291 §2.
    fn is_host(address: Ipv6Addr) -> bool {
        let special = address.is_unspecified() || address.is_loopback() || address.is_multicast();
        !special && address.to_ipv4_mapped().is_none()
    }

    fn worker(client: Ipv6Addr, workers: u16) -> u16 {
        steer::owner_v6(client, workers)
    }

    fn name(address: Ipv6Addr, hosts: &Hosts) -> Host {
        hosts.find(address)
    }

    fn named(host: Host, hosts: &Hosts) -> Ipv6Addr {
        hosts.as_v6(host).unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    fn of(address: &IpAddr) -> Option<Ipv6Addr> {
        match address {
            IpAddr::V6(address) => Some(*address),
            IpAddr::V4(_) => None,
        }
    }

    fn answer_neighbour(packet: &mut Packet<Ipv6>, here: &Here) -> bool {
        neighbour::solicitation(packet, here)
    }
}

/// Whether a single host can have this address.
pub fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => Ipv4::is_host(address),
        IpAddr::V6(address) => Ipv6::is_host(address),
    }
}
