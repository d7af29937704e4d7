//! Devices that DPDK drives.

use std::fmt;

/// A device that DPDK drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A network card, by its whole PCI address.
    Pci(String),
    /// A virtual device.
    Virtual {
        /// Driver and number: `net_af_packet0`.
        name: String,
        /// The words behind the first comma: `iface=eth1,qpairs=2`.
        arguments: String,
    },
}

impl Device {
    /// The name that DPDK knows the device by.
    pub fn name(&self) -> &str {
        match self {
            Device::Pci(name) | Device::Virtual { name, .. } => name,
        }
    }

    /// The Linux interface that a virtual device works on.
    pub fn linux_interface(&self) -> Option<&str> {
        match self {
            Device::Virtual { name, arguments } if is_on_linux(name) => {
                arguments.split(',').find_map(|argument| argument.strip_prefix("iface="))
            }
            Device::Virtual { .. } | Device::Pci(_) => None,
        }
    }

    /// The pairs of queues that an af_packet device always has.
    pub fn queue_pairs(&self) -> Option<usize> {
        match self {
            Device::Virtual { name, arguments } if name.starts_with("net_af_packet") => {
                let written = arguments.split(',').find_map(|one| one.strip_prefix("qpairs="));
                Some(written.and_then(|pairs| pairs.parse().ok()).unwrap_or(1))
            }
            Device::Virtual { .. } | Device::Pci(_) => None,
        }
    }

    /// Whether the device uses an AF_XDP socket, which needs an XDP program.
    pub fn is_af_xdp(&self) -> bool {
        self.name().starts_with("net_af_xdp")
    }

    /// Whether the kernel gets a copy of each frame that the device receives.
    pub fn kernel_sees_frames(&self) -> bool {
        self.name().starts_with("net_af_packet")
    }
}

fn is_on_linux(name: &str) -> bool {
    name.starts_with("net_af_packet") || name.starts_with("net_af_xdp")
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Virtual { name, arguments } if !arguments.is_empty() => {
                write!(f, "{name},{arguments}")
            }
            Device::Virtual { name, .. } | Device::Pci(name) => f.write_str(name),
        }
    }
}
