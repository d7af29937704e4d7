//! Pools of packet buffers: the memory of all frames, taken at start.

use crate::eal::{Eal, Runtime};
use crate::error::{Errno, Error};
use crate::lcore;
use crate::mbuf::Mbuf;
use dpdk_sys as sys;
use engine::types::frame::Frame;
use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use worker::port::Pool;

/// Bytes around an IP packet that a device may write into a buffer: the Ethernet header, two tags, the frame check
/// sequence.
const AROUND: u32 = sys::RTE_ETHER_HDR_LEN + 2 * sys::RTE_VLAN_HLEN + sys::RTE_ETHER_CRC_LEN;

/// The size of a buffer that holds a whole frame of this MTU, for [`Mempool::new`]. It is rounded
/// up to what network cards count in, and is never less than the frames of af_packet's ring.
pub fn data_room(mtu: u16) -> u16 {
    let frame = (u32::from(mtu) + AROUND).next_multiple_of(1024).max(2048);
    u16::try_from(frame + sys::RTE_PKTMBUF_HEADROOM).unwrap_or(u16::MAX)
}

/// Whether buffers of this size hold whole frames of this MTU.
pub(crate) fn holds(data_room: u16, mtu: u16) -> bool {
    u32::from(data_room) >= sys::RTE_PKTMBUF_HEADROOM + u32::from(mtu) + AROUND
}

/// A pool of packet buffers of one size. Any thread may take from it and give back.
///
/// The memory is freed with the pool if all buffers are back and all lcores idle; otherwise it stays
/// until the process ends.
#[derive(Debug)]
pub struct Mempool {
    pool: NonNull<sys::rte_mempool>,
    size: u32,
    data_room: u16,
    runtime: ManuallyDrop<Arc<Runtime>>,
}

// SAFETY: DPDK's pools may be used by any number of threads at once; freeing is guarded in `drop`.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// Takes memory for `count` buffers (least waste: a power of two less one) of `data_room`
    /// bytes, headroom included. Each lcore keeps up to `cache` free ones at hand. `socket` is the
    /// NUMA node; `None`: any.
    pub fn new(
        eal: &Eal,
        name: &str,
        count: u32,
        cache: u32,
        data_room: u16,
        socket: Option<u32>,
    ) -> Result<Mempool, Error> {
        const ANY: i32 = -1;
        const PRIVATE: u16 = 0;
        let failed =
            |errno| Error::Mempool { name: name.to_owned(), count, room: data_room, errno };
        let c_name = CString::new(name).map_err(|_| failed(Errno(libc::EINVAL)))?;
        let socket = socket.and_then(|node| i32::try_from(node).ok()).unwrap_or(ANY);
        // SAFETY: the environment runs, and the name is a C string that DPDK copies.
        let pool = unsafe {
            sys::rte_pktmbuf_pool_create(c_name.as_ptr(), count, cache, PRIVATE, data_room, socket)
        };
        let pool = NonNull::new(pool).ok_or_else(|| failed(Errno::last()))?;
        let runtime = ManuallyDrop::new(Arc::clone(eal.runtime()));
        Ok(Mempool { pool, size: count, data_room, runtime })
    }

    /// The number of buffers.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Buffers that are not in use now.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives as long as `self`.
        unsafe { sys::rte_mempool_avail_count(self.pool.as_ptr()) }
    }

    /// Bytes of a buffer, headroom included.
    pub(crate) fn data_room(&self) -> u16 {
        self.data_room
    }

    /// The pool as DPDK knows it, for the devices that fill its buffers.
    pub(crate) fn as_ptr(&self) -> *mut sys::rte_mempool {
        self.pool.as_ptr()
    }
}

impl Pool for Mempool {
    type Buffer = Mbuf;

    fn frame(&self, frame: &[u8]) -> Option<Mbuf> {
        // SAFETY: `drop` frees the pool only when no buffer is out.
        let mut buffer = unsafe { Mbuf::alloc(self.pool) }?;
        if !buffer.set_len(frame.len()) {
            return None;
        }
        buffer.bytes_mut().copy_from_slice(frame);
        Some(buffer)
    }
}

impl Drop for Mempool {
    fn drop(&mut self) {
        // Buffers don't hold their pool, so it is kept while any is out. An lcore that gives one
        // back counts it before it is done, so no lcore may be at it; other threads count it last.
        if lcore::alone() && self.available() == self.size {
            // SAFETY: nobody uses the pool: its buffers are all in it, none can be taken any more,
            // ports that fill them would hold this value. The environment's handle is dropped once.
            unsafe {
                sys::rte_mempool_free(self.pool.as_ptr());
                ManuallyDrop::drop(&mut self.runtime);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_made_for_an_mtu_holds_it() {
        for mtu in [68, 1500, 2022, 2023, 9000, 16_000, 65_000] {
            assert!(holds(data_room(mtu), mtu), "{mtu}");
        }
        assert_eq!(data_room(1500), 2176);
        assert!(!holds(data_room(1500), 9000));
        assert!(!holds(data_room(u16::MAX), u16::MAX));
    }
}
