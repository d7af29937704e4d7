//! The orders in which backends get transfers.

use super::*;

#[test]
fn backends_lie_in_one_run_a_service_and_are_dealt_by_weight() {
    let tables = tables(vec![
        service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 0)]),
        service(OTHER_VIP, 69, config::Mode::Nat, &[(30, 2), (32, 1)]),
    ]);
    let all: Vec<_> = tables.backends.iter().map(|b| (b.address, b.service)).collect();
    assert_eq!(all, [(server(30), 0), (server(31), 0), (server(30), 1), (server(32), 1)]);
    assert_eq!(tables.backends.iter().map(|b| b.server).collect::<Vec<_>>(), [0, 1, 0, 2]);
    assert_eq!(tables.rotas[0][0], rota(Scheduler::RoundRobin, &[(0, server(30), 1)]));
    let second = [(2, server(30), 2), (3, server(32), 1)];
    assert_eq!(tables.rotas[1][0], rota(Scheduler::RoundRobin, &second));
}

#[test]
fn a_hash_is_of_the_backends_whatever_their_order() {
    for scheduler in [Scheduler::SourceHash, Scheduler::FileHash] {
        let mut written = service(VIP, 69, config::Mode::Nat, &[(31, 2), (30, 1)]);
        written.scheduler = scheduler;
        let members = [(1, server(30), 1), (0, server(31), 2)];
        assert_eq!(tables(vec![written]).rotas[0][0], rota(scheduler, &members));
    }
}

#[test]
fn networks_that_stay_together_are_dealt_out_by_hash() {
    let mut written = service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)]);
    let length = Duration::from_secs(100);
    written.persistence = Some(config::Persistence { length, prefixes: [24, 128] });
    let tables = tables(vec![written]);
    let members = [(0, server(30), 1), (1, server(31), 1)];
    assert_eq!(tables.rotas[0], [rota(Scheduler::SourceHash, &members), Rota::default()]);
    let persistence = Persistence { ticks: 1000, prefixes: [24, 128] };
    assert_eq!(tables.services[0].persistence, Some(persistence));
}

#[test]
fn clients_go_to_servers_of_their_version_unless_there_is_a_pool() {
    let rotas = |mode| {
        let mut written = service(VIP, 69, mode, &[(30, 1), (31, 1)]);
        written.backends[1].address = "fd00::31".parse().unwrap();
        tables(vec![written]).rotas[0].clone()
    };
    let (v4, v6) = ((0, server(30), 1), (1, "fd00::31".parse().unwrap(), 1));
    let turns = |members: &[_]| rota(Scheduler::RoundRobin, members);
    assert_eq!(rotas(config::Mode::Nat), [turns(&[v4]), turns(&[v6])]);
    assert_eq!(rotas(config::Mode::Dsr), [turns(&[v4]), turns(&[v6])]);
    assert_eq!(rotas(snat(&[SNAT])), [turns(&[v4, v6]), turns(&[v4, v6])]);
}

#[test]
fn an_order_s_weight_is_before_the_file_s() {
    let written = config(vec![service(VIP, 69, config::Mode::Nat, &[(30, 1), (31, 1)])]);
    let mut standings = Standings::default();
    let rota = |standings: &Standings| {
        let (in_force, lasting) = (in_force(written.clone()), &mut Lasting::default());
        let tables = build(&in_force, &[MAC], &View::default(), standings, lasting, Tick(0));
        tables.rotas[0][0].members().iter().map(|one| (one.id, one.weight)).collect::<Vec<_>>()
    };
    let name = &written.services[0].name;
    standings.entry(name, "s31").weight = Some(2);
    assert_eq!(rota(&standings), [(0, 1), (1, 2)]);
    standings.entry(name, "s31").weight = Some(0);
    assert_eq!(rota(&standings), [(0, 1)]);
    standings.entry(name, "s30").weight = Some(0);
    assert!(rota(&standings).is_empty());
}
