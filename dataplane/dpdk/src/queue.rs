//! A pair of queues of a port: a worker's access to the device.

use crate::device::Device;
use crate::mbuf::Mbuf;
use crate::port_config::PortConfig;

use dpdk_sys as sys;
use engine::types::frame::Burst;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use worker::port::Pool;

/// One transmit queue, and the receive queue of the same number if the device has one. It keeps its device running.
#[derive(Debug)]
pub struct Queue {
    device: Arc<Device>,
    port: u16,
    queue: u16,
    /// Frames that are received at once; 0: there is no receive queue.
    burst: u16,
}

impl Queue {
    /// The pair of this number. It must be started, and may be created only once.
    pub(crate) fn new(device: &Arc<Device>, queue: u16, config: PortConfig) -> Queue {
        let burst = if queue < config.receive { config.burst } else { 0 };
        Queue { device: Arc::clone(device), port: device.id(), queue, burst }
    }

    /// Drops frames in several buffers: they are larger than the MTU, and some devices deliver them all the same.
    #[cold]
    fn drop_chained(&self, burst: &mut Burst<Mbuf>) {
        let received = burst.len();
        burst.retain(|buffer| !buffer.is_chained());
        self.device.oversized.fetch_add((received - burst.len()) as u64, Relaxed);
    }
}

impl worker::port::Port for Queue {
    type Buffer = Mbuf;

    fn receive(&mut self, burst: &mut Burst<Mbuf>) {
        let held = burst.len();
        let room = self.burst.min(burst.remaining_capacity() as u16);
        if room == 0 {
            return;
        }
        // SAFETY: the queue is started, and `&mut self` is its only user. Behind `held` the burst
        // has room for that many pointers, and `Mbuf` is one pointer, never null; DPDK gives up the
        // buffers that it writes there, and says how many.
        unsafe {
            let free = burst.as_mut_ptr().add(held).cast::<*mut sys::rte_mbuf>();
            let received = sys::rte_eth_rx_burst(self.port, self.queue, free, room);
            burst.set_len(held + usize::from(received));
        }
        if burst.iter().any(Mbuf::is_chained) {
            self.drop_chained(burst);
        }
    }

    fn transmit(&mut self, burst: &mut Burst<Mbuf>) {
        let count = burst.len() as u16;
        let buffers = burst.as_mut_ptr().cast::<*mut sys::rte_mbuf>();
        // SAFETY: the queue is started, and `&mut self` is its only user. The burst holds that
        // many pointers to buffers of ours, each a single piece.
        let sent = unsafe { sys::rte_eth_tx_burst(self.port, self.queue, buffers, count) };
        // The device owns them now, and frees them.
        if sent == count {
            // SAFETY: none of them is ours any more.
            unsafe { burst.set_len(0) };
        } else {
            burst.drain(..usize::from(sent)).for_each(std::mem::forget);
        }
    }

    fn frame(&mut self, frame: &[u8]) -> Option<Mbuf> {
        self.device.pool()?.frame(frame)
    }
}
