//! Configurations that follow one another while packets flow.

mod configurations;
mod damage;
mod numbers;
mod transfers;

use configurations::{ADDRESSES, address};
use control::in_force::InForce;
use control::kernel::{Source, View};
use control::lasting::Lasting;
use control::standing::Standings;
use control::tables;
use engine::tables::{Hop, Tables};
use engine::tick::Tick;
use kit::world::{gate_mac, mac};

/// The snapshot of a configuration.
fn tables(in_force: &InForce, view: &View) -> Tables {
    let (standings, lasting) = (Standings::default(), &mut Lasting::default());
    tables::build(in_force, &[gate_mac(0)], view, &standings, lasting, Tick(0))
}

/// Some VIPs are live, and some backends are up.
fn some_view() -> View {
    let up = (0..ADDRESSES).filter(|n| n % 4 > 0).map(address);
    let hop = |address| (address, Hop { interface: 0, mac: mac(address) });
    View {
        live: (0..ADDRESSES).filter(|n| n % 3 > 0).map(address).collect(),
        hops: up.map(hop).collect(),
        ..View::default()
    }
}

/// All VIPs are live, and all backends are up.
fn sunny_view() -> View {
    let hop = |address| (address, Hop { interface: 0, mac: mac(address) });
    let all = || (0..ADDRESSES).map(address);
    let source = |address| (address, Source::OnLink(0, Some(mac(address))));
    View {
        live: all().collect(),
        hops: all().map(hop).collect(),
        sources: all().map(source).collect(),
        ..View::default()
    }
}
