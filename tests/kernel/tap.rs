//! TAPs: their appearance in Linux, and refusals to create them.

use crate::fake_worker::Arp;
use crate::keeper::over_both;
use crate::space::{inside, must, play, role};
use crate::{CLIENT, FAR, GATE, MAC, NEAR, begin, block_on, on_veth, pci, start, until, wanted};
use control::config::Config;
use control::kernel::{Kernel, KernelError};
use control::server::Place;
use engine::net::route_table::Unresolved;

#[test]
fn a_tap_stands_for_the_interface() {
    inside("tap::a_tap_stands_for_the_interface", |_| {
        block_on(async {
            let (kernel, _, _) = start().await;
            let link = must("ip -oneline link show dev lan");
            assert!(link.contains("link/ether 02:00:00:00:00:01"), "{link}");
            assert!(link.contains("mtu 1400") && link.contains(",UP"), "{link}");
            let addresses = must("ip -4 -oneline address show dev lan");
            for address in ["10.0.0.2/24", "10.0.0.100/32", "10.0.0.101/32"] {
                assert!(addresses.contains(&format!("inet {address} ")), "{addresses}");
            }
            assert!(must("ip route show default").contains("via 10.0.0.1 dev lan"));
            kernel.stop().await.expect("nothing to undo");
            assert!(!link_exists());
        });
    });
}

#[test]
fn the_kernel_speaks_with_the_interfaces_own_address() {
    inside("tap::the_kernel_speaks_with_the_interfaces_own_address", |_| {
        block_on(async {
            let (_kernel, wire, _) = start().await;
            for destination in ["10.0.0.30", "192.0.2.30", "10.0.0.1"] {
                let route = must(&format!("ip route get {destination}"));
                assert!(route.contains("src 10.0.0.2 "), "{route}");
            }
            until("an ARP request for the backend", || {
                wire.turn().iter().filter_map(|frame| Arp::parse(frame)).any(|arp| {
                    assert!(!arp.asks() || arp.sender == (MAC, GATE), "{arp:?}");
                    arp.asks() && arp.target.1 == NEAR.1
                })
            })
            .await;
        });
    });
}

/// The TAP as others see it: its index, addresses and default routes.
fn shown() -> (String, String) {
    let link = must("ip -o link show dev lan");
    let index = link.split(':').next().expect("an index").to_owned();
    let all = ["-4 -o address show dev lan", "route show default"];
    (index, all.map(|what| must(&format!("ip {what}"))).concat().replace(" linkdown", ""))
}

fn has_carrier() -> bool {
    !must("ip link show dev lan").contains("NO-CARRIER")
}

/// A killed process does the same.
#[test]
fn a_dropped_kernel_leaves_its_tap_to_the_next_one() {
    inside("tap::a_dropped_kernel_leaves_its_tap_to_the_next_one", |_| {
        block_on(async {
            let (kernel, _, _) = start().await;
            assert!(has_carrier());
            let before = shown();
            drop(kernel);
            until("nobody holds the TAP", || !has_carrier()).await;
            assert_eq!(shown(), before);
            let (kernel, _, _) = start().await;
            assert!(has_carrier());
            assert_eq!(shown(), before);
            kernel.leave().await;
            assert!(!has_carrier());
            assert_eq!(shown(), before);
            let (kernel, _, _) = start().await;
            kernel.stop().await.expect("nothing to undo");
            assert!(!link_exists());
        });
    });
}

#[test]
fn what_is_no_longer_configured_goes_and_what_others_added_stays() {
    inside("tap::what_is_no_longer_configured_goes_and_what_others_added_stays", |_| {
        block_on(async {
            let (kernel, _, _) = start().await;
            must("ip address add 10.0.0.110/32 dev lan");
            must("ip route add 192.0.2.0/24 via 10.0.0.1");
            drop(kernel);
            let mut changed = pci();
            changed.services.clear();
            changed.interfaces[0].gateways.clear();
            let kernel = begin(&changed).await.expect("the TAP is ours");
            let (_, shown) = shown();
            assert!(shown.contains("10.0.0.2/24") && shown.contains("10.0.0.110/32"), "{shown}");
            for gone in ["10.0.0.100/32", "10.0.0.101/32", "default"] {
                assert!(!shown.contains(gone), "{gone}: {shown}");
            }
            assert!(must("ip route").contains("192.0.2.0/24 via 10.0.0.1 dev lan"));
            drop(kernel);
            changed.interfaces[0].name = "wan".into();
            let _kernel = begin(&changed).await.expect("another name");
            assert!(!link_exists(), "the interface has another name now");
        });
    });
}

/// The kernel deletes other addresses of a subnet along with the first one, unless it is told to keep them.
#[test]
fn an_address_that_changes_within_its_subnet_takes_no_other_along() {
    inside("tap::an_address_that_changes_within_its_subnet_takes_no_other_along", |_| {
        block_on(async {
            // Some distributions have another default.
            must("sysctl -q -w net.ipv4.conf.all.promote_secondaries=0");
            must("sysctl -q -w net.ipv4.conf.default.promote_secondaries=0");
            let kernel = begin(&pci()).await.expect("the kernel takes all of it");
            must("ip address add 10.0.0.110/24 dev lan");
            drop(kernel);
            let mut changed = pci();
            changed.interfaces[0].addresses = vec!["10.0.0.3/24".parse().expect("an address")];
            let _kernel = begin(&changed).await.expect("the TAP is ours");
            let (_, shown) = shown();
            for there in ["10.0.0.3/24", "10.0.0.110/24", "10.0.0.100/32", "default via 10.0.0.1"] {
                assert!(shown.contains(there), "{there}: {shown}");
            }
            assert!(!shown.contains("10.0.0.2/24"), "{shown}");
        });
    });
}

#[test]
fn a_tap_of_another_daemon_is_not_taken_over() {
    inside("tap::a_tap_of_another_daemon_is_not_taken_over", |_| {
        block_on(async {
            let folder = tempfile::tempdir().expect("a folder");
            let on = |socket: &str| {
                let mut config = pci();
                config.control.socket = folder.path().join(socket);
                config
            };
            let place = Place::take(&on("one").control.socket).expect("nobody has it");
            let kernel = begin(&on("one")).await.expect("the kernel takes all of it");
            let before = shown();
            let refused = async |config: &Config| {
                let Err(error) = begin(config).await else { panic!("took it over") };
                assert!(matches!(error, KernelError::NameTaken(_)), "{error}");
                assert_eq!(shown(), before);
            };
            // While it is held, and until the other daemon has ended, too.
            refused(&on("one")).await;
            refused(&on("two")).await;
            drop(kernel);
            until("nobody holds the TAP", || !has_carrier()).await;
            refused(&on("two")).await;
            drop(place);
            let _kernel = begin(&on("two")).await.expect("the socket has another name now");
            assert_eq!(shown(), before);
            let alias = format!("alias tidegate {}", on("two").control.socket.display());
            assert!(must("ip link show dev lan").contains(&alias));
        });
    });
}

/// TAPs that the kernel holds beside the one that fails, before it or after it.
#[test]
fn an_error_leaves_no_tap_of_before() {
    inside("tap::an_error_leaves_no_tap_of_before", |_| {
        block_on(async {
            let mut two = pci();
            let mut wan = two.interfaces[0].clone();
            wan.name = "wan".into();
            wan.addresses = vec!["10.1.0.2/24".parse().expect("an address")];
            wan.gateways.clear();
            two.interfaces.push(wan);
            let begin = async |config: &Config| {
                Kernel::start(config, &[MAC, CLIENT.0], wanted(config), Unresolved::default()).await
            };
            let mut without_device = two.clone();
            without_device.interfaces[0].device = on_veth().interfaces[0].device.clone();
            let mut without_way = two.clone();
            without_way.interfaces[0].gateways = vec![FAR.into()];
            for faulty in [without_device, without_way] {
                drop(begin(&two).await.expect("the kernel takes all of it"));
                let Err(_) = begin(&faulty).await else { panic!("it worked") };
                let left = must("ip -o link show type tun");
                assert_eq!(left, "", "an error removes TAPs");
            }
        });
    });
}

#[test]
fn a_name_that_is_taken_is_refused() {
    inside("tap::a_name_that_is_taken_is_refused", |_| {
        block_on(async {
            must("ip tuntap add dev lan mode tap");
            let Err(error) = begin(&pci()).await else { panic!("took it over") };
            assert!(matches!(error, KernelError::NameTaken(_)), "{error}");
            assert!(error.to_string().contains("ip link del lan"), "{error}");
            assert!(link_exists(), "somebody else's interface was removed");
        });
    });
}

#[test]
fn a_second_default_route_is_refused() {
    inside("tap::a_second_default_route_is_refused", |_| {
        block_on(async {
            must("ip link add other type veth peer name far");
            must("ip address add 10.1.0.1/24 dev other");
            must("ip link set other up");
            must("ip route add default via 10.1.0.2");
            let Err(error) = begin(&pci()).await else { panic!("two defaults") };
            assert!(matches!(error, KernelError::RouteTaken { .. }), "{error}");
            until("the half-made TAP is gone", || !link_exists()).await;
        });
    });
}

/// Routes of others stay, as long as they lead over the TAP.
#[test]
fn a_default_route_that_somebody_has_replaced_stays() {
    inside("tap::a_default_route_that_somebody_has_replaced_stays", |_| {
        block_on(async {
            for [v4, v6] in [["10.0.0.1", "fd00::1"], ["10.0.0.9", "fd00::9"]] {
                drop(begin(&over_both()).await.expect("the TAP is ours"));
                must(&format!("ip route replace default via {v4} dev lan"));
                must(&format!("ip -6 route replace default via {v6} dev lan metric 1"));
                let kernel = begin(&over_both()).await.expect("the TAP is ours");
                let routes =
                    ["-4", "-6"].map(|family| must(&format!("ip {family} route show default")));
                for (routes, gateway) in routes.iter().zip([v4, v6]) {
                    assert_eq!(routes.lines().count(), 1, "{routes}");
                    assert!(routes.contains(&format!("via {gateway} dev lan")), "{routes}");
                }
                kernel.stop().await.expect("nothing to undo");
            }
        });
    });
}

#[test]
fn without_privilege_it_says_what_to_do() {
    let test = "tap::without_privilege_it_says_what_to_do";
    inside(test, |_| {
        let config = match role().as_str() {
            "tap" => pci(),
            "cut" => on_veth(),
            _ => {
                must("ip link add v0 type veth peer name v1");
                let powerless = "setpriv --inh-caps=-all --bounding-set=-all";
                for role in ["tap", "cut"] {
                    let (_, said) = play(powerless, test, role);
                    assert!(said.contains("run as root or with CAP_NET_ADMIN"), "{role}: {said}");
                }
                return;
            }
        };
        block_on(async {
            let Err(error) = begin(&config).await else { panic!("it worked") };
            assert_eq!(error.to_string().lines().count(), 1);
            eprintln!("{error}");
        });
    });
}

fn link_exists() -> bool {
    std::path::Path::new("/proc/sys/net/ipv4/conf/lan").exists()
}
