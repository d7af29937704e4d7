//! Builds the engine's snapshot from the configuration, the kernel view and the backend status.

mod addresses;
mod groups;
mod origins;
mod services;

use crate::active_config::ActiveConfig;
use crate::backend_status::{AdminState, BackendStatuses};
use crate::carry_over::CarryOver;
use crate::config::{self, Config};
use crate::flow_log;
use crate::kernel::KernelView;
use crate::registry::{self, Numbered, Registry, present};
use engine::scheduler::transfer_limit::TransferLimit;
use engine::snapshot::interface::Interface;
use engine::snapshot::service::BackendGroups;
use engine::snapshot::vip::Vip;
use engine::snapshot::{Backend, BackendState, NatRule, Protocol, Snapshot};
use engine::types::id::{BackendId, ServiceId, VipId};
use engine::types::tick::{PER_SECOND, Tick};
use wire::ethernet::Mac;

/// Builds a snapshot. `macs` are the devices' addresses in the order of the configuration's interfaces, `carry_over`
/// is the state of earlier snapshots, and `now` is the workers' time. Numbers are indices; removed services and
/// backends keep theirs: their transfers go on, and they get no new ones.
pub fn build(
    active: &ActiveConfig,
    macs: &[Mac],
    view: &KernelView,
    statuses: &BackendStatuses,
    carry_over: &mut CarryOver,
    now: Tick,
) -> Snapshot {
    let ActiveConfig { registry, numbers, .. } = active;
    let config = active.config();
    let removed = (0..).map(ServiceId).zip(registry.services());
    let mut snapshot = Snapshot {
        interfaces: interfaces(config, macs, view),
        services: removed
            .map(|(id, service)| services::leaving(service, registry.group_of(id)))
            .collect(),
        backends: registry.backends().iter().map(|entry| backend(&entry.what, view)).collect(),
        servers: origins::of_servers(registry, view, carry_over),
        groups: vec![BackendGroups::default(); registry.groups()],
        vips: registry.vips().iter().map(|entry| Vip::new(entry.what.held.address)).collect(),
        snat: registry.snat().iter().map(|entry| carry_over.snat(entry.what.address)).collect(),
        nat: config.nat.iter().filter_map(|rule| nat(rule, registry, carry_over)).collect(),
        routes: carry_over.routes(&view.routes),
        unresolved: carry_over.unresolved.clone(),
        originate_rate: originate_rate(&config.dataplane),
        ..Snapshot::default()
    };
    for (numbers, service) in numbers.iter().zip(&config.services) {
        enter_ports(&mut snapshot, numbers, service);
        for (&id, backend) in numbers.backends.iter().zip(&service.backends) {
            enter_backend(&mut snapshot, id, (service, backend), statuses, (carry_over, now));
        }
        groups::set_groups(
            &mut snapshot.groups,
            service,
            numbers,
            statuses,
            &mut carry_over.maglevs,
        );
        snapshot[numbers.id] = services::configured(service, numbers, config.dataplane.max_flows);
    }
    for (id, service) in (0..).map(ServiceId).zip(registry.services()) {
        let is_without_end = service.protocol.is_without_end();
        snapshot[id].log = flow_log::policy(&service.name, is_without_end, config.logs.iter());
    }
    let mut removed = carry_over.leave_removed(registry, now);
    removed.retain(|&(id, _)| {
        matches!(snapshot.service_of(id).protocol, Protocol::Udp | Protocol::Any)
    });
    snapshot.leave_by.append(&mut removed);
    for (id, vip) in present(VipId, registry.vips()).filter(|(_, vip)| vip.broadcast) {
        addresses::set_broadcast(&mut snapshot, &config.interfaces, vip.held.interface, id);
    }
    snapshot.has_rules = carry_over.has_rules();
    snapshot.has_connections = snapshot.has_rules
        || snapshot.services.iter().any(|service| service.protocol != Protocol::Tftp);
    addresses::data_ports(&mut snapshot.vips, registry);
    addresses::enter_addresses(&mut snapshot, registry, view);
    addresses::keep_live_pools(&mut snapshot);
    carry_over.maglevs.tidy();
    snapshot
}

/// Enters the ports of a service at its VIPs.
fn enter_ports(snapshot: &mut Snapshot, numbers: &Numbered, service: &config::Service) {
    let port = (service.port, numbers.id);
    for &vip in &numbers.vips {
        let vip = &mut snapshot[vip];
        match service.protocol {
            Protocol::Tftp | Protocol::Udp => vip.udp.push(port),
            Protocol::Ftp(_) | Protocol::Tcp => vip.tcp.push(port),
            Protocol::Any => vip.any = Some(numbers.id),
        }
    }
}

/// Enters a configured backend's state and limits.
fn enter_backend(
    snapshot: &mut Snapshot,
    id: BackendId,
    (service, backend): (&config::Service, &config::Backend),
    statuses: &BackendStatuses,
    (carry_over, now): (&mut CarryOver, Tick),
) {
    let status = statuses.of(service, backend);
    let known = &mut snapshot[id];
    known.state = status.state();
    // A disabled backend gets no packets, not even those of its transfers.
    known.hop = known.hop.filter(|_| status.admin != AdminState::Disabled);
    let most = backend.max_transfers;
    known.cap = most.map(|most| TransferLimit::new(most, carry_over.places(service, backend)));
    known.slow_start = carry_over.slow_start(service, backend, known, now);
    let leave_by = carry_over.leave_drained(service, backend, status.admin, now);
    snapshot.leave_by.extend(leave_by.map(|time| (id, time)));
}

/// The most frames that each worker may originate in a tick, for failover.
fn originate_rate(dataplane: &config::Dataplane) -> u32 {
    dataplane.failover_rate.div_ceil(PER_SECOND * dataplane.workers.len() as u32)
}

/// A backend as the registry knows it, which gets no new transfers until its status is set.
fn backend(known: &registry::Backend, view: &KernelView) -> Backend {
    Backend {
        address: known.address,
        aliases: known.aliases.clone(),
        service: known.service(),
        server: known.server(),
        hop: known.fixed_hop().or_else(|| view.hops.get(&known.address).copied()),
        state: BackendState::Draining,
        cap: None,
        slow_start: None,
    }
}

fn interfaces(config: &Config, macs: &[Mac], view: &KernelView) -> Vec<Interface> {
    let both = config.interfaces.iter().zip(macs).enumerate();
    both.map(|(place, (interface, &mac))| {
        let held = view.held.iter().filter(|(held, _)| held.interface == place);
        let virtual_macs = view.virtual_macs.iter().filter(|(interface, _)| *interface == place);
        Interface {
            mac,
            mtu: mtu(interface, view),
            addresses: interface.addresses.clone(),
            virtual_macs: virtual_macs.map(|&(_, mac)| mac).collect(),
            held: held.map(|(held, at)| (held.address, at.unwrap_or(mac))).collect(),
            other_gate: None,
            broadcast: None,
        }
    })
    .collect()
}

/// The largest packet that an interface can send now.
fn mtu(interface: &config::Interface, view: &KernelView) -> u16 {
    let narrow = interface.device.linux_interface().and_then(|name| view.narrow.get(name));
    let room = narrow.map(|mtu| mtu.saturating_sub(interface.tag_room()));
    room.map_or(interface.mtu, |room| room.min(interface.mtu))
}

fn nat(rule: &config::NatRule, registry: &Registry, carry_over: &mut CarryOver) -> Option<NatRule> {
    let to = registry.vips().iter().position(|vip| vip.what.held.address == rule.to)?;
    Some(NatRule {
        from: rule.from,
        protocol: rule.protocol,
        source_port: rule.source_port,
        to: VipId(to as u16),
        hits: carry_over.hits(rule),
    })
}

#[cfg(test)]
mod tests;
