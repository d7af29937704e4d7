//! Two servers, and clients that fetch a file while the gate is disturbed.

use crate::client::{Failure, Habits, fetch};
use crate::daemon::Daemon;
use crate::peers::{self, Server};
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::JoinHandle;

/// A lab with two TFTP servers, whose `image` has so many bytes.
pub fn lab(size: usize) -> (Lab, [Server; 2]) {
    let lab = Lab::new();
    peers::files(&lab, &[("image", size), ("small", 1000)]);
    let servers = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    (lab, servers)
}

/// Clients on both links that fetch the image, through `nat` and `snat`.
pub struct Fetching(Vec<JoinHandle<Result<Vec<u8>, Failure>>>);

impl Fetching {
    /// Starts the clients, and returns when both have got a block.
    pub fn start(lab: &Lab, daemon: &Daemon) -> Fetching {
        let all = [(NAT_VIP, 78), (SNAT_VIP, 77)].map(|(vip, net)| {
            let server = SocketAddrV4::new(vip.parse().expect("an address"), 69);
            let from = SocketAddrV4::new(Ipv4Addr::new(10, net, 0, 10), 0);
            lab.inside("client", move || fetch(from, server, "image", Habits::default()))
        });
        for service in ["nat", "snat"] {
            until("it runs", || daemon.total(service, "responded") > 0);
        }
        Fetching(all.into())
    }

    /// Asserts that all have the whole file.
    pub fn finish(self, lab: &Lab) {
        let original = std::fs::read(lab.path("files/image")).expect("the file");
        for client in self.0 {
            let got = client.join().expect("it ends");
            assert!(got.as_ref() == Ok(&original), "{:?}: {}", got.err(), lab.log());
        }
    }
}
