//! Metrics of the interfaces and their devices.

use super::page::Page;
use crate::api::{Conflict, Link, Lost, Tap};
use std::fmt;

/// An interface.
#[derive(Debug)]
pub struct Interface {
    /// The name of the TAP.
    pub name: String,
    /// The device as configured.
    pub device: String,
    /// DPDK's driver.
    pub driver: String,
    /// The hardware address.
    pub mac: String,
    /// How the device spreads frames over its queues ([`crate::api::Interface::rss`]).
    pub rss: String,
    /// The device's link.
    pub link: Link,
    /// Frames that the device lost.
    pub lost: Lost,
    /// Traffic of the TAP.
    pub tap: Tap,
    /// Other hosts that claim addresses of ours.
    pub conflicts: Vec<Conflict>,
}

impl Interface {
    fn label(&self) -> (&str, &str) {
        ("interface", &self.name)
    }

    /// An interface whose link is up and that has lost frames, for tests.
    #[cfg(test)]
    pub fn example() -> Interface {
        Interface {
            name: "lan".into(),
            device: "0000:03:00.0".into(),
            driver: "net_ice".into(),
            mac: "02:00:00:00:00:01".into(),
            rss: "by source".into(),
            link: Link { is_up: true, speed: Some(1_250_000_000) },
            lost: Lost { missed: 9, ..Lost::default() },
            tap: Tap { no_room: 8, ..Tap::default() },
            conflicts: vec![Conflict {
                address: "10.0.0.100".parse().expect("an address"),
                mac: "02:00:00:00:00:99".into(),
            }],
        }
    }
}

pub(super) fn encode(interfaces: &[Interface], page: &mut Page) -> fmt::Result {
    let info = interfaces.iter().map(|it| {
        let Interface { device, driver, mac, rss, .. } = it;
        let facts = [("device", &**device), ("driver", driver), ("mac", mac), ("rss", rss)];
        ([[it.label()].as_slice(), &facts].concat(), 1)
    });
    page.gauge("interface_info", "Device, driver, hardware address and RSS of interfaces", info)?;
    let up = interfaces.iter().map(|it| ([it.label()], it.link.is_up.into()));
    page.gauge("interface_up", "Whether the device's link is up", up)?;
    let speed = interfaces.iter().filter_map(|it| Some(([it.label()], it.link.speed?)));
    page.gauge("interface_speed_bytes", "Speed of the device's link in bytes per second", speed)?;
    let conflicts = interfaces.iter().flat_map(|it| {
        let labels = |conflict: &Conflict| {
            [("interface", it.name.clone()), ("address", conflict.address.to_string())]
        };
        it.conflicts.iter().map(move |conflict| (labels(conflict), 1))
    });
    page.gauge("address_conflict", "Whether another host claims the address", conflicts)?;
    let lost = interfaces.iter().flat_map(|it| {
        let Lost { missed, broken, no_buffer, oversized, unsent } = it.lost;
        let reasons = [
            ("missed", missed),
            ("broken", broken),
            ("no-buffer", no_buffer),
            ("oversized", oversized),
            ("unsent", unsent),
        ];
        reasons.map(|(reason, count)| ([it.label(), ("reason", reason)], count))
    });
    page.counter("interface_lost_packets", "Frames that the device lost", lost)?;
    let kernel = interfaces.iter().flat_map(|it| {
        let Tap { to_kernel, refused, from_kernel, no_room } = it.tap;
        let outcomes = [
            ("to-kernel", "passed", to_kernel),
            ("to-kernel", "refused", refused),
            ("from-kernel", "passed", from_kernel),
            ("from-kernel", "no-room", no_room),
        ];
        outcomes.map(|(direction, outcome, count)| {
            ([it.label(), ("direction", direction), ("outcome", outcome)], count)
        })
    });
    page.counter("interface_kernel_packets", "Frames between the TAP and the kernel", kernel)
}
