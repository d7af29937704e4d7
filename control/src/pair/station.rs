//! Stations of the peer gate: where it is reached on each link, for packets of its flows that a router has sent here.

use super::message::Station;
use crate::config::Interface;
use engine::snapshot::Snapshot;
use std::collections::BTreeSet;
use std::net::IpAddr;
use wire::ethernet::Mac;

/// Enters into a snapshot what the peer holds, and where it takes packets of its flows.
pub fn enter(
    snapshot: &mut Snapshot,
    interfaces: &[Interface],
    stations: &[Station],
    held: &BTreeSet<IpAddr>,
) {
    for vip in &mut snapshot.vips {
        vip.is_shared = held.contains(&vip.address);
    }
    // A lone gate's packets need not be asked whose they are.
    let is_needed = snapshot.numbered_vips().any(|(id, vip)| vip.is_shared && snapshot.is_live(id));
    let stations = if is_needed { stations } else { &[] };
    for (interface, known) in interfaces.iter().zip(&mut snapshot.interfaces) {
        let station = stations.iter().find(|station| is_on_link(station, interface));
        let mac = station.map(|station| Mac(station.mac));
        known.other_gate =
            mac.filter(|&mac| mac != known.mac && mac != Mac::default() && !mac.is_group());
    }
}

/// Whether the peer has the interface, with an address of the same network.
fn is_on_link(station: &Station, interface: &Interface) -> bool {
    let is_near = |address: &IpAddr| interface.addresses.iter().any(|net| net.contains(address));
    station.interface == interface.name && station.addresses.iter().any(is_near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample::{SOUND, parsed};
    use engine::snapshot::interface;
    use engine::snapshot::vip::Vip;
    use engine::types::id::VipId;

    const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const PEERS: [u8; 6] = [2, 0, 0, 0, 0, 2];

    /// The gate that the snapshot knows at a link with such a station of the peer's.
    fn known(name: &str, mac: [u8; 6], address: &str) -> Option<Mac> {
        let config = parsed(SOUND);
        let ours = interface::Interface { mac: Mac(OURS), ..Default::default() };
        let vip = "10.0.0.100".parse().expect("a VIP");
        let vips = vec![Vip::new(vip)];
        let mut snapshot = Snapshot { interfaces: vec![ours], vips, ..Snapshot::default() };
        snapshot.set_live(VipId(0), true);
        let addresses = vec![address.parse().expect("an address")];
        let station = Station { interface: name.to_owned(), mac, addresses };
        enter(&mut snapshot, &config.interfaces, &[station], &BTreeSet::from([vip]));
        snapshot.interfaces[0].other_gate
    }

    #[test]
    fn a_peer_is_reached_on_a_link_that_both_gates_have() {
        assert_eq!(known("lan", PEERS, "10.0.0.3"), Some(Mac(PEERS)));
        assert_eq!(known("wan", PEERS, "10.0.0.3"), None, "another link");
        assert_eq!(known("lan", PEERS, "10.0.1.3"), None, "another network");
        assert_eq!(known("lan", OURS, "10.0.0.3"), None, "this gate");
        for mac in [[0; 6], [255; 6], [1, 0, 94, 0, 0, 1]] {
            assert_eq!(known("lan", mac, "10.0.0.3"), None, "no station");
        }
    }

    #[test]
    fn vips_that_the_peer_holds_are_shared() {
        let [held, other] = ["10.0.0.100", "10.0.0.101"].map(|vip| vip.parse().expect("a VIP"));
        let vips = [held, other].map(Vip::new).into();
        let mut snapshot = Snapshot { vips, ..Snapshot::default() };
        enter(&mut snapshot, &[], &[], &BTreeSet::from([held]));
        assert_eq!([0, 1].map(|n: usize| snapshot.vips[n].is_shared), [true, false]);
        enter(&mut snapshot, &[], &[], &BTreeSet::new());
        assert!(!snapshot.vips[0].is_shared);
    }
}
