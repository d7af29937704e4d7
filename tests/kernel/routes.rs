//! The kernel's routes and neighbours.

use crate::fake_worker::{Arp, Wire};
use crate::space::{inside, must};
use crate::{FAR, GATEWAY, MAC, NEAR, VIP, block_on, config, until, wanted};
use control::config::Config;
use control::kernel::{Kernel, KernelView, Route};
use engine::net::route_table::Unresolved;
use engine::types::id::InterfaceId;
use std::collections::HashSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use wire::ethernet::Mac;

/// A configuration with an egress NAT rule, which needs routes.
fn ruled() -> Config {
    let rule = "[[nat]]\nfrom = \"192.0.2.0/24\"\nprotocol = \"tcp\"\nto = \"10.0.0.100\"\n";
    config("0000:03:00.0", rule)
}

async fn start() -> (Kernel, Wire, Unresolved) {
    let (config, unresolved) = (ruled(), Unresolved::default());
    let kernel = Kernel::start(&config, &[MAC], wanted(&config), unresolved.clone()).await;
    let mut kernel = kernel.expect("the kernel takes all of it");
    let wire = Wire::new();
    kernel.carry(0, vec![wire.rings.clone()], Arc::clone(&wire.pool));
    kernel.follow_links(|_| true).await.expect("nothing is gone");
    (kernel, wire, unresolved)
}

fn find(view: &KernelView, to: &str) -> Option<Route> {
    let to = to.parse().expect("a network");
    view.routes.iter().find(|route| route.to == to).copied()
}

/// Whether there is such a route over the gate's interface, and its next hop.
fn leads(view: &KernelView, to: &str, gateway: Option<IpAddr>, mac: Option<Mac>) -> bool {
    let route = find(view, to).filter(|route| route.interface == Some(InterfaceId(0)));
    route.is_some_and(|route| (route.gateway, route.mac) == (gateway, mac))
}

#[test]
fn routes_come_and_go_with_their_routers() {
    inside("routes::routes_come_and_go_with_their_routers", |_| {
        block_on(async {
            let (kernel, mut wire, _) = start().await;
            let view = kernel.view();
            let router = Some(GATEWAY.1.into());
            assert!(leads(&view.borrow(), "0.0.0.0/0", router, None), "the first view knows it");
            assert!(leads(&view.borrow(), "10.0.0.0/24", None, None), "the link itself");

            wire.up.insert(GATEWAY.1, GATEWAY.0);
            until("the router is resolved", || {
                wire.turn();
                leads(&view.borrow(), "0.0.0.0/0", router, Some(GATEWAY.0))
            })
            .await;
            let other = (Mac([2, 0, 0, 0, 0, 8]), "10.0.0.8".parse().expect("an address"));
            wire.up.insert(other.1, other.0);
            must("ip route add 198.51.100.0/24 via 10.0.0.8");
            until("the new router is asked for by itself", || {
                wire.turn();
                leads(&view.borrow(), "198.51.100.0/24", Some(other.1.into()), Some(other.0))
            })
            .await;
            let entry = must("ip neigh show to 10.0.0.8 dev lan");
            assert!(entry.contains("managed"), "it would go stale: {entry}");
            must("ip route del 198.51.100.0/24");
            until("the route is gone", || find(&view.borrow(), "198.51.100.0/24").is_none()).await;
            // Routes vanish with their link, and for IPv4 without notification.
            must("ip link set lan down");
            until("none is left", || find(&view.borrow(), "0.0.0.0/0").is_none()).await;
        });
    });
}

#[test]
fn the_best_of_several_and_none_of_others() {
    inside("routes::the_best_of_several_and_none_of_others", |_| {
        block_on(async {
            let (kernel, _wire, _) = start().await;
            let view = kernel.view();
            must("ip route add 198.51.100.0/24 via 10.0.0.8 metric 20");
            must("ip route add 198.51.100.0/24 via 10.0.0.9 metric 10");
            must("ip route add 203.0.113.0/24 nexthop via 10.0.0.8 nexthop via 10.0.0.9");
            must("ip route add 198.51.100.128/25 dev lo");
            must("ip route add unreachable 198.51.100.7");
            must("ip route add 203.0.113.9 via 10.0.0.8 table 7");
            let by = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
            until("the better one, and the first of two", || {
                let view = view.borrow();
                leads(&view, "198.51.100.0/24", by(9), None)
                    && leads(&view, "203.0.113.0/24", by(8), None)
            })
            .await;
            // More specific routes, which lead to other interfaces.
            let elsewhere = |to| {
                let route = find(&view.borrow(), to);
                route.is_some_and(|route| route.interface.is_none() && route.hop().is_none())
            };
            until("both", || elsewhere("198.51.100.128/25") && elsewhere("198.51.100.7/32")).await;
            assert_eq!(find(&view.borrow(), "203.0.113.9/32"), None, "another table");
        });
    });
}

#[test]
fn who_is_on_a_link_is_a_route_to_itself() {
    inside("routes::who_is_on_a_link_is_a_route_to_itself", |_| {
        block_on(async {
            let (kernel, mut wire, _) = start().await;
            let view = kernel.view();
            wire.up.insert(NEAR.1, NEAR.0);
            must("ip neigh add 10.0.0.77 lladdr 02:00:00:00:00:77 dev lan nud stale");
            until("a backend, and somebody who is none", || {
                wire.turn();
                let view = view.borrow();
                leads(&view, "10.0.0.30/32", None, Some(NEAR.0))
                    && leads(&view, "10.0.0.77/32", None, Some(Mac([2, 0, 0, 0, 0, 0x77])))
            })
            .await;
            must("ip neigh del 10.0.0.77 dev lan");
            until("he has left", || find(&view.borrow(), "10.0.0.77/32").is_none()).await;
        });
    });
}

/// Addresses that the kernel has asked for on the wire since the last call.
fn asked_for(wire: &Wire) -> impl Iterator<Item = Ipv4Addr> {
    let asked = wire.turn().into_iter().filter_map(|frame| Arp::parse(&frame));
    asked.filter(Arp::asks).map(|arp| arp.target.1)
}

#[test]
fn whom_a_worker_looks_for_is_found() {
    inside("routes::whom_a_worker_looks_for_is_found", |_| {
        block_on(async {
            let (kernel, mut wire, unresolved) = start().await;
            let view = kernel.view();
            let silent = (Mac([2, 0, 0, 0, 0, 0x55]), Ipv4Addr::new(10, 0, 0, 55));
            wire.up.insert(silent.1, silent.0);
            wire.up.insert(GATEWAY.1, GATEWAY.0);
            // Not asked for: the gate's own addresses, broadcast and multicast, hosts behind a router.
            let others = [VIP, Ipv4Addr::new(10, 0, 0, 255), Ipv4Addr::new(224, 0, 0, 1), FAR];
            let mut asked = HashSet::new();
            until("it is a route to itself", || {
                others.into_iter().chain([silent.1]).for_each(|one| unresolved.note(one.into()));
                asked.extend(asked_for(&wire));
                leads(&view.borrow(), "10.0.0.55/32", None, Some(silent.0))
            })
            .await;
            assert!(asked.contains(&silent.1), "{asked:?}");
            assert!(others.iter().all(|other| !asked.contains(other)), "{asked:?}");

            // A host may be asked for before it is up.
            let late = Ipv4Addr::new(10, 0, 0, 56);
            until("it is asked for in vain", || {
                unresolved.note(late.into());
                wire.turn();
                must("ip neigh show to 10.0.0.56 dev lan").contains("FAILED")
            })
            .await;
            wire.up.insert(late, silent.0);
            until("it is asked for again", || {
                unresolved.note(late.into());
                wire.turn();
                leads(&view.borrow(), "10.0.0.56/32", None, Some(silent.0))
            })
            .await;
        });
    });
}

#[test]
fn who_is_kept_resolved_stays_so() {
    inside("routes::who_is_kept_resolved_stays_so", |_| {
        block_on(async {
            let (_kernel, _wire, unresolved) = start().await;
            let is_managed = || must("ip neigh show to 10.0.0.30 dev lan").contains("managed");
            until("the backend is", is_managed).await;
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(2) {
                unresolved.note(NEAR.1.into());
                sleep(Duration::from_millis(5)).await;
                assert!(is_managed(), "it was asked for like others");
            }
        });
    });
}

#[test]
fn a_scan_is_asked_for_at_a_measured_pace() {
    inside("routes::a_scan_is_asked_for_at_a_measured_pace", |_| {
        block_on(async {
            let (kernel, mut wire, unresolved) = start().await;
            let mut view = kernel.view();
            let all = (0..4000u32).map(|n| Ipv4Addr::from_bits(0x0a01_0000 + n));
            must("ip route add 10.1.0.0/16 dev lan");
            wire.up.extend(all.clone().map(|one| (one, NEAR.0)));
            let mut all = all.cycle();
            let (mut asked, mut known) = (HashSet::new(), HashSet::new());
            let (start, mut views) = (Instant::now(), 0);
            let resolved = |view: &KernelView| {
                let found = view.routes.iter().filter(|route| route.mac == Some(NEAR.0));
                found.map(|route| route.to.addr()).collect::<Vec<_>>()
            };
            let is_scanned = |one: &Ipv4Addr| one.octets()[1] == 1;
            while start.elapsed() < Duration::from_secs(3) {
                all.by_ref().take(50).for_each(|one| unresolved.note(one.into()));
                asked.extend(asked_for(&wire).filter(is_scanned).map(IpAddr::from));
                sleep(Duration::from_millis(10)).await;
                if view.has_changed().expect("it goes on") {
                    known.extend(resolved(&view.borrow_and_update()));
                    views += 1;
                }
            }
            // The first view comes at once, and may come late.
            let seconds = start.elapsed().as_secs() as usize + 2;
            assert!(asked.len() <= 64 * seconds, "{} in {seconds} seconds", asked.len());
            assert!(views <= 2 * seconds, "{views} views in {seconds} seconds");
            until("each of them was known once", || {
                wire.turn();
                known.extend(resolved(&view.borrow()));
                !known.is_empty() && asked.is_subset(&known)
            })
            .await;
        });
    });
}

/// A routing daemon may add or remove thousands of routes at once: this causes only a few views.
#[test]
fn a_feed_of_routes_is_taken_at_a_measured_pace() {
    inside("routes::a_feed_of_routes_is_taken_at_a_measured_pace", |_| {
        block_on(async {
            let (kernel, mut wire, _) = start().await;
            let mut view = kernel.view();
            wire.up.insert(GATEWAY.1, GATEWAY.0);
            let script = tempfile::NamedTempFile::new().expect("a temporary file");
            let mut lines = String::new();
            for n in 0..5000 {
                let (high, low) = (n / 250, n % 250);
                writeln!(lines, "route add 100.{high}.{low}.0/24 via 10.0.0.1").expect("text");
            }
            std::fs::write(script.path(), &lines).expect("a temporary file can be written");
            must(&format!("ip -batch {}", script.path().display()));
            let resolved = |view: &KernelView| {
                view.routes.iter().filter(|route| route.mac == Some(GATEWAY.0)).count()
            };
            until("all are known", || {
                wire.turn();
                resolved(&view.borrow()) > 5000
            })
            .await;
            let (start, mut views) = (Instant::now(), 0);
            view.borrow_and_update();
            while start.elapsed() < Duration::from_secs(3) {
                must("ip route change 100.0.0.0/24 via 10.0.0.9");
                must("ip route change 100.0.0.0/24 via 10.0.0.1");
                wire.turn();
                sleep(Duration::from_millis(20)).await;
                if view.has_changed().expect("it goes on") {
                    view.borrow_and_update();
                    views += 1;
                }
            }
            assert!(views <= 8, "{views} views in three seconds");
            assert!(resolved(&view.borrow()) >= 5000);
        });
    });
}
