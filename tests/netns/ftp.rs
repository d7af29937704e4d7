//! FTP: every server with every client, active and passive.

use crate::ftp_clients::{Curl, DATA, DATA_V6, Data, lftp, must_ftplib};
use crate::ftp_servers::{FTPDS, Ftpd, Manner};
use crate::peers;
use kit::lab::Lab;

pub const FILES: [(&str, usize); 4] =
    [("empty", 0), ("one", 1), ("image", 1 << 20), ("large", 200 << 20)];
const SMALL: [&str; 3] = ["empty", "one", "image"];

/// All that is tested below, without anything between servers and clients.
#[test]
fn servers_and_clients_understand_each_other() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &FILES);
    for ftpd in FTPDS {
        let _server = ftpd.start(&lab, "s1", Manner::default());
        for at in ["10.77.0.30", "fd00:77::30"] {
            curl(&lab, at);
            others(&lab, ftpd, at, if ftpd == Ftpd::Vsftpd { "any-port" } else { "" });
        }
        Curl::new(&lab, "10.77.0.30", Data::Epsv).get(&["large"]);
    }
}

/// All of curl's ways to this address.
pub fn curl(lab: &Lab, at: &str) {
    for &data in if at.contains(':') { &DATA_V6[..] } else { &DATA[..] } {
        let curl = Curl::new(lab, at, data);
        curl.get(&SMALL);
        curl.put(&SMALL);
        curl.list(&SMALL);
        curl.resume("image");
    }
}

/// What lftp and ftplib do otherwise. With `any-port`, data connections may come from any.
pub fn others(lab: &Lab, ftpd: Ftpd, at: &str, any_port: &str) {
    // proftpd waits for seconds before it looks at a command behind another one, or at the rest of one.
    let pieces: &[_] = if ftpd == Ftpd::Proftpd { &[] } else { &["split", "pipelined"] };
    for how in ["passive", "active"] {
        lftp_at(lab, at, how);
        for what in ["transfers", "abort"].iter().chain(pieces) {
            must_ftplib(lab, &format!("{what} {at} {how} {any_port}"));
        }
    }
}

/// lftp does not wait for answers.
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
