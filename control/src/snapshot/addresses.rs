//! The snapshot's address map: the owner of each address, and the ports that lead to one backend.

use crate::config;
use crate::kernel::KernelView;
use crate::registry::{Registry, present};
use engine::net::address_map::Owner;
use engine::snapshot::Snapshot;
use engine::snapshot::vip::Vip;
use engine::types::id::{BackendId, SnatId, VipId};
use engine::types::mode::Mode;
use ipnet::IpNet;
use std::net::Ipv4Addr;

/// Gives an interface's broadcasts to this VIP.
pub fn set_broadcast(
    snapshot: &mut Snapshot,
    interfaces: &[config::Interface],
    interface: usize,
    vip: VipId,
) {
    snapshot.interfaces[interface].broadcast = Some(vip);
    // A subnet of two addresses has no broadcast address (RFC 3021).
    let has_one = |net: &&IpNet| net.addr().is_ipv4() && net.prefix_len() < 31;
    let subnets = interfaces[interface].addresses.iter().filter(has_one);
    let addresses = subnets.map(IpNet::broadcast).chain([Ipv4Addr::BROADCAST.into()]);
    addresses.for_each(|address| snapshot.addresses.insert(address, Owner::Everybody));
}

/// Enters the ports of passive data connections. Sessions at a removed backend may still open some; but a port that
/// another backend has now belongs to that one.
pub fn data_ports(vips: &mut [Vip], registry: &Registry) {
    let backends: Vec<_> = present(BackendId, registry.backends()).collect();
    // The first one that fits counts.
    for (id, backend) in backends.into_iter().rev() {
        let Some((ports, on)) = backend.data() else { continue };
        for vip in on {
            vips[vip.index()].passive.push((ports.clone(), id));
        }
    }
}

/// Enters the owner of each address. Our addresses override those of backends, and VIPs override SNAT addresses.
/// Entries that are gone own none. VIPs and SNAT addresses that the kernel does not hold are down.
pub fn enter_addresses(snapshot: &mut Snapshot, registry: &Registry, view: &KernelView) {
    let Snapshot { services, addresses, .. } = snapshot;
    for (_, backend) in present(BackendId, registry.backends()) {
        for &address in [&backend.address].into_iter().chain(&backend.aliases) {
            let server = backend.server();
            match services[backend.service().index()].mode {
                Mode::Dsr => {}
                Mode::Nat => addresses.insert(address, Owner::Routed(server)),
                // In another service it is routed.
                Mode::Snat(_) if addresses.get(address) == Some(Owner::Routed(server)) => {}
                Mode::Snat(_) => addresses.insert(address, Owner::Answering(server)),
            }
        }
    }
    let live = view.live();
    for (id, held) in present(SnatId, registry.snat()) {
        snapshot.set_snat_live(id, live.contains(&held.address));
    }
    for (id, vip) in present(VipId, registry.vips()) {
        snapshot.set_live(id, live.contains(&vip.held.address));
    }
}

/// Leaves in each pool the addresses that the kernel holds: new flows take ports of no other.
pub fn keep_live_pools(snapshot: &mut Snapshot) {
    let mut services = std::mem::take(&mut snapshot.services);
    for service in &mut services {
        if let Mode::Snat(pool) = &mut service.mode {
            pool.retain(|&id| snapshot.is_snat_live(id));
        }
    }
    snapshot.services = services;
}
