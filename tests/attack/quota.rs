//! A client that takes as much as it can.

use crate::daemon::{Daemon, Setup};
use crate::ftp_servers::{Ftpd, Manner};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, VIPS};

/// As many FTP sessions from one address as possible, silent or logged in: another client is still served.
#[test]
fn one_client_does_not_take_all_ftp_sessions() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 1 << 20)]);
    for (net, device) in [(78, "c0"), (77, "c1")] {
        lab.must("client", &format!("ip address add 10.{net}.0.66/16 dev {device}"));
    }
    let _servers = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let setup = Setup { protocol: "ftp", ..Setup::default() };
    // 4096 rows: 256 sessions, and 32 of these per client.
    let daemon = Daemon::start(&lab, setup);
    for vip in VIPS {
        let attacker = if vip == NAT_VIP { "10.78.0.66" } else { "10.77.0.66" };
        for how in ["silent", "logged-in"] {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attack/greedy.py");
            lab.must(
                "client",
                &format!("timeout 180 /usr/bin/python3 {script} {vip} {attacker} {how}"),
            );
        }
    }
    daemon.finish();
}
