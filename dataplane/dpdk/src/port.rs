//! Devices: found by name, told what to do, started; their queues go to the workers.

use crate::device::{Device, largest_mtu};
use crate::eal::Eal;
use crate::error::Error;
use crate::mempool::Mempool;
use crate::queue::Queue;
use crate::rss::{self, Rss};
use crate::setup::Setup;
use dpdk_sys as sys;
use std::cell::Cell;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use wire::ethernet::Mac;

/// A device. It stops and closes when it and all its queues are dropped.
#[derive(Debug)]
pub struct Port {
    device: Arc<Device>,
    /// One thread at a time may give a device orders.
    _one_thread: PhantomData<Cell<()>>,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The name of DPDK's driver.
    pub driver: String,
    /// The hardware address.
    pub mac: Mac,
    /// Whether the link is up, as far as the driver knows.
    pub link_up: bool,
    /// Receive queues that it can have.
    pub max_receive: u16,
    /// Transmit queues that it can have.
    pub max_transmit: u16,
    /// The largest MTU that it can be set to.
    pub max_mtu: u16,
}

/// What a device has counted since it started.
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
    /// Frames that it could not send.
    pub oerrors: u64,
    /// Times that no buffer was left for a received frame.
    pub rx_nombuf: u64,
    /// Frames received that were larger than the MTU, and were dropped.
    pub oversized: u64,
}

impl Port {
    /// Takes the device of this name: of a virtual device what stands before its arguments, else
    /// the whole PCI address, as in `0000:03:00.0`. A device can be taken once.
    pub fn find(eal: &Eal, name: &str) -> Result<Port, Error> {
        let device = Arc::new(Device::take(eal.runtime(), name)?);
        Ok(Port { device, _one_thread: PhantomData })
    }

    /// What the device is.
    pub fn info(&self) -> Result<Info, Error> {
        let device = self.device.info()?;
        let mut mac = sys::rte_ether_addr { addr_bytes: [0; 6] };
        // SAFETY: the device is ours; `mac` is a place for the answer.
        self.device.order("tell its hardware address", || unsafe {
            sys::rte_eth_macaddr_get(self.device.id(), &mut mac)
        })?;
        // SAFETY: drivers name themselves by a C string of their own, or by none.
        let driver = unsafe { device.driver_name.as_ref().map(|name| CStr::from_ptr(name)) };
        Ok(Info {
            driver: driver.unwrap_or_default().to_string_lossy().into_owned(),
            mac: Mac(mac.addr_bytes),
            // SAFETY: the device is ours.
            link_up: unsafe { sys::dpdk_sys_link_up(self.device.id()) } != 0,
            max_receive: device.max_rx_queues,
            max_transmit: device.max_tx_queues,
            max_mtu: largest_mtu(&device),
        })
    }

    /// Sets the device up, filling buffers of `pool`, and starts it, once. The queues are in order; and
    /// how it spreads frames over those that receive.
    pub fn start(&mut self, setup: Setup, pool: &Arc<Mempool>) -> Result<(Vec<Queue>, Rss), Error> {
        self.device.start(setup, pool)?;
        let rss = rss::set_up(&self.device, setup.receive, setup.steer)?;
        let queue = |number| Queue::new(&self.device, number, setup);
        Ok(((0..setup.transmit).map(queue).collect(), rss))
    }

    /// Has the device take frames for any hardware address, until it closes. One that does so always
    /// is content.
    pub fn promiscuous(&mut self) -> Result<(), Error> {
        self.device.promiscuous()
    }

    /// What the device has counted.
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut stats = MaybeUninit::<sys::rte_eth_stats>::zeroed();
        // SAFETY: the device is ours; `stats` is a place for the answer.
        self.device.order("tell its counters", || unsafe {
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
