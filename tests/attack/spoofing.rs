//! Packets with spoofed sources.

use crate::attacker::Attacker;
use crate::daemon::{Daemon, Setup};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use std::net::SocketAddr;

/// A request from one of the gate's addresses would make the gate answer itself.
#[test]
fn nobody_speaks_for_the_gate() {
    let lab = Lab::new();
    peers::files(&lab, &[("file", 5000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let ours = [NAT_VIP, SNAT_VIP, "10.77.0.101"];
    for (attacker, vip) in
        [(Attacker::among_servers(&lab), SNAT_VIP), (Attacker::among_clients(&lab), NAT_VIP)]
    {
        let before = daemon.stat("drops", "bad-source");
        let requests = ours.map(|from| {
            let [from, to] = [from, vip].map(|end| SocketAddr::new(end.parse().unwrap(), 69));
            attacker.datagram(from, to, b"\0\x01file\0octet\0")
        });
        attacker.flood(requests, 100);
        until("all of them are dropped", || daemon.stat("drops", "bad-source") == before + 3);
        peers::Client::Tftp.get(&lab, vip, "file", None);
    }
    daemon.finish();
}
