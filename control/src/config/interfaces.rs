//! Checks of interfaces.

use super::address::{self, Use};
use super::check::Checker;
use super::error::Fault;
use super::file::{self, Maybe, OneOrMany};
use super::types::{Device, Interface};
use engine::types::frame::BURST;
use ipnet::IpNet;
use std::net::IpAddr;
use toml::Spanned;
use wire::vlan::Vlans;

const MTU: u16 = 1500;
/// The MTU that every link of IPv6 has (RFC 8200 §5).
const LEAST_V6: u16 = 1280;

/// Descriptors of a queue by default.
const RING: u64 = 1024;

/// The most interfaces. Ids have 8 bits, and more than this are surely a mistake.
const MOST_INTERFACES: usize = 64;

impl Checker {
    pub fn interfaces(
        &mut self,
        written: &[Spanned<file::Interface>],
        workers: usize,
    ) -> Vec<Interface> {
        if written.is_empty() {
            self.fault(0..0, "there is no [[interface]]", "add one");
        }
        if let Some(surplus) = written.get(MOST_INTERFACES) {
            let hint = format!("at most {MOST_INTERFACES}");
            self.fault(surplus.span(), "too many interfaces", hint);
        }
        self.unique("interface", written.iter().map(|i| &i.as_ref().name));
        let mut interfaces: Vec<Interface> = vec![];
        for written in written {
            let interface = self.interface(written.as_ref(), &interfaces);
            self.queues(written.as_ref(), &interface, workers);
            interfaces.push(interface);
        }
        self.gateways(written, &mut interfaces);
        interfaces
    }

    fn interface(&mut self, written: &file::Interface, before: &[Interface]) -> Interface {
        let name = written.name.as_ref();
        let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > 15 || name.contains(odd) || name == "." || name == ".." {
            let hint = "1 to 15 bytes, no spaces, `/` or `:`";
            self.fault(written.name.span(), "Linux takes no such interface name", hint);
        }
        let device = device(&written.device);
        let device = self.keep(device).unwrap_or(Device::Pci(String::new()));
        let vlans = self.vlans(&written.vlan);
        self.share(written, &device, vlans, before);
        let addresses = written.address.as_ref();
        if addresses.is_empty() {
            self.fault(
                written.address.span(),
                "an interface needs an address",
                "write at least one",
            );
        }
        let mut nets = vec![];
        for address in addresses {
            let Some(net) = self.keep(address::subnet(address)) else { continue };
            let noted = self.uses.note(net.addr(), address.span(), Use::Interface);
            self.keep(noted);
            let overlap = |other: &&Interface| {
                other
                    .addresses
                    .iter()
                    .any(|n| n.contains(&net.network()) || net.contains(&n.network()))
            };
            if let Some(other) = before.iter().find(overlap) {
                let what =
                    format!("{} overlaps a subnet of interface `{}`", net.trunc(), other.name);
                self.fault(address.span(), what, "a subnet is on one interface");
            }
            nets.push(net);
        }
        let mtu = self.number(&written.mtu, MTU.into(), 576..=9600) as u16;
        if let Some(written) = &written.mtu
            && mtu < LEAST_V6
            && nets.iter().any(|net| matches!(net, IpNet::V6(_)))
        {
            let hint = format!("at least {LEAST_V6}");
            self.fault(written.span(), "IPv6 needs a larger MTU", hint);
        }
        let queues =
            written.queues.is_some().then(|| self.number(&written.queues, 1, 1..=64) as u16);
        let mut ring = |written| self.number(written, RING, 64..=32_768) as u16;
        let (rx_ring, tx_ring) = (ring(&written.rx_ring), ring(&written.tx_ring));
        let burst = self.number(&written.burst, BURST as u64, 1..=BURST as u64) as u16;
        Interface {
            name: name.to_owned(),
            device,
            vlans,
            addresses: nets,
            gateways: vec![],
            mtu,
            queues,
            rx_ring,
            tx_ring,
            burst,
        }
    }

    fn vlans(&mut self, written: &Maybe<OneOrMany<u64>>) -> Vlans {
        let Some(written) = written else { return Vlans::NONE };
        let ids: Vec<u16> = OneOrMany::each(written)
            .iter()
            .map(|id| u16::try_from(*id.as_ref()).unwrap_or_default())
            .collect();
        let vlans = Vlans::new(&ids).filter(|vlans| !vlans.is_empty());
        if vlans.is_none() {
            let hint = "from 1 to 4094; two of them as in [100, 212], the outer one first";
            self.fault(written.span(), "no such VLAN", hint);
        }
        vlans.unwrap_or_default()
    }

    /// Checks interfaces that share a device: they need different VLANs, and settings of the device stand at the
    /// first one.
    fn share(
        &mut self,
        written: &file::Interface,
        device: &Device,
        vlans: Vlans,
        before: &[Interface],
    ) {
        let mut sharing = before.iter().filter(|other| other.device.name() == device.name());
        let Some(first) = sharing.next() else { return };
        if first.device != *device {
            let what = format!("the device {} is written differently before", device.name());
            self.fault(written.device.span(), what, format!("as in \"{}\"", first.device));
        }
        if let Some(same) = [first].into_iter().chain(sharing).find(|other| other.vlans == vlans) {
            let what = format!("interface `{}` is the same on {}", same.name, device.name());
            self.fault(written.device.span(), what, "give each its own device or its own `vlan`");
        }
        let device_keys = [&written.queues, &written.rx_ring, &written.tx_ring, &written.burst];
        for key in device_keys.into_iter().flatten() {
            let hint = format!("write it at interface `{}`", first.name);
            self.fault(key.span(), "this is the device's own", hint);
        }
    }

    /// Checks that every queue has a worker. The kernel spreads an af_packet device's frames over all its pairs of
    /// queues, even those that no worker reads.
    fn queues(&mut self, written: &file::Interface, interface: &Interface, workers: usize) {
        if let Some(queues) = &written.queues
            && *queues.as_ref() > workers as u64
        {
            let what = format!("more receive queues than the {workers} workers");
            self.fault(queues.span(), what, "a worker has one on each interface");
        }
        let read = interface.queues.map_or(workers, |queues| workers.min(queues.into()));
        if interface.device.queue_pairs().is_some_and(|pairs| pairs > read) {
            let what = format!("more pairs of queues than the {read} that are read");
            self.fault(written.device.span(), what, "frames on the others would be lost");
        }
    }

    fn gateways(&mut self, written: &[Spanned<file::Interface>], interfaces: &mut [Interface]) {
        for (written, interface) in written.iter().zip(interfaces) {
            let Some(written) = &written.as_ref().gateway else { continue };
            for written in OneOrMany::each(written) {
                self.gateway(&written, interface);
            }
        }
    }

    fn gateway(&mut self, written: &Spanned<String>, interface: &mut Interface) {
        let Some(gateway) = self.keep(address::neighbour(written)) else { return };
        let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if !link_local && address::on_link(gateway, std::slice::from_ref(interface)).is_none() {
            let what = format!("{gateway} is in no subnet of interface `{}`", interface.name);
            self.fault(written.span(), what, "a gateway is a neighbour");
        }
        if interface.gateways.iter().any(|other| other.is_ipv6() == gateway.is_ipv6()) {
            let what = "a second gateway of the same address family";
            self.fault(written.span(), what, "one for IPv4 and one for IPv6");
        }
        if !link_local {
            let noted = self.uses.note(gateway, written.span(), Use::Gateway);
            self.keep(noted);
        }
        interface.gateways.push(gateway);
    }
}

fn device(written: &Spanned<String>) -> Result<Device, Fault> {
    let text: &str = written.as_ref();
    if is_pci(text) {
        return Ok(Device::Pci(text.to_owned()));
    }
    let (name, arguments) = text.split_once(',').unwrap_or((text, ""));
    let device = Device::Virtual { name: name.to_owned(), arguments: arguments.to_owned() };
    let numbered = name.starts_with("net_") && name.ends_with(|c: char| c.is_ascii_digit());
    let on_linux = name.starts_with("net_af_packet") || name.starts_with("net_af_xdp");
    if numbered && on_linux && device.linux_interface().is_none_or(str::is_empty) {
        let hint = format!("written like \"{name},iface=eth1\"");
        return Err(Fault::at(written.span(), "the device names no Linux interface", hint));
    }
    if numbered && name.starts_with("net_bonding") {
        let hint = "let Linux bond them, and write \"net_af_packet0,iface=bond0\"";
        return Err(Fault::at(written.span(), "bonds of DPDK's are not supported", hint));
    }
    if numbered && !text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Ok(device);
    }
    let hint = "a PCI address as in \"0000:03:00.0\", or a virtual device as in \"net_af_packet0,iface=eth1\"";
    Err(Fault::at(written.span(), format!("`{text}` is no device"), hint))
}

/// Whether a text is a PCI address: `domain:bus:device.function`, in hexadecimal.
fn is_pci(text: &str) -> bool {
    let hex =
        |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = text.split([':', '.']).collect();
    matches!(parts[..], [domain, bus, device, function]
        if hex(domain, 4) && hex(bus, 2) && hex(device, 2) && hex(function, 1))
        && text.as_bytes()[10] == b'.'
}
