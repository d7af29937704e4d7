//! Checks of NAT rules for connections that servers open.

use super::address::{self, Use};
use super::check::Checker;
use super::file;
use super::types::NatRule;
use std::net::IpAddr;
use toml::Spanned;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

impl Checker {
    /// Checks NAT rules. Services must have been checked before, so that their VIPs are known.
    pub fn nat(&mut self, written: &[Spanned<file::Nat>]) -> Vec<NatRule> {
        let mut rules = vec![];
        for spanned in written {
            let Some(rule) = self.nat_rule(spanned.as_ref()) else { continue };
            if rules.contains(&rule) {
                self.fault(spanned.span(), "the same rule is there already", "leave it out");
            }
            rules.push(rule);
        }
        rules
    }

    fn nat_rule(&mut self, written: &file::Nat) -> Option<NatRule> {
        let from = self.keep(address::prefix(&written.from));
        let protocol = match written.protocol.as_ref().as_str() {
            "tcp" => PROTOCOL_TCP,
            "udp" => PROTOCOL_UDP,
            other => {
                let what = format!("`{other}` has no ports to tell connections by");
                self.fault(written.protocol.span(), what, "\"tcp\" or \"udp\"");
                return None;
            }
        };
        let source_port = written.source_port.is_some();
        let source_port =
            source_port.then(|| self.number(&written.source_port, 0, 1..=65_535) as u16);
        let to = self.vip(&written.to)?;
        let from = from?;
        if from.addr().is_ipv6() != to.is_ipv6() {
            let what = format!("{from} and {to} are of different address families");
            self.fault(written.to.span(), what, "name a VIP of the servers' family");
        }
        Some(NatRule { from, protocol, source_port, to })
    }

    fn vip(&mut self, written: &Spanned<String>) -> Option<IpAddr> {
        let address = self.keep(address::host(written))?;
        if !self.uses.has(address, Use::Vip) {
            let what = format!("{address} is no service's VIP");
            self.fault(written.span(), what, "connections leave as a VIP: name one");
            return None;
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests;
