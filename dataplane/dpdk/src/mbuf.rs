//! A packet buffer of DPDK's: one frame in one piece.

use dpdk_sys as sys;
use engine::types::frame::Frame;
use std::ptr::NonNull;
use std::slice;

/// A buffer of a [`crate::Mempool`], owned. Dropping it gives it back.
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// SAFETY: a buffer belongs to no thread: DPDK's pools take one back from any.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// An empty buffer; `None` when the pool has none left.
    ///
    /// # Safety
    ///
    /// The pool must live until the buffer is dropped.
    pub(crate) unsafe fn alloc(pool: NonNull<sys::rte_mempool>) -> Option<Mbuf> {
        // SAFETY: the pool lives, by this function's own condition. What it returns is ours alone.
        NonNull::new(unsafe { sys::rte_pktmbuf_alloc(pool.as_ptr()) }).map(Mbuf)
    }

    /// Whether the frame continues in further buffers, which [`Frame::bytes`] would not show.
    #[inline]
    pub(crate) fn is_chained(&self) -> bool {
        self.field::<u16>(sys::DPDK_SYS_MBUF_NB_SEGS) != 1
    }

    #[inline]
    fn len(&self) -> usize {
        usize::from(self.field::<u16>(sys::DPDK_SYS_MBUF_DATA_LEN))
    }

    /// Bytes of the buffer before the frame.
    fn headroom(&self) -> u16 {
        self.field::<u16>(sys::DPDK_SYS_MBUF_DATA_OFF)
    }

    /// Sets the headroom and the length of the frame.
    fn set_start(&mut self, headroom: u16, len: u16) {
        self.set_field::<u16>(sys::DPDK_SYS_MBUF_DATA_OFF, headroom);
        self.set_field::<u16>(sys::DPDK_SYS_MBUF_DATA_LEN, len);
        self.set_field::<u32>(sys::DPDK_SYS_MBUF_PKT_LEN, u32::from(len));
    }

    /// Bytes of the buffer from the frame's start on.
    fn room(&self) -> usize {
        let whole = self.field::<u16>(sys::DPDK_SYS_MBUF_BUF_LEN);
        usize::from(whole.saturating_sub(self.headroom()))
    }

    /// The address of the frame's first byte.
    #[inline]
    fn start(&self) -> *mut u8 {
        let buffer = self.field::<*mut u8>(sys::DPDK_SYS_MBUF_BUF_ADDR);
        let offset = usize::from(self.headroom());
        // SAFETY: DPDK keeps the offset within the buffer.
        unsafe { buffer.add(offset) }
    }

    fn field<T: Copy>(&self, offset: sys::dpdk_sys_mbuf) -> T {
        // SAFETY: the structure is alive and ours; the offset is one of C's own for a field, and
        // each is read above by the type it has in C.
        unsafe { self.0.as_ptr().byte_add(offset as usize).cast::<T>().read() }
    }

    fn set_field<T>(&mut self, offset: sys::dpdk_sys_mbuf, value: T) {
        // SAFETY: as in `field`.
        unsafe { self.0.as_ptr().byte_add(offset as usize).cast::<T>().write(value) }
    }
}

impl Frame for Mbuf {
    #[inline]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes hold the frame, written by the device or by us, and the
        // buffer is ours for as long as `self` is borrowed.
        unsafe { slice::from_raw_parts(self.start(), self.len()) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; `self` is borrowed mutably, so no other reference exists.
        unsafe { slice::from_raw_parts_mut(self.start(), self.len()) }
    }

    #[inline]
    fn set_len(&mut self, len: usize) -> bool {
        let Some(data_len) = u16::try_from(len).ok().filter(|_| len <= self.room()) else {
            return false;
        };
        let growth = len.saturating_sub(self.len());
        // SAFETY: `len`, and so the old length and the growth after it, are within the buffer.
        // What earlier frames left there would do for the growth, but a new pool holds nothing.
        unsafe { self.start().add(len - growth).write_bytes(0, growth) };
        self.set_start(self.headroom(), data_len);
        true
    }

    fn grow_front(&mut self, by: usize) -> bool {
        let both = u16::try_from(by).ok().and_then(|by| {
            let len = u16::try_from(self.len()).ok()?.checked_add(by)?;
            Some((self.headroom().checked_sub(by)?, len))
        });
        let Some((headroom, len)) = both else { return false };
        self.set_start(headroom, len);
        // SAFETY: the frame now begins with `by` bytes of the headroom, within the buffer, which may
        // never have been written.
        unsafe { self.start().write_bytes(0, by) };
        true
    }

    fn cut_front(&mut self, by: usize) -> bool {
        let Some(len) = self.len().checked_sub(by) else { return false };
        // Both are less than the frame was long.
        self.set_start(self.headroom() + by as u16, len as u16);
        true
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the buffer is ours, and not used after this. Its pool lives: pools are freed
        // only when all their buffers are back.
        unsafe { sys::rte_pktmbuf_free(self.0.as_ptr()) };
    }
}
