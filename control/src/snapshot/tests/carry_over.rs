//! State that is carried over from one snapshot to the next.

use super::*;
use crate::backend_status::AdminState;
use engine::types::id::{InterfaceId, ServerId, SnatId};

/// A backend keeps its count of transfers while the configuration names it, whatever else changes.
#[test]
fn a_backend_s_places_outlive_the_snapshot() {
    let mut carry_over = CarryOver::default();
    let mut caps = |servers: &[_], most| {
        let mut written = service(VIP, 69, config::Mode::Nat, servers);
        written.backends[0].max_transfers = Some(most);
        let other = service(OTHER_VIP, 69, config::Mode::Nat, servers);
        let config = config(vec![other, written]);
        let snapshot = next(config, &KernelView::default(), &mut carry_over, 0);
        snapshot.backends.into_iter().filter_map(|backend| backend.cap).collect::<Vec<_>>()
    };
    let before = caps(&[(30, 1)], 1);
    assert!(before[0].take());
    let after = caps(&[(30, 2), (31, 1)], 2);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert!(after[0].is_same(&before[0]));
    assert!(after[0].take() && !after[0].take());
    assert!(!caps(&[(31, 1)], 1)[0].is_same(&before[0]));
}

#[test]
fn a_backend_that_comes_back_starts_slowly_where_its_service_says_so() {
    let mut carry_over = CarryOver::default();
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1)]);
    let other = service(OTHER_VIP, 69, config::Mode::Nat, &[(30, 1)]);
    written.slow_start = Some(Duration::from_secs(30));
    let config = config(vec![written, other]);
    let hop = NextHop { interface: InterfaceId(0), mac: MAC };
    let there = KernelView { hops: HashMap::from([(server(30), hop)]), ..KernelView::default() };
    let mut seen = |view: &KernelView, now| {
        let snapshot = next(config.clone(), view, &mut carry_over, now);
        [0, 1].map(|id| snapshot.backends[id].slow_start)
    };
    assert_eq!(seen(&there, 1), [None; 2]);
    assert_eq!(seen(&KernelView::default(), 2), [None; 2]);
    let slow = Some(SlowStart { since: Tick(3), ticks: 300 });
    assert_eq!(seen(&there, 3), [slow, None]);
}

/// A session at a removed server may still open data connections, but not on ports that are another one's by now.
#[test]
fn data_ports_of_a_removed_backend_are_its_own_until_another_has_them() {
    let before = active(parsed(&of_all_protocols()));
    let after = |text: &str| {
        let written = Written { config: parsed(text), table: toml::Table::new() };
        let snapshot =
            after_that(&before.next(written, Capacity::ANY).expect("room"), &KernelView::default());
        let vip = snapshot.vips.into_iter().next().expect("a VIP");
        move |port| vip.passive.iter().find(|(ports, _)| ports.contains(&port)).map(|one| one.1)
    };
    let moved =
        of_all_protocols().replace("\"two\"", "\"three\"").replace("10.0.0.31", "10.0.0.33");
    let id = BackendId(before.registry.backends().len() as u16);
    let same_ports = after(&moved);
    assert_eq!([50_000, 50_100].map(&same_ports), [BackendId(0), id].map(Some));
    let other_ports = after(&moved.replace("50100-50199", "50150-50199"));
    assert_eq!(
        [50_100, 50_149, 50_150].map(&other_ports),
        [BackendId(1), BackendId(1), id].map(Some)
    );
}

#[test]
fn whom_workers_look_for_outlives_snapshots() {
    let mut carry_over = CarryOver::default();
    let snapshot = next(parsed(&of_all_protocols()), &KernelView::default(), &mut carry_over, 0);
    snapshot.unresolved.note(server(30));
    let _ = next(parsed(&of_all_protocols()), &KernelView::default(), &mut carry_over, 1);
    assert_eq!(carry_over.unresolved.take().collect::<Vec<_>>(), [server(30)]);
    assert_eq!(snapshot.unresolved.take().count(), 0);
}

#[test]
fn a_rule_keeps_its_hits_as_long_as_it_says_the_same() {
    let mut carry_over = CarryOver::default();
    let mut rules = |text: &str| next(parsed(text), &KernelView::default(), &mut carry_over, 0).nat;
    let before = rules(&of_all_protocols());
    let [rule] = &before[..] else { panic!("one rule") };
    assert_eq!((rule.protocol, rule.source_port, rule.to), (6, Some(20), VipId(0)));
    rule.hits.fetch_add(7, Relaxed);
    let hits = |rules: Vec<NatRule>| rules[0].hits.load(Relaxed);
    assert_eq!(hits(rules(&of_all_protocols().replace("\"two\"", "\"three\""))), 7);
    assert_eq!(hits(rules(&of_all_protocols().replace("source_port = 20", "source_port = 21"))), 0);
    assert_eq!(hits(rules(&of_all_protocols())), 7, "it is there again");
    let none = next(parsed(SOUND), &KernelView::default(), &mut carry_over, 0);
    assert!(none.nat.is_empty() && none.has_rules && none.has_connections, "some may still run");
}

/// Removed services and backends stay as long as their transfers run.
#[test]
fn what_was_removed_finishes_and_gets_nothing_new() {
    let one = service(VIP, 69, snat(&[SNAT]), &[(30, 1), (31, 1)]);
    let mut two = service(OTHER_VIP, 70, config::Mode::Nat, &[(32, 1)]);
    two.idle_timeout = Duration::from_secs(7);
    two.access.allow_clients = vec!["10.0.0.0/8".parse().unwrap()];
    let before = active(config(vec![one.clone(), two]));
    let fewer = service(VIP, 69, snat(&[server(102)]), &[(31, 1)]);
    let fewer = config::Service { name: one.name, ..fewer };
    let written = Written { config: config(vec![fewer]), table: toml::Table::new() };
    let mut after = before.next(written, Capacity::ANY).expect("room");
    let hop = NextHop { interface: InterfaceId(0), mac: Mac([2, 0, 0, 0, 0, 30]) };
    let hops = [30, 31, 32].map(|n| (server(n), hop));
    let live = holding(&[VIP, OTHER_VIP, SNAT, server(102)]);
    let view = KernelView { hops: HashMap::from(hops), ..live };
    let snapshot = after_that(&after, &view);
    let states: Vec<_> = snapshot.backends.iter().map(|b| (b.hop, b.state)).collect();
    assert_eq!(
        states,
        [BackendState::Draining, BackendState::Active, BackendState::Draining]
            .map(|state| (Some(hop), state))
    );
    let left = group(Scheduler::RoundRobin, &[(1, server(31), 1)]);
    assert_eq!(snapshot.groups, [[left.clone(), left], Default::default()]);
    assert!(
        snapshot.is_live(VipId(1))
            && snapshot.service(VipId(1), wire::ip::PROTOCOL_UDP, 70).is_none()
    );
    assert_eq!((snapshot.services[1].port, snapshot.services[1].idle_timeout), (70, 70));
    assert!(!snapshot.services[1].access.admits("11.0.0.1".parse().unwrap()));
    let owner = |snapshot: &Snapshot, address| snapshot.addresses.get(address);
    assert_eq!(owner(&snapshot, SNAT), Some(Owner::Snat(SnatId(0))));
    assert_eq!(owner(&snapshot, server(102)), Some(Owner::Snat(SnatId(1))));
    assert_eq!(owner(&snapshot, server(32)), Some(Owner::Routed(ServerId(2))));
    assert_eq!(after.registry.wanted().held.len(), 4);

    let none = References::of(&snapshot);
    let mut some = none.clone();
    some.vips[1] = true;
    assert_eq!(after.registry.release(&some), [SNAT]);
    assert!(after.registry.is_anything_leaving(), "a transfer of the VIP's");
    assert_eq!(after.registry.release(&none), [OTHER_VIP]);
    assert!(!after.registry.is_anything_leaving());
    let snapshot = after_that(&after, &view);
    for gone in [SNAT, OTHER_VIP, server(30), server(32)] {
        assert_eq!(owner(&snapshot, gone), None, "{gone}");
    }
    let wanted = after.registry.wanted();
    assert_eq!(
        (wanted.held.len(), wanted.served, wanted.backends),
        (2, [VIP, server(102)].into(), [server(31)].into())
    );
}

/// A removed server may still talk to clients whose transfers went on elsewhere.
#[test]
fn a_removed_backend_is_kept_for_a_while_after_its_last_transfer() {
    let both = service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]);
    let before = active(config(vec![both]));
    let fewer = config(vec![service(VIP, 69, config::Mode::Nat, &[(31, 1)])]);
    let written = Written { config: fewer, table: toml::Table::new() };
    let after = before.next(written, Capacity::ANY).expect("room");
    let mut carry_over = CarryOver::default();
    let mut is_kept = |registry: &Registry, seconds: u32| {
        let mut uses = References::of(&after_that(&after, &KernelView::default()));
        carry_over.keep_removed(registry, &mut uses, Tick(7 + seconds * PER_SECOND));
        uses.backends
    };
    let leaving = &after.registry;
    assert_eq!(is_kept(leaving, 0), [true, false]);
    assert_eq!(is_kept(leaving, 63), [true, false]);
    assert_eq!(is_kept(leaving, 64), [false, false]);
    assert_eq!(is_kept(&before.registry, 65), [false, false], "it is configured again");
    assert_eq!(is_kept(leaving, 66), [true, false], "and removed again");
}

#[test]
fn datagrams_leave_a_backend_some_time_after_it_is_drained_or_removed() {
    let mut of_udp = service(VIP, 53, config::Mode::Nat, &[(30, 1), (31, 1)]);
    of_udp.protocol = Protocol::Udp;
    of_udp.drain_timeout = Some(Duration::from_secs(20));
    let of_tftp = service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]);
    let before = active(config(vec![of_udp.clone(), of_tftp.clone()]));
    let mut carry_over = CarryOver::default();
    let mut statuses = BackendStatuses::default();
    let mut leave = |active: &ActiveConfig, statuses: &BackendStatuses, now| {
        let view = KernelView::default();
        let snapshot = build(active, &[MAC], &view, statuses, &mut carry_over, Tick(now));
        let mut all: Vec<_> = snapshot.leave_by.iter().map(|&(id, time)| (id.0, time.0)).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(leave(&before, &statuses, 100), []);
    for name in [&of_udp.name, &of_tftp.name] {
        statuses.entry(name, "s30").admin = AdminState::Draining;
    }
    for now in [200, 300] {
        assert_eq!(leave(&before, &statuses, now), [(0, 400)]);
    }
    statuses.entry(&of_udp.name, "s30").admin = AdminState::Enabled;
    assert_eq!(leave(&before, &statuses, 350), []);
    statuses.entry(&of_udp.name, "s30").admin = AdminState::Draining;
    assert_eq!(leave(&before, &statuses, 360), [(0, 560)], "it is drained again");

    of_udp.backends.pop();
    let fewer = Written { config: config(vec![of_udp, of_tftp]), table: toml::Table::new() };
    let after = before.next(fewer, Capacity::ANY).expect("room");
    for now in [1000, 2000] {
        assert_eq!(leave(&after, &statuses, now), [(0, 560), (1, 1050)]);
    }
    let again = after.next(before.written.clone(), Capacity::ANY).expect("room");
    assert_eq!(leave(&again, &statuses, 3000), [(0, 560)]);
    assert_eq!(leave(&after, &statuses, 4000), [(0, 560), (1, 4050)], "it is removed again");
}
