//! Control's view of the kernel's neighbours and addresses.

use crate::fake_worker::Wire;
use crate::keeper::over_both;
use crate::space::{Namespace, inside, must};
use crate::{FAR, GATEWAY, NEAR, SNAT, VIP, begin, block_on, pci, start, until, wanted};
use control::config::{Addresses, Held};
use control::kernel::{KernelView, Look};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use wire::ethernet::Mac;

/// Makes neighbours of the TAP stale within seconds instead of minutes.
fn hurry() {
    let settings = [
        ("base_reachable_time_ms", "500"),
        ("delay_first_probe_time", "1"),
        ("retrans_time_ms", "100"),
        ("interval_probe_time_ms", "1000"),
    ];
    for (name, value) in settings {
        let path = format!("/proc/sys/net/ipv4/neigh/lan/{name}");
        std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

fn hop(view: &KernelView, backend: Ipv4Addr) -> Option<Mac> {
    view.hops.get(&backend.into()).map(|hop| hop.mac)
}

#[test]
fn next_hops_are_found_lost_and_found_again() {
    inside("watch::next_hops_are_found_lost_and_found_again", |_| {
        block_on(async {
            let (kernel, mut wire, _) = start().await;
            hurry();
            let mut view = kernel.view();
            assert_eq!(view.borrow_and_update().hops.len(), 0);

            wire.up.extend([(NEAR.1, NEAR.0), (GATEWAY.1, GATEWAY.0)]);
            until("both backends are resolved", || {
                wire.turn();
                let view = view.borrow();
                hop(&view, NEAR.1) == Some(NEAR.0) && hop(&view, FAR) == Some(GATEWAY.0)
            })
            .await;

            wire.up.remove(&NEAR.1);
            until("a silent backend is given up", || {
                wire.turn();
                hop(&view.borrow(), NEAR.1).is_none()
            })
            .await;
            assert_eq!(hop(&view.borrow(), FAR), Some(GATEWAY.0));
            let entry = must("ip neigh show to 10.0.0.30 dev lan");
            assert!(entry.contains("managed"), "the kernel is too old to keep it: {entry}");
            assert!(entry.contains("extern_learn"), "it counts among all others: {entry}");

            // Without traffic, the kernel must have kept asking.
            wire.up.insert(NEAR.1, Mac([2, 0, 0, 0, 0, 31]));
            until("it is found again, with its new MAC", || {
                wire.turn();
                hop(&view.borrow(), NEAR.1) == Some(Mac([2, 0, 0, 0, 0, 31]))
            })
            .await;
        });
    });
}

#[test]
fn what_an_operator_says_of_a_next_hop_stays() {
    inside("watch::what_an_operator_says_of_a_next_hop_stays", |_| {
        block_on(async {
            let (kernel, mut wire, _) = start().await;
            let view = kernel.view();
            wire.up.insert(NEAR.1, NEAR.0);
            until("the backend is resolved", || {
                wire.turn();
                hop(&view.borrow(), NEAR.1) == Some(NEAR.0)
            })
            .await;
            must("ip neigh replace 10.0.0.30 lladdr 02:00:00:00:00:77 dev lan nud permanent");
            let said = Some(Mac([2, 0, 0, 0, 0, 0x77]));
            until("it is believed", || hop(&view.borrow(), NEAR.1) == said).await;
            must("ip route add 198.51.100.0/24 via 10.0.0.1");
            let has_looked = |view: &KernelView| {
                view.routes.iter().any(|route| route.to.to_string() == "198.51.100.0/24")
            };
            until("the kernel is looked at again", || has_looked(&view.borrow())).await;
            let entry = must("ip neigh show to 10.0.0.30 dev lan");
            assert!(entry.contains("PERMANENT"), "{entry}");
            must("ip neigh del 10.0.0.30 dev lan");
            until("it is asked for again", || {
                wire.turn();
                hop(&view.borrow(), NEAR.1) == Some(NEAR.0)
            })
            .await;
        });
    });
}

#[test]
fn next_hops_come_back_with_the_link() {
    inside("watch::next_hops_come_back_with_the_link", |_| {
        block_on(async {
            let (kernel, mut wire, _) = start().await;
            let view = kernel.view();
            wire.up.insert(NEAR.1, NEAR.0);
            let resolved = |wire: &Wire| {
                wire.turn();
                hop(&view.borrow(), NEAR.1).is_some()
            };
            until("the backend is resolved", || resolved(&wire)).await;
            // Empties the kernel's neighbour table.
            must("ip link set lan down");
            until("nothing is reached by a link that is down", || !resolved(&wire)).await;
            must("ip link set lan up");
            until("the backend is resolved again", || resolved(&wire)).await;
        });
    });
}

#[test]
fn a_backend_behind_another_interface_has_no_hop() {
    inside("watch::a_backend_behind_another_interface_has_no_hop", |_| {
        block_on(async {
            let (kernel, mut wire, _) = start().await;
            wire.up.extend([(NEAR.1, NEAR.0), (GATEWAY.1, GATEWAY.0)]);
            let view = kernel.view();
            until("the backend is resolved", || {
                wire.turn();
                hop(&view.borrow(), FAR).is_some()
            })
            .await;
            must("ip route add unreachable 192.0.2.30");
            until("an unreachable backend is given up", || hop(&view.borrow(), FAR).is_none())
                .await;
            must("ip route del unreachable 192.0.2.30");
            until("and taken back", || hop(&view.borrow(), FAR).is_some()).await;
            must("ip route add 192.0.2.30 dev lo");
            until("lo is none of our interfaces", || hop(&view.borrow(), FAR).is_none()).await;
        });
    });
}

#[test]
fn a_vip_is_live_while_the_kernel_holds_it() {
    inside("watch::a_vip_is_live_while_the_kernel_holds_it", |_| {
        block_on(async {
            let (kernel, _wire, _) = start().await;
            let view = kernel.view();
            for address in [VIP, SNAT] {
                let live = || view.borrow().live().contains(&address.into());
                assert!(live(), "the first view knows it");
                must(&format!("ip address del {address}/32 dev lan"));
                until("it is no longer live", || !live()).await;
                must(&format!("ip address add {address}/32 dev lo"));
                sleep(Duration::from_millis(200)).await;
                assert!(!live(), "lo is none of our interfaces");
                must(&format!("ip address add {address}/24 dev lan"));
                until("it is live again", live).await;
            }
        });
    });
}

#[test]
fn lost_events_are_made_up_for() {
    inside("watch::lost_events_are_made_up_for", |_| {
        block_on(async {
            let (kernel, _wire, _) = start().await;
            let view = kernel.view();
            // Control does not run meanwhile, so its socket overflows.
            let script = tempfile::NamedTempFile::new().expect("a temporary file");
            let mut lines = String::new();
            for (high, low) in (0..16).flat_map(|high| (0..250).map(move |low| (high, low))) {
                lines += &format!("address add 10.200.{high}.{low}/32 dev lo\n");
            }
            lines += "address del 10.0.0.100/32 dev lan\n";
            std::fs::write(script.path(), lines).expect("a temporary file can be written");
            must(&format!("ip -batch {}", script.path().display()));
            let start = Instant::now();
            until("the VIP is no longer live", || !view.borrow().live().contains(&VIP.into()))
                .await;
            assert!(start.elapsed() < Duration::from_secs(2), "only the clock told");
            must("ip address add 10.0.0.100/32 dev lan");
            until("it is live again", || view.borrow().live().contains(&VIP.into())).await;
        });
    });
}

/// An address and a backend are added, then removed: the kernel follows.
#[test]
fn what_is_wanted_changes() {
    inside("watch::what_is_wanted_changes", |_| {
        block_on(async {
            let (kernel, mut wire, _) = start().await;
            let mut view = kernel.view();
            wire.up.insert(NEAR.1, NEAR.0);
            until("the backend is resolved", || {
                wire.turn();
                hop(&view.borrow(), NEAR.1).is_some()
            })
            .await;
            let (mut more, vip) = (pci(), Ipv4Addr::new(10, 0, 0, 110));
            let other = Ipv4Addr::new(10, 0, 0, 31);
            more.services[0].vips.push(Held { address: vip.into(), interface: 0 });
            more.services[0].backends[0].address = other.into();
            wire.up.insert(other, Mac([2, 0, 0, 0, 0, 31]));
            kernel.want(wanted(&more)).await.expect("the kernel takes it");
            until("the new VIP is live, and the new backend found", || {
                wire.turn();
                let view = view.borrow_and_update();
                view.live().contains(&vip.into()) && hop(&view, other).is_some()
            })
            .await;
            assert_eq!(hop(&view.borrow(), NEAR.1), None);
            let known = must("ip neigh show dev lan");
            assert!(!known.contains("10.0.0.30"), "it is still asked for: {known}");
            // The address was removed by another program meanwhile, and stays away.
            must("ip address del 10.0.0.100/32 dev lan");
            kernel.want(wanted(&pci())).await.expect("the kernel lets go of it");
            until("no VIP is live", || view.borrow().live() == [SNAT.into()].into()).await;
            let held = must("ip address show dev lan");
            assert!(held.contains("10.0.0.101/32") && !held.contains("10.0.0.110"), "{held}");
        });
    });
}

#[test]
fn an_address_that_the_kernel_refuses_is_said() {
    inside("watch::an_address_that_the_kernel_refuses_is_said", |_| {
        block_on(async {
            let (kernel, _wire, _) = start().await;
            let mut odd = pci();
            odd.services[0].vips[0].address = "ff02::1".parse().expect("a group");
            let error = kernel.want(wanted(&odd)).await.expect_err("no host's address");
            assert!(error.to_string().contains("cannot add ff02::1"), "{error}");
        });
    });
}

/// A pair's other machine may have an address by now: whoever gives it away does not take it off.
#[test]
fn an_address_that_somebody_else_adds_is_left_alone() {
    inside("watch::an_address_that_somebody_else_adds_is_left_alone", |_| {
        block_on(async {
            let (ours, mut theirs) = (pci(), pci());
            theirs.services[0].addresses = Addresses::Elsewhere;
            let held =
                |address| must("ip -o address show dev lan").contains(&format!("{address}/32"));
            let mut kernel = begin(&theirs).await.expect("the kernel takes all of it");
            let view = kernel.view();
            assert!(![VIP, SNAT].into_iter().any(held), "somebody else adds them");
            assert!(view.borrow().live().is_empty());
            kernel.want(wanted(&ours)).await.expect("the kernel takes them");
            assert!([VIP, SNAT].into_iter().all(held));
            until("both are live", || view.borrow().live().len() == 2).await;

            kernel.want(wanted(&theirs)).await.expect("nothing is asked of the kernel");
            assert!([VIP, SNAT].into_iter().all(held), "whoever takes over has them");
            must("ip address flush dev lan");
            kernel.look(Look::Reload).await.expect("it can be put back");
            let now = must("ip -o address show dev lan");
            assert!(now.contains("10.0.0.2/24"), "the interface's own is put back: {now}");
            assert!(![VIP, SNAT].into_iter().any(held), "{now}");
            must("ip address add 10.0.0.100/32 dev lan");
            until("it is served", || view.borrow().live() == [VIP.into()].into()).await;
            let mut none = theirs.clone();
            none.services[0].vips[0].address = "10.0.0.110".parse().expect("an address");
            kernel.want(wanted(&none)).await.expect("nothing is asked of the kernel");
            assert!(held(VIP), "it is somebody else's, also when no service has it any more");
        });
    });
}

/// Workers compare frames with each of the hardware addresses, so there is a bound.
#[test]
fn addresses_on_macvlan_links_are_held_by_the_interface_below() {
    inside("watch::addresses_on_macvlan_links_are_held_by_the_interface_below", |_| {
        block_on(async {
            let mut theirs = pci();
            theirs.services[0].addresses = Addresses::Elsewhere;
            let kernel = begin(&theirs).await.expect("the kernel takes all of it");
            let view = kernel.view();
            let mac = |n: u8| Mac([0, 0, 0x5e, 0, 1, n]);
            let add = |n: u8| {
                must(&format!("ip link add v{n} link lan type macvlan mode private"));
                must(&format!("ip link set v{n} address {}", mac(n)));
            };
            let vip = Held { address: VIP.into(), interface: 0 };
            let found = || view.borrow().held.get(&vip).copied();
            add(51);
            must(&format!("ip address add {VIP}/32 dev v51"));
            sleep(Duration::from_millis(200)).await;
            assert_eq!(found(), None, "the link is down");
            must("ip link set v51 up");
            until("it is held by the link", || found() == Some(Some(mac(51)))).await;
            assert_eq!(view.borrow().virtual_macs, [(0, mac(51))].into());
            must(&format!("ip address add {VIP}/32 dev lan"));
            must(&format!("ip address add {SNAT}/32 dev lan"));
            until("the other one is held", || view.borrow().held.len() == 2).await;
            assert_eq!(found(), Some(Some(mac(51))), "clients know the virtual address");
            must("ip link del v51");
            until("the interface itself has it", || found() == Some(None)).await;
            assert!(view.borrow().virtual_macs.is_empty());

            for n in 0..17 {
                add(n);
                must(&format!("ip link set v{n} up"));
            }
            must("ip address del 10.0.0.100/32 dev lan");
            must(&format!("ip address add {VIP}/32 dev v16"));
            until("all are seen", || view.borrow().virtual_macs.len() == 16).await;
            assert_eq!(found(), None, "that of the last link is not served");
        });
    });
}

/// Such an address may be another host's.
#[test]
fn an_address_in_duplicate_address_detection_is_not_held() {
    inside("watch::an_address_in_duplicate_address_detection_is_not_held", |_| {
        block_on(async {
            let mut theirs = over_both();
            theirs.services[0].addresses = Addresses::Elsewhere;
            let kernel = begin(&theirs).await.expect("the kernel takes all of it");
            let view = kernel.view();
            let held = |address: &str| {
                let address = address.parse().expect("an address");
                view.borrow().held.contains_key(&Held { address, interface: 0 })
            };
            must("ip link add v51 link lan type macvlan mode private");
            // Longer than the test.
            must("sysctl -q -w net.ipv6.conf.v51.dad_transmits=100");
            must("ip link set v51 up");
            must("ip address add fd00::100/128 dev v51");
            must("ip address add 10.0.0.100/32 dev v51");
            until("the other one is held", || held("10.0.0.100")).await;
            assert!(must("ip address show dev v51 tentative").contains("fd00::100"));
            assert!(!held("fd00::100"));
            must("ip address del fd00::100/128 dev v51");
            must("ip address add fd00::100/128 dev v51 nodad");
            until("it is held without detection", || held("fd00::100")).await;
        });
    });
}

/// The link below has the index of the TAP, in another namespace.
#[test]
fn a_macvlan_link_above_another_namespace_does_not_count() {
    inside("watch::a_macvlan_link_above_another_namespace_does_not_count", |namespace| {
        let other = Namespace::create(format!("{namespace}-o"));
        block_on(async {
            let mut theirs = pci();
            theirs.services[0].addresses = Addresses::Elsewhere;
            let kernel = begin(&theirs).await.expect("the kernel takes all of it");
            let view = kernel.view();
            let index = must("cat /sys/class/net/lan/ifindex");
            other
                .run(&format!("ip link add d0 index {} up type veth peer index 999", index.trim()));
            other.run(&format!("ip link add v51 link d0 netns {namespace} type macvlan"));
            must("ip link add v52 link lan type macvlan");
            for (link, address) in [("v51", VIP), ("v52", SNAT)] {
                must(&format!("ip address add {address}/32 dev {link}"));
                must(&format!("ip link set {link} up"));
            }
            let snat = Held { address: SNAT.into(), interface: 0 };
            until("the one above the TAP counts", || view.borrow().held.contains_key(&snat)).await;
            assert_eq!(view.borrow().held.len(), 1);
            assert_eq!(view.borrow().virtual_macs.len(), 1);
        });
    });
}
