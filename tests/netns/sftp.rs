//! OpenSSH's sftp and ssh through a VIP, and around it.

use crate::daemon::{Daemon, Setup};
use crate::ftp::FILES;
use crate::peers::{self, in_url, same_bytes};
use kit::lab::{Lab, NAT_VIP, VIPS, VIPS_V6};

#[test]
fn sftp_and_ssh_in_every_mode() {
    let lab = Lab::new().with_ipv6();
    peers::files(&lab, &FILES);
    let _servers = ["s1", "s2"].map(|name| peers::sshd(&lab, name));
    let setup = Setup { protocol: "tcp", service: "port = 22", ipv6: true, ..Setup::default() };
    let daemon = Daemon::start(&lab, setup);
    for vip in VIPS.into_iter().chain(VIPS_V6) {
        sftp(&lab, vip, &["empty", "one", "image"]);
        let connection = lab.must("client", &ssh(&lab, vip, "echo+$SSH_CONNECTION"));
        let words: Vec<_> = connection.split_whitespace().collect();
        let to_itself = [VIPS[2], VIPS_V6[2]].contains(&vip);
        assert_eq!(words[2] == vip, to_itself, "{vip}: {connection}");
    }
    for vip in VIPS {
        sftp(&lab, vip, &["long"]);
    }
    daemon.finish();
}

/// The gate routes packets to a server's own address, while the VIP is served.
#[test]
fn ssh_around_the_vip() {
    let lab = Lab::new();
    peers::files(&lab, &FILES);
    let _servers = ["s1", "s2"].map(|name| peers::sshd(&lab, name));
    let setup = Setup { protocol: "tcp", service: "port = 22", ..Setup::default() };
    let daemon = Daemon::start(&lab, setup);
    for server in ["10.77.0.30", "10.77.0.31"] {
        let route = format!("ip route add {server}/32 via 10.78.0.1 dev c0 src 10.78.0.10");
        lab.must("client", &route);
    }
    std::thread::scope(|scope| {
        let through = scope.spawn(|| (0..3).for_each(|_| sftp(&lab, NAT_VIP, &["long"])));
        for server in ["10.77.0.30", "10.77.0.31"].into_iter().cycle().take(4) {
            let connection = lab.must("client", &ssh(&lab, server, "echo+$SSH_CONNECTION"));
            let words: Vec<_> = connection.split_whitespace().collect();
            assert_eq!((words[0], words[2]), ("10.78.0.10", server), "{connection}");
        }
        through.join().expect("the VIP serves");
    });
    sftp_as(&lab, "10.77.0.30", &["image"], "around");
    daemon.finish();
}

const OPTIONS: &str = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
                       -o LogLevel=ERROR -F /dev/null";

fn ssh(lab: &Lab, at: &str, command: &str) -> String {
    let key = peers::ssh_key(lab);
    format!("timeout 60 ssh {OPTIONS} -i {} root@{at} {command}", key.display())
}

/// The command for an SFTP session, which takes its time: 0.8 Mbit/s.
pub fn slow(lab: &Lab, at: &str, batch: &std::path::Path) -> String {
    let key = peers::ssh_key(lab);
    let (key, batch) = (key.display(), batch.display());
    format!("timeout 300 sftp {OPTIONS} -l 800 -i {key} -b {batch} root@{at}")
}

/// Transfers files in both directions.
fn sftp(lab: &Lab, at: &str, files: &[&str]) {
    sftp_as(lab, at, files, "through");
}

fn sftp_as(lab: &Lab, at: &str, files: &[&str], name: &str) {
    let (batch, key) = (lab.path(&format!("sftp-{name}")), peers::ssh_key(lab));
    let folder = lab.path("files").display().to_string();
    let pairs = files.iter().map(|file| {
        format!("get {folder}/{file} {name}-{file}\nput {folder}/{file} {folder}/{name}-{file}\n")
    });
    std::fs::write(&batch, pairs.collect::<String>()).expect("a file");
    let (key, batch) = (key.display(), batch.display());
    let at_url = in_url(at);
    lab.must("client", &format!("timeout 180 sftp {OPTIONS} -i {key} -b {batch} root@{at_url}"));
    for file in files {
        for copy in [format!("{name}-{file}"), format!("files/{name}-{file}")] {
            let same = same_bytes(&lab.path(&copy), &lab.path("files").join(file));
            assert!(same, "sftp at {at}: {copy} is another file");
            std::fs::remove_file(lab.path(&copy)).expect("it is there");
        }
    }
}
