//! Expected origins of servers' packets, from the kernel view and the configuration.

use crate::carry_over::CarryOver;
use crate::kernel::{KernelView, Source};
use crate::registry::{Backend, Registry, present};
use engine::net::origin::{ExpectedOrigin, Server};
use engine::types::id::{BackendId, InterfaceId};
use engine::types::next_hop::NextHop;
use std::net::IpAddr;

/// The origins of all servers, by number.
pub fn of_servers(
    registry: &Registry,
    view: &KernelView,
    carry_over: &mut CarryOver,
) -> Vec<Server> {
    let mut expected = vec![vec![]; registry.servers().len()];
    for (_, backend) in present(BackendId, registry.backends()) {
        let known: &mut Vec<ExpectedOrigin> = &mut expected[backend.server().index()];
        for one in of_backend(backend, view, carry_over) {
            if !known.contains(&one) {
                known.push(one);
            }
        }
    }
    expected.into_iter().map(Server::new).collect()
}

/// The origins of a backend, beginning with that of its address. Configured hardware addresses count on each link.
fn of_backend(
    backend: &Backend,
    view: &KernelView,
    carry_over: &mut CarryOver,
) -> Vec<ExpectedOrigin> {
    let mut expected = vec![];
    let mut add_fixed = |interface| {
        let hops = backend.fixed_macs().map(|mac| NextHop { interface, mac });
        expected.extend(hops.map(ExpectedOrigin::previous_hop));
    };
    if let Some(hop) = backend.fixed_hop() {
        add_fixed(hop.interface);
    }
    for alias in &backend.aliases {
        if let Some(Source::OnLink(interface, _)) = view.sources.get(alias) {
            add_fixed(*interface);
        }
    }
    let mut add = |address: &IpAddr, of_unknown: fn(InterfaceId) -> Option<ExpectedOrigin>| {
        expected.extend(match carry_over.source(*address, view.sources.get(address)) {
            Some(Source::Routed(interface)) => Some(ExpectedOrigin::link(interface)),
            Some(Source::OnLink(interface, Some(mac))) => {
                Some(ExpectedOrigin::previous_hop(NextHop { interface, mac }))
            }
            Some(Source::OnLink(interface, None)) => of_unknown(interface),
            None => None,
        });
    };
    if backend.fixed_hop().is_none() {
        // An earlier process's transfers go on while the kernel looks for it.
        add(&backend.address, |interface| Some(ExpectedOrigin::link(interface)));
    }
    backend.aliases.iter().for_each(|alias| add(alias, |_| None));
    expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::active_config::ActiveConfig;
    use crate::config::Written;
    use crate::config::sample::{SOUND, parsed};
    use engine::net::origin::Origin;
    use wire::ethernet::Mac;

    const STATION: Mac = Mac([2, 0, 0, 0, 0, 0x30]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x66]);

    /// Whether packets of the one server are accepted from two hosts on the first interface, and from the same on the
    /// second.
    fn believed(text: &str, sources: &[(&str, Source)], carry_over: &mut CarryOver) -> [bool; 4] {
        let written = Written { config: parsed(text), table: toml::Table::new() };
        let active = ActiveConfig::first(written, &Registry::default()).expect("few numbers");
        let sources = sources.iter().map(|&(address, source)| (address.parse().unwrap(), source));
        let view = KernelView { sources: sources.collect(), ..KernelView::default() };
        let [server] = &of_servers(&active.registry, &view, carry_over)[..] else { panic!("one") };
        let hop = |id, mac| Origin::from(NextHop { interface: InterfaceId(id), mac });
        [hop(0, STATION), hop(0, OTHER), hop(1, STATION), hop(1, OTHER)]
            .map(|origin| server.is_at(origin))
    }

    const AT: &str = "10.0.0.30";
    const FOUND: Source = Source::OnLink(InterfaceId(0), Some(STATION));

    #[test]
    fn a_neighbour_is_where_the_kernel_has_found_it_and_a_routed_one_anywhere_on_the_link() {
        for (sources, expected) in [
            (vec![(AT, FOUND)], [true, false, false, false]),
            (vec![(AT, Source::Routed(InterfaceId(0)))], [true, true, false, false]),
            (vec![(AT, Source::OnLink(InterfaceId(0), None))], [true, true, false, false]),
            (vec![], [false; 4]),
        ] {
            assert_eq!(
                believed(SOUND, &sources, &mut CarryOver::default()),
                expected,
                "{sources:?}"
            );
        }
    }

    #[test]
    fn it_stays_where_it_was_while_it_does_not_answer_the_kernel() {
        let mut carry_over = CarryOver::default();
        let there = [true, false, false, false];
        assert_eq!(believed(SOUND, &[(AT, FOUND)], &mut carry_over), there);
        assert_eq!(
            believed(SOUND, &[(AT, Source::OnLink(InterfaceId(0), None))], &mut carry_over),
            there
        );
        assert_eq!(believed(SOUND, &[], &mut carry_over), there);
        let moved = Source::OnLink(InterfaceId(0), Some(OTHER));
        assert_eq!(believed(SOUND, &[(AT, moved)], &mut carry_over), [false, true, false, false]);
    }

    #[test]
    fn an_alias_is_where_it_has_been_found() {
        let text = format!("{SOUND}aliases = [\"10.9.0.30\"]\n");
        let alias = |source| [(AT, FOUND), ("10.9.0.30", source)];
        for (source, expected) in [
            (Source::OnLink(InterfaceId(1), Some(OTHER)), [true, false, false, true]),
            (Source::OnLink(InterfaceId(1), None), [true, false, false, false]),
            (Source::Routed(InterfaceId(1)), [true, false, true, true]),
        ] {
            let found = believed(&text, &alias(source), &mut CarryOver::default());
            assert_eq!(found, expected, "{source:?}");
        }
    }

    #[test]
    fn fixed_hardware_addresses_are_all_there_are() {
        let both = "mac = [\"02:00:00:00:00:30\", \"02:00:00:00:00:66\"]\n";
        let one = "mac = \"02:00:00:00:00:30\"\n";
        let elsewhere = Source::OnLink(InterfaceId(0), Some(OTHER));
        for (mac, expected) in
            [(one, [true, false, false, false]), (both, [true, true, false, false])]
        {
            let text = format!("{SOUND}{mac}");
            let found = believed(&text, &[(AT, elsewhere)], &mut CarryOver::default());
            assert_eq!(found, expected, "{mac}");
            let alias = Source::OnLink(InterfaceId(1), None);
            let text = format!("{text}aliases = [\"10.9.0.30\"]\n");
            let [_, _, there, other] =
                believed(&text, &[("10.9.0.30", alias)], &mut CarryOver::default());
            assert_eq!((there, other), (true, mac == both), "on the alias's link too");
        }
    }
}
