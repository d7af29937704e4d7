//! The process's privileges: capabilities. Each thread has its own, so they are reduced before DPDK makes threads to
//! those that opening the devices needs, and after that to those for running. No program that is started regains any
//! (`no_new_privs`).

use crate::config::{Config, Device};
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use rustix::io;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use std::fs;
use std::path::Path;

/// Capabilities to run: addresses, routes, TAPs, `nft` and marks; raw sockets; memory that devices write to, which
/// is locked.
const RUN: CapabilitySet =
    CapabilitySet::NET_ADMIN.union(CapabilitySet::NET_RAW).union(CapabilitySet::IPC_LOCK);

/// Capabilities of root to run a program as another user, and to end it. Other users can't, and need not.
const BECOME_ANOTHER: CapabilitySet =
    CapabilitySet::SETUID.union(CapabilitySet::SETGID).union(CapabilitySet::KILL);

/// Capabilities to open an af_xdp device: its program is loaded, and found again by its number.
const XDP: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// Capabilities to open a device that is told physical addresses (`/proc/self/pagemap`), whose configuration is read
/// from sysfs to its end, or whose ports are the processor's.
const PHYSICAL: CapabilitySet = CapabilitySet::SYS_ADMIN.union(CapabilitySet::SYS_RAWIO);

/// Gives up all capabilities that neither running nor the configuration's devices need, in this thread and those that
/// it creates later. Files that are created later are private.
///
/// # Errors
///
/// The kernel refuses it.
pub fn keep_for_start(config: &Config) -> io::Result<()> {
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    set_no_new_privs(true)?;
    let devices = config.devices().into_iter();
    let devices = devices.map(|interface| needed(&interface.device, Path::new("/sys/bus/pci")));
    let devices = devices.fold(CapabilitySet::empty(), CapabilitySet::union);
    // Capabilities that are given up later must leave the bounding set, too.
    let later = if devices.is_empty() { devices } else { CapabilitySet::SETPCAP };
    keep(running() | devices | later)
}

/// Gives up, in this thread, the capabilities that only the opening of devices needed.
///
/// # Errors
///
/// The kernel refuses it.
pub fn keep_for_running() -> io::Result<()> {
    keep(running())
}

/// Gives up all capabilities of this thread.
///
/// # Errors
///
/// The kernel refuses it.
pub fn give_up() -> io::Result<()> {
    keep(CapabilitySet::empty())
}

/// Gives up all capabilities of a thread that only computes or writes, and tells if the kernel refuses it.
pub fn give_up_at_start() {
    if let Err(error) = give_up() {
        log::error!("a thread of ours keeps privileges that it does not need: {error}");
    }
}

/// Starts a program that may change the network. Programs that are started otherwise get no capabilities.
pub fn lend<T>(start: impl FnOnce() -> T) -> T {
    let lent = CapabilitySet::NET_ADMIN;
    let Ok(current) = capabilities(None) else { return start() };
    let inheritable = current.inheritable | (lent & current.permitted);
    // If it can't be lent, the program's own error will tell.
    let _ = set_capabilities(None, CapabilitySets { inheritable, ..current });
    let _ = configure_capability_in_ambient_set(lent, true);
    let started = start();
    let _ = configure_capability_in_ambient_set(lent, false);
    let _ = set_capabilities(None, current);
    started
}

fn running() -> CapabilitySet {
    if geteuid().is_root() { RUN | BECOME_ANOTHER } else { RUN }
}

fn keep(kept: CapabilitySet) -> io::Result<()> {
    let current = capabilities(None)?;
    let kept = kept & current.permitted;
    clear_ambient_capability_set()?;
    if current.effective.contains(CapabilitySet::SETPCAP) {
        narrow_bounding_set(kept)?;
    }
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable })
}

/// Narrows the bounding set, which limits what programs can gain. Where this is not allowed, `no_new_privs` alone
/// prevents it.
fn narrow_bounding_set(kept: CapabilitySet) -> io::Result<()> {
    let all = (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
    for one in all {
        // The first capability that the kernel does not know is behind the last one.
        let Ok(is_there) = capability_is_in_bounding_set(one) else { break };
        if is_there && !kept.contains(one) {
            remove_capability_from_bounding_set(one)?;
        }
    }
    Ok(())
}

/// The capabilities that opening a device takes beyond running.
fn needed(device: &Device, pci: &Path) -> CapabilitySet {
    match device {
        Device::Pci(address) if !has_iommu(&pci.join("devices").join(address)) => PHYSICAL,
        Device::Pci(_) => CapabilitySet::empty(),
        device @ Device::Virtual { .. } if device.is_af_xdp() => XDP,
        Device::Virtual { .. } => CapabilitySet::empty(),
    }
}

/// Whether a PCI device uses virtual addresses of the process: by vfio with an IOMMU, or by Mellanox' drivers.
fn has_iommu(device: &Path) -> bool {
    let driver = fs::read_link(device.join("driver")).unwrap_or_default();
    match driver.file_name().and_then(|name| name.to_str()) {
        Some("mlx4_core" | "mlx5_core") => true,
        Some("vfio-pci") => {
            let group = fs::read_to_string(device.join("iommu_group/name")).unwrap_or_default();
            device.join("iommu_group").exists() && group.trim() != "vfio-noiommu"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::thread;

    #[test]
    fn physical_addresses_are_for_devices_without_an_iommu() {
        let pci = tempfile::tempdir().unwrap();
        let path = pci.path().join("devices/0000:03:00.0");
        fs::create_dir_all(&path).unwrap();
        let of = || needed(&Device::Pci("0000:03:00.0".into()), pci.path());
        let bind = |driver: &str| {
            let _ = fs::remove_file(path.join("driver"));
            symlink(format!("../../drivers/{driver}"), path.join("driver")).unwrap();
        };
        bind("uio_pci_generic");
        assert_eq!(of(), PHYSICAL);
        bind("vfio-pci");
        assert_eq!(of(), PHYSICAL, "it is in no group");
        fs::create_dir(path.join("iommu_group")).unwrap();
        fs::write(path.join("iommu_group/name"), "vfio-noiommu\n").unwrap();
        assert_eq!(of(), PHYSICAL);
        fs::remove_file(path.join("iommu_group/name")).unwrap();
        assert_eq!(of(), CapabilitySet::empty());
        bind("mlx5_core");
        assert_eq!(of(), CapabilitySet::empty());
    }

    /// The test runs in another thread, as this one must keep its capabilities.
    #[test]
    fn what_is_given_up_is_gone_in_this_thread_alone() {
        let before = capabilities(None).unwrap();
        let after = thread::spawn(|| {
            keep(CapabilitySet::NET_RAW).unwrap();
            let raw = capabilities(None).unwrap();
            give_up().unwrap();
            (raw, capabilities(None).unwrap())
        });
        let (raw, nothing) = after.join().unwrap();
        assert_eq!(raw.effective, before.permitted & CapabilitySet::NET_RAW);
        assert_eq!((raw.permitted, raw.inheritable), (raw.effective, CapabilitySet::empty()));
        assert!(nothing.permitted.is_empty() && nothing.effective.is_empty());
        assert_eq!(capabilities(None).unwrap(), before);
    }

    #[test]
    fn what_is_lent_is_taken_back() {
        let before = capabilities(None).unwrap();
        let has = before.permitted.contains(CapabilitySet::NET_ADMIN);
        let ambient = || {
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("CapAmb:")).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        let lent = if has { CapabilitySet::NET_ADMIN.bits() } else { 0 };
        assert_eq!(lend(ambient) & lent, lent);
        assert_eq!(ambient(), 0);
        assert_eq!(capabilities(None).unwrap(), before);
    }
}
