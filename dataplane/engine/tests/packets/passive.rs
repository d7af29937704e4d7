//! Passive ports for unannounced data: clients that may use them, and the address that the server sees.

use engine::net::address_map::Owner;
use engine::snapshot::{Ftp, Protocol, Snapshot};
use engine::types::drop_reason::DropReason;
use engine::types::id::SnatId;
use engine::types::mode::Mode;
use kit::connections::{Connection, backend, service, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::passive_at;
use kit::topology::{FLOWS, Via, owner};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });

/// FTP on port 21; both servers have passive ports.
fn with_ranges(via: Via) -> Snapshot {
    let mut snapshot = snapshot(FTP, 21);
    let ranges = [(50_000..=50_099, backend(via, 0)), (50_100..=50_199, backend(via, 1))];
    snapshot[via.vip_id()].passive = ranges.into();
    snapshot
}

/// A snapshot with passive ports and two addresses in the SNAT pool.
fn with_pool_of_two(via: Via) -> (Snapshot, [IpAddr; 2]) {
    let mut snapshot = with_ranges(via);
    let second = via.at_server().host(0, 112);
    let id = SnatId(snapshot.snat.len() as u16);
    snapshot.snat.push(second.into());
    snapshot.addresses.insert(second, Owner::Snat(id));
    let Mode::Snat(pool) = &mut snapshot[service(via)].mode else { panic!("{via:?} has no pool") };
    pool.push(id);
    (snapshot, [via.snat(), second])
}

/// An endpoint of the client with this number.
fn client(via: Via, number: u8, port: u16) -> SocketAddr {
    SocketAddr::new(via.host(0, number), port)
}

/// A control connection that is not inspected.
fn dark(gate: &mut EngineHarness, via: Via, client: SocketAddr) -> Connection {
    let mut control = Connection::open(gate, via, client, 21);
    control.goes_dark(gate);
    control
}

#[track_caller]
fn refuses(gate: &mut EngineHarness, via: Via, client: SocketAddr, port: u16) {
    gate.take(Connection::new(via, client, port).from_client("S", ""))
        .dropped(DropReason::NoService);
}

#[test]
fn only_a_client_with_an_open_control_connection_there_gets_in() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(with_ranges(via), FLOWS);
        let ours = |port| client(via, 9, port);
        let mut control = Connection::new(via, ours(2000), 21);
        refuses(&mut gate, via, ours(3000), 50_000);
        // A half-open one may be spoofed.
        let syn = gate.take(control.from_client("S", "")).sent_segment();
        control.seen(syn);
        assert_eq!(control.server.ip(), via.server(0));
        refuses(&mut gate, via, ours(3000), 50_000);
        let mut control = Connection::new(via, ours(2000), 21).opened(&mut gate);
        control.goes_dark(&mut gate);
        let stranger = client(via, 66, 3000);
        refuses(&mut gate, via, stranger, 50_000);
        // Not even with one at the other server.
        let other = dark(&mut gate, via, client(via, 66, 2000));
        assert_eq!(other.server.ip(), via.server(1), "{via:?}");
        refuses(&mut gate, via, stranger, 50_000);
        refuses(&mut gate, via, ours(3000), 50_100);
        let data = Connection::open(&mut gate, via, ours(3000), 50_000);
        assert_eq!(data.server, SocketAddr::new(via.server(0), 50_000));
        assert_eq!(data.seen_as.ip(), control.seen_as.ip());
        control.client_says(&mut gate, "R", "");
        refuses(&mut gate, via, ours(3001), 50_001);
    }
}

#[test]
fn what_can_be_read_is_announced() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(with_ranges(via), FLOWS);
        let mut control = Connection::open(&mut gate, via, client(via, 9, 2000), 21);
        refuses(&mut gate, via, client(via, 9, 3000), 50_000);
        control.goes_dark(&mut gate);
        Connection::open(&mut gate, via, client(via, 9, 3000), 50_000);
        // A new connection from now on.
        control.client_says(&mut gate, "AF", "");
        refuses(&mut gate, via, client(via, 9, 3001), 50_000);
    }
}

#[test]
fn a_port_that_was_announced_is_for_no_other_client_behind_the_same_address() {
    for via in [Via::Snat, Via::Snat46] {
        let mut gate = EngineHarness::with(with_ranges(via), FLOWS);
        let mut victim = Connection::open(&mut gate, via, client(via, 9, 2000), 21);
        let _other_server = dark(&mut gate, via, client(via, 66, 2000));
        let thief = dark(&mut gate, via, client(via, 66, 2001));
        assert_eq!((thief.server, thief.seen_as.ip()), (victim.server, victim.seen_as.ip()));
        let at = SocketAddr::new(via.server(0), 50_007);
        let (asks, answer) = match via {
            Via::Snat => ("PASV\r\n", passive_at(at)),
            _ => ("EPSV\r\n", "229 Extended Passive Mode (|||50007|)\r\n".to_owned()),
        };
        victim.client_says(&mut gate, "AP", asks);
        victim.server_says(&mut gate, "AP", &answer);
        refuses(&mut gate, via, client(via, 66, 3000), 50_007);
        let data = Connection::open(&mut gate, via, client(via, 9, 3000), 50_007);
        assert_eq!(data.server, at, "{via:?}");
    }
}

#[test]
fn clients_are_seen_by_addresses_of_their_own_as_far_as_there_are_any() {
    for via in [Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64] {
        let (snapshot, pool) = with_pool_of_two(via);
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let controls = [20, 22, 24, 26].map(|n| {
            // At either server.
            [2000, 2001].map(|port| dark(&mut gate, via, client(via, n, port)))
        });
        for server in [0, 1] {
            let mut shown = controls.each_ref().map(|two| two[server].seen_as.ip());
            for (n, ours) in [20, 22, 24, 26].into_iter().zip(shown) {
                let port = 50_000 + 100 * server as u16 + n;
                let data = Connection::open(&mut gate, via, client(via, n as u8, port), port);
                assert_eq!((data.server.ip(), data.seen_as.ip()), (via.server(server), ours));
            }
            shown.sort();
            let mut pool = pool;
            pool.sort();
            assert_eq!(shown, [pool[0], pool[0], pool[1], pool[1]], "{via:?}");
        }
        // A client that leaves makes room, and the others keep their address.
        let [first, second] = &controls[0];
        let again = dark(&mut gate, via, client(via, 20, 2002));
        assert_eq!(again.seen_as.ip(), first.seen_as.ip());
        assert_ne!(second.server, again.server);
    }
}

/// Workers do not know each other's data connections.
#[test]
fn clients_of_different_workers_share_no_address_if_there_are_enough() {
    const WORKERS: u16 = 2;
    for via in [Via::Snat, Via::Snat6, Via::Snat46, Via::Snat64] {
        let (snapshot, pool) = with_pool_of_two(via);
        let seen = [0, 1].map(|n| {
            let mut gate = EngineHarness::one_of(n, WORKERS, snapshot.clone(), FLOWS);
            let clients =
                (1..20).filter(|&number| owner(client(via, number, 1).ip(), WORKERS) == n);
            let lines = clients.map(|number| dark(&mut gate, via, client(via, number, 2000)));
            lines.map(|line| line.seen_as.ip()).collect::<BTreeSet<_>>()
        });
        assert!(seen.iter().all(|seen| seen.len() == 1), "{via:?}: {seen:?}");
        assert_eq!(
            seen.into_iter().flatten().collect::<BTreeSet<_>>(),
            BTreeSet::from(pool),
            "{via:?}"
        );
    }
}

/// A server knows a client's data by the address of its control connection; data by another one is refused by both.
#[test]
fn sessions_at_an_address_that_is_away_open_no_data_and_new_ones_are_elsewhere() {
    for via in [Via::Snat, Via::Snat6] {
        let (snapshot, pool) = with_pool_of_two(via);
        let ids = [
            snapshot.snat.iter().position(|one| one.address == pool[0]),
            Some(snapshot.snat.len() - 1),
        ];
        let ids = ids.map(|place| SnatId(place.expect("an address") as u16));
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let control = dark(&mut gate, via, client(via, 9, 2000));
        let at = pool.iter().position(|&one| one == control.seen_as.ip()).expect("one of both");
        let hold = |held: &[SnatId], gate: &mut EngineHarness| {
            gate.change(|snapshot| {
                ids.iter().for_each(|id| snapshot.set_snat_live(*id, held.contains(id)));
                snapshot[service(via)].mode = Mode::Snat(held.to_vec());
            });
        };
        hold(&[ids[1 - at]], &mut gate);
        let data = Connection::new(via, client(via, 9, 3000), 50_000);
        gate.take(data.from_client("S", "")).dropped(DropReason::SnatDown);
        let next = dark(&mut gate, via, client(via, 9, 2001));
        assert_eq!(next.seen_as.ip(), pool[1 - at]);
        hold(&ids, &mut gate);
        let data = Connection::open(&mut gate, via, client(via, 9, 3000), 50_000);
        assert_eq!(data.server.port(), 50_000);
    }
}
