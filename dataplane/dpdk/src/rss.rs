//! Receive side scaling: frames arrive on the queue of the worker that owns them.

use crate::device::{Device, hashes, key_len};
use crate::error::{Errno, Error};
use dpdk_sys as sys;
use engine::net::rss::{self, Steer};
use std::mem::MaybeUninit;

/// How a device spreads frames over its receive queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rss {
    /// One queue: there is nothing to spread.
    OneQueue,
    /// By the client's address: key and table were read back as they were set, so a client's frames arrive at their
    /// owner.
    ByClient(Steer),
    /// By another key or table, or the device does not tell. Frames are handed over in software.
    Otherwise,
    /// Not at all: the device has no RSS. Frames are handed over in software.
    Unable,
}

/// Entries that DPDK moves in one piece of a table.
const GROUP: usize = sys::RTE_ETH_RETA_GROUP_SIZE as usize;

/// Room for any device's key: DPDK counts its bytes in a `u8`.
const KEY_ROOM: usize = 1 << u8::BITS;

/// Sets key and table of a started device with so many receive queues, and reads them back.
pub(crate) fn set_up(device: &Device, queues: u16, steer: Steer) -> Result<Rss, Error> {
    if queues == 1 {
        return Ok(Rss::OneQueue);
    }
    let info = device.info()?;
    if hashes(&info) == 0 {
        return Ok(Rss::Unable);
    }
    let key = rss::key(steer, key_len(&info));
    let table: Vec<u16> = (0..info.reta_size).map(|entry| rss::queue(entry, queues)).collect();
    set_key(device, &key, hashes(&info));
    set_table(device, &table);
    let as_set = !table.is_empty()
        && usize::from(info.reta_size) >= usize::from(rss::ENTRIES)
        && read_key(device, key.len()).as_ref() == Some(&key)
        && read_table(device, table.len()).as_ref() == Some(&table);
    Ok(if as_set { Rss::ByClient(steer) } else { Rss::Otherwise })
}

/// Sets the key. A refusal shows when the key is read back.
fn set_key(device: &Device, key: &[u8], hashes: u64) {
    let mut key = key.to_vec();
    let mut wanted = sys::rte_eth_rss_conf {
        rss_key: key.as_mut_ptr(),
        rss_key_len: key.len() as u8,
        rss_hf: hashes,
    };
    // SAFETY: the device is ours; it copies the key, which lives until then.
    unsafe { sys::rte_eth_dev_rss_hash_update(device.id(), &mut wanted) };
}

fn set_table(device: &Device, table: &[u16]) {
    let mut groups = groups(table.len());
    for (place, &queue) in table.iter().enumerate() {
        groups[place / GROUP].reta[place % GROUP] = queue;
    }
    // SAFETY: the device is ours; there are as many groups as the table has.
    unsafe {
        sys::rte_eth_dev_rss_reta_update(device.id(), groups.as_mut_ptr(), table.len() as u16)
    };
}

fn read_key(device: &Device, len: usize) -> Option<Vec<u8>> {
    // Some drivers write the whole key, whatever length was requested or reported.
    let mut key = vec![0; KEY_ROOM];
    let mut found =
        sys::rte_eth_rss_conf { rss_key: key.as_mut_ptr(), rss_key_len: len as u8, rss_hf: 0 };
    // SAFETY: the device is ours; there is room for the longest key that there can be.
    let answer = unsafe { sys::rte_eth_dev_rss_hash_conf_get(device.id(), &mut found) };
    Errno::check(answer).ok()?;
    key.truncate(len);
    Some(key)
}

fn read_table(device: &Device, len: usize) -> Option<Vec<u16>> {
    let mut groups = groups(len);
    // SAFETY: the device is ours; there are as many groups as the table has.
    let answer =
        unsafe { sys::rte_eth_dev_rss_reta_query(device.id(), groups.as_mut_ptr(), len as u16) };
    Errno::check(answer).ok()?;
    Some((0..len).map(|place| groups[place / GROUP].reta[place % GROUP]).collect())
}

/// Room for a table, with all entries selected.
fn groups(entries: usize) -> Vec<sys::rte_eth_rss_reta_entry64> {
    // SAFETY: numbers only, for which zeroes do.
    let empty: sys::rte_eth_rss_reta_entry64 = unsafe { MaybeUninit::zeroed().assume_init() };
    vec![sys::rte_eth_rss_reta_entry64 { mask: u64::MAX, ..empty }; entries.div_ceil(GROUP)]
}
