//! FTP: every server with every client, active and passive.

use crate::daemon::{Daemon, Setup};
use crate::ftp_clients::{Curl, DATA, DATA_V6, Data, lftp, must_ftplib};
use crate::ftp_servers::{FTPDS, Ftpd, Manner};
use crate::peers;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, VIPS, VIPS_V6};

/// The last file exceeds all buffers between a server and a client.
pub const FILES: [(&str, usize); 4] =
    [("empty", 0), ("one", 1), ("image", 1 << 20), ("long", 32 << 20)];
const SMALL: [&str; 3] = ["empty", "one", "image"];

/// The tests below, without a gate.
#[test]
fn servers_and_clients_understand_each_other() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &FILES);
    for ftpd in FTPDS {
        let _server = ftpd.start(&lab, "s1", Manner { tls: true, ..Manner::default() });
        for at in ["10.77.0.30", "fd00:77::30"] {
            curl(&lab, at);
            others(&lab, ftpd, at, if ftpd == Ftpd::Pure { "" } else { "any-port" });
            abort(&lab, at);
            Curl { tls: true, ..Curl::new(&lab, at, Data::Epsv) }.get(&SMALL);
            for how in ["passive", "active"] {
                must_ftplib(&lab, &format!("tls {at} {how}"));
            }
        }
    }
}

#[test]
fn vsftpd_in_every_mode() {
    in_every_mode(Ftpd::Vsftpd);
}

#[test]
fn proftpd_in_every_mode() {
    in_every_mode(Ftpd::Proftpd);
}

#[test]
fn pure_ftpd_in_every_mode() {
    in_every_mode(Ftpd::Pure);
}

fn in_every_mode(ftpd: Ftpd) {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &FILES);
    let _servers = ["s1", "s2"].map(|name| ftpd.start(&lab, name, Manner::default()));
    let daemon = Daemon::start(&lab, ftp());
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        curl(&lab, vip);
    }
    // In dsr the gate does not see the source of data connections.
    let dsr_port = if ftpd == Ftpd::Pure { "" } else { "any-port" };
    for (vip, any_port) in [(NAT_VIP, ""), (VIPS_V6[1], ""), (DSR_VIP, dsr_port)] {
        others(&lab, ftpd, vip, any_port);
        abort(&lab, vip);
    }
    // Behind a SNAT pool, IPv4 and IPv6 servers serve all clients.
    let sessions = daemon.by_backend("snat", "started");
    assert!(sessions.iter().all(|&sessions| sessions > 0), "{sessions:?}");
    daemon.finish();
}

#[test]
fn two_hundred_mebibytes_in_every_mode() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &[("large", 200 << 20)]);
    let _servers = ["s1", "s2"].map(|name| Ftpd::Vsftpd.start(&lab, name, Manner::default()));
    let daemon = Daemon::start(&lab, ftp());
    for (vip, vip_v6) in VIPS.into_iter().zip(VIPS_V6) {
        Curl::new(&lab, vip, Data::Epsv).get(&["large"]);
        Curl::new(&lab, vip_v6, Data::Eprt).put(&["large"]);
    }
    daemon.finish();
}

/// FTP services over IPv4 and IPv6.
pub fn ftp() -> Setup {
    Setup { protocol: "ftp", ipv6: true, ..Setup::default() }
}

/// All modes of curl at this address.
pub fn curl(lab: &Lab, at: &str) {
    for &data in if at.contains(':') { &DATA_V6[..] } else { &DATA[..] } {
        let curl = Curl::new(lab, at, data);
        curl.get(&SMALL);
        curl.put(&SMALL);
        curl.list(&SMALL);
        curl.resume("image");
    }
}

/// Commands of lftp and ftplib that curl lacks. With `any-port`, data connections may come from any port.
pub fn others(lab: &Lab, ftpd: Ftpd, at: &str, any_port: &str) {
    // proftpd delays pipelined and split commands for seconds.
    let pieces: &[_] = if ftpd == Ftpd::Proftpd { &[] } else { &["split", "pipelined"] };
    for how in ["passive", "active"] {
        lftp_at(lab, at, how);
        for what in ["transfers"].iter().chain(pieces) {
            must_ftplib(lab, &format!("{what} {at} {how} {any_port}"));
        }
    }
}

/// The client aborts a transfer.
fn abort(lab: &Lab, at: &str) {
    ["passive", "active"]
        .iter()
        .for_each(|how| must_ftplib(lab, &format!("abort {at} {how} any-port")));
}

/// lftp does not wait for replies.
fn lftp_at(lab: &Lab, at: &str, how: &str) {
    let _ = std::fs::remove_file(lab.path("files/up/image"));
    let settings = format!(
        "set ftp:passive-mode {}\nset ftp:sync-mode off\nset xfer:clobber yes",
        how == "passive"
    );
    let get = SMALL.map(|file| format!("get {file} -o lftp-{file}\n")).concat();
    lftp(lab, at, &settings, &format!("{get}put files/image -o up/image\ncls"));
    for (got, file) in SMALL.map(|file| (format!("lftp-{file}"), file)) {
        let same = peers::same_bytes(&lab.path(&got), &lab.path("files").join(file));
        assert!(same, "lftp, {how} at {at}: {file} has come as another file");
    }
    assert!(peers::same_bytes(&lab.path("files/up/image"), &lab.path("files/image")), "{at}");
}
