//! FTP data connections by port: sessions that cannot be inspected, and port restrictions.

use crate::daemon::{Daemon, Setup};
use crate::ftp::{FILES, ftp};
use crate::ftp_clients::{Curl, Data, lftp, must_ftplib, said};
use crate::ftp_servers::{FTPDS, Ftpd, Manner};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, Process, SNAT_VIP, VIPS, VIPS_V6};

const RANGES: [(&str, (u16, u16)); 2] = [("s1", (50_000, 50_099)), ("s2", (50_100, 50_199))];

/// Adds passive port ranges to the backends of a configuration.
fn with_ranges(mut text: String) -> String {
    for (address, ports) in [("10.77.0.30", "50000-50099"), ("10.77.0.31", "50100-50199")] {
        let line = format!("address = \"{address}\"\n");
        text = text.replace(&line, &format!("{line}passive_ports = \"{ports}\"\n"));
    }
    text
}

fn servers(lab: &Lab, ftpd: Ftpd, manner: Manner) -> Vec<Process> {
    let start =
        |(name, range)| ftpd.start(lab, name, Manner { passive_ports: Some(range), ..manner });
    RANGES.map(start).into()
}

/// The session is encrypted; the port range selects the backend.
#[test]
fn ftps_over_passive_ranges() {
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let setup = Setup { ipv6: false, ..ftp() };
    let daemon = Daemon::with(&lab, &with_ranges(setup.text(&lab)));
    for ftpd in FTPDS {
        for vip in VIPS {
            let manner = Manner { named: Some(vip), tls: true, ..Manner::default() };
            let _servers = servers(&lab, ftpd, manner);
            for data in [Data::Pasv, Data::Epsv] {
                let curl = Curl { tls: true, ..Curl::new(&lab, vip, data) };
                // Both servers get sessions of each kind.
                (0..2).for_each(|_| curl.get(&["empty", "one", "image"]));
                (0..2).for_each(|_| curl.put(&["image"]));
            }
            must_ftplib(&lab, &format!("tls {vip} passive"));
        }
    }
    let _servers = servers(&lab, Ftpd::Vsftpd, Manner { tls: true, ..Manner::default() });
    for vip in VIPS {
        Curl { tls: true, ..Curl::new(&lab, vip, Data::Epsv) }.get(&["long"]);
        Curl { tls: true, ..Curl::new(&lab, vip, Data::Epsv) }.put(&["long"]);
    }
    daemon.finish();
}

/// TLS from the first byte on: the client speaks first, and nothing may be held. curl's numbers are random, so it runs
/// often.
#[test]
fn implicit_ftps_over_passive_ranges() {
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let setup = Setup { ipv6: false, ..ftp() };
    let daemon = Daemon::with(&lab, &with_ranges(setup.text(&lab)));
    for ftpd in [Ftpd::Vsftpd, Ftpd::Proftpd] {
        for vip in VIPS {
            let manner =
                Manner { named: Some(vip), tls: true, implicit: true, ..Manner::default() };
            let _servers = servers(&lab, ftpd, manner);
            for data in [Data::Pasv, Data::Epsv] {
                let curl = Curl { tls: true, implicit: true, ..Curl::new(&lab, vip, data) };
                (0..4).for_each(|_| curl.get(&["one", "image"]));
                curl.put(&["image"]);
            }
        }
    }
    daemon.finish();
}

/// Login in TLS, the rest in the clear: handled like TLS.
#[test]
fn clear_commands_after_tls_over_passive_ranges() {
    const CURL: &str = "curl --max-time 60 -sS --insecure --ssl-reqd --ftp-ssl-control --ftp-ssl-ccc \
                        --ftp-ssl-ccc-mode active";
    const LFTP: &str = "set ssl:verify-certificate no\nset ftp:ssl-force yes\n\
                        set ftp:ssl-protect-data no\nset ftp:ssl-use-ccc yes\nset xfer:clobber yes";
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let setup = Setup { ipv6: false, ..ftp() };
    let daemon = Daemon::with(&lab, &with_ranges(setup.text(&lab)));
    for ftpd in [Ftpd::Pure, Ftpd::Proftpd] {
        for vip in VIPS {
            let manner = Manner { named: Some(vip), tls: true, ..Manner::default() };
            let _servers = servers(&lab, ftpd, manner);
            for _ in 0..2 {
                must_ftplib(&lab, &format!("ccc {vip} passive"));
                lab.must("client", &format!("{CURL} --disable-epsv -o got ftp://{vip}/image"));
                lab.must("client", &format!("{CURL} -o got ftp://{vip}/image"));
                lftp(&lab, vip, LFTP, "get image -o got");
                let same = peers::same_bytes(&lab.path("got"), &lab.path("files/image"));
                assert!(same, "{ftpd:?} at {vip}");
            }
        }
    }
    daemon.finish();
}

/// Active mode in TLS is unreadable, too: an egress NAT rule lets the server's port 20 leave as the VIP.
#[test]
fn active_ftps_by_a_rule() {
    const RULE: &str = "[[nat]]\nfrom = \"10.77.0.0/24\"\nprotocol = \"tcp\"\n\
                        source_port = 20\nto = \"10.78.0.100\"\n";
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let setup = Setup { ipv6: false, ..ftp() };
    let daemon = Daemon::with(&lab, &(setup.text(&lab) + RULE));
    let manner = Manner { tls: true, ..Manner::default() };
    let _servers = ["s1", "s2"].map(|name| Ftpd::Pure.start(&lab, name, manner));
    // curl waits for ever here, even without a gate.
    (0..2).for_each(|_| must_ftplib(&lab, &format!("tls {NAT_VIP} active")));
    (0..2).for_each(|_| must_ftplib(&lab, &format!("ccc {NAT_VIP} active")));
    let rules = daemon.ask("nat").expect("rules");
    assert_eq!(rules[0]["hits"], 8, "{rules}");
    daemon.finish();
}

/// Readable sessions work with ranges, too.
#[test]
fn plain_sessions_over_passive_ranges() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &FILES);
    let daemon = Daemon::with(&lab, &with_ranges(ftp().text(&lab)));
    let _servers = servers(&lab, Ftpd::Vsftpd, Manner::default());
    for vip in VIPS {
        for data in [Data::Pasv, Data::Epsv, Data::Port] {
            let curl = Curl::new(&lab, vip, data);
            (0..2).for_each(|_| curl.get(&["one", "image"]));
        }
    }
    for vip in VIPS_V6 {
        Curl::new(&lab, vip, Data::Epsv).get(&["image"]);
    }
    daemon.finish();
}

/// Behind a SNAT pool, data connections must come from the configured port.
#[test]
fn a_data_port_is_kept_to() {
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let daemon = Daemon::with(&lab, &not_in_dsr(&lab, "data_port = 20"));
    let _servers = [("s1", Ftpd::Pure), ("s2", Ftpd::Vsftpd)]
        .map(|(name, ftpd)| ftpd.start(&lab, name, Manner::default()));
    let mut got = [0, 0];
    for _ in 0..4 {
        let command = format!("curl --max-time 30 -sSv --ftp-port - -o got ftp://{SNAT_VIP}/image");
        let output = lab.run("client", &command);
        got[usize::from(output.status.success())] += 1;
        let refused = said(&output).contains("< 425");
        assert!(refused || output.status.success(), "{}", said(&output));
    }
    assert_eq!(got, [2, 2]);
    daemon.finish();
}

/// Services with a key that `dsr` does not have.
fn not_in_dsr(lab: &Lab, key: &'static str) -> String {
    let text = Setup { ipv6: false, service: key, ..ftp() }.text(lab);
    let last = text.rfind(key).expect("three services");
    [&text[..last], "#", &text[last..]].concat()
}

/// Data for a third host: the server would send it, but never gets the command.
#[test]
fn nobody_else_gets_the_data() {
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let _servers = ["s1", "s2"]
        .map(|name| Ftpd::Pure.start(&lab, name, Manner { foreign: true, ..Manner::default() }));
    lab.must("client", "ip address add 10.78.0.99/16 dev c0");
    for (allowed, word) in [(false, "refused"), (true, "allowed")] {
        let keys = ["foreign_data = false", "foreign_data = true"];
        let daemon = Daemon::with(&lab, &not_in_dsr(&lab, keys[usize::from(allowed)]));
        must_ftplib(&lab, &format!("foreign {NAT_VIP} active 10.78.0.99 {word}"));
        daemon.finish();
    }
}
