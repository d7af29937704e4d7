//! A device as its handle and its queues share it, and the steps of its start.

use crate::eal::Runtime;
use crate::error::{Errno, Error};
use crate::log_capture;
use crate::mempool::{Mempool, holds};
use crate::port_config::PortConfig;
use dpdk_sys as sys;
use std::ffi::{CString, c_int};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

/// The most buffers that a pair of queues keeps: queues of af_xdp have 2048 descriptors each, others fewer. A pool
/// needs as many for each pair, and those of frames in flight.
pub const BUFFERS_PER_QUEUE: u32 = 4096;

/// A device as its handle and its queues share it.
#[derive(Debug)]
pub(crate) struct Device {
    id: u16,
    name: String,
    /// Frames that arrived in several buffers, and were dropped by queues.
    pub(crate) oversized: AtomicU64,
    /// Whether promiscuous mode was requested.
    promiscuous: AtomicBool,
    /// The pool of received frames, which must outlive the device. Set before the first start.
    pool: OnceLock<Arc<Mempool>>,
    _runtime: Arc<Runtime>,
}

impl Device {
    /// Finds the device of this name and marks it as taken.
    pub(crate) fn take(runtime: &Arc<Runtime>, name: &str) -> Result<Device, Error> {
        let absent =
            || Error::NoDevice { device: name.to_owned(), dpdk_log: runtime.dpdk_log.clone() };
        let c_name = CString::new(name).map_err(|_| absent())?;
        let mut id = 0;
        // SAFETY: the environment runs; the name is a C string, `id` a place for the answer.
        Errno::check(unsafe { sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) })
            .map_err(|_| absent())?;
        take_ownership(id).map_err(|_| Error::Taken { device: name.to_owned() })?;
        Ok(Device {
            id,
            name: name.to_owned(),
            oversized: AtomicU64::new(0),
            promiscuous: AtomicBool::new(false),
            pool: OnceLock::new(),
            _runtime: Arc::clone(runtime),
        })
    }

    /// DPDK's number of the device.
    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    /// The pool of received frames, once the device is started.
    pub(crate) fn pool(&self) -> Option<&Arc<Mempool>> {
        self.pool.get()
    }

    /// Configures and starts the device, if that was not tried before.
    pub(crate) fn start(&self, config: PortConfig, pool: &Arc<Mempool>) -> Result<(), Error> {
        let info = self.info()?;
        self.check(&info, config, pool)?;
        if self.pool.set(Arc::clone(pool)).is_err() {
            return Err(self.failed("start twice", Errno(libc::EALREADY)));
        }
        self.configure(&info, config)?;
        self.set_mtu(&info, config.mtu)?;
        self.set_up_queues(config, pool)?;
        // SAFETY: the device is ours and set up.
        self.call("start", || unsafe { sys::rte_eth_dev_start(self.id) })
    }

    /// Enables promiscuous mode, if the device has the choice.
    pub(crate) fn promiscuous(&self) -> Result<(), Error> {
        self.call("take frames for others", || {
            // SAFETY: the device is ours.
            let answer = unsafe { sys::rte_eth_promiscuous_enable(self.id) };
            self.promiscuous.store(answer == 0, Relaxed);
            if answer == -libc::ENOTSUP { 0 } else { answer }
        })
    }

    /// Capabilities and limits of the device.
    pub(crate) fn info(&self) -> Result<sys::rte_eth_dev_info, Error> {
        let mut info = MaybeUninit::<sys::rte_eth_dev_info>::zeroed();
        // SAFETY: the device is ours; `info` is a place for the answer.
        self.call("tell what it is", || unsafe {
            sys::rte_eth_dev_info_get(self.id, info.as_mut_ptr())
        })?;
        // SAFETY: numbers and pointers only, for which zeroes do.
        Ok(unsafe { info.assume_init() })
    }

    /// Checks that the device can be configured so, with clearer errors than DPDK's.
    fn check(
        &self,
        info: &sys::rte_eth_dev_info,
        config: PortConfig,
        pool: &Mempool,
    ) -> Result<(), Error> {
        let device = || self.name.clone();
        let mtu = config.mtu;
        let largest = largest_mtu(info);
        let both = [(config.receive, info.max_rx_queues), (config.transmit, info.max_tx_queues)];
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

    fn configure(&self, info: &sys::rte_eth_dev_info, config: PortConfig) -> Result<(), Error> {
        // SAFETY: numbers, flags and pointers only; zeroes ask for nothing special.
        let mut wanted: sys::rte_eth_conf = unsafe { MaybeUninit::zeroed().assume_init() };
        wanted.rxmode.mtu = u32::from(config.mtu);
        let hashes = hashes(info);
        if config.receive > 1 && hashes != 0 {
            wanted.rxmode.mq_mode = sys::RTE_ETH_MQ_RX_RSS;
            // The key comes later: drivers keep the pointer that they would get here.
            wanted.rx_adv_conf.rss_conf.rss_hf = hashes;
        }
        // SAFETY: the device is ours and not started; DPDK copies `wanted`.
        self.call("take its configuration", || unsafe {
            sys::rte_eth_dev_configure(self.id, config.receive, config.transmit, &wanted)
        })
    }

    /// Sets the MTU: some drivers take it with the configuration, some only by this call.
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

    fn set_up_queues(&self, config: PortConfig, pool: &Mempool) -> Result<(), Error> {
        let (mut receive, mut transmit) = (config.rx_ring, config.tx_ring);
        // SAFETY: the device is ours; the numbers are DPDK's to change during the call.
        self.call("size its queues", || unsafe {
            sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.id, &mut receive, &mut transmit)
        })?;
        // SAFETY: the device is ours. "Any" is -1, which the queues take as the same bits.
        let socket = unsafe { sys::rte_eth_dev_socket_id(self.id) } as u32;
        for queue in 0..config.receive {
            // SAFETY: the device is ours and configured for that many queues; without a
            // configuration of its own the queue takes the driver's. `self` holds the pool.
            self.call("set up a receive queue", || unsafe {
                let pool = pool.as_ptr();
                sys::rte_eth_rx_queue_setup(self.id, queue, receive, socket, ptr::null(), pool)
            })?;
        }
        for queue in 0..config.transmit {
            // SAFETY: as above.
            self.call("set up a transmit queue", || unsafe {
                sys::rte_eth_tx_queue_setup(self.id, queue, transmit, socket, ptr::null())
            })?;
        }
        Ok(())
    }

    /// Calls DPDK for a step; its log lines about a failure go into the error.
    pub(crate) fn call(
        &self,
        step: &'static str,
        call: impl FnOnce() -> c_int,
    ) -> Result<(), Error> {
        log_capture::take();
        Errno::check(call()).map_err(|errno| self.failed(step, errno))
    }

    fn failed(&self, step: &'static str, errno: Errno) -> Error {
        Error::Device { device: self.name.clone(), step, errno, dpdk_log: log_capture::take() }
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
fn take_ownership(id: u16) -> Result<(), Errno> {
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

/// The hashes over addresses that the device offers. With our key ports add nothing, so hashes that include ports
/// serve as well.
pub(crate) fn hashes(info: &sys::rte_eth_dev_info) -> u64 {
    let wanted = sys::RTE_ETH_RSS_IPV4
        | sys::RTE_ETH_RSS_FRAG_IPV4
        | sys::RTE_ETH_RSS_NONFRAG_IPV4_UDP
        | sys::RTE_ETH_RSS_NONFRAG_IPV4_OTHER
        | sys::RTE_ETH_RSS_IPV6
        | sys::RTE_ETH_RSS_FRAG_IPV6
        | sys::RTE_ETH_RSS_NONFRAG_IPV6_UDP
        | sys::RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
    info.flow_type_rss_offloads & u64::from(wanted)
}

/// The length of the device's key in bytes. Some drivers take the usual one and don't say so.
pub(crate) fn key_len(info: &sys::rte_eth_dev_info) -> usize {
    match info.hash_key_size {
        0 => 40,
        len => len.into(),
    }
}
