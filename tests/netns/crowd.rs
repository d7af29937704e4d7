//! Two hundred clients at once, with one worker and with two.

use crate::client::{Habits, fetch};
use crate::daemon::{Daemon, Setup};
use crate::peers;
use kit::lab::{DSR_VIP, Lab, NAT_VIP, SNAT_VIP};
use std::net::{Ipv4Addr, SocketAddrV4};

const CLIENTS: u8 = 200;
const SIZE: usize = 50_000;

#[test]
fn two_hundred_at_once_through_one_worker() {
    crowd(Setup::default());
}

/// The kernel spreads packets over the queues by addresses and ports, so that many arrive at the
/// worker that does not own them.
#[test]
fn two_hundred_at_once_through_two_workers_with_hand_over() {
    crowd(Setup { workers: "0, 1", device_arguments: ",qpairs=2", ..Setup::default() });
}

fn crowd(setup: Setup) {
    let workers = setup.workers.split(',').count();
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE)]);
    for n in 1..=CLIENTS {
        lab.must("client", &format!("ip address add 10.78.2.{n}/16 dev c0"));
        lab.must("client", &format!("ip address add 10.77.2.{n}/16 dev c1"));
    }
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::atftpd(&lab, "s2")];
    let daemon = Daemon::start(&lab, setup);
    let original = std::fs::read(lab.path("files/image")).expect("the file");
    for (service, vip, net) in [("nat", NAT_VIP, 78), ("snat", SNAT_VIP, 77), ("dsr", DSR_VIP, 77)]
    {
        let server = SocketAddrV4::new(vip.parse().expect("an address"), 69);
        let clients: Vec<_> = (1..=CLIENTS)
            .map(|n| {
                let from = SocketAddrV4::new(Ipv4Addr::new(10, net, 2, n), 0);
                lab.inside("client", move || fetch(from, server, "image", Habits::default()))
            })
            .collect();
        for (n, client) in clients.into_iter().enumerate() {
            let got = client.join().expect("the client ends");
            assert!(got.as_ref() == Ok(&original), "{service}: client {n}: {:?}", got.err());
        }
        assert_eq!(daemon.total(service, "started"), u64::from(CLIENTS), "{service}");
        let shares = daemon.by_backend(service, "started");
        assert!(shares.iter().all(|&share| share >= 90), "{service}: {shares:?}");
    }
    let handed_over = daemon.stat("packets", "handed_over");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(handed_over > 0, workers.min(cores) > 1, "{handed_over} frames handed over");
    for drop in ["hand-over-full", "transmit-full", "wrong-tid", "no-transfer"] {
        assert_eq!(daemon.stat("drops", drop), 0, "{drop}");
    }
    daemon.finish();
}
