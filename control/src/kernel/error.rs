//! Errors of the kernel, with hints at their solution.

use std::net::IpAddr;
use std::{fmt, io};

/// A refusal by the kernel, or by `nft`.
#[derive(Debug)]
pub enum KernelError {
    /// An attempt that needs more privileges.
    Privilege {
        /// The attempt.
        doing: String,
    },
    /// The kernel has no TUN/TAP driver.
    NoTun(io::Error),
    /// Another interface has the name of a TAP.
    NameTaken(String),
    /// A TAP could not be made.
    Tap {
        /// The TAP's name.
        name: String,
        /// The reason.
        error: io::Error,
    },
    /// A default route of the same metric exists already.
    RouteTaken {
        /// The interface of the gateway.
        name: String,
        /// The gateway.
        gateway: IpAddr,
    },
    /// A request to the kernel's networking failed.
    Netlink {
        /// The attempt.
        doing: String,
        /// The reason.
        error: rtnetlink::Error,
    },
    /// No netlink socket could be opened.
    Socket(io::Error),
    /// The program `nft` can't be run.
    NoNft(io::Error),
    /// A TAP or a device is gone, or something else has its name.
    Gone {
        /// The kind: TAP, or device.
        what: &'static str,
        /// The name of the TAP or device.
        name: String,
    },
    /// A device's ingress could not be blocked or unblocked.
    IngressBlock {
        /// The device.
        device: String,
        /// The reason.
        error: rtnetlink::Error,
    },
    /// A device name that cannot be given to `nft`.
    DeviceName(String),
    /// `nft` could not set up a device's filter, or remove it.
    Nft {
        /// The device.
        device: String,
        /// The output of `nft`.
        said: String,
    },
}

impl KernelError {
    /// The error for a netlink request that failed while `doing` something.
    pub(super) fn netlink(doing: String, error: rtnetlink::Error) -> KernelError {
        if error_kind(&error) == Some(io::ErrorKind::PermissionDenied) {
            KernelError::Privilege { doing }
        } else {
            KernelError::Netlink { doing, error }
        }
    }
}

/// The kind of the error in the kernel's answer; `None` when there was no answer.
pub(super) fn error_kind(error: &rtnetlink::Error) -> Option<io::ErrorKind> {
    match error {
        rtnetlink::Error::NetlinkError(answer) => Some(answer.to_io().kind()),
        _ => None,
    }
}

/// The kernel's answer as a text.
pub(super) fn reason(error: &rtnetlink::Error) -> String {
    match error {
        rtnetlink::Error::NetlinkError(answer) => answer.to_io().to_string(),
        other => other.to_string(),
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KernelError::Privilege { doing } => {
                write!(f, "may not {doing}: run as root or with CAP_NET_ADMIN")
            }
            KernelError::NoTun(error) => write!(
                f,
                "cannot open /dev/net/tun ({error}): load the driver with `modprobe tun`, or give \
                 the container that device"
            ),
            KernelError::NameTaken(name) => write!(
                f,
                "there already is an interface `{name}`: name the interface differently, or \
                 remove that one with `ip link del {name}`"
            ),
            KernelError::Tap { name, error } => write!(f, "cannot make the TAP `{name}`: {error}"),
            KernelError::RouteTaken { name, gateway } => write!(
                f,
                "cannot route by gateway {gateway} of interface `{name}`: the kernel already has \
                 a default route; remove it or leave the gateway out"
            ),
            KernelError::Netlink { doing, error } => write!(f, "cannot {doing}: {}", reason(error)),
            KernelError::Socket(error) => write!(f, "cannot open a netlink socket: {error}"),
            KernelError::NoNft(error) => write!(
                f,
                "cannot run nft ({error}), which sends health checks to the VIPs of `dsr`: install \
                 the package nftables"
            ),
            KernelError::Gone { what, name } => write!(
                f,
                "the {what} `{name}` is gone, or something else has its name (`ip link show {name}`)"
            ),
            KernelError::IngressBlock { device, error } => {
                write!(
                    f,
                    "cannot keep the kernel off `{device}`: {}; does it have sch_ingress and cls_bpf?",
                    reason(error)
                )
            }
            KernelError::DeviceName(name) => write!(
                f,
                "nft can't be told of the device `{name}`: rename it to letters, digits, `.`, `_` \
                 and `-`"
            ),
            KernelError::Nft { device, said } => write!(
                f,
                "cannot filter the packets of `{device}`: nft says `{said}`; is it there (`ip link \
                 show {device}`), and does the kernel have nf_tables with netdev and its egress hook (Linux \
                 5.16)?"
            ),
        }
    }
}

impl std::error::Error for KernelError {}
