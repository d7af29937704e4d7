//! The TAP that stands for an interface in Linux. It lives as long as it is held open: closing it
//! takes its addresses and routes along.

use super::error::{KernelError, error_kind};
use super::link::{self, Purpose};
use crate::config::Interface;
use ipnet::IpNet;
use rtnetlink::Handle;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tun_rs::{AsyncDevice, DeviceBuilder, Layer};
use wire::ethernet::Mac;

/// An open TAP, up and with its addresses.
pub struct Tap {
    name: String,
    index: u32,
    device: Arc<AsyncDevice>,
}

impl Tap {
    /// Makes the TAP of `interface`: the device's MAC, MTU, addresses, and a default route by its
    /// gateway if it has one. `metric` ranks that route.
    ///
    /// # Errors
    ///
    /// The name is taken, or the kernel refused something; no TAP is left then.
    pub async fn create(
        handle: &Handle,
        interface: &Interface,
        mac: Mac,
        metric: u32,
    ) -> Result<Tap, KernelError> {
        let name = &interface.name;
        // Opening a TAP that somebody left behind would silently take it over.
        if link::index(handle, name).await?.is_some() {
            return Err(KernelError::NameTaken(name.clone()));
        }
        let device = Arc::new(open(name)?);
        let index = link::index(handle, name).await?.ok_or_else(|| KernelError::Tap {
            name: name.clone(),
            error: io::Error::from(io::ErrorKind::NotFound),
        })?;
        let tap = Tap { name: name.clone(), index, device };
        tap.configure(handle, interface, mac, metric).await?;
        Ok(tap)
    }

    /// A dead next hop is to be known in some 15 seconds, not in the kernel's usual minute. Where
    /// the setting can't be written (a container), it takes that minute.
    fn probe_neighbours_often(&self, versions: &[&str]) {
        for (setting, value) in
            [("base_reachable_time_ms", "5000"), ("delay_first_probe_time", "1")]
        {
            for ip in versions {
                let path = format!("/proc/sys/net/{ip}/neigh/{}/{setting}", self.name);
                if let Err(error) = std::fs::write(&path, value) {
                    log::warn!("cannot write {path}: {error}; a dead backend is noticed later");
                }
            }
        }
    }

    async fn configure(
        &self,
        handle: &Handle,
        interface: &Interface,
        mac: Mac,
        metric: u32,
    ) -> Result<(), KernelError> {
        let name = &self.name;
        link::shape(handle, self.index, mac, interface.mtu).await.map_err(|error| {
            KernelError::netlink(
                format!("set MAC {mac} and MTU {} on `{name}`", interface.mtu),
                error,
            )
        })?;
        let v6 = interface.addresses.iter().any(|net| matches!(net, IpNet::V6(_)));
        if v6 {
            self.enable_ipv6();
        }
        for &net in &interface.addresses {
            let added = link::add_address(handle, self.index, net, Purpose::Own).await;
            added.map_err(|error| KernelError::netlink(format!("add {net} to `{name}`"), error))?;
        }
        self.probe_neighbours_often(if v6 { &["ipv4", "ipv6"] } else { &["ipv4"] });
        link::up(handle, self.index)
            .await
            .map_err(|error| KernelError::netlink(format!("bring `{name}` up"), error))?;
        for &gateway in &interface.gateways {
            let added = link::default_route(handle, self.index, gateway, metric).await;
            added.map_err(|error| {
                if error_kind(&error) == Some(io::ErrorKind::AlreadyExists) {
                    KernelError::RouteTaken { name: name.clone(), gateway }
                } else {
                    KernelError::netlink(format!("route by gateway {gateway} on `{name}`"), error)
                }
            })?;
        }
        Ok(())
    }

    /// It may be off by default: where that can't be changed, the kernel refuses the address, and that
    /// is said. And it is to speak at once, also from the address that it gives itself: where that can't
    /// be changed, backends are found a second or two later.
    fn enable_ipv6(&self) {
        for setting in ["disable_ipv6", "accept_dad"] {
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{}/{setting}", self.name), "0");
        }
    }

    /// Has the kernel hold `address`, as a host's. One that it already holds is fine: two services
    /// may share it, and it may be an address of the interface itself.
    ///
    /// # Errors
    ///
    /// What the kernel answered.
    pub async fn hold(&self, handle: &Handle, address: IpAddr) -> Result<(), KernelError> {
        match link::add_address(handle, self.index, address.into(), Purpose::Service).await {
            Err(error) if error_kind(&error) != Some(io::ErrorKind::AlreadyExists) => {
                Err(KernelError::netlink(format!("add {address} to `{}`", self.name), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Has the kernel let go of `address`. One that it does not hold is fine: somebody else took it away.
    ///
    /// # Errors
    ///
    /// What the kernel answered.
    pub async fn let_go(&self, handle: &Handle, address: IpAddr) -> Result<(), KernelError> {
        match link::delete_address(handle, self.index, address.into()).await {
            Err(error) if error_kind(&error) != Some(io::ErrorKind::AddrNotAvailable) => {
                Err(KernelError::netlink(format!("take {address} off `{}`", self.name), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The kernel's number for it.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What frames are read from and written to. The TAP is gone when the last of these is.
    pub fn device(&self) -> Arc<AsyncDevice> {
        Arc::clone(&self.device)
    }
}

fn open(name: &str) -> Result<AsyncDevice, KernelError> {
    let builder = DeviceBuilder::new().name(name).layer(Layer::L2).enable(false);
    builder.build_async().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            KernelError::Privilege { doing: format!("make the TAP `{name}`") }
        }
        io::ErrorKind::ResourceBusy => KernelError::NameTaken(name.to_owned()),
        // ENODEV, which has no kind of its own: the device file is there, its driver is not.
        io::ErrorKind::NotFound => KernelError::NoTun(error),
        _ if error.raw_os_error() == Some(libc::ENODEV) => KernelError::NoTun(error),
        _ => KernelError::Tap { name: name.to_owned(), error },
    })
}
