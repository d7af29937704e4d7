//! The TAPs' carriers follow the links of their devices.

use crate::fake_worker::Wire;
use crate::space::{inside, must};
use crate::{NEAR, begin, block_on, on_veth, pci, start, until};
use control::kernel::{Kernel, Look};

async fn follow(kernel: &mut Kernel, is_up: bool) {
    kernel.follow_links(|_| is_up).await.expect("nothing is gone");
}

/// Whether the TAP has a carrier, as keepalived and routing daemons see it.
fn has_carrier() -> bool {
    !must("ip -o link show dev lan").contains("NO-CARRIER")
}

/// Addresses and routes of the TAP.
fn kept() -> String {
    let all = ["address", "route", "-6 route"];
    let all = all.map(|what| must(&format!("ip -o {what} show dev lan"))).concat();
    all.replace(" linkdown", "")
}

#[test]
fn a_link_that_goes_takes_the_carrier_along_and_nothing_else() {
    inside("carrier::a_link_that_goes_takes_the_carrier_along_and_nothing_else", |_| {
        block_on(async {
            let (mut kernel, _wire, _) = start().await;
            let view = kernel.view();
            follow(&mut kernel, true).await;
            assert!(has_carrier() && view.borrow().down.is_empty());
            let before = kept();
            for _ in 0..2 {
                follow(&mut kernel, false).await;
                assert!(!has_carrier() && view.borrow().down.contains(&0));
                // Routes by the gateway stay, too.
                assert_eq!(kernel.look(Look::Check).await.expect("it answers"), [""; 0]);
                assert_eq!(kept(), before);
            }
            follow(&mut kernel, true).await;
            assert!(has_carrier() && view.borrow().down.is_empty());
            assert_eq!(kept(), before);
        });
    });
}

/// A new TAP has one by itself, and so has one of before when it is opened.
#[test]
fn there_is_no_carrier_before_frames_are_carried() {
    inside("carrier::there_is_no_carrier_before_frames_are_carried", |_| {
        block_on(async {
            for what in ["a new TAP", "one of before"] {
                let mut kernel = begin(&pci()).await.expect("the kernel takes all of it");
                assert!(!has_carrier() && kernel.view().borrow().down.contains(&0), "{what}");
                follow(&mut kernel, true).await;
                assert!(has_carrier() && kernel.view().borrow().down.is_empty(), "{what}");
                kernel.leave().await;
            }
        });
    });
}

#[test]
fn a_device_on_a_linux_interface_has_its_carrier() {
    inside("carrier::a_device_on_a_linux_interface_has_its_carrier", |_| {
        must("ip link add v0 type veth peer name v1");
        must("ip link set v0 up");
        block_on(async {
            let mut kernel = begin(&on_veth()).await.expect("the kernel takes all of it");
            for end in ["v1", "v0"] {
                must(&format!("ip link set {end} down"));
                // The driver does not see it.
                follow(&mut kernel, true).await;
                assert!(!has_carrier(), "{end}");
                must(&format!("ip link set {end} up"));
                if end == "v1" {
                    follow(&mut kernel, true).await;
                    assert!(has_carrier(), "{end}");
                }
            }
        });
    });
}

#[test]
fn a_carrier_that_somebody_takes_away_is_put_back() {
    inside("carrier::a_carrier_that_somebody_takes_away_is_put_back", |_| {
        block_on(async {
            let (mut kernel, _wire, _) = start().await;
            must("ip link set lan carrier off");
            kernel.tend().await.expect("it can be put back");
            assert!(has_carrier());
            follow(&mut kernel, false).await;
            must("ip link set lan carrier on");
            // A second mishap would have to wait.
            kernel.look(Look::Reload).await.expect("it can be put back");
            assert!(!has_carrier());
        });
    });
}

/// The kernel would ask again only after a while.
#[test]
fn next_hops_are_asked_for_as_soon_as_the_link_is_back() {
    inside("carrier::next_hops_are_asked_for_as_soon_as_the_link_is_back", |_| {
        block_on(async {
            let (mut kernel, mut wire, _) = start().await;
            let slowly = "/proc/sys/net/ipv4/neigh/lan/interval_probe_time_ms";
            std::fs::write(slowly, "600000").expect("root may");
            let view = kernel.view();
            wire.up.insert(NEAR.1, NEAR.0);
            let is_resolved = |wire: &Wire| {
                wire.turn();
                view.borrow().hops.contains_key(&NEAR.1.into())
            };
            until("the backend is resolved", || is_resolved(&wire)).await;
            follow(&mut kernel, false).await;
            until("nobody is reached", || !is_resolved(&wire)).await;
            let entry = || must("ip neigh show to 10.0.0.30 dev lan");
            assert!(!entry().contains("INCOMPLETE"), "nobody can answer: {}", entry());
            follow(&mut kernel, true).await;
            until("the backend is resolved again", || is_resolved(&wire)).await;
        });
    });
}
