//! Rows of the other gate that are not believed: the peer is not trusted more than a packet is.

use engine::flow::connection::SyncedConnection;
use engine::flow::state::{ConnectionState, TransferState};
use engine::flow::transfer::SyncedTransfer;
use engine::snapshot::{Protocol, Snapshot};
use engine::state::sync::import::{SyncImport, SyncRefusal};
use engine::types::id::{BackendId, InterfaceId, SnatId, VipId};
use kit::connections::{Connection, add};
use kit::pair::{MIN_AGE, Pair, hold};
use kit::topology::{FLOWS, Via, owner, snapshot};
use kit::transfer::{client, run};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

const SSH: u16 = 22;

fn world() -> Snapshot {
    let mut world = snapshot();
    add(&mut world, Protocol::Tcp, SSH, [1, 1]);
    world
}

/// A pair, and what its first gate tells of a transfer and a connection.
fn told(via: Via) -> (Pair, SyncedTransfer, SyncedConnection) {
    let mut pair = Pair::new(world);
    let _ = run(&mut pair.gates[0], via, client(via, 1));
    let _ = Connection::open(&mut pair.gates[0], via, client(via, 2), SSH);
    pair.wait(MIN_AGE);
    let rows = pair.rows(0);
    (pair, rows.transfers[0].clone(), rows.connections[0].clone())
}

fn transfer(row: &SyncedTransfer, change: impl FnOnce(&mut SyncedTransfer)) -> SyncImport {
    let mut row = row.clone();
    change(&mut row);
    SyncImport::new(vec![row], vec![], 1)
}

fn connection(row: &SyncedConnection, change: impl FnOnce(&mut SyncedConnection)) -> SyncImport {
    let mut row = row.clone();
    change(&mut row);
    SyncImport::new(vec![], vec![row], 1)
}

/// Asserts that the second gate refuses each of these rows for this reason alone, and that nothing has changed.
#[track_caller]
fn refused(pair: &mut Pair, reason: SyncRefusal, rows: impl IntoIterator<Item = SyncImport>) {
    for (place, row) in rows.into_iter().enumerate() {
        let mut expected = [0; 6];
        expected[reason as usize] = 1;
        assert_eq!(pair.hear(1, row), expected, "{} {place}", reason.name());
    }
    let hosts = pair.gates[1].engine.state.hosts.len();
    assert_eq!(hosts, 1, "host ids are given back; the pool's address of IPv6 has one");
    pair.gates[1].moved(&[]);
}

#[test]
fn rows_of_what_there_is_not_are_refused() {
    for via in Via::ALL {
        let (mut pair, flow, line) = told(via);
        let far = BackendId(999);
        let other = if via.is_dsr() { Via::Nat } else { Via::Dsr };
        refused(
            &mut pair,
            SyncRefusal::Unknown,
            [
                transfer(&flow, |row| row.backend = far),
                transfer(&flow, |row| row.vip = VipId(999)),
                transfer(&flow, |row| row.back.interface = InterfaceId(2)),
                connection(&line, |row| row.back.interface = InterfaceId(2)),
                transfer(&flow, |row| row.vip = other.vip_id()),
                transfer(&flow, |row| row.backend = other.backend(0)),
                connection(&line, |row| row.backend = far),
                connection(&line, |row| row.vip = VipId(999)),
                connection(&line, |row| row.vip_port = 23),
                connection(&line, |row| row.protocol = 17),
            ],
        );
    }
}

#[test]
fn rows_that_contradict_themselves_are_refused() {
    for via in Via::ALL {
        let (mut pair, flow, line) = told(via);
        let reserved: IpAddr = if via.is_v6() { "ff02::1" } else { "240.0.0.0" }.parse().unwrap();
        let elsewhere = SocketAddr::new(via.at_server().host(0, 7), 5000);
        let other_family: IpAddr =
            if via.is_v6() { [192, 168, 0, 9].into() } else { "fd00::9".parse().unwrap() };
        refused(
            &mut pair,
            SyncRefusal::Malformed,
            [
                transfer(&flow, |row| row.seen_as = elsewhere),
                transfer(&flow, |row| row.client.set_port(0)),
                transfer(&flow, |row| row.client.set_ip(other_family)),
                transfer(&flow, |row| row.idle = row.age + 1),
                transfer(&flow, |row| row.age = u32::MAX),
                transfer(&flow, |row| row.alias = 1),
                transfer(&flow, |row| row.tid = 1023),
                transfer(&flow, |row| row.client.set_ip(via.vip().ip())),
                transfer(&flow, |row| row.client.set_ip(reserved)),
                connection(&line, |row| row.client.set_ip(reserved)),
                connection(&line, |row| row.seen_as = elsewhere),
                connection(&line, |row| row.client.set_port(0)),
                connection(&line, |row| row.client.set_ip(other_family)),
                connection(&line, |row| row.idle = row.age + 1),
            ],
        );
    }
}

#[test]
fn rows_of_clients_that_may_not_come_are_refused() {
    for via in Via::ALL {
        let (mut pair, flow, line) = told(via);
        pair.gates[1].change(|snapshot| {
            for service in &mut snapshot.services {
                service.access.allow_clients = vec!["203.0.113.0/24".parse().unwrap()];
            }
        });
        let rows = [transfer(&flow, |_| ()), connection(&line, |_| ())];
        refused(&mut pair, SyncRefusal::Client, rows);
    }
}

/// The VIP has gone, and the address of the pool is still here.
#[test]
fn rows_of_addresses_that_are_held_here_are_refused() {
    for via in Via::ALL.into_iter().filter(|via| via.is_snat()) {
        let (mut pair, flow, line) = told(via);
        pair.gates[1].change(|snapshot| {
            (0..2).for_each(|id| snapshot.set_snat_live(SnatId(id), true));
        });
        let rows = [transfer(&flow, |_| ()), connection(&line, |_| ())];
        refused(&mut pair, SyncRefusal::Held, rows);
    }
}

#[test]
fn ports_that_the_pool_does_not_give_out_are_refused() {
    for via in Via::ALL.into_iter().filter(|via| via.is_snat()) {
        let (mut pair, flow, line) = told(via);
        let rows = [
            transfer(&flow, |row| row.seen_as.set_port(0)),
            transfer(&flow, |row| row.seen_as.set_port(69)),
            connection(&line, |row| row.seen_as.set_port(1023)),
        ];
        refused(&mut pair, SyncRefusal::Port, rows);
        // A port that another client's row has, by the peer's word, goes to the latest one of the same RSS entry only.
        let entries = 128;
        assert_eq!(pair.hear(1, transfer(&flow, |_| ())), [0; 6]);
        let others = (0..300)
            .map(|n| client(via, 500 + n))
            .filter(|client| owner(client.ip(), entries) != owner(flow.client.ip(), entries));
        let other = others.take(1).next().expect("a client of another entry");
        let refused = pair.hear(1, transfer(&flow, |row| row.client = other));
        assert_eq!(refused[SyncRefusal::Port as usize], 1, "{via:?}");
        let same = (0..30_000)
            .map(|n| client(via, 500 + n))
            .find(|client| owner(client.ip(), entries) == owner(flow.client.ip(), entries));
        let same = same.expect("a client of the same entry");
        assert_eq!(pair.hear(1, transfer(&flow, |row| row.client = same)), [0; 6]);
        let transfers = pair.gates[1].transfers();
        assert_eq!(transfers.iter().map(|view| view.client).collect::<Vec<_>>(), [same]);
    }
}

/// Rows of the peer leave room for flows of this gate.
#[test]
fn the_peer_cannot_fill_the_tables() {
    for via in Via::ALL {
        let (mut pair, flow, line) = told(via);
        for n in 0..2 * FLOWS as u16 {
            let _ = pair.hear(
                1,
                transfer(&flow, |row| {
                    row.client = client(via, n);
                    row.seen_as = if via.is_snat() {
                        SocketAddr::new(row.seen_as.ip(), 1024 + 16 * n)
                    } else {
                        row.client
                    };
                }),
            );
            let _ = pair.hear(
                1,
                connection(&line, |row| {
                    row.client = client(via, n);
                    row.seen_as = if via.is_snat() {
                        SocketAddr::new(row.seen_as.ip(), 1024 + 16 * n)
                    } else {
                        row.client
                    };
                }),
            );
        }
        let most = (FLOWS - FLOWS / 8) as usize;
        assert_eq!(pair.gates[1].transfers().len(), most, "{via:?}");
        assert_eq!(pair.gates[1].connections().len(), most, "{via:?}");
        hold(&mut pair.gates[1], true);
        let _ = run(&mut pair.gates[1], via, client(via, 5000));
    }
}

/// A row as a peer gone mad tells it: ports, ages and small numbers.
type Mad = ([u16; 4], [u8; 8], [u32; 2]);

const TRANSFER_STATES: [TransferState; 4] = [
    TransferState::Requested,
    TransferState::Established,
    TransferState::Closing,
    TransferState::Completed,
];

const CONNECTION_STATES: [ConnectionState; 5] = [
    ConnectionState::Expected,
    ConnectionState::HalfOpen,
    ConnectionState::Open,
    ConnectionState::Closing,
    ConnectionState::Closed,
];

/// The ends of a mad row: few of each, so that they often meet.
fn ends(via: Via, pool: IpAddr, [port, seen, host, _]: [u16; 4]) -> [SocketAddr; 2] {
    let client = SocketAddr::new(client(via, host % 8).ip(), port % 4 + 1000);
    let seen_as = if via.is_snat() { SocketAddr::new(pool, 1020 + seen % 64) } else { client };
    [client, seen_as]
}

fn mad_transfer(via: Via, row: &SyncedTransfer, mad: Mad) -> SyncedTransfer {
    let (ports, bytes, [age, idle]) = mad;
    let [client, seen_as] = ends(via, row.seen_as.ip(), ports);
    SyncedTransfer {
        client,
        seen_as,
        backend: BackendId(row.backend.0 ^ (ports[3] & 1)),
        tid: ports[0],
        client_tid: ports[1],
        state: TRANSFER_STATES[usize::from(bytes[2] % 4)],
        blocks: idle,
        timeout: bytes[0],
        window: bytes[1],
        age: age % 2000,
        idle: idle % 2000,
        ..row.clone()
    }
}

fn mad_connection(via: Via, row: &SyncedConnection, mad: Mad) -> SyncedConnection {
    let (ports, bytes, [age, idle]) = mad;
    let [client, seen_as] = ends(via, row.seen_as.ip(), ports);
    SyncedConnection {
        client,
        seen_as,
        server_port: ports[1],
        backend: BackendId(row.backend.0 ^ (ports[3] & 1)),
        state: CONNECTION_STATES[usize::from(bytes[5] % 5)],
        flags: bytes[3],
        marks: bytes[4],
        age: age % 2000,
        idle: idle % 2000,
        ..row.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Counters and places balance whatever comes, nothing panics, and what is taken in ends in time.
    #[test]
    fn any_rows_leave_the_tables_sound(
        rows in proptest::collection::vec((0..8usize, any::<Mad>()), 1..200),
    ) {
        let sane = Via::ALL.map(told);
        let mut pair = Pair::new(world);
        for (which, mad) in rows {
            let (_, flow, line) = &sane[which];
            let via = Via::ALL[which];
            let transfers = vec![mad_transfer(via, flow, mad)];
            pair.hear(1, SyncImport::new(transfers, vec![mad_connection(via, line, mad)], 1));
            let [.., move_or_wait, ticks] = mad.1;
            match move_or_wait {
                0..8 => hold(&mut pair.gates[1], ticks % 2 == 0),
                8..24 => pair.gates[1].wait(ticks.into()),
                _ => {}
            }
        }
        // Thrice the longest timeout that a server grants.
        pair.gates[1].wait(8000);
        let gate = &pair.gates[1];
        prop_assert!(gate.transfers().is_empty());
        prop_assert!(gate.connections().is_empty());
        prop_assert_eq!(gate.engine.state.hosts.len(), 1, "the pool's address of IPv6 has one");
        for (address, protocol) in gate.engine.snapshot.snat.iter().flat_map(|one| [(one, 6), (one, 17)]) {
            prop_assert_eq!(address.of(protocol).usage(gate.now).taken, 0);
        }
    }
}
