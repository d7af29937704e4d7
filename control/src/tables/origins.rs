//! Where servers' packets come from, as the kernel finds them or the configuration says.

use crate::kernel::{Source, View};
use crate::lasting::Lasting;
use crate::registry::{Backend, Registry, here};
use engine::origin::{Expected, Server};
use engine::tables::Hop;
use std::net::IpAddr;

/// Of each server, by its number.
pub fn of_servers(registry: &Registry, view: &View, lasting: &mut Lasting) -> Vec<Server> {
    let mut expected = vec![vec![]; registry.servers().len()];
    for (_, backend) in here(registry.backends()) {
        let known: &mut Vec<Expected> = &mut expected[usize::from(backend.server)];
        for one in of_backend(backend, view, lasting) {
            if !known.contains(&one) {
                known.push(one);
            }
        }
    }
    expected.into_iter().map(Server::new).collect()
}

/// The origins of a backend: first where its own address is. Who has fixed hardware addresses has them on each link.
fn of_backend(backend: &Backend, view: &View, lasting: &mut Lasting) -> Vec<Expected> {
    let mut expected = vec![];
    let mut add_fixed = |interface| {
        let hops = backend.fixed_macs().map(|mac| Hop { interface, mac });
        expected.extend(hops.map(Expected::station));
    };
    if let Some(hop) = backend.fixed_hop() {
        add_fixed(hop.interface);
    }
    for alias in &backend.aliases {
        if let Some(Source::OnLink(interface, _)) = view.sources.get(alias) {
            add_fixed(*interface);
        }
    }
    let mut add = |address: &IpAddr, of_unknown: fn(u8) -> Option<Expected>| {
        expected.extend(match lasting.source(*address, view.sources.get(address)) {
            Some(Source::Routed(interface)) => Some(Expected::link(interface)),
            Some(Source::OnLink(interface, Some(mac))) => {
                Some(Expected::station(Hop { interface, mac }))
            }
            Some(Source::OnLink(interface, None)) => of_unknown(interface),
            None => None,
        });
    };
    if backend.fixed_hop().is_none() {
        // An earlier process's transfers go on while the kernel looks for it.
        add(&backend.address, |interface| Some(Expected::link(interface)));
    }
    backend.aliases.iter().for_each(|alias| add(alias, |_| None));
    expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Written;
    use crate::config::sample::{SOUND, parsed};
    use crate::in_force::InForce;
    use engine::origin::Origin;
    use wire::ethernet::Mac;

    const STATION: Mac = Mac([2, 0, 0, 0, 0, 0x30]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x66]);

    /// Where packets of the one server are believed to come from: of both stations on the first interface, and of both
    /// on the second.
    fn believed(text: &str, sources: &[(&str, Source)], lasting: &mut Lasting) -> [bool; 4] {
        let written = Written { config: parsed(text), table: toml::Table::new() };
        let in_force = InForce::first(written, &Registry::default()).expect("few numbers");
        let sources = sources.iter().map(|&(address, source)| (address.parse().unwrap(), source));
        let view = View { sources: sources.collect(), ..View::default() };
        let [server] = &of_servers(&in_force.registry, &view, lasting)[..] else { panic!("one") };
        let hop = |interface, mac| Origin::from(Hop { interface, mac });
        [hop(0, STATION), hop(0, OTHER), hop(1, STATION), hop(1, OTHER)]
            .map(|origin| server.is_at(origin))
    }

    const AT: &str = "10.0.0.30";
    const FOUND: Source = Source::OnLink(0, Some(STATION));

    #[test]
    fn a_neighbour_is_where_the_kernel_has_found_it_and_a_routed_one_anywhere_on_the_link() {
        for (sources, expected) in [
            (vec![(AT, FOUND)], [true, false, false, false]),
            (vec![(AT, Source::Routed(0))], [true, true, false, false]),
            (vec![(AT, Source::OnLink(0, None))], [true, true, false, false]),
            (vec![], [false; 4]),
        ] {
            assert_eq!(believed(SOUND, &sources, &mut Lasting::default()), expected, "{sources:?}");
        }
    }

    #[test]
    fn it_stays_where_it_was_while_it_does_not_answer_the_kernel() {
        let mut lasting = Lasting::default();
        let there = [true, false, false, false];
        assert_eq!(believed(SOUND, &[(AT, FOUND)], &mut lasting), there);
        assert_eq!(believed(SOUND, &[(AT, Source::OnLink(0, None))], &mut lasting), there);
        assert_eq!(believed(SOUND, &[], &mut lasting), there);
        let moved = Source::OnLink(0, Some(OTHER));
        assert_eq!(believed(SOUND, &[(AT, moved)], &mut lasting), [false, true, false, false]);
    }

    #[test]
    fn an_alias_is_where_it_has_been_found() {
        let text = format!("{SOUND}aliases = [\"10.9.0.30\"]\n");
        let alias = |source| [(AT, FOUND), ("10.9.0.30", source)];
        for (source, expected) in [
            (Source::OnLink(1, Some(OTHER)), [true, false, false, true]),
            (Source::OnLink(1, None), [true, false, false, false]),
            (Source::Routed(1), [true, false, true, true]),
        ] {
            let found = believed(&text, &alias(source), &mut Lasting::default());
            assert_eq!(found, expected, "{source:?}");
        }
    }

    #[test]
    fn fixed_hardware_addresses_are_all_there_are() {
        let both = "mac = [\"02:00:00:00:00:30\", \"02:00:00:00:00:66\"]\n";
        let one = "mac = \"02:00:00:00:00:30\"\n";
        let elsewhere = Source::OnLink(0, Some(OTHER));
        for (mac, expected) in
            [(one, [true, false, false, false]), (both, [true, true, false, false])]
        {
            let text = format!("{SOUND}{mac}");
            let found = believed(&text, &[(AT, elsewhere)], &mut Lasting::default());
            assert_eq!(found, expected, "{mac}");
            let alias = Source::OnLink(1, None);
            let text = format!("{text}aliases = [\"10.9.0.30\"]\n");
            let [_, _, there, other] =
                believed(&text, &[("10.9.0.30", alias)], &mut Lasting::default());
            assert_eq!((there, other), (true, mac == both), "on the alias's link too");
        }
    }
}
