//! Frames between the kernel and a worker.

use crate::fake_worker::{Arp, Wire};
use crate::space::{inside, must};
use crate::{CLIENT, GATE, MAC, VIP, block_on, start, until};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use wire::ethernet::Mac;

#[test]
fn frames_cross_the_tap_and_are_counted() {
    inside("slowpath::frames_cross_the_tap_and_are_counted", |_| {
        block_on(async {
            let (_kernel, wire, traffic) = start().await;
            resolve(&wire, GATE).await;
            resolve(&wire, VIP).await;
            assert!(moved(&traffic.to_kernel) >= 2 && moved(&traffic.from_kernel) >= 2);
            assert_eq!((moved(&traffic.refused), moved(&traffic.no_room)), (0, 0));

            wire.pool.empty.store(true, Ordering::Relaxed);
            wire.send(who_has(VIP).frame());
            until("a frame finds no buffer", || moved(&traffic.no_room) > 0).await;
            wire.pool.empty.store(false, Ordering::Relaxed);

            must("ip link set lan down");
            wire.send(who_has(VIP).frame());
            until("a frame is refused", || moved(&traffic.refused) > 0).await;
            must("ip link set lan up");
            resolve(&wire, VIP).await;
        });
    });
}

#[test]
fn a_full_ring_drops_and_counts() {
    inside("slowpath::a_full_ring_drops_and_counts", |_| {
        block_on(async {
            let (_kernel, wire, traffic) = start().await;
            // The replies are not taken out.
            until("the ring to the worker is full", || {
                for _ in 0..200 {
                    drop(wire.rings.to_kernel.push(who_has(VIP).frame()));
                }
                moved(&traffic.no_room) > 0
            })
            .await;
            assert_eq!(wire.rings.from_kernel.len(), wire.rings.from_kernel.capacity());
            resolve(&wire, VIP).await;
        });
    });
}

#[test]
fn a_flood_leaves_control_its_turns() {
    inside("slowpath::a_flood_leaves_control_its_turns", |_| {
        block_on(async {
            let (_kernel, wire, traffic) = start().await;
            let over = Arc::new(AtomicBool::new(false));
            let flood = std::thread::spawn({
                let (over, ring) = (Arc::clone(&over), Arc::clone(&wire.rings.to_kernel));
                move || {
                    while !over.load(Ordering::Relaxed) {
                        drop(ring.push(who_has(VIP).frame()));
                    }
                }
            });
            let start = Instant::now();
            let mut turns = 0;
            while start.elapsed() < Duration::from_secs(1) {
                sleep(Duration::from_millis(1)).await;
                turns += 1;
            }
            over.store(true, Ordering::Relaxed);
            flood.join().expect("the flood ends");
            assert!(moved(&traffic.to_kernel) > 1024, "that was no flood");
            assert!(turns > 50, "control had {turns} turns in a second");
        });
    });
}

/// Sends ARP requests for `address` until the TAP answers.
async fn resolve(wire: &Wire, address: Ipv4Addr) {
    let wanted = Arp { request: false, sender: (MAC, address), target: CLIENT };
    until("an ARP reply", || {
        wire.send(who_has(address).frame());
        wire.turn().iter().any(|frame| Arp::parse(frame).as_ref() == Some(&wanted))
    })
    .await;
}

fn who_has(address: Ipv4Addr) -> Arp {
    Arp { request: true, sender: CLIENT, target: (Mac([0; 6]), address) }
}

fn moved(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
