//! Probe routing: the path of health checks to VIPs, and interference by others.

use crate::space::{inside, must, play, role};
use crate::{begin, block_on, config};
use control::config::Config;
use control::kernel::{KernelError, KernelView, ProbeRouting};
use std::time::Duration;
use tokio::time::{sleep, timeout};

fn checked() -> Config {
    let more = r#"
        [[service]]
        name = "dsr"
        protocol = "tftp"
        vip = "10.0.0.110"
        mode = "dsr"
        [service.health]
        check = "icmp"
        [[service.backend]]
        name = "near"
        address = "10.0.0.30"
        mac = "02:00:00:00:00:30"
        "#;
    config("0000:03:00.0", more)
}

/// A flush, one table, one rule, and another table with the same name.
#[test]
fn a_table_that_somebody_changes_is_made_anew() {
    inside("probe_routing::a_table_that_somebody_changes_is_made_anew", |_| {
        block_on(async {
            for command in [
                "nft flush ruleset",
                "nft delete table netdev tidegate-dsr-lan",
                "nft flush chain netdev tidegate-dsr-lan egress-lan",
                "nft add rule netdev tidegate-dsr-lan egress-lan drop",
            ] {
                let config = checked();
                let _kernel = begin(&config).await.expect("the kernel takes all of it");
                let mut probe_routing = ProbeRouting::new(&config).expect("nftables takes it");
                probe_routing.follow(&KernelView::default()).expect("nothing new");
                let before = must("nft list ruleset");
                assert!(before.contains("10.0.0.110"), "{before}");
                // Own changes cause notifications, too.
                while timeout(Duration::from_millis(200), probe_routing.disturbed()).await.is_ok() {
                    probe_routing.tend();
                }
                must(command);
                assert_ne!(must("nft list ruleset"), before);
                let told = timeout(Duration::from_secs(1), probe_routing.disturbed()).await;
                assert!(told.is_ok(), "`{command}` is not noticed within a second");
                probe_routing.tend();
                assert_eq!(must("nft list ruleset"), before, "after `{command}`");
                drop(probe_routing);
                assert_eq!(must("nft list tables").trim(), "");
                sleep(Duration::from_millis(50)).await;
            }
        });
    });
}

/// Two programs that undo each other's changes do not fill the log: repeated changes are repaired later.
#[test]
fn who_goes_on_changing_it_is_not_fought() {
    inside("probe_routing::who_goes_on_changing_it_is_not_fought", |_| {
        block_on(async {
            let config = checked();
            let _kernel = begin(&config).await.expect("the kernel takes all of it");
            let mut probe_routing = ProbeRouting::new(&config).expect("nftables takes it");
            for is_made_anew in [true, false] {
                must("nft flush ruleset");
                while timeout(Duration::from_millis(200), probe_routing.disturbed()).await.is_ok() {
                    probe_routing.tend();
                }
                let tables = must("nft list tables");
                assert_eq!(tables.contains("tidegate"), is_made_anew, "{tables}");
            }
            sleep(Duration::from_secs(1)).await;
            probe_routing.tend();
            assert!(must("nft list tables").contains("tidegate"), "it waits for a second only");
        });
    });
}

#[test]
fn without_nft_it_says_what_to_do() {
    let test = "probe_routing::without_nft_it_says_what_to_do";
    inside(test, |_| {
        if role().is_empty() {
            let (_, said) = play("env PATH=/nowhere", test, "no nft");
            assert!(said.contains("install the package nftables"), "{said}");
            return;
        }
        block_on(async {
            match ProbeRouting::new(&checked()) {
                Err(error @ KernelError::NoNft(_)) => eprintln!("{error}"),
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("there is no nft"),
            }
        });
    });
}
