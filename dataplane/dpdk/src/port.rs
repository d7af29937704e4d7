//! Ports: devices are found by name, configured and started; their queues go to the workers.

use crate::device::{Device, largest_mtu};
use crate::eal::Eal;
use crate::error::Error;
use crate::mempool::Mempool;
use crate::port_config::PortConfig;
use crate::queue::Queue;
use crate::rss::{self, Rss};
use dpdk_sys as sys;
use std::cell::Cell;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use wire::ethernet::Mac;

/// A device. It is stopped and closed when this value and all its queues are dropped.
#[derive(Debug)]
pub struct Port {
    device: Arc<Device>,
    /// One thread at a time may control a device.
    _one_thread: PhantomData<Cell<()>>,
}

/// Driver, address and limits of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The name of DPDK's driver.
    pub driver: String,
    /// The hardware address.
    pub mac: Mac,
    /// The most receive queues.
    pub max_receive: u16,
    /// The most transmit queues.
    pub max_transmit: u16,
    /// The largest MTU.
    pub max_mtu: u16,
}

/// The state of a device's link, as far as the driver knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Whether the link is up.
    pub is_up: bool,
    /// The speed in Mbit/s, if it is known.
    pub speed: Option<u32>,
}

/// A device's counters since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Frames received.
    pub ipackets: u64,
    /// Frames sent.
    pub opackets: u64,
    /// Frames that the device dropped because its receive queues were full.
    pub imissed: u64,
    /// Broken frames received.
    pub ierrors: u64,
    /// Frames that the device could not send.
    pub oerrors: u64,
    /// Received frames that no buffer was left for.
    pub rx_nombuf: u64,
    /// Frames received that were larger than the MTU, and were dropped.
    pub oversized: u64,
}

impl Port {
    /// Takes the device of this name: a virtual device's name without its arguments, else the whole PCI address, as
    /// in `0000:03:00.0`. A device can be taken once.
    pub fn find(eal: &Eal, name: &str) -> Result<Port, Error> {
        let device = Arc::new(Device::take(eal.runtime(), name)?);
        Ok(Port { device, _one_thread: PhantomData })
    }

    /// Reads driver, address and limits of the device.
    pub fn info(&self) -> Result<Info, Error> {
        let device = self.device.info()?;
        let mut mac = sys::rte_ether_addr { addr_bytes: [0; 6] };
        // SAFETY: the device is ours; `mac` is a place for the answer.
        self.device.call("tell its hardware address", || unsafe {
            sys::rte_eth_macaddr_get(self.device.id(), &mut mac)
        })?;
        // SAFETY: drivers name themselves by a C string of their own, or by none.
        let driver = unsafe { device.driver_name.as_ref().map(|name| CStr::from_ptr(name)) };
        Ok(Info {
            driver: driver.unwrap_or_default().to_string_lossy().into_owned(),
            mac: Mac(mac.addr_bytes),
            max_receive: device.max_rx_queues,
            max_transmit: device.max_tx_queues,
            max_mtu: largest_mtu(&device),
        })
    }

    /// Configures the device, which receives into buffers of `pool`, and starts it, once. Returns the queues in
    /// order, and how the device spreads received frames over them.
    pub fn start(
        &mut self,
        config: PortConfig,
        pool: &Arc<Mempool>,
    ) -> Result<(Vec<Queue>, Rss), Error> {
        self.device.start(config, pool)?;
        let rss = rss::set_up(&self.device, config.receive, config.steer)?;
        let queue = |number| Queue::new(&self.device, number, config);
        Ok(((0..config.transmit).map(queue).collect(), rss))
    }

    /// Enables promiscuous mode until the device is closed. A device that is always promiscuous accepts that.
    pub fn promiscuous(&mut self) -> Result<(), Error> {
        self.device.promiscuous()
    }

    /// Reads the state of the link.
    pub fn link(&self) -> Link {
        let mut speed = sys::RTE_ETH_SPEED_NUM_UNKNOWN;
        // SAFETY: the device is ours; `speed` is a place for the answer.
        let is_up = unsafe { sys::dpdk_sys_link(self.device.id(), &mut speed) } != 0;
        let unknown = [sys::RTE_ETH_SPEED_NUM_NONE, sys::RTE_ETH_SPEED_NUM_UNKNOWN];
        Link { is_up, speed: Some(speed).filter(|speed| !unknown.contains(speed)) }
    }

    /// Reads the device's counters.
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut stats = MaybeUninit::<sys::rte_eth_stats>::zeroed();
        // SAFETY: the device is ours; `stats` is a place for the answer.
        self.device.call("tell its counters", || unsafe {
            sys::rte_eth_stats_get(self.device.id(), stats.as_mut_ptr())
        })?;
        // SAFETY: numbers only, for which zeroes do.
        let stats = unsafe { stats.assume_init() };
        Ok(Stats {
            ipackets: stats.ipackets,
            opackets: stats.opackets,
            imissed: stats.imissed,
            ierrors: stats.ierrors,
            oerrors: stats.oerrors,
            rx_nombuf: stats.rx_nombuf,
            oversized: self.device.oversized.load(Relaxed),
        })
    }
}
