//! TFTP clients that wait in the middle of their downloads, for what happens to the gate meanwhile.

use crate::client::{Failure, Habits, fetch_by_blocks};
use crate::peers;
use kit::lab::Lab;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// The image's size.
pub const SIZE: usize = 4 << 20;
/// As many clients fetch it at a time.
pub const CLIENTS: u8 = 8;
/// A block in the middle of the image, in blocks of 512 bytes.
const MIDDLE: u16 = (SIZE / 1024) as u16;
/// The longest time that a client waits for the gate.
const LONGEST: Duration = Duration::from_secs(60);

/// Clients that fetch the image. In its middle they wait until the gate is back: it is ended in the middle of all.
pub struct Clients {
    running: Vec<JoinHandle<Result<Vec<u8>, Failure>>>,
    is_back: Arc<AtomicBool>,
}

impl Clients {
    pub fn start(lab: &Lab, vip: &str, net: u8) -> Clients {
        let server = SocketAddrV4::new(vip.parse().expect("an address"), 69);
        let is_back = Arc::new(AtomicBool::new(false));
        let starts = (1..=CLIENTS).map(|n| {
            let from = SocketAddrV4::new(Ipv4Addr::new(10, net, 2, n), 0);
            let is_back = Arc::clone(&is_back);
            let wait = move |block| {
                let ends = Instant::now() + LONGEST;
                while block == MIDDLE && !is_back.load(Relaxed) && Instant::now() < ends {
                    sleep(Duration::from_millis(5));
                }
            };
            lab.inside("client", move || {
                fetch_by_blocks(from, server, "image", Habits::default(), wait)
            })
        });
        Clients { running: starts.collect(), is_back }
    }

    /// Asserts that all get the whole file.
    pub fn finish(self, lab: &Lab, what: &str) {
        self.is_back.store(true, Relaxed);
        let original = std::fs::read(lab.path("files/image")).expect("the file");
        for client in self.running {
            let got = client.join().expect("it ends");
            assert!(got.as_ref() == Ok(&original), "{what}: {:?}", got.err());
        }
    }
}

/// A lab with the image and the clients' addresses.
pub fn lab() -> Lab {
    with_image(Lab::new())
}

/// Adds the image and the clients' addresses.
pub fn with_image(lab: Lab) -> Lab {
    peers::files(&lab, &[("image", SIZE)]);
    for n in 1..=CLIENTS {
        lab.must("client", &format!("ip address add 10.78.2.{n}/16 dev c0"));
        lab.must("client", &format!("ip address add 10.77.2.{n}/16 dev c1"));
    }
    lab
}
