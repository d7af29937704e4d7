//! Loss of the gate's kernel state, and its repair.

use crate::space::{inside, must};
use crate::{begin, block_on, config, on_veth, start};
use control::kernel::{Kernel, KernelError, Look};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Waits for the kernel's notification, and repairs.
async fn tend(kernel: &mut Kernel) -> Result<(), KernelError> {
    let told = timeout(Duration::from_secs(1), kernel.disturbed().notified()).await;
    assert!(told.is_ok(), "not noticed within a second");
    kernel.tend().await
}

/// The first check happens at the start.
async fn started(kernel: &mut Kernel) {
    tend(kernel).await.expect("all is there");
    assert_eq!(kernel.look(Look::Check).await.expect("it answers"), Vec::<String>::new());
}

/// The gate's kernel state as `ip` shows it, sorted.
fn shown() -> Vec<String> {
    let all = ["address", "route", "-6 route"];
    let all = all.map(|what| must(&format!("ip -o {what} show dev lan"))).concat();
    let mut lines: Vec<_> = all.lines().map(|line| line.replace(" nodad", "")).collect();
    lines.sort_unstable();
    lines
}

pub fn over_both() -> control::config::Config {
    let text = r#"
        [[interface]]
        name = "lan"
        device = "0000:03:00.0"
        address = ["10.0.0.2/24", "fd00::2/64"]
        gateway = ["10.0.0.1", "fd00::1"]
        [[service]]
        name = "pxe"
        protocol = "tftp"
        vip = ["10.0.0.100", "fd00::100"]
        snat = ["10.0.0.101", "fd00::101"]
        [[service.backend]]
        name = "near"
        address = "10.0.0.30"
        "#;
    control::config::parse("test", text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Redirects and router advertisements stay off, whatever the defaults are and whoever changes them later.
#[test]
fn nobody_on_the_link_tells_the_kernel_where_packets_go() {
    inside("keeper::nobody_on_the_link_tells_the_kernel_where_packets_go", |_| {
        let closed = [
            "ipv4/conf/lan/accept_redirects",
            "ipv4/conf/lan/send_redirects",
            "ipv6/conf/lan/accept_ra",
            "ipv6/conf/lan/autoconf",
            "ipv6/conf/lan/accept_redirects",
        ];
        let of = |setting: &str| format!("/proc/sys/net/{setting}");
        for setting in closed {
            std::fs::write(of(&setting.replace("lan", "default")), "1").expect("root may");
        }
        block_on(async {
            let (mut kernel, _, _) = start().await;
            started(&mut kernel).await;
            for setting in closed {
                assert_eq!(must(&format!("cat {}", of(setting))).trim(), "0", "{setting}");
            }
            std::fs::write(of(closed[2]), "2").expect("root may");
            let lines = kernel.look(Look::Check).await.expect("it answers");
            assert_eq!(lines, ["interface `lan` has lost its setting of ipv6 accept_ra"]);
            // The kernel sends no notification for this one: it is checked every few seconds.
            kernel.tend().await.expect("it is put back");
            assert_eq!(must(&format!("cat {}", of(closed[2]))).trim(), "0");
        });
    });
}

#[test]
fn a_flush_of_addresses_is_mended() {
    inside("keeper::a_flush_of_addresses_is_mended", |_| {
        block_on(async {
            let mut kernel = begin(&over_both()).await.expect("the kernel takes all of it");
            started(&mut kernel).await;
            let before = shown();
            for address in ["10.0.0.2/24", "10.0.0.100/32", "fd00::2/64", "fd00::101/128", "fe80::"]
            {
                assert!(before.concat().contains(address), "{address}: {before:?}");
            }
            for gateway in ["default via 10.0.0.1 ", "default via fd00::1 "] {
                assert!(before.concat().contains(gateway), "{gateway}: {before:?}");
            }
            let mishaps =
                ["ip address flush dev lan", "ip link set lan down", "ip link set lan mtu 1200"];
            for mishap in mishaps {
                must(mishap);
                tend(&mut kernel).await.expect("it can be put back");
                // Addresses of a link come a moment after the link.
                let whole = async {
                    while shown() != before {
                        sleep(Duration::from_millis(100)).await;
                        kernel.tend().await.expect("it can be put back");
                    }
                };
                let outcome = timeout(Duration::from_secs(10), whole).await;
                assert!(outcome.is_ok(), "`{mishap}`: {before:#?} is now {:#?}", shown());
            }
        });
    });
}

#[test]
fn a_default_route_that_is_gone_is_made_anew() {
    inside("keeper::a_default_route_that_is_gone_is_made_anew", |_| {
        block_on(async {
            let (mut kernel, _wire, _) = start().await;
            started(&mut kernel).await;
            must("ip route del default");
            let lines = kernel.look(Look::Check).await.expect("it answers");
            assert_eq!(lines, ["interface `lan` has lost its route by 10.0.0.1"]);
            tend(&mut kernel).await.expect("it can be put back");
            assert!(must("ip route show default").contains("via 10.0.0.1 dev lan"));
        });
    });
}

/// keepalived does so on a standby gate, which is no mishap. A reload restores the address.
#[test]
fn an_address_that_is_taken_off_alone_stays_away_until_a_reload() {
    inside("keeper::an_address_that_is_taken_off_alone_stays_away_until_a_reload", |_| {
        block_on(async {
            let (mut kernel, _wire, _) = start().await;
            started(&mut kernel).await;
            let held = || must("ip -o address show dev lan").contains("10.0.0.100/32");
            must("ip address del 10.0.0.100/32 dev lan");
            for _ in 0..3 {
                kernel.tend().await.expect("nothing is gone for good");
                assert!(!held(), "somebody meant it");
                sleep(Duration::from_secs(1)).await;
            }
            // A different mishap.
            must("ip address del 10.0.0.2/24 dev lan");
            tend(&mut kernel).await.expect("it can be put back");
            assert!(must("ip -o address show dev lan").contains("10.0.0.2/24") && !held());
            for why in [Look::Check, Look::Reload] {
                let lines = kernel.look(why).await.expect("it answers");
                assert_eq!(lines, ["interface `lan` has lost 10.0.0.100"], "{why:?}");
                assert_eq!(held(), why == Look::Reload);
            }
            assert!(kernel.look(Look::Reload).await.expect("it answers").is_empty());
        });
    });
}

#[test]
fn who_goes_on_taking_away_is_not_fought() {
    inside("keeper::who_goes_on_taking_away_is_not_fought", |_| {
        block_on(async {
            let (mut kernel, _wire, _) = start().await;
            started(&mut kernel).await;
            let held = || must("ip -o address show dev lan").contains("10.0.0.2/24");
            for is_put_back in [true, false] {
                must("ip address flush dev lan");
                tend(&mut kernel).await.expect("it can be put back");
                assert_eq!((held(), kernel.is_waiting()), (is_put_back, !is_put_back));
            }
            sleep(Duration::from_secs(1)).await;
            kernel.tend().await.expect("it can be put back");
            assert!(held() && !kernel.is_waiting(), "it waits for a second only");
            must("ip address flush dev lan");
            kernel.look(Look::Reload).await.expect("it answers");
            assert!(held(), "an operator does not wait");
        });
    });
}

#[test]
fn a_tap_that_is_gone_is_the_end() {
    inside("keeper::a_tap_that_is_gone_is_the_end", |_| {
        block_on(async {
            for command in ["ip link del lan", "ip link set lan down name other"] {
                let (mut kernel, _wire, _) = start().await;
                started(&mut kernel).await;
                must(command);
                let error = tend(&mut kernel).await.expect_err("it is gone");
                assert!(matches!(error, KernelError::Gone { .. }), "{error}");
                assert!(error.to_string().starts_with("the TAP `lan` is gone"), "{error}");
                kernel.stop().await.expect("there is little to undo");
            }
        });
    });
}

/// Also if another device has its name.
#[test]
fn a_device_that_is_gone_is_the_end() {
    inside("keeper::a_device_that_is_gone_is_the_end", |_| {
        block_on(async {
            let xdp = config("net_af_xdp0,iface=v0", "");
            for (config, is_back) in [(on_veth(), false), (xdp, true)] {
                must("ip link add v0 type veth peer name v1");
                let mut kernel = begin(&config).await.expect("the device is there");
                started(&mut kernel).await;
                must("ip link del v0");
                if is_back {
                    must("ip link add v0 type veth peer name v1");
                }
                let error = tend(&mut kernel).await.expect_err("it is gone");
                assert!(error.to_string().starts_with("the device `v0` is gone"), "{error}");
                kernel.stop().await.expect("there is little to undo");
            }
        });
    });
}

/// A link over another one cannot have a larger MTU: workers send no larger packets until the MTU can be restored.
#[test]
fn an_mtu_that_is_too_small_is_put_back_or_followed() {
    inside("keeper::an_mtu_that_is_too_small_is_put_back_or_followed", |_| {
        block_on(async {
            must("ip link add v0 type veth peer name v1");
            must("ip link add link v0 name over type macvlan");
            let mtu =
                |name: &str| must(&format!("cat /sys/class/net/{name}/mtu")).trim().to_owned();
            let begun = async |name| {
                let config = config(&format!("net_af_xdp0,iface={name}"), "");
                let mut kernel = begin(&config).await.expect("the device is there");
                started(&mut kernel).await;
                kernel
            };
            let mut kernel = begun("v0").await;
            must("ip link set v0 mtu 1300");
            tend(&mut kernel).await.expect("it can be put back");
            assert_eq!(mtu("v0"), "1400");
            must("ip link set v0 mtu 1500");
            tend(&mut kernel).await.expect("all is there");
            assert_eq!(mtu("v0"), "1500", "more than is needed is nobody's harm");
            assert!(kernel.view().borrow().narrow.is_empty());
            kernel.stop().await.expect("there is little to undo");

            let mut kernel = begun("over").await;
            must("ip link set v0 mtu 1300");
            tend(&mut kernel).await.expect("it can't be put back, and goes on");
            assert_eq!(kernel.view().borrow().narrow, [("over".to_owned(), 1300)].into());
            let line = "device `over` has an MTU of 1300 and needs 1400";
            assert_eq!(kernel.look(Look::Check).await.expect("it answers"), [line]);
            must("ip link set v0 mtu 1500");
            // The upper link does not follow by itself; each check tries again.
            sleep(Duration::from_secs(1)).await;
            kernel.tend().await.expect("it can be put back");
            assert_eq!(mtu("over"), "1400");
            assert!(kernel.view().borrow().narrow.is_empty());
        });
    });
}
