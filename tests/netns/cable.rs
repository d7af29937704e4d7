//! Cables that are pulled and plugged in again.

use crate::daemon::{Daemon, Setup, rows};
use crate::peers::{self, Client};
use kit::lab::{Lab, NAT_VIP, until};

/// The cable of each interface: the far end, by its namespace.
const CABLES: [(&str, &str, &str); 2] =
    [("clients", "client", "c0"), ("servers", "switch", "p-gate")];

fn set(lab: &Lab, (_, space, end): (&str, &str, &str), state: &str) {
    lab.must(space, &format!("ip link set {end} {state}"));
}

/// Whether `tidegate status` shows this interface's link as up.
fn is_up(daemon: &Daemon, interface: &str) -> bool {
    let status = daemon.ask("status").expect("status");
    let row = rows(&status["interfaces"]).find(|row| row["name"] == interface);
    row.expect("the interface")["link"]["up"] == true
}

/// Whether the TAP has a carrier.
fn has_carrier(lab: &Lab, interface: &str) -> bool {
    lab.must("gate", &format!("cat /sys/class/net/{interface}/carrier")).trim() == "1"
}

/// Pulls a cable, and plugs it in again.
fn pull(lab: &Lab, daemon: &Daemon, cable: (&str, &str, &str)) {
    for (state, is_there) in [("down", false), ("up", true)] {
        set(lab, cable, state);
        until("the TAP has its carrier", || has_carrier(lab, cable.0) == is_there);
        until("the status says so", || is_up(daemon, cable.0) == is_there);
    }
}

fn pulled_during_a_download(driver: &'static str) {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 8 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup { driver, ..Setup::default() });
    pull(&lab, &daemon, CABLES[0]);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| Client::Tftp.get(&lab, NAT_VIP, "image", None));
        until("it runs", || daemon.total("nat", "responded") == 1);
        pull(&lab, &daemon, CABLES[1]);
        running.join().expect("the download goes on");
    });
    for (interface, _, _) in CABLES {
        // It was up at the start, too.
        for (state, times) in [("down", 1), ("up", 2)] {
            let line = format!("the link of interface `{interface}` is {state}");
            assert_eq!(lab.log().matches(&line).count(), times, "{line}: {}", lab.log());
        }
    }
    assert!(!lab.log().contains("has lost"), "{}", lab.log());
    Client::Curl.get(&lab, NAT_VIP, "image", None);
    daemon.finish();
}

#[test]
fn a_cable_under_af_packet_is_the_tap_s_carrier() {
    pulled_during_a_download("net_af_packet");
}

#[test]
fn a_cable_under_af_xdp_is_the_tap_s_carrier() {
    pulled_during_a_download("net_af_xdp");
}
