//! Connections in `dsr` whose beginning another gate has seen.

use engine::flow::state::{ConnectionKind, ConnectionState};
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::{BackendState, Ftp, Protocol, Snapshot};
use engine::types::drop_reason::DropReason;
use engine::types::id::{BackendId, GroupId, ServiceId};
use kit::connections::{self, Connection, TRANSITORY, backend, service};
use kit::engine_harness::EngineHarness;
use kit::segment::Segment;
use kit::topology::{FLOWS, Via, mac};
use kit::transfer::client;
use std::net::{IpAddr, SocketAddr};

const VIAS: [Via; 2] = [Via::Dsr, Via::Dsr6];
const FTP: Protocol = Protocol::Ftp(Ftp { data_port: Some(20), foreign_data: false });
const PROTOCOLS: [(Protocol, u16); 2] = [(Protocol::Tcp, 22), (FTP, 21)];

/// Ticks until a worker adopts.
const SETTLED: u32 = 10;

/// Ticks until a worker adopts although a backend's next hop is unresolved.
const RESOLVED: u32 = 50;

/// The topology with a service of this protocol and scheduler at every VIP.
fn world(protocol: Protocol, port: u16, scheduler: Scheduler) -> Snapshot {
    let mut world = connections::snapshot(protocol, port);
    for via in Via::ALL {
        let members = [0, 1].map(|n| Member {
            id: backend(via, n),
            address: via.server(n),
            weight: 1 + n as u16,
        });
        let group: GroupId = world[service(via)].group;
        world[group][via.family()] =
            BackendGroup::new(scheduler, members.into(), &mut Maglevs::default());
    }
    world
}

/// Two gates of the same farm.
fn gates(protocol: Protocol, port: u16) -> [EngineHarness; 2] {
    let world = world(protocol, port, Scheduler::SourceHash);
    let mut gates =
        [EngineHarness::with(world.clone(), FLOWS), EngineHarness::of_another_gate(world, FLOWS)];
    gates.iter_mut().for_each(|gate| gate.wait(SETTLED));
    gates
}

/// The places in use at a backend.
fn taken(gate: &EngineHarness, via: Via, n: usize) -> u32 {
    gate.engine.snapshot[backend(via, n)].cap.as_ref().map_or(0, TransferLimit::taken)
}

/// The server that got the segment.
#[track_caller]
fn server(gate: &mut EngineHarness, via: Via, segment: Segment) -> IpAddr {
    let sent = gate.take(segment).sent_segment();
    [0, 1].map(|n| via.server(n)).into_iter().find(|&it| mac(it) == sent.to).expect("a server")
}

#[test]
fn a_connection_goes_on_at_the_server_that_another_gate_has_chosen() {
    for ((protocol, port), via) in PROTOCOLS.into_iter().flat_map(|it| VIAS.map(|via| (it, via))) {
        let [mut first, mut second] = gates(protocol, port);
        let mut seen = std::collections::HashSet::new();
        for n in 0..30 {
            let connection = Connection::open(&mut first, via, client(via, n), port);
            let (flags, text) = [("A", ""), ("AP", "USER x\r\n"), ("FA", "")][usize::from(n % 3)];
            let at = server(&mut second, via, connection.from_client(flags, text));
            assert_eq!(at, connection.server.ip(), "{protocol:?} {via:?} {n}");
            seen.insert(at);
        }
        assert_eq!(seen.len(), 2);
        assert_eq!(second.moves().get("adopted"), Some(&30));
        assert!(second.connections().iter().all(|view| view.kind == ConnectionKind::Client));
    }
}

#[test]
fn an_adopted_connection_is_open_at_its_second_segment_and_ends_like_any_other() {
    for ((protocol, port), via) in PROTOCOLS.into_iter().flat_map(|it| VIAS.map(|via| (it, via))) {
        let [mut first, mut second] = gates(protocol, port);
        let mut connection = Connection::open(&mut first, via, client(via, 1), port);
        second.moves();
        connection.client_says(&mut second, "AP", "one\r\n");
        assert_eq!(second.connections()[0].state, ConnectionState::HalfOpen);
        second.moved(&[("received", 1), ("transmitted", 1), ("packets_in", 1), ("adopted", 1)]);
        for _ in 0..3 {
            connection.client_says(&mut second, "AP", "more\r\n");
            assert_eq!(second.connections()[0].state, ConnectionState::Open);
        }
        second.moved(&[("received", 3), ("transmitted", 3), ("packets_in", 3)]);
        connection.client_says(&mut second, "FA", "");
        assert_eq!(second.connections()[0].state, ConnectionState::Closing);
        second.moves();
        second.wait(TRANSITORY);
        second.moved(&[("ended", 1), ("timed_out", 1)]);
    }
}

#[test]
fn a_reset_goes_on_and_leaves_nothing() {
    for ((protocol, port), via) in PROTOCOLS.into_iter().flat_map(|it| VIAS.map(|via| (it, via))) {
        let [mut first, mut second] = gates(protocol, port);
        for n in 0..20 {
            let connection = Connection::open(&mut first, via, client(via, n), port);
            second.moves();
            let at = server(&mut second, via, connection.from_client("R", ""));
            assert_eq!(at, connection.server.ip());
            second.moved(&[("received", 1), ("transmitted", 1), ("packets_in", 1)]);
        }
        assert!(second.connections().is_empty());
    }
}

/// The client repeats itself, and would believe a reset.
#[test]
fn what_can_not_be_adopted_now_is_not_reset() {
    for via in VIAS {
        for state in [BackendState::Active, BackendState::Down] {
            let [mut first, mut second] = gates(FTP, 21);
            let connection = Connection::open(&mut first, via, client(via, 1), 21);
            let snapshot = Snapshot::clone(&second.engine.snapshot);
            second.change(|world| {
                for n in [0, 1] {
                    world[backend(via, n)].hop = None;
                    world[backend(via, n)].state = state;
                }
            });
            let why_not = match state {
                BackendState::Down => DropReason::NoBackend,
                _ => DropReason::AdoptionRate,
            };
            second.take(connection.from_client("A", "")).dropped(why_not);
            second.wait(RESOLVED);
            second.take(connection.from_client("AP", "text")).dropped(DropReason::NoBackend);
            let data = Connection::new(via, client(via, 1), 50_000);
            assert_eq!(second.take(data.from_client("S", "")).answered_by_segment().flags, "AR");
            second.change(|world| *world = snapshot);
            assert_eq!(
                server(&mut second, via, connection.from_client("A", "")),
                connection.server.ip()
            );
        }
    }
}

#[test]
fn an_adopted_connection_s_reset_is_believed() {
    for via in VIAS {
        let [mut first, mut second] = gates(Protocol::Tcp, 22);
        let mut connection = Connection::open(&mut first, via, client(via, 1), 22);
        connection.client_says(&mut second, "A", "");
        connection.client_says(&mut second, "AP", "more");
        let _ = second.take(connection.from_client("R", "")).sent_segment();
        assert_eq!(second.moves().get("failed"), Some(&1));
    }
}

#[test]
fn one_that_closes_is_not_kept_as_open() {
    for via in VIAS {
        let [mut first, mut second] = gates(Protocol::Tcp, 22);
        let mut connection = Connection::open(&mut first, via, client(via, 1), 22);
        connection.client_says(&mut second, "FA", "");
        connection.client_says(&mut second, "A", "");
        assert_eq!(second.connections()[0].state, ConnectionState::Closing);
    }
}

/// A forged segment may have come first: the client's own connection does not go by its numbers.
#[test]
fn a_connection_that_begins_replaces_what_one_segment_made() {
    for via in VIAS {
        let [_, mut gate] = gates(Protocol::Tcp, 22);
        let mut forged = Connection::new(via, client(via, 1), 22);
        forged.next = [1 << 30; 2];
        let _ = gate.take(forged.from_client("A", "")).sent_segment();
        let mut real = Connection::open(&mut gate, via, client(via, 1), 22);
        real.client_says(&mut gate, "AP", "more");
        let _ = gate.take(real.from_client("R", "")).sent_segment();
        let moves = gate.moves();
        let [adopted, started, replaced, failed] =
            ["adopted", "started", "replaced", "failed"].map(|name| moves.get(name));
        assert_eq!([adopted, started, replaced, failed], [Some(&1); 4]);
    }
}

#[test]
fn what_is_no_segment_from_the_middle_is_not_adopted() {
    for via in VIAS {
        let [_, mut gate] = gates(Protocol::Tcp, 22);
        let connection = Connection::new(via, client(via, 1), 22);
        for flags in ["SA", "SF", "SR", "F", "P"] {
            let outcome = gate.take(connection.from_client(flags, ""));
            assert!(!matches!(outcome.verdict, engine::types::verdict::Verdict::Transmit(_)));
        }
        let mut damaged: Vec<u8> = connection.from_client("AP", "text").into();
        *damaged.last_mut().unwrap() ^= 1;
        gate.take(damaged).dropped(DropReason::BadTcp);
        assert!(gate.connections().is_empty());
    }
}

#[test]
fn only_a_hash_of_the_client_s_address_in_dsr_adopts() {
    for via in Via::ALL {
        for scheduler in [Scheduler::RoundRobin, Scheduler::LeastTransfers, Scheduler::SourceHash] {
            if via.is_dsr() && scheduler == Scheduler::SourceHash {
                continue;
            }
            for (protocol, port) in PROTOCOLS {
                let mut gate = EngineHarness::with(world(protocol, port, scheduler), FLOWS);
                gate.wait(SETTLED);
                let connection = Connection::new(via, client(via, 1), port);
                let reset = gate.take(connection.from_client("A", "")).answered_by_segment();
                assert_eq!(reset.flags, "R", "{via:?} {scheduler:?} {protocol:?}");
                gate.take(connection.from_client("R", "")).dropped(DropReason::NoConnection);
                let data = Connection::new(via, client(via, 1), 50_000);
                gate.take(data.from_client("S", "")).dropped(DropReason::NoService);
                gate.take(data.from_client("A", "")).dropped(DropReason::NoService);
            }
        }
    }
}

/// The client waits for its data, and says nothing more on the control connection.
#[test]
fn ftp_data_finds_its_session_s_server_without_its_control_connection() {
    for via in VIAS {
        let [mut first, mut second] = gates(FTP, 21);
        for n in 0..20 {
            let control = Connection::open(&mut first, via, client(via, n), 21);
            let ends =
                |port| Connection::new(via, SocketAddr::new(control.client.ip(), 4000), port);
            for (port, flags) in
                [(50_000, "S"), (50_001, "A"), (50_002, "SA"), (20, "A"), (20, "SA")]
            {
                let mut data = ends(port);
                data.client.set_port(4000 + port % 1000 + flags.len() as u16);
                assert_eq!(
                    server(&mut second, via, data.from_client(flags, "")),
                    control.server.ip()
                );
                data.goes_on(0, flags, "");
                assert_eq!(
                    server(&mut second, via, data.from_client("A", "")),
                    control.server.ip()
                );
            }
        }
        let all = second.connections();
        assert!(all.iter().all(|view| view.kind == ConnectionKind::Data));
        assert!(all.iter().all(|view| view.state == ConnectionState::Open), "{all:?}");
        assert_eq!(second.moves().get("adopted"), Some(&100));
    }
}

#[test]
fn ports_that_carry_no_data_of_ftp_stay_closed() {
    for via in VIAS {
        let [_, mut gate] = gates(FTP, 21);
        for (port, flags) in [(20, "S"), (22, "S"), (22, "A"), (22, "SA"), (1023, "A"), (1023, "R")]
        {
            let stranger = Connection::new(via, client(via, 1), port);
            gate.take(stranger.from_client(flags, "")).dropped(DropReason::NoService);
        }
        let [_, mut gate] = gates(Protocol::Tcp, 22);
        for flags in ["S", "A", "SA"] {
            let stranger = Connection::new(via, client(via, 1), 50_000);
            gate.take(stranger.from_client(flags, "")).dropped(DropReason::NoService);
        }
    }
}

#[test]
fn a_passive_port_s_data_goes_to_the_backend_that_has_the_port() {
    for via in VIAS {
        let mut world = world(FTP, 21, Scheduler::SourceHash);
        // Another service, whose backends have ports too, and which adopts nothing.
        connections::add(&mut world, FTP, 2121, [1, 1]);
        let other = BackendId(backend(via, 0).0 + 2 * Via::ALL.len() as u16);
        world[via.vip_id()].passive = vec![
            (50_000..=50_099, backend(via, 0)),
            (50_100..=50_199, backend(via, 1)),
            (50_200..=50_299, other),
        ];
        let mut gate = EngineHarness::with(world, FLOWS);
        gate.wait(SETTLED);
        for n in 0..20 {
            let data = |port| Connection::new(via, client(via, n), port);
            for flags in ["S", "A"] {
                let at = [50_000 + n, 50_100 + n]
                    .map(|port| server(&mut gate, via, data(port).from_client(flags, "")));
                assert_eq!(at, [0, 1].map(|n| via.server(n)), "{via:?} {n} {flags}");
                gate.take(data(50_200 + n).from_client(flags, "")).dropped(DropReason::NoService);
            }
        }
        gate.change(|world| world[backend(via, 0)].state = BackendState::Down);
        let data = Connection::new(via, client(via, 30), 50_000);
        gate.take(data.from_client("A", "")).dropped(DropReason::BackendDown);
    }
}

/// Nothing but its control connection tells which service a client's data is of.
#[test]
fn of_several_services_the_one_that_a_client_is_at_adopts_its_data() {
    for via in VIAS {
        let mut world = world(FTP, 21, Scheduler::SourceHash);
        connections::add(&mut world, FTP, 2121, [1, 1]);
        let second = ServiceId(service(via).0 + Via::ALL.len() as u16);
        for (n, service) in [service(via), second].into_iter().enumerate() {
            let id = BackendId(2 * service.0 + n as u16);
            let member = Member { id, address: via.server(n), weight: 1 };
            let group = world[service].group;
            world[group][via.family()] =
                BackendGroup::new(Scheduler::SourceHash, vec![member], &mut Maglevs::default());
        }
        let mut gate = EngineHarness::with(world, FLOWS);
        gate.wait(SETTLED);
        for (n, port) in [21, 2121].into_iter().enumerate() {
            let ours = |port| SocketAddr::new(client(via, n as u16).ip(), port);
            let data = Connection::new(via, ours(4000), 50_000);
            gate.take(data.from_client("A", "")).dropped(DropReason::NoService);
            let mut control = Connection::new(via, ours(3000), port);
            (control.next, control.server) = ([1000, 2000], control.server);
            for _ in 0..2 {
                let at = server(&mut gate, via, control.from_client("AP", "EPSV\r\n"));
                assert_eq!(at, via.server(n));
            }
            assert_eq!(server(&mut gate, via, data.from_client("A", "")), via.server(n));
        }
    }
}

#[test]
fn an_adopted_session_s_data_follows_it() {
    for via in VIAS {
        let [mut first, mut second] = gates(FTP, 21);
        let mut control = Connection::open(&mut first, via, client(via, 1), 21);
        control.client_says(&mut second, "AP", "EPSV\r\n");
        control.client_says(&mut second, "AP", "RETR f\r\n");
        // Its own backend has left the farm's hash since.
        second.change(|world| {
            let group = world[service(via)].group;
            let other = (0..2).find(|&n| via.server(n) != control.server.ip()).expect("another");
            let member = Member { id: backend(via, other), address: via.server(other), weight: 1 };
            world[group][via.family()] =
                BackendGroup::new(Scheduler::SourceHash, vec![member], &mut Maglevs::default());
        });
        let data = Connection::new(via, SocketAddr::new(control.client.ip(), 4000), 50_000);
        assert_eq!(server(&mut second, via, data.from_client("A", "")), control.server.ip());
        second.wait(TRANSITORY);
        assert_eq!(second.connections()[0].kind, ConnectionKind::Client, "the session goes on");
    }
}

#[test]
fn what_a_client_has_beyond_its_quota_is_adopted_and_counts_nowhere() {
    for ((protocol, port), via) in PROTOCOLS.into_iter().flat_map(|it| VIAS.map(|via| (it, via))) {
        let mut world = world(protocol, port, Scheduler::SourceHash);
        world[service(via)].access.max_connections = Some(2);
        for n in [0, 1] {
            world[backend(via, n)].cap = Some(TransferLimit::new(9, Places::default()));
        }
        let mut gate = EngineHarness::with(world, FLOWS);
        gate.wait(SETTLED);
        let from = |n: u16| SocketAddr::new(client(via, 1).ip(), 4000 + n);
        for n in 0..5 {
            let connection = Connection::new(via, from(n), port);
            for _ in 0..2 {
                let _ = gate.take(connection.from_client("A", "")).sent_segment();
            }
        }
        let moves = gate.moves();
        assert_eq!((moves.get("adopted"), moves.get("evicted")), (Some(&5), None));
        let taken = [0, 1].map(|n| taken(&gate, via, n));
        assert_eq!(taken.iter().sum::<u32>(), 2);
        // Those that count are open, and have said something.
        gate.wait(200);
        let more = Connection::new(via, from(9), port);
        assert_eq!(gate.take(more.from_client("S", "")).answered_by_segment().flags, "AR");
    }
}

#[test]
fn a_full_backend_s_connections_go_on_and_count_in_no_limit() {
    for ((protocol, port), via) in PROTOCOLS.into_iter().flat_map(|it| VIAS.map(|via| (it, via))) {
        let [mut first, mut second] = gates(protocol, port);
        second.change(|world| {
            for n in [0, 1] {
                world[backend(via, n)].cap = Some(TransferLimit::new(2, Places::default()));
            }
        });
        for n in 0..20 {
            let mut connection = Connection::open(&mut first, via, client(via, n), port);
            for _ in 0..3 {
                connection.client_says(&mut second, "AP", "more");
            }
        }
        let all = second.connections();
        assert_eq!((all.len(), [0, 1].map(|n| taken(&second, via, n))), (20, [2, 2]));
        assert!(all.iter().all(|view| view.state == ConnectionState::Open));
        let moves = second.moves();
        assert_eq!((moves.get("adopted"), moves.get("evicted")), (Some(&20), None));
        let snapshot = Snapshot::clone(&second.engine.snapshot);
        snapshot
            .backends
            .iter()
            .filter_map(|backend| backend.cap.as_ref())
            .for_each(|cap| cap.give_back(cap.taken()));
        let mut second = second.reborn(snapshot);
        assert_eq!([0, 1].map(|n| taken(&second, via, n)), [2, 2]);
        second.change(|world| {
            for n in [0, 1] {
                world[backend(via, n)].state = BackendState::Down;
            }
        });
        second.wait(20);
        assert_eq!([0, 1].map(|n| taken(&second, via, n)), [0, 0]);
    }
}

#[test]
fn nothing_makes_room_for_an_adopted_connection() {
    for via in VIAS {
        let mut gate = EngineHarness::with(world(Protocol::Tcp, 22, Scheduler::SourceHash), 4);
        gate.wait(SETTLED);
        let half_open = Connection::new(via, client(via, 1), 22);
        let _ = gate.take(half_open.from_client("S", "")).sent_segment();
        gate.moves();
        let other = Connection::new(via, client(via, 2), 22);
        let _ = gate.take(other.from_client("A", "")).sent_segment();
        gate.moved(&[("received", 1), ("transmitted", 1), ("packets_in", 1)]);
    }
}
