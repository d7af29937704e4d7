//! Two gates of a pair that hold all VIPs at the same time, each with a pool of its own.

use crate::engine_harness::{EngineHarness, Outcome};
use crate::pair::Pair;
use crate::topology::{self, OUTSIDE, Via, gate_mac, hop};
use engine::net::address_map::Owner;
use engine::net::route_table::{Route, RouteTable};
use engine::snapshot::Snapshot;
use engine::types::id::{SnatId, VipId};
use engine::types::mode::Mode;
use engine::types::verdict::Verdict;
use ipnet::IpNet;
use std::net::IpAddr;
use wire::ethernet::Mac;

/// The hardware address of the other gate, as each of both sees it.
pub const OTHER: Mac = Mac([2, 0xfe, 0, 0, 0, 1]);

/// Addresses of a gate's pool.
const OF_POOL: u16 = 2;

/// Two gates of this configuration, of which each holds all VIPs and its own half of the pools.
pub fn fleet(world: impl Fn() -> Snapshot) -> Pair {
    let mut pair = Pair::new(|| with_pools(world()));
    for n in [0, 1] {
        share(&mut pair.gates[n], &[n as u16]);
    }
    pair
}

/// The configuration with a second address in each pool.
fn with_pools(mut snapshot: Snapshot) -> Snapshot {
    for via in [Via::Snat, Via::Snat6] {
        let address = via.host(0, 111);
        let id = SnatId(snapshot.snat.len() as u16);
        snapshot.snat.push(address.into());
        snapshot.addresses.insert(address, Owner::Snat(id));
    }
    let way = |via: Via, net: IpAddr, length| Route {
        to: IpNet::new(net, length).expect("a length").trunc(),
        gateway: None,
        hop: Some(hop(via.host(0, 1))),
    };
    snapshot.routes = RouteTable::new([
        way(Via::Nat, Via::Nat.address([192, 168, 0, 0]), 16),
        way(Via::Nat6, Via::Nat6.address([192, 168, 0, 0]), 112),
    ]);
    snapshot
}

/// A gate holds all VIPs, which the other one holds too, and the pools with these numbers.
pub fn share(gate: &mut EngineHarness, pools: &[u16]) {
    gate.change(|snapshot| {
        for vip in 0..snapshot.vips.len() as u16 {
            snapshot.set_live(VipId(vip), true);
            snapshot[VipId(vip)].is_shared = true;
        }
        for id in 0..snapshot.snat.len() as u16 {
            snapshot.set_snat_live(SnatId(id), pools.contains(&(id / OF_POOL)));
        }
        snapshot[OUTSIDE].other_gate = Some(OTHER);
        for (service, via) in snapshot.services.iter_mut().zip(Via::ALL.into_iter().cycle()) {
            if let Mode::Snat(first) = via.mode() {
                let of = |pool: u16| first.iter().map(move |id| SnatId(id.0 + pool * OF_POOL));
                service.mode = Mode::Snat(pools.iter().flat_map(|&pool| of(pool)).collect());
            }
        }
    });
}

/// The frame as the other gate gets it, which this one has sent on.
///
/// # Panics
///
/// The gate did something else with it, or changed it.
#[track_caller]
pub fn sent_on(outcome: Outcome) -> Vec<u8> {
    let Outcome { verdict, before, mut bytes } = outcome;
    assert_eq!(verdict, Verdict::Transmit(OUTSIDE));
    assert_eq!(bytes[..12], [OTHER.0, gate_mac(OUTSIDE).0].concat());
    assert_eq!(bytes[12..], before[12..], "it is as it came");
    bytes[..12].copy_from_slice(&[gate_mac(OUTSIDE).0, OTHER.0].concat());
    bytes
}

/// The next hop of what a gate answers to clients whose packets the other one has sent on.
pub fn router(via: Via) -> Mac {
    topology::mac(if via.is_v6() { Via::Nat6 } else { Via::Nat }.host(0, 1))
}
