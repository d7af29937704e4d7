//! Moves frames between a TAP and the workers of its interface. The workers make no system call,
//! so this side looks for their frames: in turns, in bounded batches, and with the rest of control
//! in between. A flood costs the slow path its frames, nothing else.

use engine::frame::Frame;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::sleep;
use tun_rs::AsyncDevice;
use worker::kernel::KernelRings;
use worker::port::Pool;

/// Frames that are moved before the rest of control gets its turn.
const BATCH: usize = 32;
/// How long to sleep when no worker had anything: twice as long each time, from this up to that. A
/// worker may have to share its core with us.
const IDLE: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(4)];
/// How long to leave a TAP alone that cannot be read.
const RETRY: Duration = Duration::from_millis(500);
/// Longer than any frame: the largest IP packet, Ethernet and two tags.
const LONGEST: usize = 65_535 + 22;

/// Traffic of one TAP, in frames.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Given to the kernel.
    pub to_kernel: AtomicU64,
    /// Refused by the kernel: the TAP is down, or it has no memory left.
    pub refused: AtomicU64,
    /// Sent by the kernel, and handed to a worker.
    pub from_kernel: AtomicU64,
    /// Sent by the kernel, and dropped for want of a buffer or a place in the worker's ring.
    pub no_room: AtomicU64,
}

/// Moves frames until it is dropped. What the kernel sends goes out by the first worker, so that
/// it keeps its order.
pub async fn carry<P: Pool>(
    device: Arc<AsyncDevice>,
    rings: Vec<KernelRings<P::Buffer>>,
    pool: Arc<P>,
    traffic: Arc<Traffic>,
) {
    tokio::join!(write(&device, &rings, &traffic), read(&device, &rings, &*pool, &traffic));
}

async fn write<B: Frame>(device: &AsyncDevice, rings: &[KernelRings<B>], traffic: &Traffic) {
    let mut pause = IDLE[0];
    loop {
        let mut idle = true;
        for next in rings {
            for _ in 0..BATCH {
                let urgent = rings.iter().find_map(|rings| rings.urgent.pop());
                let Some(frame) = urgent.or_else(|| next.to_kernel.pop()) else { break };
                idle = false;
                let counter = match device.send(frame.bytes()).await {
                    Ok(_) => &traffic.to_kernel,
                    Err(_) => &traffic.refused,
                };
                counter.fetch_add(1, Relaxed);
            }
            yield_now().await;
        }
        if idle {
            sleep(pause).await;
            pause = IDLE[1].min(2 * pause);
        } else {
            pause = IDLE[0];
        }
    }
}

async fn read<P: Pool>(
    device: &AsyncDevice,
    rings: &[KernelRings<P::Buffer>],
    pool: &P,
    traffic: &Traffic,
) {
    let mut frame = vec![0; LONGEST];
    let mut is_said = false;
    loop {
        for _ in 0..BATCH {
            match device.recv(&mut frame).await {
                Ok(len) => {
                    hand_over(&frame[..len], rings, pool, traffic);
                    is_said = false;
                }
                // It is gone, which is said elsewhere.
                Err(error) if error.raw_os_error() == Some(libc::EBADFD) => return,
                Err(error) => {
                    if !std::mem::replace(&mut is_said, true) {
                        log::warn!("cannot read from a TAP, trying again: {error}");
                    }
                    sleep(RETRY).await;
                }
            }
        }
        yield_now().await;
    }
}

fn hand_over<P: Pool>(frame: &[u8], rings: &[KernelRings<P::Buffer>], pool: &P, traffic: &Traffic) {
    let ring = rings.first();
    let handed = ring.zip(pool.frame(frame)).is_some_and(|(ring, buffer)| {
        // What is pushed back is dropped here.
        ring.from_kernel.push(buffer).is_ok()
    });
    let counter = if handed { &traffic.from_kernel } else { &traffic.no_room };
    counter.fetch_add(1, Relaxed);
}
