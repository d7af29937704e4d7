//! Whose every address is, and which interface reaches it.

use super::error::Fault;
use super::types::Interface;
use ipnet::Ipv4Net;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use toml::Spanned;

/// What an address is used for. Nothing but a backend can be twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// An interface's own.
    Interface,
    /// A router.
    Gateway,
    /// Clients send to it.
    Vip,
    /// Servers answer to it.
    Snat,
    /// A server.
    Backend,
    /// Another address of the server with this one.
    Alias(Ipv4Addr),
}

impl Use {
    fn name(self) -> String {
        match self {
            Use::Interface => "an interface's address".to_owned(),
            Use::Gateway => "a gateway".to_owned(),
            Use::Vip => "a VIP".to_owned(),
            Use::Snat => "in a SNAT pool".to_owned(),
            Use::Backend => "a backend".to_owned(),
            Use::Alias(of) => format!("an alias of {of}"),
        }
    }
}

/// The uses of all addresses so far.
#[derive(Debug, Default)]
pub struct Uses(HashMap<Ipv4Addr, Use>);

impl Uses {
    /// Notes a use; VIPs, pools and backends may be shared by services, but one address has one use.
    pub fn note(&mut self, address: Ipv4Addr, span: Range<usize>, new: Use) -> Result<(), Fault> {
        match self.0.insert(address, new) {
            Some(old) if old != new => {
                self.0.insert(address, old);
                let hint = format!("it can't be {} too", new.name());
                Err(Fault::at(span, format!("{address} is {}", old.name()), hint))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Reads the address of a single host.
pub fn host(written: &Spanned<String>) -> Result<Ipv4Addr, Fault> {
    let text = written.as_ref();
    let address = text.parse::<Ipv4Addr>().map_err(|_| not_ipv4(written))?;
    if engine::stage::admit::is_host(address) {
        return Ok(address);
    }
    let what = format!("{address} is no host's address");
    Err(Fault::at(written.span(), what, "write the address of one host"))
}

/// Reads an interface's address and subnet.
pub fn subnet(written: &Spanned<String>) -> Result<Ipv4Net, Fault> {
    let net: Ipv4Net = written.as_ref().parse().map_err(|_| not_ipv4(written))?;
    if (1..=31).contains(&net.prefix_len()) && is_host_in(net.addr(), net) {
        return Ok(net);
    }
    let what = format!("{net} is no host in a subnet");
    Err(Fault::at(written.span(), what, "write the interface's own address and its prefix length"))
}

/// Whether it is neither the subnet's network nor its broadcast address.
fn is_host_in(address: Ipv4Addr, net: Ipv4Net) -> bool {
    let edge = address == net.network() || address == net.broadcast();
    engine::stage::admit::is_host(address) && (net.prefix_len() == 31 || !edge)
}

fn not_ipv4(written: &Spanned<String>) -> Fault {
    let text: &str = written.as_ref();
    let address = text.split('/').next().unwrap_or(text);
    if address.parse::<Ipv6Addr>().is_ok() {
        let what = "IPv6 is not supported in this version";
        return Fault::at(written.span(), what, "write an IPv4 address");
    }
    let example = if text.contains('/') { "10.0.0.2/24" } else { "10.0.0.2" };
    let what = format!("`{text}` is no IPv4 address");
    Fault::at(written.span(), what, format!("written like \"{example}\""))
}

/// The interface that reaches an address: the one whose subnet it is in, else the first one with a
/// gateway.
pub fn reach(
    address: Ipv4Addr,
    span: Range<usize>,
    interfaces: &[Interface],
) -> Result<usize, Fault> {
    if let Some(interface) = on_link(address, interfaces) {
        let nets = &interfaces[interface].addresses;
        if nets.iter().any(|net| net.contains(&address) && !is_host_in(address, *net)) {
            let what = format!("{address} is its subnet's own or broadcast address");
            return Err(Fault::at(span, what, "write the address of one host"));
        }
        return Ok(interface);
    }
    interfaces.iter().position(|interface| interface.gateway.is_some()).ok_or_else(|| {
        let what = format!("no interface reaches {address}");
        Fault::at(span, what, "it is in no interface's subnet, and none has a gateway")
    })
}

/// The interface in one of whose subnets the address is.
pub fn on_link(address: Ipv4Addr, interfaces: &[Interface]) -> Option<usize> {
    let holds = |interface: &Interface| interface.addresses.iter().any(|n| n.contains(&address));
    interfaces.iter().position(holds)
}
