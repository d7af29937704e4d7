//! From what is written to what can be true. Every fault is collected, not only the first.

use super::address::{self, Use, Uses};
use super::error::Fault;
use super::file::{self, File, Maybe};
use super::types::{
    Backend, Config, Control, Dataplane, Device, Interface, Mode, Service, SnatAddress,
};
use bytesize::ByteSize;
use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

const MEMORY: &str = "512 MiB";
const MAX_FLOWS: u32 = 262_144;
const MTU: u16 = 1500;
const TFTP_PORT: u16 = 69;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Cores are counted in 16 bits, and DPDK has so many lcores at the least.
const MOST_WORKERS: usize = 64;
/// Interfaces are counted in 8 bits; so many are surely a mistake.
const MOST_INTERFACES: usize = 64;

/// Checks a file.
///
/// # Errors
///
/// All its faults.
pub fn check(file: &File) -> Result<Config, Vec<Fault>> {
    let mut checker = Checker::default();
    let config = Config {
        dataplane: checker.dataplane(&file.dataplane),
        control: Control { socket: checker.socket(&file.control.socket) },
        interfaces: checker.interfaces(&file.interface),
        services: vec![],
    };
    let services = checker.services(&file.service, &config.interfaces);
    if checker.faults.is_empty() { Ok(Config { services, ..config }) } else { Err(checker.faults) }
}

#[derive(Default)]
struct Checker {
    faults: Vec<Fault>,
    uses: Uses,
}

impl Checker {
    fn fault(&mut self, span: Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::at(span, what, hint));
    }

    fn keep<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn dataplane(&mut self, written: &file::Dataplane) -> Dataplane {
        let memory = written.memory.as_ref();
        Dataplane {
            workers: self.workers(&written.workers),
            hugepages: written.hugepages.unwrap_or(true),
            memory_mib: self.memory(memory),
            max_flows: self.number(&written.max_flows, MAX_FLOWS.into(), 1024..=1 << 25) as u32,
            eal_args: written.eal_args.clone(),
        }
    }

    fn workers(&mut self, written: &Maybe<Vec<Spanned<u16>>>) -> Vec<u16> {
        let Some(list) = written else { return vec![1] };
        if list.as_ref().is_empty() || list.as_ref().len() > MOST_WORKERS {
            let hint = format!("name 1 to {MOST_WORKERS} CPU cores");
            self.fault(list.span(), "wrong number of workers", hint);
        }
        let mut seen = HashSet::new();
        for core in list.as_ref() {
            if !seen.insert(*core.as_ref()) {
                let what = format!("core {} has two workers", core.as_ref());
                self.fault(core.span(), what, "name each core once");
            }
        }
        list.as_ref().iter().map(|core| *core.as_ref()).collect()
    }

    fn memory(&mut self, written: Option<&Spanned<String>>) -> u32 {
        let text = written.map_or(MEMORY, |written| written.as_ref());
        let size = text.parse::<ByteSize>().map(|size| size.as_u64() >> 20);
        match (size.map(u32::try_from), written) {
            (Ok(Ok(mib @ 64..)), _) => mib,
            (_, None) => 0,
            (_, Some(written)) => {
                let what = format!("`{text}` is no usable size of memory");
                self.fault(written.span(), what, "at least \"64 MiB\"");
                0
            }
        }
    }

    fn socket(&mut self, written: &Maybe<String>) -> PathBuf {
        let path = written.as_ref().map_or("/run/tidegate/control.sock", |path| path.as_ref());
        // A socket's address has room for 107 bytes (unix(7)).
        if let Some(written) = written
            && !(path.starts_with('/') && path.len() <= 107)
        {
            let hint = "write an absolute path of at most 107 bytes";
            self.fault(written.span(), "no socket can be there", hint);
        }
        PathBuf::from(path)
    }

    fn interfaces(&mut self, written: &[Spanned<file::Interface>]) -> Vec<Interface> {
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
        if before.iter().any(|other| other.device.name() == device.name()) {
            let what = format!("two interfaces on the device {}", device.name());
            self.fault(written.device.span(), what, "give each its own; number virtual devices");
        }
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
        Interface { name: name.to_owned(), device, addresses: nets, gateway: None, mtu }
    }

    fn gateways(&mut self, written: &[Spanned<file::Interface>], interfaces: &mut [Interface]) {
        for (written, interface) in written.iter().zip(interfaces) {
            let Some(written) = &written.as_ref().gateway else { continue };
            let Some(gateway) = self.keep(address::host(written)) else { continue };
            if address::on_link(gateway, std::slice::from_ref(interface)).is_none() {
                let what = format!("{gateway} is in no subnet of interface `{}`", interface.name);
                self.fault(written.span(), what, "a gateway is a neighbour");
            }
            let noted = self.uses.note(gateway, written.span(), Use::Gateway);
            self.keep(noted);
            interface.gateway = Some(gateway);
        }
    }

    fn services(
        &mut self,
        written: &[Spanned<file::Service>],
        interfaces: &[Interface],
    ) -> Vec<Service> {
        if written.is_empty() {
            self.fault(0..0, "there is no [[service]]", "add one");
        }
        self.unique("service", written.iter().map(|service| &service.as_ref().name));
        let backends: usize = written.iter().map(|service| service.as_ref().backend.len()).sum();
        if let (true, Some(last)) = (backends.max(written.len()) > 65_535, written.last()) {
            self.fault(last.span(), "too many services or backends", "at most 65535 of each");
        }
        let mut taken = HashSet::new();
        let services = written.iter().filter_map(|written| {
            let service = self.service(written, interfaces)?;
            if !taken.insert((service.vip, service.port)) {
                let what = format!("two services on {} port {}", service.vip, service.port);
                self.fault(written.as_ref().vip.span(), what, "another VIP or port");
            }
            Some(service)
        });
        services.collect()
    }

    fn service(
        &mut self,
        spanned: &Spanned<file::Service>,
        interfaces: &[Interface],
    ) -> Option<Service> {
        let written = spanned.as_ref();
        self.only(&written.protocol, "tftp", &["ftp", "tcp", "udp", "any"]);
        if let Some(scheduler) = &written.scheduler {
            let later = ["least-transfers", "source-hash", "file-hash"];
            self.only(scheduler, "round-robin", &later);
        }
        let vip = self.own_address(&written.vip, Use::Vip, interfaces);
        let mode = self.mode(written, interfaces);
        let backends = self.backends(spanned, &mode, interfaces);
        let idle = self.duration(&written.idle_timeout, 1..=3600);
        let persistence = self.duration(&written.persistence, 1..=86_400);
        let port = self.number(&written.port, TFTP_PORT.into(), 1..=65_535) as u16;
        let (vip, vip_interface) = vip?;
        Some(Service {
            name: written.name.as_ref().clone(),
            vip,
            vip_interface,
            port,
            mode,
            idle_timeout: idle.unwrap_or(IDLE_TIMEOUT),
            persistence,
            backends,
        })
    }

    fn mode(&mut self, written: &file::Service, interfaces: &[Interface]) -> Mode {
        let mode = written.mode.as_ref().map_or("nat", |mode| mode.as_ref());
        match (mode, &written.snat) {
            ("nat", None) => Mode::Nat,
            ("dsr", None) => Mode::Dsr,
            ("nat", Some(pool)) => {
                if pool.as_ref().is_empty() {
                    self.fault(
                        pool.span(),
                        "an empty SNAT pool",
                        "name addresses, or leave it out",
                    );
                }
                let mut seen = HashSet::new();
                let addresses = pool.as_ref().iter().filter_map(|written| {
                    let (address, interface) = self.own_address(written, Use::Snat, interfaces)?;
                    if !seen.insert(address) {
                        let what = format!("{address} is in the pool twice");
                        self.fault(written.span(), what, "name each address once");
                    }
                    Some(SnatAddress { address, interface })
                });
                Mode::Snat(addresses.collect())
            }
            ("dsr", Some(pool)) => {
                let what = "`snat` does not go with `mode = \"dsr\"`";
                self.fault(pool.span(), what, "servers answer clients directly: leave it out");
                Mode::Dsr
            }
            _ => {
                if let Some(mode) = &written.mode {
                    self.fault(mode.span(), "no such mode", "\"nat\" or \"dsr\"");
                }
                Mode::Nat
            }
        }
    }

    fn backends(
        &mut self,
        service: &Spanned<file::Service>,
        mode: &Mode,
        interfaces: &[Interface],
    ) -> Vec<Backend> {
        let written = &service.as_ref().backend;
        let name = service.as_ref().name.span();
        if written.is_empty() {
            self.fault(name.clone(), "the service has no [[service.backend]]", "add at least one");
        }
        self.unique("backend", written.iter().map(|backend| &backend.as_ref().name));
        let mut seen = HashSet::new();
        let mut backends = vec![];
        for written in written {
            let Some(backend) = self.backend(written.as_ref(), mode, interfaces) else { continue };
            if !seen.insert(backend.address) {
                let what = format!("{} is two backends of this service", backend.address);
                self.fault(written.as_ref().address.span(), what, "give one of them more weight");
            }
            backends.push(backend);
        }
        if !backends.is_empty() && backends.iter().all(|backend| backend.weight == 0) {
            self.fault(name, "all backends have weight 0", "one of them must take transfers");
        }
        backends
    }

    fn backend(
        &mut self,
        written: &file::Backend,
        mode: &Mode,
        interfaces: &[Interface],
    ) -> Option<Backend> {
        let weight = self.number(&written.weight, 1, 0..=1000) as u16;
        let (address, interface) = self.own_address(&written.address, Use::Backend, interfaces)?;
        if *mode == Mode::Dsr && address::on_link(address, interfaces).is_none() {
            let what = format!("{address} is in no interface's subnet");
            let hint = "with `mode = \"dsr\"` backends are neighbours";
            self.fault(written.address.span(), what, hint);
        }
        Some(Backend { name: written.name.as_ref().clone(), address, weight, interface })
    }

    /// An address of ours or of a backend, and the interface that reaches it.
    fn own_address(
        &mut self,
        written: &Spanned<String>,
        new: Use,
        interfaces: &[Interface],
    ) -> Option<(std::net::Ipv4Addr, usize)> {
        let address = self.keep(address::host(written))?;
        let noted = self.uses.note(address, written.span(), new);
        self.keep(noted);
        let interface = self.keep(address::reach(address, written.span(), interfaces))?;
        Some((address, interface))
    }

    /// A word that can have one value now and others later.
    fn only(&mut self, written: &Spanned<String>, known: &str, later: &[&str]) {
        let word: &str = written.as_ref();
        let hint = format!("\"{known}\" is");
        if later.contains(&word) {
            self.fault(written.span(), format!("`{word}` is not supported in this version"), hint);
        } else if word != known {
            self.fault(written.span(), format!("`{word}` is not known"), hint);
        }
    }

    fn unique<'a>(&mut self, what: &str, names: impl Iterator<Item = &'a Spanned<String>>) {
        let mut seen = HashSet::new();
        for name in names {
            if name.as_ref().is_empty() {
                self.fault(name.span(), format!("a {what} without a name"), "name it");
            } else if !seen.insert(name.as_ref()) {
                let fault = format!("two {what}s named `{}`", name.as_ref());
                self.fault(name.span(), fault, "names are unique");
            }
        }
    }

    fn number(&mut self, written: &Maybe<u64>, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(written) = written else { return default };
        if !range.contains(written.as_ref()) {
            let hint = format!("from {} to {}", range.start(), range.end());
            self.fault(written.span(), format!("{} is out of range", written.as_ref()), hint);
        }
        *written.as_ref()
    }

    fn duration(
        &mut self,
        written: &Maybe<String>,
        seconds: RangeInclusive<u64>,
    ) -> Option<Duration> {
        let written = written.as_ref()?;
        let least = Duration::from_secs(*seconds.start());
        let most = Duration::from_secs(*seconds.end());
        match humantime::parse_duration(written.as_ref()) {
            Ok(length) if (least..=most).contains(&length) => Some(length),
            Ok(_) | Err(_) => {
                let hint = format!("from \"{}s\" to \"{}s\"", seconds.start(), seconds.end());
                let what = format!("`{}` is no usable length of time", written.as_ref());
                self.fault(written.span(), what, hint);
                None
            }
        }
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
    if numbered && !text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Ok(device);
    }
    let hint = "a PCI address as in \"0000:03:00.0\", or a virtual device as in \"net_af_packet0,iface=eth1\"";
    Err(Fault::at(written.span(), format!("`{text}` is no device"), hint))
}

/// `domain:bus:device.function`, in hexadecimal.
fn is_pci(text: &str) -> bool {
    let hex =
        |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = text.split([':', '.']).collect();
    matches!(parts[..], [domain, bus, device, function]
        if hex(domain, 4) && hex(bus, 2) && hex(device, 2) && hex(function, 1))
        && text.as_bytes()[10] == b'.'
}
