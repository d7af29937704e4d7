//! Losses of an interface's state in the kernel.

use crate::kernel::error::KernelError;
use crate::kernel::tap::Tap;
use ipnet::IpNet;
use rtnetlink::Handle;
use std::net::IpAddr;

/// State that an interface has lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Whether the TAP is down, or has another MAC, MTU or carrier.
    pub is_unwell: bool,
    /// Settings that have another value.
    pub settings: Vec<String>,
    /// Addresses of the interface itself.
    pub addresses: Vec<IpNet>,
    /// Addresses of services.
    pub services: Vec<IpAddr>,
    /// Gateways of its default routes.
    pub gateways: Vec<IpAddr>,
}

impl Lost {
    /// A line for the operator; `None` if nothing is lost.
    pub fn line(&self, name: &str) -> Option<String> {
        let mut words = vec![];
        if self.is_unwell {
            words.push("its state (up, MAC, MTU, carrier)".to_owned());
        }
        words.extend(self.settings.iter().map(|setting| format!("its setting of {setting}")));
        words.extend(self.addresses.iter().map(ToString::to_string));
        words.extend(self.services.iter().map(ToString::to_string));
        words.extend(self.gateways.iter().map(|gateway| format!("its route by {gateway}")));
        (!words.is_empty()).then(|| format!("interface `{name}` has lost {}", words.join(", ")))
    }

    /// Restores everything, in the order of dependence. Whether a default route exists shows when it is added:
    /// reading all routes would take too long where there are many.
    ///
    /// # Errors
    ///
    /// The first thing that the kernel refused.
    pub async fn put_back(&mut self, handle: &Handle, tap: &mut Tap) -> Result<(), KernelError> {
        if self.is_unwell {
            tap.shape(handle).await?;
            tap.bring_up(handle).await?;
        }
        if self.is_unwell || !self.settings.is_empty() {
            tap.settle();
        }
        for &net in &self.addresses {
            tap.add(handle, net).await?;
        }
        for &address in &self.services {
            tap.hold(handle, address).await?;
        }
        for &gateway in tap.gateways() {
            // Refused: it is there, somebody else's is, or the way to the gateway is not.
            if tap.route_by(handle, gateway).await.is_ok() {
                self.gateways.push(gateway);
            }
        }
        Ok(())
    }
}
