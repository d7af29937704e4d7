//! Backend groups of services and rules.

use super::*;

#[test]
fn backends_lie_in_one_run_a_service_and_are_dealt_by_weight() {
    let snapshot = snapshot(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 0)]),
        service(OTHER_VIP, 69, config::Mode::Nat, &[(30, 2), (32, 1)]),
    ]);
    let all: Vec<_> = snapshot.backends.iter().map(|b| (b.address, b.service.0)).collect();
    assert_eq!(all, [(server(30), 0), (server(31), 0), (server(30), 1), (server(32), 1)]);
    assert_eq!(snapshot.backends.iter().map(|b| b.server.0).collect::<Vec<_>>(), [0, 1, 0, 2]);
    assert_eq!(snapshot.groups[0][0], group(Scheduler::RoundRobin, &[(0, server(30), 1)]));
    let second = [(2, server(30), 2), (3, server(32), 1)];
    assert_eq!(snapshot.groups[1][0], group(Scheduler::RoundRobin, &second));
}

#[test]
fn a_hash_is_of_the_backends_whatever_their_order() {
    for scheduler in [Scheduler::SourceHash, Scheduler::FileHash] {
        let mut written = service(VIP, 69, config::Mode::Nat, &[(31, 2), (30, 1)]);
        written.scheduler = scheduler;
        let members = [(1, server(30), 1), (0, server(31), 2)];
        assert_eq!(snapshot(vec![written]).groups[0][0], group(scheduler, &members));
    }
}

#[test]
fn networks_that_stay_together_are_dealt_out_by_hash() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]);
    let length = Duration::from_secs(100);
    written.persistence = Some(config::Persistence { length, prefixes: [24, 128] });
    let snapshot = snapshot(vec![written]);
    let members = [(0, server(30), 1), (1, server(31), 1)];
    assert_eq!(
        snapshot.groups[0],
        [group(Scheduler::SourceHash, &members), BackendGroup::default()]
    );
    let persistence = Persistence { ticks: 1000, prefixes: [24, 128] };
    assert_eq!(snapshot.services[0].persistence, Some(persistence));
}

#[test]
fn clients_go_to_servers_of_their_family_unless_there_is_a_pool() {
    let groups = |mode| {
        let mut written = service(VIP, 69, mode, &[(30, 1), (31, 1)]);
        written.backends[1].address = "fd00::31".parse().unwrap();
        snapshot(vec![written]).groups[0].clone()
    };
    let (v4, v6) = ((0, server(30), 1), (1, "fd00::31".parse().unwrap(), 1));
    let turns = |members: &[_]| group(Scheduler::RoundRobin, members);
    assert_eq!(groups(config::Mode::Nat), [turns(&[v4]), turns(&[v6])]);
    assert_eq!(groups(config::Mode::Dsr), [turns(&[v4]), turns(&[v6])]);
    assert_eq!(groups(snat(&[SNAT])), [turns(&[v4, v6]), turns(&[v4, v6])]);
}

#[test]
fn an_order_s_weight_is_before_the_file_s() {
    let written = config(vec![service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)])]);
    let mut statuses = BackendStatuses::default();
    let group = |statuses: &BackendStatuses| {
        let (active, carry_over) = (active(written.clone()), &mut CarryOver::default());
        let snapshot =
            build(&active, &[MAC], &KernelView::default(), statuses, carry_over, Tick(0));
        snapshot.groups[0][0].members().iter().map(|one| (one.id.0, one.weight)).collect::<Vec<_>>()
    };
    let name = &written.services[0].name;
    statuses.entry(name, "s31").weight = Some(2);
    assert_eq!(group(&statuses), [(0, 1), (1, 2)]);
    statuses.entry(name, "s31").weight = Some(0);
    assert_eq!(group(&statuses), [(0, 1)]);
    statuses.entry(name, "s30").weight = Some(0);
    assert!(group(&statuses).is_empty());
}
