//! FTP data connections that come late, twice, unannounced, or are aborted.

use crate::daemon::{Daemon, Setup};
use crate::ftp::{FILES, ftp};
use crate::ftp_clients::must_ftplib;
use crate::ftp_servers::{Ftpd, Manner, inetutils_ftpd};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};

fn v4() -> Setup {
    Setup { ipv6: false, ..ftp() }
}

/// Tape drives and scanners are slow; the server waits as long.
#[test]
fn late_data_connections() {
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let _servers = ["s1", "s2"].map(|name| Ftpd::Pure.start(&lab, name, Manner::default()));
    let daemon = Daemon::start(&lab, v4());
    std::thread::scope(|scope| {
        for vip in [NAT_VIP, SNAT_VIP] {
            let lab = &lab;
            scope.spawn(move || must_ftplib(lab, &format!("late {vip} both 45")));
        }
    });
    daemon.finish();
}

#[test]
fn data_connections_in_odd_ways() {
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let servers = ["s1", "s2"].map(|name| Ftpd::Pure.start(&lab, name, Manner::default()));
    let daemon = Daemon::start(&lab, v4());
    for vip in [NAT_VIP, SNAT_VIP] {
        must_ftplib(&lab, &format!("twice {vip} passive"));
        must_ftplib(&lab, &format!("mapped {vip} active"));
    }
    drop(servers);
    let _servers = ["s1", "s2"].map(|name| inetutils_ftpd(&lab, name));
    for vip in [NAT_VIP, SNAT_VIP] {
        (0..2).for_each(|_| must_ftplib(&lab, &format!("unnamed {vip} active")));
    }
    daemon.finish();
}

/// A client that fetches a file in parts aborts each, and resets its connection for all late segments. These RSTs are
/// not spoofed.
#[test]
fn parts_that_are_broken_off() {
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let _servers = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let daemon = Daemon::start(&lab, v4());
    for vip in [NAT_VIP, SNAT_VIP] {
        for (n, client) in ["axel -q -n 4 -o", "aria2c -q -x 4 -s 4 -k 1M -o"].iter().enumerate() {
            let got = format!("{vip}-{n}");
            lab.must("client", &format!("timeout 120 {client} {got} ftp://{vip}/long"));
            let same = peers::same_bytes(&lab.path(&got), &lab.path("files/long"));
            assert!(same, "{client} at {vip}");
        }
        must_ftplib(&lab, &format!("abort {vip} passive any-port"));
    }
    until("all is over", || {
        daemon.ask("flows").is_some_and(|flows| {
            let rows = flows["connections"].as_array().expect("connections");
            rows.iter().all(|row| row["state"] != "open")
        })
    });
    assert_eq!(daemon.stat("drops", "bad-reset"), 0);
    daemon.finish();
}
