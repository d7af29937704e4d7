//! Moves frames between a TAP and the workers of its interface. Workers make no system calls, so this side polls
//! their rings: in turns, in bounded batches, and with the rest of control in between. A flood costs the slow path
//! its frames, nothing else.

use super::conflict::ConflictWatch;
use engine::types::frame::Frame;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::sleep;
use tun_rs::AsyncDevice;
use worker::kernel_rings::KernelRings;
use worker::port::Pool;

/// Frames that are moved before the rest of control runs.
const BATCH: usize = 32;
/// The shortest and the longest sleep when no worker had frames: each sleep is twice as long as the last. A worker
/// may share its core with control.
const IDLE: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(4)];
/// The pause after a TAP could not be read.
const RETRY: Duration = Duration::from_millis(500);
/// The longest frame: the largest IP packet, Ethernet and two tags.
const LONGEST: usize = 65_535 + 22;

/// Traffic of one TAP, in frames.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Frames passed to the kernel.
    pub to_kernel: AtomicU64,
    /// Frames that the kernel refused: the TAP is down, or memory is short.
    pub refused: AtomicU64,
    /// Frames from the kernel that went to a worker.
    pub from_kernel: AtomicU64,
    /// Frames from the kernel that were dropped: no buffer was free, or the worker's ring was full.
    pub no_room: AtomicU64,
}

/// Moves frames until the future is dropped, and looks for conflicts among those to the kernel. Frames from the kernel
/// leave by the first worker, so that they keep their order.
pub async fn carry<P: Pool>(
    device: Arc<AsyncDevice>,
    rings: Vec<KernelRings<P::Buffer>>,
    pool: Arc<P>,
    traffic: Arc<Traffic>,
    conflicts: ConflictWatch,
) {
    tokio::join!(
        write(&device, &rings, &traffic, conflicts),
        read(&device, &rings, &*pool, &traffic)
    );
}

async fn write<B: Frame>(
    device: &AsyncDevice,
    rings: &[KernelRings<B>],
    traffic: &Traffic,
    mut conflicts: ConflictWatch,
) {
    let mut pause = IDLE[0];
    loop {
        let mut idle = true;
        for next in rings {
            for _ in 0..BATCH {
                let urgent = rings.iter().find_map(|rings| rings.urgent.pop());
                let Some(frame) = urgent.or_else(|| next.to_kernel.pop()) else { break };
                idle = false;
                conflicts.see(frame.bytes());
                let counter = match device.send(frame.bytes()).await {
                    Ok(_) => &traffic.to_kernel,
                    Err(_) => &traffic.refused,
                };
                counter.fetch_add(1, Relaxed);
            }
            yield_now().await;
        }
        conflicts.end_old();
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
