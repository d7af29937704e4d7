//! The TAP of an interface in Linux. It outlives the process, without a carrier, so that a restart takes no address, route
//! or socket away from others: the next process takes it over.

use super::error::{KernelError, error_kind};
use super::link::{self, Purpose, State};
use super::{route, settings};
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
    /// Whether the TAP must have a carrier.
    has_carrier: bool,
    /// The interface's own addresses: those of the configuration, and the kernel's link-local one.
    addresses: Vec<IpNet>,
    gateways: Vec<IpAddr>,
    /// The metric of the routes by these gateways.
    metric: u32,
    /// Settings that can't be written on this machine.
    stuck: Vec<String>,
}

impl Tap {
    /// Creates the TAP of `interface`, or takes over the one that an earlier process left, of the index `left`. It gets
    /// the device's MAC, the MTU, the addresses, and a default route by each gateway, which has this `metric`.
    ///
    /// # Errors
    ///
    /// The name is taken, or the kernel refused something; no TAP is left then.
    pub async fn create(
        handle: &Handle,
        interface: &Interface,
        left: Option<u32>,
        mac: Mac,
        metric: u32,
    ) -> Result<Tap, KernelError> {
        let name = &interface.name;
        // Opening somebody else's TAP would silently take it over.
        if link::index(handle, name).await? != left {
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
            has_carrier: true,
            addresses: interface.addresses.clone(),
            gateways: interface.gateways.clone(),
            metric,
            stuck: vec![],
        };
        match tap.configure(handle).await {
            Ok(()) => Ok(tap),
            Err(error) => {
                let _ = tap.remove(handle).await;
                Err(error)
            }
        }
    }

    /// Has the TAP outlive this process, with this alias.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub async fn persist(&self, handle: &Handle, alias: &str) -> Result<(), KernelError> {
        let failed = |error| KernelError::netlink(format!("name `{}`", self.name), error);
        // The alias first: a TAP that persists without it would be nobody's.
        link::set_alias(handle, self.index, alias).await.map_err(failed)?;
        let failed = |error| KernelError::Tap { name: self.name.clone(), error };
        self.device.persist().map_err(failed)
    }

    /// Removes the TAP, and with it its addresses and routes.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub async fn remove(self, handle: &Handle) -> Result<(), KernelError> {
        let failed = |error| KernelError::netlink(format!("remove `{}`", self.name), error);
        link::delete(handle, self.index).await.map_err(failed)
    }

    async fn configure(&mut self, handle: &Handle) -> Result<(), KernelError> {
        self.settle();
        self.shape(handle).await?;
        for &net in &self.addresses {
            self.add(handle, net).await?;
        }
        self.bring_up(handle).await?;
        let failed = |error| KernelError::netlink("remove routes of before".into(), error);
        route::forget_defaults(handle, self.index).await.map_err(failed)?;
        for &gateway in &self.gateways {
            match self.route_by(handle, gateway).await {
                // Somebody has replaced ours by another one over this TAP, which stays as what others have added does.
                Err(KernelError::RouteTaken { .. }) if self.leads_out(handle, gateway).await? => {}
                outcome => outcome?,
            }
        }
        // The kernel gives it a link-local one by itself when it comes up, and only then. Without it, no neighbour is
        // asked for over IPv6.
        let read = |error| KernelError::netlink("read addresses".into(), error);
        let held = link::addresses(handle).await.map_err(read)?;
        let given =
            held.into_iter().filter(|&(link, net)| link == self.index && is_link_local(net));
        self.addresses.extend(
            given
                .map(|(_, net)| net)
                .filter(|net| !self.addresses.contains(net))
                .collect::<Vec<_>>(),
        );
        Ok(())
    }

    fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|net| matches!(net, IpNet::V6(_)) && !is_link_local(*net))
    }

    /// Corrects the TAP's settings; returns those that differed.
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

    /// Sets the TAP's MAC and MTU.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub async fn shape(&self, handle: &Handle) -> Result<(), KernelError> {
        let Tap { name, index, mac, mtu, .. } = self;
        link::shape(handle, *index, *mac, *mtu).await.map_err(|error| {
            KernelError::netlink(format!("set MAC {mac} and MTU {mtu} on `{name}`"), error)
        })
    }

    /// Sets the TAP up, with its carrier.
    pub async fn bring_up(&self, handle: &Handle) -> Result<(), KernelError> {
        let failed = |error| KernelError::netlink(format!("bring `{}` up", self.name), error);
        link::up(handle, self.index, self.has_carrier).await.map_err(failed)
    }

    /// Gives the TAP a carrier, or takes it away.
    ///
    /// # Errors
    ///
    /// The kernel refuses it. The TAP is not well then until it has been set up again.
    pub async fn set_carrier(&mut self, handle: &Handle, on: bool) -> Result<(), KernelError> {
        self.has_carrier = on;
        self.bring_up(handle).await
    }

    /// Adds one of the interface's own addresses.
    pub async fn add(&self, handle: &Handle, net: IpNet) -> Result<(), KernelError> {
        self.give(handle, net, Purpose::Interface).await
    }

    /// Adds an address. One that the TAP already has is no error.
    async fn give(&self, handle: &Handle, net: IpNet, purpose: Purpose) -> Result<(), KernelError> {
        let failed = |error| KernelError::netlink(format!("add {net} to `{}`", self.name), error);
        match link::add_address(handle, self.index, net, purpose).await {
            Err(error) if error_kind(&error) != Some(io::ErrorKind::AlreadyExists) => {
                Err(failed(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Adds a default route by one of the TAP's gateways.
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

    /// Whether a default route leads over the TAP where the one by `gateway` would.
    async fn leads_out(&self, handle: &Handle, gateway: IpAddr) -> Result<bool, KernelError> {
        let wanted = link::everywhere(gateway, self.metric);
        let failed = |error| KernelError::netlink("read routes".into(), error);
        route::has_default(handle, self.index, wanted).await.map_err(failed)
    }

    /// Has the kernel hold a service's `address`. One that it already holds is no error: two services may share it,
    /// and it may be an address of the interface itself.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub async fn hold(&self, handle: &Handle, address: IpAddr) -> Result<(), KernelError> {
        self.give(handle, address.into(), Purpose::Service).await
    }

    /// Has the kernel give up `address`. One that it does not hold is no error: somebody else has removed it.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub async fn give_up(&self, handle: &Handle, address: IpAddr) -> Result<(), KernelError> {
        match link::delete_address(handle, self.index, address.into()).await {
            Err(error) if error_kind(&error) != Some(io::ErrorKind::AddrNotAvailable) => {
                Err(KernelError::netlink(format!("take {address} off `{}`", self.name), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether the TAP's link is as it was made; `None` if it is gone.
    ///
    /// # Errors
    ///
    /// The kernel did not answer.
    pub async fn is_well(&self, handle: &Handle) -> Result<Option<bool>, Error> {
        let state = link::state(handle, &self.name).await?;
        let well = |state: State| {
            let is_same = state.mac == Some(self.mac) && state.mtu == u32::from(self.mtu);
            state.is_up && state.has_carrier == self.has_carrier && is_same
        };
        Ok(state.filter(|state| state.index == self.index).map(well))
    }

    /// Whether the TAP must have a carrier.
    pub fn has_carrier(&self) -> bool {
        self.has_carrier
    }

    /// The TAP's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The TAP's hardware address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// The interface's own addresses, without those of services.
    pub fn addresses(&self) -> &[IpNet] {
        &self.addresses
    }

    /// The TAP's gateways.
    pub fn gateways(&self) -> &[IpAddr] {
        &self.gateways
    }

    /// The kernel's index of the TAP.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The file that frames are read from and written to. The TAP has a carrier until the last handle is dropped.
    pub fn device(&self) -> Arc<AsyncDevice> {
        Arc::clone(&self.device)
    }
}

/// Whether an address is link-local: the kernel gives each link one.
fn is_link_local(net: IpNet) -> bool {
    matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local())
}

fn open(name: &str) -> Result<AsyncDevice, KernelError> {
    let builder = DeviceBuilder::new().name(name).layer(Layer::L2);
    // One that was left is up, and must not go down.
    let builder = builder.inherit_enable_state();
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
