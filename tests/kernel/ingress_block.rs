//! Devices whose frames the kernel would see, too.

use crate::space::{Namespace, inside, must, play, role};
use crate::{begin, block_on, config, on_veth, pci};
use std::time::Duration;
use tokio::time::sleep;

/// A peer at the other side of `v0`, with an address that the kernel answers for.
fn peer(namespace: &str) -> Namespace {
    let peer = Namespace::create(format!("{namespace}-p"));
    must(&format!("ip link add v0 type veth peer name v1 netns {}", peer.name));
    must("ip address add 10.8.0.1/24 dev v0");
    must("ip link set v0 up");
    peer.run("ip address add 10.8.0.2/24 dev v1");
    peer.run("ip link set v1 up");
    peer
}

fn answers(peer: &Namespace) -> bool {
    peer.run("ip neigh flush all");
    peer.try_run("ping -q -c 1 -W 1 10.8.0.1")
}

#[test]
fn a_cut_device_is_seen_by_packet_sockets_alone() {
    inside("ingress_block::a_cut_device_is_seen_by_packet_sockets_alone", |namespace| {
        let peer = peer(namespace);
        assert!(answers(&peer), "the kernel answers an ordinary interface");
        block_on(async {
            let kernel = begin(&on_veth()).await.expect("the device can be cut");
            let mut tap = std::process::Command::new("tcpdump")
                .args(["-i", "v0", "-n", "-l", "-c", "2", "--immediate-mode"])
                .args(["-Q", "in", "arp or icmp"])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
                .expect("tcpdump runs");
            sleep(Duration::from_millis(500)).await;
            assert!(!answers(&peer), "the kernel still answers ARP");
            let mac = must("cat /sys/class/net/v0/address");
            peer.run(&format!("ip neigh replace 10.8.0.1 dev v1 lladdr {}", mac.trim()));
            assert!(!peer.try_run("ping -q -c 1 -W 1 10.8.0.1"), "the kernel still answers ping");
            let seen = tap.wait().expect("tcpdump ends after two packets");
            assert!(seen.success());
            kernel.stop().await.expect("the cut is undone");
        });
        assert!(answers(&peer), "the kernel answers again");
        assert!(!must("tc qdisc show dev v0").contains("ingress"), "something is left behind");
    });
}

/// Restarting the machine's firewall flushes all of nftables.
#[test]
fn a_flush_of_nftables_does_not_touch_the_cut() {
    inside("ingress_block::a_flush_of_nftables_does_not_touch_the_cut", |namespace| {
        let peer = peer(namespace);
        block_on(async {
            let kernel = begin(&on_veth()).await.expect("the device can be cut");
            must("nft flush ruleset");
            assert!(!answers(&peer), "the kernel answers");
            kernel.stop().await.expect("the cut is undone");
        });
    });
}

#[test]
fn a_cut_that_somebody_takes_out_is_made_anew() {
    inside("ingress_block::a_cut_that_somebody_takes_out_is_made_anew", |namespace| {
        let peer = peer(namespace);
        block_on(async {
            for command in ["tc qdisc del dev v0 ingress", "tc filter del dev v0 ingress"] {
                let mut kernel = begin(&on_veth()).await.expect("the device can be cut");
                let disturbed = kernel.disturbed();
                disturbed.notified().await;
                must(command);
                let told = tokio::time::timeout(Duration::from_secs(1), disturbed.notified()).await;
                assert!(told.is_ok(), "`{command}` is not noticed within a second");
                kernel.tend().await.expect("the device is there");
                assert!(!answers(&peer), "the kernel answers after `{command}`");
                kernel.stop().await.expect("the cut is undone");
            }
        });
        assert!(answers(&peer), "the kernel answers again");
    });
}

/// Other programs' filters for the same packets stay when the ingress block is removed.
#[test]
fn somebody_else_s_filters_stay() {
    inside("ingress_block::somebody_else_s_filters_stay", |namespace| {
        let _peer = peer(namespace);
        block_on(async {
            must("tc qdisc add dev v0 clsact");
            must("tc filter add dev v0 ingress protocol ip prio 7 u32 match u32 0 0 classid 1:1");
            let kernel = begin(&on_veth()).await.expect("the device can be cut");
            assert!(must("tc filter show dev v0 ingress").contains("direct-action"));
            kernel.stop().await.expect("the cut is undone");
            let left = must("tc filter show dev v0 ingress");
            assert!(left.contains("pref 7") && !left.contains("direct-action"), "{left}");
        });
    });
}

#[test]
fn a_killed_process_does_not_keep_the_next_one_from_starting() {
    let test = "ingress_block::a_killed_process_does_not_keep_the_next_one_from_starting";
    inside(test, |namespace| {
        if role() == "victim" {
            return block_on(async {
                let _kernel = begin(&on_veth()).await.expect("a first start");
                std::process::abort();
            });
        }
        let peer = peer(namespace);
        let (ended_well, _) = play("env", test, "victim");
        assert!(!ended_well, "the victim was to die");
        assert!(!answers(&peer), "the cut outlives its process");
        block_on(async {
            let kernel = begin(&on_veth()).await.expect("a second start");
            assert!(!answers(&peer));
            kernel.stop().await.expect("the cut is undone");
        });
        assert!(answers(&peer), "the kernel answers again");
    });
}

/// The next process has another device, and another daemon has its own.
#[test]
fn a_device_that_is_no_longer_configured_is_unblocked() {
    inside("ingress_block::a_device_that_is_no_longer_configured_is_unblocked", |namespace| {
        let peer = peer(namespace);
        must("ip link add o0 type veth peer name o1");
        let mut other = config("net_af_packet0,iface=o0", "");
        other.control.socket = "/run/other.sock".into();
        other.interfaces[0].name = "other".into();
        other.interfaces[0].gateways.clear();
        block_on(async {
            let _other = begin(&other).await.expect("the device can be cut");
            let kernel = begin(&on_veth()).await.expect("the device can be cut");
            kernel.leave().await;
            assert!(!answers(&peer), "the cut outlives its process");
            let _kernel = begin(&pci()).await.expect("the TAP is ours");
            assert!(answers(&peer), "the kernel does not answer");
            assert!(!must("tc qdisc show dev v0").contains("ingress"), "something is left behind");
            let others = must("tc filter show dev o0 ingress");
            assert!(others.contains("direct-action"), "another daemon's device: {others}");
        });
    });
}
