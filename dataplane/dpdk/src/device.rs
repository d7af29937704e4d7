//! A device as its handle and its queues share it: what starting it takes, step by step.

use crate::eal::Runtime;
use crate::error::{Errno, Error};
use crate::log;
use crate::mempool::{Mempool, holds};
use crate::rss;
use crate::setup::Setup;
use dpdk_sys as sys;
use std::ffi::{CString, c_int};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Buffers that a pair of queues keeps at most: those of af_xdp have 2048 places each, others
/// fewer. A pool needs as many for each pair, and what is under way besides.
pub const BUFFERS_PER_QUEUE: u32 = 4096;

/// A device as its handle and its queues share it.
#[derive(Debug)]
pub(crate) struct Device {
    id: u16,
    name: String,
    /// Frames in several buffers that queues dropped.
    pub(crate) oversized: AtomicU64,
    /// Whether it was asked to take frames for others.
    promiscuous: AtomicBool,
    /// Where its received frames go: it must outlive the device. Set before the first start.
    pool: OnceLock<Arc<Mempool>>,
    _runtime: Arc<Runtime>,
}

impl Device {
    /// Finds the device of this name and marks it as taken.
    pub(crate) fn take(runtime: &Arc<Runtime>, name: &str) -> Result<Device, Error> {
        let absent = || Error::NoDevice { device: name.to_owned(), said: runtime.said.clone() };
        let c_name = CString::new(name).map_err(|_| absent())?;
        let mut id = 0;
        // SAFETY: the environment runs; the name is a C string, `id` a place for the answer.
        Errno::check(unsafe { sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) })
            .map_err(|_| absent())?;
        own(id).map_err(|_| Error::Taken { device: name.to_owned() })?;
        Ok(Device {
            id,
            name: name.to_owned(),
            oversized: AtomicU64::new(0),
            promiscuous: AtomicBool::new(false),
            pool: OnceLock::new(),
            _runtime: Arc::clone(runtime),
        })
    }

    /// DPDK's number for it.
    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    /// Where its frames lie, once it is started.
    pub(crate) fn pool(&self) -> Option<&Arc<Mempool>> {
        self.pool.get()
    }

    /// Sets it up and starts it, if nothing was tried before.
    pub(crate) fn start(&self, setup: Setup, pool: &Arc<Mempool>) -> Result<(), Error> {
        let info = self.info()?;
        self.check(&info, setup, pool)?;
        if self.pool.set(Arc::clone(pool)).is_err() {
            return Err(self.failed("start twice", Errno(libc::EALREADY)));
        }
        self.configure(&info, setup)?;
        self.set_mtu(&info, setup.mtu)?;
        self.set_up_queues(setup, pool)?;
        // SAFETY: the device is ours and set up.
        self.order("start", || unsafe { sys::rte_eth_dev_start(self.id) })
    }

    /// Has it take frames for others, if it can choose.
    pub(crate) fn promiscuous(&self) -> Result<(), Error> {
        self.order("take frames for others", || {
            // SAFETY: the device is ours.
            let answer = unsafe { sys::rte_eth_promiscuous_enable(self.id) };
            self.promiscuous.store(answer == 0, Relaxed);
            if answer == -libc::ENOTSUP { 0 } else { answer }
        })
    }

    /// What DPDK knows of it.
    pub(crate) fn info(&self) -> Result<sys::rte_eth_dev_info, Error> {
        let mut info = MaybeUninit::<sys::rte_eth_dev_info>::zeroed();
        // SAFETY: the device is ours; `info` is a place for the answer.
        self.order("tell what it is", || unsafe {
            sys::rte_eth_dev_info_get(self.id, info.as_mut_ptr())
        })?;
        // SAFETY: numbers and pointers only, for which zeroes do.
        Ok(unsafe { info.assume_init() })
    }

    /// Whether the device can do what is asked, said more clearly than DPDK would.
    fn check(
        &self,
        info: &sys::rte_eth_dev_info,
        setup: Setup,
        pool: &Mempool,
    ) -> Result<(), Error> {
        let device = || self.name.clone();
        let mtu = setup.mtu;
        let largest = largest_mtu(info);
        let both = [(setup.receive, info.max_rx_queues), (setup.transmit, info.max_tx_queues)];
        if let Some(&(needed, has)) = both.iter().find(|(needed, has)| needed > has) {
            return Err(Error::Queues { device: device(), needed, has });
        }
        if mtu > largest {
            return Err(Error::Mtu { device: device(), mtu, largest });
        }
        if !holds(pool.data_room(), mtu) {
            return Err(Error::Room { device: device(), mtu, room: pool.data_room() });
        }
        Ok(())
    }

    fn configure(&self, info: &sys::rte_eth_dev_info, setup: Setup) -> Result<(), Error> {
        // SAFETY: numbers, flags and pointers only; zeroes ask for nothing special.
        let mut wanted: sys::rte_eth_conf = unsafe { MaybeUninit::zeroed().assume_init() };
        wanted.rxmode.mtu = u32::from(setup.mtu);
        let hashes = rss::hashes(info);
        if setup.receive > 1 && hashes != 0 {
            wanted.rxmode.mq_mode = sys::RTE_ETH_MQ_RX_RSS;
            // The key comes later: drivers keep the pointer that they would get here.
            wanted.rx_adv_conf.rss_conf.rss_hf = hashes;
        }
        // SAFETY: the device is ours and not started; DPDK copies `wanted`.
        self.order("take its configuration", || unsafe {
            sys::rte_eth_dev_configure(self.id, setup.receive, setup.transmit, &wanted)
        })
    }

    /// Some drivers take the MTU with the configuration, some only here.
    fn set_mtu(&self, info: &sys::rte_eth_dev_info, mtu: u16) -> Result<(), Error> {
        // SAFETY: the device is ours and configured.
        let answer = unsafe { sys::rte_eth_dev_set_mtu(self.id, mtu) };
        match Errno::check(answer) {
            Ok(()) => Ok(()),
            Err(Errno(libc::ENOTSUP)) if u32::from(mtu) <= sys::RTE_ETHER_MTU => Ok(()),
            Err(Errno(libc::ENOTSUP)) => {
                let largest = largest_mtu(info).min(sys::RTE_ETHER_MTU as u16);
                Err(Error::Mtu { device: self.name.clone(), mtu, largest })
            }
            Err(errno) => Err(self.failed("take its MTU", errno)),
        }
    }

    fn set_up_queues(&self, setup: Setup, pool: &Mempool) -> Result<(), Error> {
        let (mut receive, mut transmit) = (setup.rx_ring, setup.tx_ring);
        // SAFETY: the device is ours; the numbers are DPDK's to change during the call.
        self.order("size its queues", || unsafe {
            sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.id, &mut receive, &mut transmit)
        })?;
        // SAFETY: the device is ours. "Any" is -1, which the queues take as the same bits.
        let socket = unsafe { sys::rte_eth_dev_socket_id(self.id) } as u32;
        for queue in 0..setup.receive {
            // SAFETY: the device is ours and configured for that many queues; without a
            // configuration of its own the queue takes the driver's. `self` holds the pool.
            self.order("set up a receive queue", || unsafe {
                let pool = pool.as_ptr();
                sys::rte_eth_rx_queue_setup(self.id, queue, receive, socket, ptr::null(), pool)
            })?;
        }
        for queue in 0..setup.transmit {
            // SAFETY: as above.
            self.order("set up a transmit queue", || unsafe {
                sys::rte_eth_tx_queue_setup(self.id, queue, transmit, socket, ptr::null())
            })?;
        }
        Ok(())
    }

    /// Has DPDK do a step; its words about it go into the error.
    pub(crate) fn order(
        &self,
        step: &'static str,
        order: impl FnOnce() -> c_int,
    ) -> Result<(), Error> {
        log::said();
        Errno::check(order()).map_err(|errno| self.failed(step, errno))
    }

    fn failed(&self, step: &'static str, errno: Errno) -> Error {
        Error::Device { device: self.name.clone(), step, errno, said: log::said() }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the device is ours, and no queue is left: they hold this value. The pool is
        // dropped after this.
        unsafe {
            if *self.promiscuous.get_mut() {
                // A driver of a Linux interface has set a flag there that would stay.
                sys::rte_eth_promiscuous_disable(self.id);
            }
            sys::rte_eth_dev_stop(self.id);
            sys::rte_eth_dev_close(self.id);
        }
    }
}

/// Marks the device as taken.
fn own(id: u16) -> Result<(), Errno> {
    let mut owner = sys::rte_eth_dev_owner { id: 0, name: [0; 64] };
    // SAFETY: `owner` is a place for a number, then a whole value that DPDK copies.
    unsafe {
        Errno::check(sys::rte_eth_dev_owner_new(&mut owner.id))?;
        Errno::check(sys::rte_eth_dev_owner_set(id, &owner))
    }
}

/// The largest MTU that a device takes, as DPDK reckons it, from the longest frame less what is around the packet.
pub(crate) fn largest_mtu(info: &sys::rte_eth_dev_info) -> u16 {
    let around = match info.max_rx_pktlen.checked_sub(u32::from(info.max_mtu)) {
        Some(around) if info.max_mtu != u16::MAX => around,
        _ => sys::RTE_ETHER_HDR_LEN + sys::RTE_ETHER_CRC_LEN,
    };
    let longest = info.max_rx_pktlen.saturating_sub(around);
    u16::try_from(longest).unwrap_or(u16::MAX).min(info.max_mtu)
}
