//! Owners of all addresses, and the interfaces that reach them.

use super::error::Fault;
use super::types::Interface;
use engine::ip_family::is_host;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use toml::Spanned;

/// The use of an address. An address has one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// An interface's address.
    Interface,
    /// A gateway.
    Gateway,
    /// A VIP, which clients send to.
    Vip,
    /// An address of a SNAT pool, which servers answer to.
    Snat,
    /// A server.
    Backend,
    /// Another address of the server with this one.
    Alias(IpAddr),
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
pub struct AddressUses(HashMap<IpAddr, Use>);

impl AddressUses {
    /// Notes a use; VIPs, pools and backends may be shared by services, but one address has one use.
    pub fn note(&mut self, address: IpAddr, span: Range<usize>, new: Use) -> Result<(), Fault> {
        match self.0.insert(address, new) {
            Some(old) if old != new => {
                self.0.insert(address, old);
                let hint = format!("it can't be {} too", new.name());
                Err(Fault::at(span, format!("{address} is {}", old.name()), hint))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the address has this use.
    pub fn has(&self, address: IpAddr, known: Use) -> bool {
        self.0.get(&address) == Some(&known)
    }
}

/// Reads the address of a single host, which must not be link-local.
pub fn host(written: &Spanned<String>) -> Result<IpAddr, Fault> {
    let address = neighbour(written)?;
    if let IpAddr::V6(v6) = address
        && v6.is_unicast_link_local()
    {
        let what = format!("{address} is another host on each link");
        return Err(Fault::at(written.span(), what, "write a global or unique local address"));
    }
    Ok(address)
}

/// Reads the address of a single host on some link.
pub fn neighbour(written: &Spanned<String>) -> Result<IpAddr, Fault> {
    let address: IpAddr = written.as_ref().parse().map_err(|_| no_address(written))?;
    if is_host(address) {
        return Ok(address);
    }
    let what = format!("{address} is no host's address");
    Err(Fault::at(written.span(), what, "write the address of one host"))
}

/// Reads an interface's address and subnet.
pub fn subnet(written: &Spanned<String>) -> Result<IpNet, Fault> {
    let net: IpNet = written.as_ref().parse().map_err(|_| no_address(written))?;
    if (1..net.max_prefix_len()).contains(&net.prefix_len()) && is_host_in(net.addr(), &net) {
        return Ok(net);
    }
    let what = format!("{net} is no host in a subnet");
    Err(Fault::at(written.span(), what, "write the interface's own address and its prefix length"))
}

/// Whether an address is a host in a subnet: neither the subnet's own address nor its broadcast address. In a subnet
/// of two addresses both are hosts (RFC 3021, RFC 6164).
fn is_host_in(address: IpAddr, net: &IpNet) -> bool {
    let edge = match net {
        IpNet::V4(net) => address == net.network() || address == net.broadcast(),
        IpNet::V6(net) => address == net.network(),
    };
    is_host(address) && (net.prefix_len() + 1 == net.max_prefix_len() || !edge)
}

/// Reads a network, or a single host as one.
pub fn prefix(written: &Spanned<String>) -> Result<IpNet, Fault> {
    let text: &str = written.as_ref();
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map(|net| net.trunc()).map_err(|_| {
        let what = format!("`{text}` is no prefix");
        Fault::at(written.span(), what, "written like \"10.0.0.0/24\" or \"fd00::/64\"")
    })
}

fn no_address(written: &Spanned<String>) -> Fault {
    let text: &str = written.as_ref();
    let example = if text.contains('/') { "10.0.0.2/24" } else { "10.0.0.2" };
    let what = format!("`{text}` is no IP address");
    Fault::at(written.span(), what, format!("written like \"{example}\""))
}

/// The interface that reaches an address: the one whose subnet it is in, else the first one with a gateway of its
/// address family.
pub fn reach(
    address: IpAddr,
    span: Range<usize>,
    interfaces: &[Interface],
) -> Result<usize, Fault> {
    if let Some(interface) = on_link(address, interfaces) {
        let nets = &interfaces[interface].addresses;
        if nets.iter().any(|net| net.contains(&address) && !is_host_in(address, net)) {
            let what = format!("{address} is its subnet's own or broadcast address");
            return Err(Fault::at(span, what, "write the address of one host"));
        }
        return Ok(interface);
    }
    let leads_there = |interface: &Interface| {
        interface.gateways.iter().any(|gateway| gateway.is_ipv6() == address.is_ipv6())
    };
    interfaces.iter().position(leads_there).ok_or_else(|| {
        let what = format!("no interface reaches {address}");
        Fault::at(span, what, "it is in no interface's subnet, and none has a gateway to it")
    })
}

/// The interface that has a subnet with the address.
pub fn on_link(address: IpAddr, interfaces: &[Interface]) -> Option<usize> {
    let holds = |interface: &Interface| interface.addresses.iter().any(|n| n.contains(&address));
    interfaces.iter().position(holds)
}
