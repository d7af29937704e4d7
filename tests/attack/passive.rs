//! Passive data ports, and strangers that connect first.

use crate::daemon::{Daemon, Setup};
use crate::ftp_servers::{Ftpd, Manner};
use crate::peers;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, VIPS};

/// Backends with passive ports, of which only the first one gets clients.
fn config(lab: &Lab) -> String {
    let setup = Setup {
        protocol: "ftp",
        first_backend: "passive_ports = \"50000-50099\"",
        ..Setup::default()
    };
    setup.text(lab).replace("name = \"s2\"", "name = \"s2\"\nweight = 0")
}

/// A stranger gets no data connection of a TLS session, nor does a client with an inspected session. In `dsr` no
/// session is inspected: the server sees its clients and must tell them apart itself.
#[test]
fn nobody_takes_the_data_of_a_session() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", 1 << 20)]);
    for (net, device) in [(78, "c0"), (77, "c1")] {
        lab.must("client", &format!("ip address add 10.{net}.0.66/16 dev {device}"));
    }
    let daemon = Daemon::with(&lab, &config(&lab));
    for vip in VIPS {
        let manner = Manner {
            passive_ports: Some((50_000, 50_099)),
            named: Some(vip),
            tls: true,
            ..Manner::default()
        };
        let _server = Ftpd::Vsftpd.start(&lab, "s1", manner);
        let thief = if vip == NAT_VIP { "10.78.0.66" } else { "10.77.0.66" };
        let has: &[&str] = if vip == DSR_VIP { &["nothing"] } else { &["nothing", "a-session"] };
        for has in has {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attack/thief.py");
            lab.must(
                "client",
                &format!("timeout 120 /usr/bin/python3 {script} {vip} {thief} {has}"),
            );
        }
    }
    daemon.finish();
}
