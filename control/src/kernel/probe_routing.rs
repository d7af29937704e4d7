//! Routing of health checks in `dsr`: probes go to the VIP at the backend's hardware address, as clients' packets do.
//! The kernel holds the VIP itself and would not send packets for it anywhere. So a probe sends marked packets to the
//! backend's address, and nftables rewrites their destination to the VIP of the mark when they leave by the TAP.
//! Answers from the VIP, from that backend's hardware address to the TAP's address, get the backend's address as
//! their source on their way in. No connection is tracked: packets are rewritten one by one.

use super::backoff::Backoff;
use super::error::KernelError;
use super::kernel_view::KernelView;
use super::nft::{self, Changes, Table};
use crate::config::{Backend, Config, Interface, Mode, Service};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::ethernet::Mac;

/// The first VIP's mark, `tg`; the others count on from it.
const MARKS: u32 = 0x7467_0000;

/// The rules in the kernel for probes. They are removed when this value is dropped.
#[derive(Default)]
pub struct ProbeRouting {
    routes: Vec<ProbeRoute>,
    /// The VIPs that probes go to; the index makes the mark.
    vips: Vec<IpAddr>,
    /// The table of nftables; `None` without routes.
    table: Option<Table>,
    /// The chains in the table.
    chains: String,
    /// Notifications of the table's changes; `None` without routes.
    changes: Option<Changes>,
    /// Whether somebody may have changed the table since it was looked at.
    is_suspect: bool,
    backoff: Backoff,
}

/// A route of probes: from a TAP to a VIP at a backend.
struct ProbeRoute {
    tap: String,
    /// The TAP's own addresses.
    tap_addresses: Vec<IpAddr>,
    vip: IpAddr,
    backend: IpAddr,
    /// The backend's hardware address, if it is configured.
    mac: Option<Mac>,
}

impl ProbeRouting {
    /// The routes of all checked `dsr` services. Answers arrive once [`ProbeRouting::follow`] has got hardware
    /// addresses.
    ///
    /// # Errors
    ///
    /// nftables fails: before Linux 5.16 it has no egress hook.
    pub fn new(config: &Config) -> Result<ProbeRouting, KernelError> {
        let routes = routes(config);
        let mut vips: Vec<IpAddr> = routes.iter().map(|route| route.vip).collect();
        vips.sort_unstable();
        vips.dedup();
        let mut probe_routing = ProbeRouting { routes, vips, ..ProbeRouting::default() };
        if let Some(first) = probe_routing.routes.first() {
            probe_routing.routes.iter().try_for_each(|route| nft::plain(&route.tap).map(drop))?;
            let chains = probe_routing.chains(&KernelView::default());
            probe_routing.changes = Some(Changes::open()?);
            probe_routing.table = Some(Table::make("dsr", &first.tap, &chains)?);
            probe_routing.chains = chains;
        }
        Ok(probe_routing)
    }

    /// The mark of packets for this VIP.
    pub fn mark(&self, vip: IpAddr) -> Option<u32> {
        let place = self.vips.iter().position(|&known| known == vip)?;
        Some(MARKS + place as u32)
    }

    /// Follows the hardware addresses in the kernel view.
    ///
    /// # Errors
    ///
    /// nftables fails; the old rules stay.
    pub fn follow(&mut self, view: &KernelView) -> Result<(), KernelError> {
        let chains = self.chains(view);
        if let Some(table) = &mut self.table
            && chains != self.chains
        {
            table.change(&chains)?;
            self.chains = chains;
        }
        Ok(())
    }

    /// Waits until somebody, perhaps we, may have changed the table.
    pub async fn disturbed(&mut self) {
        match &self.changes {
            Some(changes) => changes.next().await,
            None => std::future::pending().await,
        }
        self.is_suspect = true;
    }

    /// Makes the table again if somebody has changed or removed it. Probes that are sent meanwhile fail.
    pub fn tend(&mut self) {
        let Some(table) = self.table.as_mut().filter(|_| self.is_suspect) else { return };
        if table.is_whole() {
            self.is_suspect = false;
            return;
        }
        let name = table.name();
        if !self.backoff.has_elapsed() {
            if let Some(wait) = self.backoff.announce() {
                let wait = wait.as_secs_f32().ceil();
                log::warn!(
                    "the table `netdev {name}` of nftables was changed again: it waits for {wait} s"
                );
            }
            return;
        }
        self.backoff.start();
        log::warn!(
            "somebody changed the table `netdev {name}` of nftables, or took it out: made anew"
        );
        if let Err(error) = table.change(&self.chains) {
            log::warn!("{error}; checks of `dsr` services fail");
        }
    }

    fn chains(&self, view: &KernelView) -> String {
        let mut taps: Vec<&ProbeRoute> = self.routes.iter().collect();
        taps.sort_by_key(|route| &route.tap);
        taps.dedup_by_key(|route| &route.tap);
        taps.into_iter().map(|route| self.chains_of(route, view)).collect()
    }

    /// The chains of a route's TAP.
    fn chains_of(
        &self,
        ProbeRoute { tap, tap_addresses, .. }: &ProbeRoute,
        view: &KernelView,
    ) -> String {
        let mut text = String::new();
        for (hook, is_out) in [("egress", true), ("ingress", false)] {
            text += &format!(
                "chain {hook}-{tap} {{ type filter hook {hook} device \"{tap}\" priority 0; policy accept;\n"
            );
            for (ip, v6) in [("ip", false), ("ip6", true)] {
                let routes = self
                    .routes
                    .iter()
                    .filter(|route| route.tap == *tap && route.vip.is_ipv6() == v6);
                let tap_addresses = tap_addresses
                    .iter()
                    .filter(|address| address.is_ipv6() == v6)
                    .map(IpAddr::to_string);
                let tap_addresses = tap_addresses.collect::<Vec<_>>().join(", ");
                let map = if is_out { self.marked(routes) } else { answering(routes, view) };
                text += &match (map.as_str(), is_out) {
                    ("", _) => String::new(),
                    (map, true) => format!("{ip} daddr set meta mark map {{ {map} }}\n"),
                    (map, false) => format!(
                        "{ip} daddr {{ {tap_addresses} }} {ip} saddr set ether saddr . {ip} saddr map {{ {map} }}\n"
                    ),
                };
            }
            text += "}\n";
        }
        text
    }

    fn marked<'a>(&self, routes: impl Iterator<Item = &'a ProbeRoute>) -> String {
        let marks = routes.filter_map(|route| Some((self.mark(route.vip)?, route.vip)));
        elements(marks.collect::<BTreeMap<_, _>>(), |(mark, vip)| format!("{mark} : {vip}"))
    }
}

/// The map from hardware address and VIP to the backend that answers. Two backends with one hardware address are one
/// host: their answers count as the first one's.
fn answering<'a>(routes: impl Iterator<Item = &'a ProbeRoute>, view: &KernelView) -> String {
    let mut senders = BTreeMap::new();
    for route in routes {
        let known = route.mac.or_else(|| view.hops.get(&route.backend).map(|hop| hop.mac));
        if let Some(mac) = known {
            senders.entry((mac.0, route.vip)).or_insert((mac, route.backend));
        }
    }
    elements(senders, |((_, vip), (mac, backend))| format!("{mac} . {vip} : {backend}"))
}

fn elements<K, V>(map: BTreeMap<K, V>, show: impl Fn((K, V)) -> String) -> String {
    map.into_iter().map(show).collect::<Vec<_>>().join(", ")
}

fn routes(config: &Config) -> Vec<ProbeRoute> {
    let checked = |service: &&Service| service.mode == Mode::Dsr && service.health.is_some();
    let services = config.services.iter().filter(checked);
    let pairs = services.flat_map(|service| {
        let vips = service.vips.iter().map(|vip| vip.address);
        let backends = vips.flat_map(|vip| service.backends.iter().map(move |it| (vip, it)));
        backends.filter(|(vip, backend)| vip.is_ipv6() == backend.address.is_ipv6())
    });
    pairs.map(|(vip, backend)| route(&config.interfaces[backend.interface], vip, backend)).collect()
}

fn route(interface: &Interface, vip: IpAddr, backend: &Backend) -> ProbeRoute {
    ProbeRoute {
        tap: interface.name.clone(),
        tap_addresses: interface.addresses.iter().map(|net| net.addr()).collect(),
        vip,
        backend: backend.address,
        mac: backend.mac,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use engine::types::id::InterfaceId;
    use engine::types::next_hop::NextHop;

    const TEXT: &str = r#"
[[interface]]
name = "lan"
device = "net_af_packet0,iface=eth1"
address = ["10.0.0.2/24", "fd00::2/64"]
[[interface]]
name = "far"
device = "net_af_packet1,iface=eth2"
address = ["10.1.0.2/24"]
[[service]]
name = "pxe"
protocol = "tftp"
vip = ["10.0.0.100", "fd00::100"]
mode = "dsr"
[service.health]
check = "icmp"
[[service.backend]]
name = "one"
address = "10.0.0.30"
mac = "02:00:00:00:00:30"
[[service.backend]]
name = "two"
address = "10.1.0.31"
[[service.backend]]
name = "six"
address = "fd00::30"
[[service]]
name = "unchecked"
protocol = "tftp"
vip = "10.0.0.101"
mode = "dsr"
[[service.backend]]
name = "one"
address = "10.0.0.30"
"#;

    fn probe_routing() -> ProbeRouting {
        let routes = routes(&parse("test.toml", TEXT).unwrap());
        let vips = ["10.0.0.100", "fd00::100"].map(|vip| vip.parse().unwrap()).into();
        ProbeRouting { routes, vips, ..ProbeRouting::default() }
    }

    #[test]
    fn ways_out_and_back_by_each_tap() {
        let probe_routing = probe_routing();
        let hop = |n| NextHop { interface: InterfaceId(0), mac: Mac([2, 0, 0, 0, 0, n]) };
        let known = [("10.1.0.31", 0x31), ("fd00::30", 0x30)];
        let hops = known.map(|(address, n)| (address.parse().unwrap(), hop(n))).into();
        let expected = "\
chain egress-far { type filter hook egress device \"far\" priority 0; policy accept;
ip daddr set meta mark map { 1952907264 : 10.0.0.100 }
}
chain ingress-far { type filter hook ingress device \"far\" priority 0; policy accept;
ip daddr { 10.1.0.2 } ip saddr set ether saddr . ip saddr map { 02:00:00:00:00:31 . 10.0.0.100 : 10.1.0.31 }
}
chain egress-lan { type filter hook egress device \"lan\" priority 0; policy accept;
ip daddr set meta mark map { 1952907264 : 10.0.0.100 }
ip6 daddr set meta mark map { 1952907265 : fd00::100 }
}
chain ingress-lan { type filter hook ingress device \"lan\" priority 0; policy accept;
ip daddr { 10.0.0.2 } ip saddr set ether saddr . ip saddr map { 02:00:00:00:00:30 . 10.0.0.100 : 10.0.0.30 }
ip6 daddr { fd00::2 } ip6 saddr set ether saddr . ip6 saddr map { 02:00:00:00:00:30 . fd00::100 : fd00::30 }
}
";
        assert_eq!(probe_routing.chains(&KernelView { hops, ..KernelView::default() }), expected);
        let unknown = probe_routing.chains(&KernelView::default());
        assert!(!unknown.contains("10.1.0.31") && unknown.contains("10.0.0.30"), "{unknown}");
        let marks = ["10.0.0.100", "fd00::100", "10.0.0.101"];
        let marks = marks.map(|vip| probe_routing.mark(vip.parse().unwrap()));
        assert_eq!(marks, [Some(0x7467_0000), Some(0x7467_0001), None]);
    }

    #[test]
    fn two_backends_of_one_host_are_the_first_one() {
        let mut probe_routing = probe_routing();
        probe_routing.routes.retain(|route| route.tap == "lan" && route.vip.is_ipv4());
        let tap_addresses = probe_routing.routes[0].tap_addresses.clone();
        let (tap, vip, mac) =
            ("lan".to_owned(), probe_routing.routes[0].vip, probe_routing.routes[0].mac);
        probe_routing.routes.push(ProbeRoute {
            tap,
            tap_addresses,
            vip,
            backend: "10.0.0.31".parse().unwrap(),
            mac,
        });
        let chains = probe_routing.chains(&KernelView::default());
        assert!(chains.contains(": 10.0.0.30 }") && !chains.contains("10.0.0.31"), "{chains}");
    }

    #[test]
    fn without_ways_nothing_is_asked_of_the_kernel() {
        let config = parse("test.toml", &TEXT.replace("mode = \"dsr\"", "mode = \"nat\""));
        let mut probe_routing =
            ProbeRouting::new(&config.unwrap_or_else(|faults| panic!("{faults}"))).unwrap();
        assert!(
            probe_routing.table.is_none() && probe_routing.follow(&KernelView::default()).is_ok()
        );
    }
}
