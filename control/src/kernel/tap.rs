//! The TAP that stands for an interface in Linux. It lives as long as it is held open: closing it
//! takes its addresses and routes along.

use super::error::{KernelError, error_kind};
use super::link::{self, Purpose, State};
use super::settings;
use crate::config::Interface;
use ipnet::IpNet;
use rtnetlink::{Error, Handle};
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
    mac: Mac,
    mtu: u16,
    /// Addresses, but for those of services: those of the configuration, and the one that the kernel gives it.
    own: Vec<IpNet>,
    gateways: Vec<IpAddr>,
    /// Of the routes by these.
    metric: u32,
    /// Settings that can't be written here.
    stuck: Vec<String>,
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
        let mut tap = Tap {
            name: name.clone(),
            index,
            device,
            mac,
            mtu: interface.mtu,
            own: interface.addresses.clone(),
            gateways: interface.gateways.clone(),
            metric,
            stuck: vec![],
        };
        tap.configure(handle).await?;
        Ok(tap)
    }

    async fn configure(&mut self, handle: &Handle) -> Result<(), KernelError> {
        self.settle();
        self.shape(handle).await?;
        for &net in &self.own {
            self.add(handle, net).await?;
        }
        self.bring_up(handle).await?;
        for &gateway in &self.gateways {
            self.route_by(handle, gateway).await?;
        }
        // The kernel gives it a link-local one by itself when it comes up, and only then. Without it, no neighbour is
        // asked for over IPv6.
        let read = |error| KernelError::netlink("read addresses".into(), error);
        let held = link::addresses(handle).await.map_err(read)?;
        let given =
            held.into_iter().filter(|&(link, net)| link == self.index && is_link_local(net));
        self.own.extend(
            given.map(|(_, net)| net).filter(|net| !self.own.contains(net)).collect::<Vec<_>>(),
        );
        Ok(())
    }

    fn has_ipv6(&self) -> bool {
        self.own.iter().any(|net| matches!(net, IpNet::V6(_)) && !is_link_local(*net))
    }

    /// Puts its settings right; answers which ones were not.
    pub fn settle(&mut self) -> Vec<String> {
        let changed = settings::settle(&self.name, self.has_ipv6());
        self.stuck = settings::astray(&self.name, self.has_ipv6());
        changed
    }

    /// Settings that somebody has changed.
    pub fn astray(&self) -> Vec<String> {
        let astray = settings::astray(&self.name, self.has_ipv6()).into_iter();
        astray.filter(|setting| !self.stuck.contains(setting)).collect()
    }

    /// Gives it its MAC and MTU.
    ///
    /// # Errors
    ///
    /// What the kernel answered; likewise below.
    pub async fn shape(&self, handle: &Handle) -> Result<(), KernelError> {
        let Tap { name, index, mac, mtu, .. } = self;
        link::shape(handle, *index, *mac, *mtu).await.map_err(|error| {
            KernelError::netlink(format!("set MAC {mac} and MTU {mtu} on `{name}`"), error)
        })
    }

    /// Brings it up.
    pub async fn bring_up(&self, handle: &Handle) -> Result<(), KernelError> {
        let failed = |error| KernelError::netlink(format!("bring `{}` up", self.name), error);
        link::up(handle, self.index).await.map_err(failed)
    }

    /// Gives it one of its own addresses.
    pub async fn add(&self, handle: &Handle, net: IpNet) -> Result<(), KernelError> {
        self.give(handle, net, Purpose::Own).await
    }

    /// One that it already has is fine.
    async fn give(&self, handle: &Handle, net: IpNet, purpose: Purpose) -> Result<(), KernelError> {
        let failed = |error| KernelError::netlink(format!("add {net} to `{}`", self.name), error);
        match link::add_address(handle, self.index, net, purpose).await {
            Err(error) if error_kind(&error) != Some(io::ErrorKind::AlreadyExists) => {
                Err(failed(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Routes by a gateway of its.
    pub async fn route_by(&self, handle: &Handle, gateway: IpAddr) -> Result<(), KernelError> {
        let added = link::default_route(handle, self.index, gateway, self.metric).await;
        added.map_err(|error| {
            let name = self.name.clone();
            if error_kind(&error) == Some(io::ErrorKind::AlreadyExists) {
                KernelError::RouteTaken { name, gateway }
            } else {
                KernelError::netlink(format!("route by gateway {gateway} on `{name}`"), error)
            }
        })
    }

    /// Has the kernel hold `address`, as a host's. One that it already holds is fine: two services
    /// may share it, and it may be an address of the interface itself.
    ///
    /// # Errors
    ///
    /// What the kernel answered.
    pub async fn hold(&self, handle: &Handle, address: IpAddr) -> Result<(), KernelError> {
        self.give(handle, address.into(), Purpose::Service).await
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

    /// Whether its link is as it was made; `None`: it is gone.
    ///
    /// # Errors
    ///
    /// The kernel did not answer.
    pub async fn is_well(&self, handle: &Handle) -> Result<Option<bool>, Error> {
        let state = link::state(handle, &self.name).await?;
        let well = |state: State| {
            state.is_up && state.mac == Some(self.mac) && state.mtu == u32::from(self.mtu)
        };
        Ok(state.filter(|state| state.index == self.index).map(well))
    }

    /// The TAP's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The TAP's hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The TAP's addresses, but for those of services.
    pub fn own(&self) -> &[IpNet] {
        &self.own
    }

    /// The TAP's gateways.
    pub fn gateways(&self) -> &[IpAddr] {
        &self.gateways
    }

    /// The kernel's number for it.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The device that frames are read from and written to. The TAP is gone when the last of these is.
    pub fn device(&self) -> Arc<AsyncDevice> {
        Arc::clone(&self.device)
    }
}

/// A link has one of these by itself.
fn is_link_local(net: IpNet) -> bool {
    matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local())
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
