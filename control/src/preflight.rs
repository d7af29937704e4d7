//! Requirements before the dataplane starts. Each missing one is an error of one line that tells what to do, where
//! DPDK would need ten or be silent.

use crate::config::{Config, Device};
use std::path::Path;
use std::{fmt, fs};

/// A missing requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Capabilities, by name.
    Privilege(Vec<&'static str>),
    /// A CPU core for a worker.
    Core {
        /// The core's number.
        core: u16,
        /// The cores of this machine.
        available: Vec<u16>,
    },
    /// Hugepages.
    Hugepages {
        /// MiB that the configuration asks for.
        wanted: u64,
        /// MiB in free pages.
        free: u64,
    },
    /// A Linux interface that a virtual device works on.
    LinuxInterface(String),
    /// A PCI device.
    Pci(String),
    /// A PCI device that a kernel driver still holds.
    PciInUse {
        /// The device's address.
        address: String,
        /// The kernel's driver.
        driver: String,
    },
}

/// Checks everything that the configuration needs of this machine; returns the machine's cores.
///
/// # Errors
///
/// The first requirement that is missing.
pub fn check(config: &Config) -> Result<Vec<u16>, Missing> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    privileges(field(&status, "CapEff:"))?;
    let cores = cores(field(&status, "Cpus_allowed_list:"));
    if let Some(&core) = config.dataplane.workers.iter().find(|core| !cores.contains(core)) {
        return Err(Missing::Core { core, available: cores });
    }
    if config.dataplane.hugepages {
        hugepages(config.dataplane.memory_mib.into(), Path::new("/sys/kernel/mm/hugepages"))?;
    }
    let interfaces = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    for interface in &config.interfaces {
        device(&interface.device, &interfaces, Path::new("/sys/bus/pci"))?;
    }
    Ok(cores)
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

/// The capabilities that are needed, by their bits (capability.h): TAPs and addresses, raw sockets, locked memory.
const NEEDED: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (14, "CAP_IPC_LOCK")];

fn privileges(effective: &str) -> Result<(), Missing> {
    let effective = u64::from_str_radix(effective, 16).unwrap_or(0);
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|&&(bit, _)| effective & (1 << bit) == 0)
        .map(|&(_, name)| name)
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Missing::Privilege(missing)) }
}

/// The numbers of a list such as `0-3,8`.
fn cores(list: &str) -> Vec<u16> {
    list.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect()
}

fn hugepages(wanted: u64, sizes: &Path) -> Result<(), Missing> {
    let free: u64 = fs::read_dir(sizes)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|size| {
            let name = size.file_name().into_string().ok()?;
            let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let free = fs::read_to_string(size.path().join("free_hugepages")).ok()?;
            Some(kib * free.trim().parse::<u64>().ok()?)
        })
        .sum();
    let free = free / 1024;
    if free < wanted { Err(Missing::Hugepages { wanted, free }) } else { Ok(()) }
}

fn device(device: &Device, interfaces: &str, pci: &Path) -> Result<(), Missing> {
    match device {
        Device::Virtual { .. } => match device.linux_interface() {
            Some(name) if !has_interface(interfaces, name) => {
                Err(Missing::LinuxInterface(name.to_owned()))
            }
            Some(_) | None => Ok(()),
        },
        Device::Pci(address) => pci_device(address, pci),
    }
}

fn has_interface(interfaces: &str, name: &str) -> bool {
    interfaces
        .lines()
        .any(|line| line.split_once(':').is_some_and(|(known, _)| known.trim() == name))
}

/// Kernel drivers that hand a device to user space, and those that share it.
const USABLE: [&str; 5] = ["vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core", "mlx5_core"];

fn pci_device(address: &str, pci: &Path) -> Result<(), Missing> {
    let device = pci.join("devices").join(address);
    if !device.exists() {
        return Err(Missing::Pci(address.to_owned()));
    }
    let driver = fs::read_link(device.join("driver")).ok();
    let driver = driver.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    match driver {
        Some(driver) if USABLE.contains(&&*driver) => Ok(()),
        driver => Err(Missing::PciInUse {
            address: address.to_owned(),
            driver: driver.map_or("no driver".to_owned(), |name| name.into_owned()),
        }),
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Privilege(names) => {
                write!(
                    f,
                    "may not touch the network ({} missing): run it as root, or with these capabilities",
                    names.join(", ")
                )
            }
            Missing::Core { core, available } => write!(
                f,
                "there is no CPU core {core} here: set dataplane.workers to some of {available:?}"
            ),
            Missing::Hugepages { wanted, free } => write!(
                f,
                "{wanted} MiB in hugepages are wanted, {free} MiB are free: run `tidegate-hugepages`, \
                 or set `hugepages = false`"
            ),
            Missing::LinuxInterface(name) => write!(
                f,
                "there is no network interface `{name}` here: `ip link` shows those there are"
            ),
            Missing::Pci(address) => write!(
                f,
                "there is no PCI device {address}: `tidegate-bind-nic` shows the NICs there are"
            ),
            Missing::PciInUse { address, driver } => write!(
                f,
                "the PCI device {address} is held by {driver}, not by vfio-pci: run \
                 `tidegate-bind-nic {address}`"
            ),
        }
    }
}

impl std::error::Error for Missing {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn each_missing_capability_is_named() {
        assert_eq!(privileges("000001ffffffffff"), Ok(()));
        assert_eq!(
            privileges("0000000000001000"),
            Err(Missing::Privilege(vec!["CAP_NET_RAW", "CAP_IPC_LOCK"]))
        );
        assert!(privileges("").is_err());
    }

    #[test]
    fn lists_of_cores() {
        assert_eq!(cores("0-2,5,7-8"), [0, 1, 2, 5, 7, 8]);
        assert_eq!(cores("0"), [0]);
        assert!(cores("").is_empty());
    }

    #[test]
    fn free_pages_of_all_sizes_count() {
        let sizes = tempfile::tempdir().unwrap();
        for (name, free) in [("hugepages-2048kB", "100\n"), ("hugepages-1048576kB", "1\n")] {
            fs::create_dir(sizes.path().join(name)).unwrap();
            fs::write(sizes.path().join(name).join("free_hugepages"), free).unwrap();
        }
        assert_eq!(hugepages(1224, sizes.path()), Ok(()));
        assert_eq!(
            hugepages(1225, sizes.path()),
            Err(Missing::Hugepages { wanted: 1225, free: 1224 })
        );
    }

    #[test]
    fn interfaces_by_their_whole_name() {
        let dev = "Inter-|   Receive\n face |bytes\n    lo: 0 0\n eth10: 5 5\n";
        assert!(has_interface(dev, "eth10") && has_interface(dev, "lo"));
        assert!(!has_interface(dev, "eth1"));
    }

    #[test]
    fn a_pci_device_must_be_there_and_free() {
        let pci = tempfile::tempdir().unwrap();
        let device = pci.path().join("devices/0000:03:00.0");
        assert!(matches!(pci_device("0000:03:00.0", pci.path()), Err(Missing::Pci(_))));
        fs::create_dir_all(&device).unwrap();
        assert!(matches!(pci_device("0000:03:00.0", pci.path()), Err(Missing::PciInUse { .. })));
        symlink("../../drivers/e1000e", device.join("driver")).unwrap();
        let held = pci_device("0000:03:00.0", pci.path()).unwrap_err();
        assert!(held.to_string().contains("e1000e"), "{held}");
        fs::remove_file(device.join("driver")).unwrap();
        symlink("../../drivers/vfio-pci", device.join("driver")).unwrap();
        assert_eq!(pci_device("0000:03:00.0", pci.path()), Ok(()));
    }
}
