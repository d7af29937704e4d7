//! SNAT ports: allocation, eviction, and late packets to a reused port.

use engine::engine::Engine;
use engine::flow::endpoint::Endpoint;
use engine::flow::port_allocator::Rest;
use engine::mode::rules;
use engine::net::address_map::Owner;
use engine::net::rss::RssEntry;
use engine::scheduler::backend_group::Scheduler;
use engine::snapshot::Protocol;
use engine::types::drop_reason::DropReason;
use engine::types::id::SnatId;
use engine::types::mode::Mode;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, add};
use kit::engine_harness::EngineHarness;
use kit::packets::{data, datagram, rrq};
use kit::topology::{FLOWS, IDLE, Via, groups, owner, snapshot};
use kit::transfer::{Transfer, ask, client, run};
use kit::udp_load::endpoint;
use std::net::SocketAddr;
use wire::ip::{PROTOCOL_TCP, PROTOCOL_UDP};

const POOLS: [Via; 2] = [Via::Snat, Via::Snat6];
const SSH: u16 = 22;
const ECHO: u16 = 7;
/// Ports of an address.
const ALL: u32 = 64_512;

/// The clients that share what is left of a pool's ports with the first one: those of its RSS entry.
pub fn neighbour(via: Via, n: u16) -> SocketAddr {
    let is_neighbour = |client: &SocketAddr| is_of_entry(*client, self::client(via, 0));
    (0..).map(|n| client(via, n)).filter(is_neighbour).nth(n.into()).expect("enough")
}

/// Clients of other RSS entries than the first one's.
fn others(via: Via) -> impl Iterator<Item = SocketAddr> {
    let all = (0..).map(move |n| client(via, n));
    all.filter(move |&other| !is_of_entry(other, client(via, 0)))
}

fn is_of_entry(one: SocketAddr, other: SocketAddr) -> bool {
    RssEntry::of(one.ip()) == RssEntry::of(other.ip())
}

/// Leaves so many ports of this protocol at a SNAT address, for this client's RSS entry; all others are in use.
pub fn leave_ports(
    gate: &mut EngineHarness,
    (via, protocol): (Via, u8),
    last: SocketAddr,
    left: usize,
) {
    let Engine { snapshot, state } = &mut gate.engine;
    let env = state.env(snapshot, gate.now);
    let rules = rules(&snapshot[via.service()].mode);
    let backend = env.backend(via.backend(0));
    let mut taken = vec![];
    for client in [last].into_iter().chain((0..1024).map(|n| client(via, n))) {
        let host = state.hosts.intern(client.ip()).expect("a name");
        let client = Endpoint { host, port: 2070 };
        while let Ok(seen_as) = rules.seen_as(client, backend, protocol, &mut state.pools(&env)) {
            taken.push(seen_as.endpoint);
        }
        state.hosts.release(host);
    }
    assert_eq!(taken.len(), ALL as usize);
    for endpoint in taken.into_iter().take(left) {
        rules.release(endpoint, protocol, Rest::NONE, &mut state.pools(&env));
    }
    gate.wait(1);
}

/// A gate whose first SNAT address has `left` free ports.
fn pool_of(left: usize) -> EngineHarness {
    let mut gate = EngineHarness::new();
    leave_ports(&mut gate, (Via::Snat, PROTOCOL_UDP), neighbour(Via::Snat, 0), left);
    gate
}

/// A gate whose first SNAT address has `left` free ports, and whose service has one backend.
fn pool_with_one_server(via: Via, left: usize) -> EngineHarness {
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [1, 0]));
    leave_ports(&mut gate, (via, PROTOCOL_UDP), neighbour(via, 0), left);
    gate
}

fn get(via: Via, n: u16) -> kit::packet::Packet {
    rrq(neighbour(via, n), via.vip(), "f")
}

/// The rest of a running download.
fn completes(gate: &mut EngineHarness, transfer: Transfer) {
    transfer.client_gets(gate.take(transfer.data(2, 7)), &transfer.data(2, 7).payload);
    transfer.server_gets(gate.take(transfer.ack(2)), &transfer.ack(2).payload);
}

#[test]
fn running_transfers_keep_their_ports_and_the_pool_is_empty() {
    for via in POOLS {
        let mut gate = pool_with_one_server(via, 2);
        let running = [0, 1].map(|n| run(&mut gate, via, neighbour(via, n)));
        gate.moves();
        for n in 2..20 {
            gate.take(get(via, n)).dropped(DropReason::SnatPoolEmpty);
        }
        gate.moved(&[("received", 18), ("snat-pool-empty", 18)]);
        completes(&mut gate, running[0]);
        // An ended holder is found within a few attempts, as each examines further ports.
        let tries = (0..ALL / 64 + 1).take_while(|_| {
            gate.take(get(via, 30)).verdict == Verdict::Drop(DropReason::SnatPoolEmpty)
        });
        assert!(tries.count() < (ALL / 64 + 1) as usize);
        assert_eq!(gate.transfer(neighbour(via, 30)).seen_as, running[0].seen_as);
        completes(&mut gate, running[1]);
    }
}

#[test]
fn whoever_was_not_heard_again_gives_way() {
    for via in POOLS {
        let mut gate = pool_with_one_server(via, 2);
        let running = run(&mut gate, via, neighbour(via, 0));
        let answered = ask(&mut gate, via, &get(via, 1)).with_tid(50_001);
        answered.client_gets(gate.take(answered.data(1, 512)), &answered.data(1, 512).payload);
        // Both have a moment to hear each other.
        gate.take(get(via, 2)).dropped(DropReason::SnatPoolEmpty);
        gate.wait(2);
        gate.moves();
        let next = ask(&mut gate, via, &get(via, 2)).with_tid(50_002);
        gate.moved(&[
            ("received", 1),
            ("transmitted", 1),
            ("started", 1),
            ("evicted", 1),
            ("ended", 1),
            ("packets_in", 1),
        ]);
        assert_eq!(next.seen_as, answered.seen_as);
        // The previous server repeats itself, and is not taken for the new one.
        next.with_tid(50_001).server_is_told_off(gate.take(answered.data(1, 512)));
        next.client_gets(gate.take(next.data(1, 512)), &next.data(1, 512).payload);
        next.with_tid(50_001).server_is_told_off(gate.take(answered.data(1, 512)));
        completes(&mut gate, running);
    }
}

/// Addresses can be chosen for one RSS entry. Ports of others would be of no use to it.
#[test]
fn an_entry_without_ports_takes_none_of_another_one() {
    for via in POOLS {
        let mut gate = EngineHarness::new();
        let others: Vec<_> = others(via).take(20).collect();
        for &other in &others {
            let _ = ask(&mut gate, via, &rrq(other, via.vip(), "f"));
        }
        gate.wait(50);
        use_up(&mut gate, via, client(via, 0));
        gate.moves();
        for _ in 0..20 {
            gate.take(rrq(client(via, 0), via.vip(), "f")).dropped(DropReason::SnatPoolEmpty);
        }
        gate.moved(&[("received", 20), ("snat-pool-empty", 20)]);
        assert_eq!(gate.transfers().len(), others.len());
    }
}

/// A late answer could not be told from the first answer to another request.
#[test]
fn an_unanswered_request_keeps_its_port_from_others_of_its_server_for_a_while() {
    for via in POOLS {
        let mut gate = pool_with_one_server(via, 1);
        let unanswered = ask(&mut gate, via, &get(via, 0));
        gate.wait(39);
        gate.take(get(via, 1)).dropped(DropReason::SnatPoolEmpty);
        gate.wait(1);
        assert_eq!(ask(&mut gate, via, &get(via, 1)).seen_as, unanswered.seen_as);
        gate.wait(2);
        // Another server has not seen the endpoint.
        gate.change(|snapshot| snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [0, 1]));
        assert_eq!(ask(&mut gate, via, &get(via, 2)).seen_as, unanswered.seen_as);
    }
}

/// Both earlier holders of the port may still get packets.
#[test]
fn no_earlier_tid_of_a_port_is_believed_while_its_server_may_be_talking() {
    let via = Via::Snat;
    let mut gate = pool_with_one_server(via, 1);
    let mut before = vec![];
    for n in 0..2 {
        let transfer = ask(&mut gate, via, &get(via, n)).with_tid(50_000 + n);
        let _ = gate.take(transfer.data(1, 512)).sent();
        let _ = gate.take(transfer.ack(1)).sent();
        let _ = gate.take(transfer.client_error(3)).sent();
        before.push(transfer);
        gate.wait(50);
        assert!(gate.transfers().is_empty());
    }
    gate.wait(IDLE - 20);
    let transfer = ask(&mut gate, via, &get(via, 3)).with_tid(40_000);
    for before in before {
        before.server_is_told_off(gate.take(before.data(2, 512)));
    }
    transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
    gate.wait(IDLE + 100);
    let transfer = ask(&mut gate, via, &get(via, 4)).with_tid(50_000);
    transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
}

/// At 1,500 per second, more than an address has ports: unanswered and answered requests.
#[test]
fn a_flood_of_requests_in_others_names_shuts_nobody_out() {
    for (via, is_answered) in [(Via::Snat, false), (Via::Snat, true), (Via::Snat6, false)] {
        let mut gate = EngineHarness::new();
        for n in 0..ALL + 2000 {
            let request = rrq(endpoint(via, n), via.vip(), "flood");
            let transfer = ask(&mut gate, via, &request);
            if is_answered {
                let _ = gate.take(transfer.data(1, 512)).sent();
            }
            gate.wait(u32::from(n % 150 == 149));
        }
        for n in 0..200 {
            let transfer = run(&mut gate, via, client(via, n)).with_tid(50_000);
            completes(&mut gate, transfer);
        }
    }
}

/// Addresses can be chosen for one RSS entry, which can have 32,000 ports: at 750 requests per second, more than these.
#[test]
fn a_flood_of_requests_of_one_entry_shuts_out_neither_it_nor_others() {
    for (via, is_answered) in [(Via::Snat, false), (Via::Snat, true), (Via::Snat6, false)] {
        let mut gate = EngineHarness::new();
        for n in 0..32_000 + 2000_u16 {
            let client = SocketAddr::new(client(via, 0).ip(), 3000 + n);
            let transfer = ask(&mut gate, via, &rrq(client, via.vip(), "flood"));
            if is_answered {
                let _ = gate.take(transfer.data(1, 512)).sent();
            }
            gate.wait(u32::from(n % 75 == 74));
        }
        let same = (1..20).map(|n| neighbour(via, n));
        for client in same.chain(others(via).take(200)) {
            let transfer = run(&mut gate, via, client).with_tid(50_000);
            completes(&mut gate, transfer);
        }
    }
}

/// Besides its own, an entry can have half of each other one's.
#[test]
fn an_entry_that_has_all_it_can_have_leaves_256_ports_to_each_other_one() {
    let via = Via::Snat;
    let mut gate = EngineHarness::new();
    let other = others(via).next().expect("another one");
    let taken = [client(via, 0), other].map(|client| {
        use_up(&mut gate, via, client);
        gate.engine.snapshot[SnatId(0)].of(PROTOCOL_UDP).usage(gate.now).taken
    });
    assert_eq!(taken, [32_000, 32_000 + 256]);
}

#[test]
fn tcp_and_udp_don_t_use_up_each_other_s_ports() {
    let via = Via::Snat;
    for (empty, other) in [(PROTOCOL_TCP, PROTOCOL_UDP), (PROTOCOL_UDP, PROTOCOL_TCP)] {
        let mut snapshot = snapshot();
        add(&mut snapshot, Protocol::Tcp, SSH, [1, 1]);
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        leave_ports(&mut gate, (via, empty), neighbour(via, 0), 0);
        let syn = Connection::new(via, neighbour(via, 1), SSH).from_client("S", "");
        if other == PROTOCOL_UDP {
            gate.take(syn).dropped(DropReason::SnatPoolEmpty);
            let transfer = run(&mut gate, via, neighbour(via, 0));
            completes(&mut gate, transfer);
        } else {
            gate.take(get(via, 0)).dropped(DropReason::SnatPoolEmpty);
            Connection::open(&mut gate, via, neighbour(via, 1), SSH);
        }
    }
}

/// One port over TCP and UDP is two endpoints, also for an ICMP error about one.
#[test]
fn the_same_port_of_both_protocols_is_two() {
    for via in POOLS {
        let mut snapshot = snapshot();
        add(&mut snapshot, Protocol::Tcp, SSH, [1, 1]);
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let mut line = Connection::open(&mut gate, via, neighbour(via, 1), SSH);
        let transfer = run(&mut gate, via, neighbour(via, 2));
        assert_eq!(line.seen_as, transfer.seen_as);
        line.client_says(&mut gate, "AP", "hello");
        line.server_says(&mut gate, "AP", "hello");
        completes(&mut gate, transfer);
        line.client_says(&mut gate, "AP", "still here");
    }
}

#[test]
fn datagrams_and_transfers_share_the_ports_of_udp() {
    let via = Via::Snat;
    let mut snapshot = snapshot();
    add(&mut snapshot, Protocol::Udp, ECHO, [1, 1]);
    let mut gate = EngineHarness::with(snapshot, FLOWS);
    leave_ports(&mut gate, (via, PROTOCOL_UDP), neighbour(via, 0), 2);
    let vip = SocketAddr::new(via.vip().ip(), ECHO);
    let sent = gate.take(datagram(neighbour(via, 1), vip, b"echo")).sent();
    let transfer = run(&mut gate, via, neighbour(via, 2));
    assert_ne!(sent.source, transfer.seen_as);
    gate.wait(40);
    // No server has answered it.
    let next = run(&mut gate, via, neighbour(via, 3));
    assert_eq!(sent.source, next.seen_as);
    gate.take(get(via, 4)).dropped(DropReason::SnatPoolEmpty);
}

#[test]
fn ports_are_used_in_order() {
    let via = Via::Snat;
    let mut gate = pool_of(3);
    let first = run(&mut gate, via, neighbour(via, 0));
    completes(&mut gate, first);
    gate.wait(50);
    assert_ne!(run(&mut gate, via, neighbour(via, 1)).seen_as, first.seen_as);
    assert_ne!(run(&mut gate, via, neighbour(via, 2)).seen_as, first.seen_as);
    assert_eq!(run(&mut gate, via, neighbour(via, 3)).seen_as, first.seen_as);
}

#[test]
fn a_request_that_finds_no_place_gives_its_port_back() {
    let via = Via::Snat;
    let mut gate = pool_of(FLOWS as usize + 1);
    for n in 0..FLOWS as u16 {
        run(&mut gate, via, neighbour(via, n));
    }
    for _ in 0..3 {
        gate.take(rrq(neighbour(via, FLOWS as u16), via.vip(), "f"))
            .dropped(DropReason::FlowTableFull);
    }
}

#[test]
fn a_second_pool_address_takes_over() {
    let via = Via::Snat;
    let more = via.host(0, 111);
    let mut snapshot = snapshot();
    snapshot.snat.push(more.into());
    snapshot.addresses.insert(more, Owner::Snat(SnatId(2)));
    let mut gate = EngineHarness::with(snapshot, FLOWS);
    leave_ports(&mut gate, (via, PROTOCOL_UDP), neighbour(via, 0), 2);
    let service = via.service();
    gate.change(|snapshot| snapshot[service].mode = Mode::Snat(vec![SnatId(0), SnatId(2)]));
    let mut seen: Vec<_> =
        (0..4).map(|n| run(&mut gate, via, neighbour(via, n)).seen_as.ip()).collect();
    seen.sort();
    assert_eq!(seen, [via.snat(), via.snat(), more, more]);
}

/// Sets which addresses of a service's pool the kernel holds, as control does.
fn hold(gate: &mut EngineHarness, via: Via, ids: [SnatId; 2], held: &[SnatId]) {
    gate.change(|snapshot| {
        ids.iter().for_each(|id| snapshot.set_snat_live(*id, held.contains(id)));
        snapshot[via.service()].mode = Mode::Snat(held.to_vec());
    });
}

/// An address of the pool goes while it is used, as in a failover, and comes back.
#[test]
fn new_flows_take_no_port_of_an_address_that_the_kernel_does_not_hold() {
    for (via, first) in [(Via::Snat, SnatId(0)), (Via::Snat6, SnatId(1))] {
        let (ids, more) = ([first, SnatId(2)], via.host(0, 111));
        let mut snapshot = snapshot();
        snapshot.snat.push(more.into());
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        hold(&mut gate, via, ids, &[first]);
        let running = run(&mut gate, via, client(via, 0));
        assert_eq!(running.seen_as.ip(), via.snat());

        hold(&mut gate, via, ids, &ids[1..]);
        gate.take(running.data(2, 512)).dropped(DropReason::VipDown);
        for n in 1..4 {
            assert_eq!(run(&mut gate, via, client(via, n)).seen_as.ip(), more);
        }
        hold(&mut gate, via, ids, &[]);
        let flows = gate.transfers().len();
        gate.wait(20);
        for n in 4..8 {
            gate.take(get(via, n)).dropped(DropReason::SnatDown);
        }
        assert_eq!(gate.transfers().len(), flows, "nothing makes way for what gets no port");

        hold(&mut gate, via, ids, &ids);
        completes(&mut gate, running);
    }
}

#[test]
fn a_pool_of_both_families_shows_each_server_its_own() {
    for via in [Via::Snat, Via::Snat6] {
        let mut gate = EngineHarness::new();
        let service = via.service();
        gate.change(|snapshot| snapshot[service].mode = Mode::Snat(vec![SnatId(0), SnatId(1)]));
        for n in 0..4 {
            let transfer = ask(&mut gate, via, &get(via, n));
            assert_eq!(transfer.seen_as.ip(), via.snat());
        }
    }
}

/// Addresses can be chosen so that one worker owns all clients.
#[test]
fn a_worker_whose_clients_are_many_borrows_from_the_others() {
    const WORKERS: u16 = 4;
    for via in POOLS {
        let world = snapshot();
        let mut gates: Vec<_> =
            (0..WORKERS).map(|n| EngineHarness::one_of(n, WORKERS, world.clone(), FLOWS)).collect();
        let right = owner(via.client().ip(), WORKERS);
        use_share(&mut gates[usize::from(right)], via, ALL / u32::from(WORKERS));
        let transfer = run(&mut gates[usize::from(right)], via, via.client());
        for (worker, gate) in (0..).zip(&mut gates) {
            let block = data(transfer.server, transfer.seen_as, 2, 7);
            if worker == right {
                transfer.client_gets(gate.take(block), &transfer.data(2, 7).payload);
            } else {
                assert_eq!(gate.take(block).verdict, Verdict::HandOver(right), "{via:?}");
            }
        }
        // The other workers' clients still get ports.
        let others = (0..).map(|n| client(via, n));
        for client in others.filter(|client| owner(client.ip(), WORKERS) != right).take(20) {
            let gate = &mut gates[usize::from(owner(client.ip(), WORKERS))];
            let transfer = run(gate, via, client);
            completes(gate, transfer);
        }
    }
}

/// As by a row that is damaged.
#[test]
fn a_worker_gives_back_no_port_of_another_one() {
    for via in POOLS {
        let world = snapshot();
        let mut gates = [0, 1].map(|n| EngineHarness::one_of(n, 2, world.clone(), FLOWS));
        let right = usize::from(owner(via.client().ip(), 2));
        let transfer = run(&mut gates[right], via, via.client());
        let seen_as = gates[right].transfer(via.client()).seen_as;
        for (worker, taken) in [(1 - right, 1), (right, 0)] {
            let Engine { snapshot, state } = &mut gates[worker].engine;
            let host = state.hosts.intern(seen_as.ip()).expect("a name");
            let endpoint = Endpoint { host, port: seen_as.port() };
            let env = state.env(snapshot, gates[right].now);
            let mut pools = state.pools(&env);
            pools.give_back(endpoint, PROTOCOL_UDP, Rest::NONE);
            let ports = pools.snat.iter().find(|one| one.address == seen_as.ip());
            let usage = ports.expect("an address").of(PROTOCOL_UDP).usage(env.now);
            assert_eq!(usage.taken, taken, "{via:?}: {transfer:?}");
        }
    }
}

/// Puts `taken` ports of a worker's share in use.
fn use_share(gate: &mut EngineHarness, via: Via, taken: u32) {
    let Engine { snapshot, state } = &mut gate.engine;
    let env = state.env(snapshot, gate.now);
    let rules = rules(&snapshot[via.service()].mode);
    let host = state.hosts.intern(client(via, 0).ip()).expect("a name");
    let backend = env.backend(via.backend(0));
    for _ in 0..taken {
        let client = Endpoint { host, port: 2070 };
        rules.seen_as(client, backend, PROTOCOL_UDP, &mut state.pools(&env)).expect("a port");
    }
}

/// Puts all ports in use that this client's RSS entry can have.
fn use_up(gate: &mut EngineHarness, via: Via, client: SocketAddr) {
    let Engine { snapshot, state } = &mut gate.engine;
    let env = state.env(snapshot, gate.now);
    let rules = rules(&snapshot[via.service()].mode);
    let client = Endpoint { host: state.hosts.intern(client.ip()).expect("a name"), port: 2070 };
    let backend = env.backend(via.backend(0));
    while rules.seen_as(client, backend, PROTOCOL_UDP, &mut state.pools(&env)).is_ok() {}
}
