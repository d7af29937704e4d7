//! Configurations that follow one another while packets flow.

mod configurations;
mod damage;
mod numbers;
mod transfers;

use configurations::{ADDRESSES, address, held};
use control::active_config::ActiveConfig;
use control::backend_status::BackendStatuses;
use control::carry_over::CarryOver;
use control::kernel::{KernelView, Source};
use control::snapshot;
use engine::snapshot::Snapshot;
use engine::types::id::InterfaceId;
use engine::types::next_hop::NextHop;
use engine::types::tick::Tick;
use kit::topology::{gate_mac, mac};

/// The snapshot of a configuration.
fn snapshot(active: &ActiveConfig, view: &KernelView) -> Snapshot {
    let (statuses, carry_over) = (BackendStatuses::default(), &mut CarryOver::default());
    snapshot::build(active, &[gate_mac(InterfaceId(0))], view, &statuses, carry_over, Tick(0))
}

/// Some VIPs are live, and some backends are up.
fn some_view() -> KernelView {
    let up = (0..ADDRESSES).filter(|n| n % 4 > 0).map(address);
    let hop = |address| (address, NextHop { interface: InterfaceId(0), mac: mac(address) });
    KernelView {
        held: (0..ADDRESSES).filter(|n| n % 3 > 0).map(|n| (held(n), None)).collect(),
        hops: up.map(hop).collect(),
        ..KernelView::default()
    }
}

/// All VIPs are live, and all backends are up.
fn sunny_view() -> KernelView {
    let hop = |address| (address, NextHop { interface: InterfaceId(0), mac: mac(address) });
    let all = || (0..ADDRESSES).map(address);
    let source = |address| (address, Source::OnLink(InterfaceId(0), Some(mac(address))));
    KernelView {
        held: (0..ADDRESSES).map(|n| (held(n), None)).collect(),
        hops: all().map(hop).collect(),
        sources: all().map(source).collect(),
        ..KernelView::default()
    }
}
