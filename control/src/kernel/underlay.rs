//! Linux links below devices. A device sets its link's MTU when it is opened, and somebody else may change it.

use super::error::KernelError;
use super::link::{self, State};
use rtnetlink::{Error, Handle};

/// The Linux link below a device.
#[derive(Debug)]
pub struct Underlay {
    /// The link's name.
    pub name: String,
    /// The kernel's index of the link.
    pub index: u32,
    /// The MTU that the device's interfaces need.
    pub mtu: u16,
    /// The device's interfaces.
    pub interfaces: Vec<usize>,
}

impl Underlay {
    /// Reads the link's MTU, if it is less than needed: larger packets are then lost on the way out, and often on the
    /// way in.
    ///
    /// # Errors
    ///
    /// The link is gone, or the kernel did not answer.
    pub async fn narrowed(&self, handle: &Handle) -> Result<Option<u16>, KernelError> {
        let mtu = u16::try_from(self.state(handle).await?.mtu).unwrap_or(u16::MAX);
        Ok((mtu < self.mtu).then_some(mtu))
    }

    /// Reads whether the link is up and has a carrier.
    ///
    /// # Errors
    ///
    /// The link is gone, or the kernel did not answer.
    pub async fn has_carrier(&self, handle: &Handle) -> Result<bool, KernelError> {
        Ok(self.state(handle).await?.has_carrier)
    }

    async fn state(&self, handle: &Handle) -> Result<State, KernelError> {
        let failed = |error| KernelError::netlink(format!("look at `{}`", self.name), error);
        let state = link::state(handle, &self.name).await.map_err(failed)?;
        let gone = || KernelError::Gone { what: "device", name: self.name.clone() };
        state.filter(|state| state.index == self.index).ok_or_else(gone)
    }

    /// Sets the link's MTU to the one that is needed.
    ///
    /// # Errors
    ///
    /// The kernel refuses it: a VLAN's link, for example, can have no larger MTU than the link below it.
    pub async fn widen(&self, handle: &Handle) -> Result<(), Error> {
        link::set_mtu(handle, self.index, self.mtu).await
    }
}
