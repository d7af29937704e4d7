//! Clients with a real client's patience: each fetches file after file and compares every byte.

use kit::lab::{Lab, NAT_VIP, SNAT_VIP};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;
use storm::client::Request;
use storm::link::Manner;
use storm::report::Report;
use storm::storm::{End, Storm};
use storm::terms::Terms;
use tokio::runtime;

/// A group of identical clients.
struct Crowd {
    name: &'static str,
    vip: &'static str,
    /// Third part of their addresses: 10.x.4.0/24.
    net: u8,
    clients: u64,
    size: u64,
    terms: Terms,
    loss: f64,
}

const CROWDS: [Crowd; 5] = [
    Crowd {
        name: "nat, plain",
        vip: NAT_VIP,
        net: 78,
        clients: 10,
        size: 300_000,
        terms: Terms::PLAIN,
        loss: 0.0,
    },
    Crowd {
        name: "nat, windows",
        vip: NAT_VIP,
        net: 78,
        clients: 6,
        size: 4_000_000,
        terms: Terms { blksize: 1428, windowsize: 8 },
        loss: 0.0,
    },
    // Block numbers wrap.
    Crowd {
        name: "nat, tiny blocks",
        vip: NAT_VIP,
        net: 78,
        clients: 2,
        size: 600_000,
        terms: Terms { blksize: 8, windowsize: 32 },
        loss: 0.0,
    },
    Crowd {
        name: "snat, large blocks",
        vip: SNAT_VIP,
        net: 77,
        clients: 10,
        size: 2_000_000,
        terms: Terms { blksize: 1428, windowsize: 1 },
        loss: 0.0,
    },
    Crowd {
        name: "snat, loss",
        vip: SNAT_VIP,
        net: 77,
        clients: 6,
        size: 50_000,
        terms: Terms::PLAIN,
        loss: 0.5,
    },
];

/// All clients at work.
pub struct Load(Vec<(&'static str, JoinHandle<Report>)>);

impl Load {
    pub fn start(lab: &Lab, length: Duration) -> Load {
        let crowds = CROWDS.iter().map(|crowd| {
            let storm = crowd.storm(length);
            let body = move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(storm.run(|_, _| {}))
            };
            (crowd.name, lab.inside("client", body))
        });
        Load(crowds.collect())
    }

    /// Waits until the last transfer has ended; each must be complete.
    pub fn finish(self) {
        let reports = self.0.into_iter().map(|(name, crowd)| {
            let report = crowd.join().expect("a storm ends");
            println!("{name}:\n{}", report.table());
            (name, report)
        });
        // All are shown before one is judged.
        for (name, report) in reports.collect::<Vec<_>>() {
            assert!(report.failed.is_empty(), "{name}: {:?}", report.failed);
            assert!(report.completed > 0, "{name}: nothing was fetched");
            assert_eq!(report.strays, 0, "{name}: a stray server was heard");
        }
    }
}

impl Crowd {
    fn storm(&self, length: Duration) -> Storm {
        let target = SocketAddr::new(self.vip.parse().expect("an address"), 69);
        let manner = Manner { retransmit: Duration::from_secs(1), retries: 15, loss: self.loss };
        let address = |host| IpAddr::V4(Ipv4Addr::new(10, self.net, 4, host));
        Storm {
            request: Request::of_size(target, self.size, self.terms, manner),
            clients: self.clients,
            sources: (1..255).map(address).collect(),
            ramp: Duration::from_millis(500),
            end: End::After(length),
        }
    }
}
