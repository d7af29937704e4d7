//! The way that health checks go in `dsr`: to the VIP, at the backend's hardware address, as clients'
//! packets go. The kernel holds the VIP itself and would send nothing for it anywhere, so a check sends to the
//! backend's own address packets that bear a mark, and what is said here makes the VIP of that out of it when
//! they leave by the TAP. Answers that come from the VIP, from that backend's hardware address and to the TAP's
//! own address, become its own on their way in. No connection is tracked: each packet is changed for itself.

use super::error::KernelError;
use super::nft::{self, Changes, Table};
use super::patience::Patience;
use super::view::View;
use crate::config::{Backend, Config, Interface, Mode, Service};
use std::collections::BTreeMap;
use std::net::IpAddr;
use wire::ethernet::Mac;

/// The first VIP's mark, `tg`; the others count on from it.
const MARKS: u32 = 0x7467_0000;

/// The rules in the kernel for that. They go when this is dropped.
#[derive(Default)]
pub struct Detour {
    ways: Vec<Way>,
    /// The VIPs that checks go to; their places make their marks.
    vips: Vec<IpAddr>,
    /// `None`: there are no ways.
    table: Option<Table>,
    /// The chains in it.
    chains: String,
    /// `None`: there are no ways.
    changes: Option<Changes>,
    /// Whether somebody may have changed the table since it was looked at.
    is_suspect: bool,
    patience: Patience,
}

/// From a TAP to a VIP at a backend.
struct Way {
    tap: String,
    /// The TAP's own addresses.
    own: Vec<IpAddr>,
    vip: IpAddr,
    backend: IpAddr,
    /// If it is not the kernel's to know.
    mac: Option<Mac>,
}

impl Detour {
    /// The ways of all checked `dsr` services. Their answers come back once [`Detour::follow`] was told of
    /// hardware addresses.
    ///
    /// # Errors
    ///
    /// What nftables says to that: before Linux 5.16 it has no egress hook.
    pub fn new(config: &Config) -> Result<Detour, KernelError> {
        let ways = ways(config);
        let mut vips: Vec<IpAddr> = ways.iter().map(|way| way.vip).collect();
        vips.sort_unstable();
        vips.dedup();
        let mut detour = Detour { ways, vips, ..Detour::default() };
        if let Some(first) = detour.ways.first() {
            detour.ways.iter().try_for_each(|way| nft::plain(&way.tap).map(drop))?;
            let chains = detour.chains(&View::default());
            detour.changes = Some(Changes::open()?);
            detour.table = Some(Table::make("dsr", &first.tap, &chains)?);
            detour.chains = chains;
        }
        Ok(detour)
    }

    /// The mark of what is for this VIP in truth.
    pub fn mark(&self, vip: IpAddr) -> Option<u32> {
        let place = self.vips.iter().position(|&known| known == vip)?;
        Some(MARKS + place as u32)
    }

    /// Takes the hardware addresses that the kernel knows now.
    ///
    /// # Errors
    ///
    /// What nftables says; the old ones stay.
    pub fn follow(&mut self, view: &View) -> Result<(), KernelError> {
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

    /// Makes the table anew if somebody has changed it or taken it out. Checks that go out meanwhile fail.
    pub fn tend(&mut self) {
        let Some(table) = self.table.as_mut().filter(|_| self.is_suspect) else { return };
        if table.is_whole() {
            self.is_suspect = false;
            return;
        }
        let name = table.name();
        if !self.patience.is_over() {
            if let Some(wait) = self.patience.say() {
                let wait = wait.as_secs_f32().ceil();
                log::warn!(
                    "the table `netdev {name}` of nftables was changed again: it waits for {wait} s"
                );
            }
            return;
        }
        self.patience.spend();
        log::warn!(
            "somebody changed the table `netdev {name}` of nftables, or took it out: made anew"
        );
        if let Err(error) = table.change(&self.chains) {
            log::warn!("{error}; checks of `dsr` services fail");
        }
    }

    fn chains(&self, view: &View) -> String {
        let mut taps: Vec<&Way> = self.ways.iter().collect();
        taps.sort_by_key(|way| &way.tap);
        taps.dedup_by_key(|way| &way.tap);
        taps.into_iter().map(|way| self.chains_of(way, view)).collect()
    }

    /// The chains of the TAP of this way.
    fn chains_of(&self, Way { tap, own, .. }: &Way, view: &View) -> String {
        let mut text = String::new();
        for (hook, is_out) in [("egress", true), ("ingress", false)] {
            text += &format!(
                "chain {hook}-{tap} {{ type filter hook {hook} device \"{tap}\" priority 0; policy accept;\n"
            );
            for (ip, v6) in [("ip", false), ("ip6", true)] {
                let ways =
                    self.ways.iter().filter(|way| way.tap == *tap && way.vip.is_ipv6() == v6);
                let own = own.iter().filter(|own| own.is_ipv6() == v6).map(IpAddr::to_string);
                let own = own.collect::<Vec<_>>().join(", ");
                let map = if is_out { self.marked(ways) } else { answering(ways, view) };
                text += &match (map.as_str(), is_out) {
                    ("", _) => String::new(),
                    (map, true) => format!("{ip} daddr set meta mark map {{ {map} }}\n"),
                    (map, false) => format!(
                        "{ip} daddr {{ {own} }} {ip} saddr set ether saddr . {ip} saddr map {{ {map} }}\n"
                    ),
                };
            }
            text += "}\n";
        }
        text
    }

    fn marked<'a>(&self, ways: impl Iterator<Item = &'a Way>) -> String {
        let marks = ways.filter_map(|way| Some((self.mark(way.vip)?, way.vip)));
        elements(marks.collect::<BTreeMap<_, _>>(), |(mark, vip)| format!("{mark} : {vip}"))
    }
}

/// Two backends with one hardware address are one host, whose answers can't be told apart: they are the
/// first one's.
fn answering<'a>(ways: impl Iterator<Item = &'a Way>, view: &View) -> String {
    let mut senders = BTreeMap::new();
    for way in ways {
        let known = way.mac.or_else(|| view.hops.get(&way.backend).map(|hop| hop.mac));
        if let Some(mac) = known {
            senders.entry((mac.0, way.vip)).or_insert((mac, way.backend));
        }
    }
    elements(senders, |((_, vip), (mac, backend))| format!("{mac} . {vip} : {backend}"))
}

fn elements<K, V>(map: BTreeMap<K, V>, show: impl Fn((K, V)) -> String) -> String {
    map.into_iter().map(show).collect::<Vec<_>>().join(", ")
}

fn ways(config: &Config) -> Vec<Way> {
    let checked = |service: &&Service| service.mode == Mode::Dsr && service.health.is_some();
    let services = config.services.iter().filter(checked);
    let pairs = services.flat_map(|service| {
        let vips = service.vips.iter().map(|vip| vip.address);
        let backends = vips.flat_map(|vip| service.backends.iter().map(move |it| (vip, it)));
        backends.filter(|(vip, backend)| vip.is_ipv6() == backend.address.is_ipv6())
    });
    pairs.map(|(vip, backend)| way(&config.interfaces[backend.interface], vip, backend)).collect()
}

fn way(interface: &Interface, vip: IpAddr, backend: &Backend) -> Way {
    Way {
        tap: interface.name.clone(),
        own: interface.addresses.iter().map(|net| net.addr()).collect(),
        vip,
        backend: backend.address,
        mac: backend.mac,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use engine::tables::Hop;

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

    fn detour() -> Detour {
        let ways = ways(&parse("test.toml", TEXT).unwrap());
        let vips = ["10.0.0.100", "fd00::100"].map(|vip| vip.parse().unwrap()).into();
        Detour { ways, vips, ..Detour::default() }
    }

    #[test]
    fn ways_out_and_back_by_each_tap() {
        let detour = detour();
        let hop = |n| Hop { interface: 0, mac: Mac([2, 0, 0, 0, 0, n]) };
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
        assert_eq!(detour.chains(&View { hops, ..View::default() }), expected);
        let unknown = detour.chains(&View::default());
        assert!(!unknown.contains("10.1.0.31") && unknown.contains("10.0.0.30"), "{unknown}");
        let marks = ["10.0.0.100", "fd00::100", "10.0.0.101"];
        let marks = marks.map(|vip| detour.mark(vip.parse().unwrap()));
        assert_eq!(marks, [Some(0x7467_0000), Some(0x7467_0001), None]);
    }

    #[test]
    fn two_backends_of_one_host_are_the_first_one() {
        let mut detour = detour();
        detour.ways.retain(|way| way.tap == "lan" && way.vip.is_ipv4());
        let own = detour.ways[0].own.clone();
        let (tap, vip, mac) = ("lan".to_owned(), detour.ways[0].vip, detour.ways[0].mac);
        detour.ways.push(Way { tap, own, vip, backend: "10.0.0.31".parse().unwrap(), mac });
        let chains = detour.chains(&View::default());
        assert!(chains.contains(": 10.0.0.30 }") && !chains.contains("10.0.0.31"), "{chains}");
    }

    #[test]
    fn without_ways_nothing_is_asked_of_the_kernel() {
        let config = parse("test.toml", &TEXT.replace("mode = \"dsr\"", "mode = \"nat\""));
        let mut detour = Detour::new(&config.unwrap_or_else(|faults| panic!("{faults}"))).unwrap();
        assert!(detour.table.is_none() && detour.follow(&View::default()).is_ok());
    }
}
