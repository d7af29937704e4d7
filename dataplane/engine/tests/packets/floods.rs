//! Floods of transfers and connections without a live client: they keep nobody out and end no running flow.

use crate::pools::{leave_ports, neighbour};
use engine::flow::state::ConnectionState;
use engine::scheduler::transfer_limit::{Places, TransferLimit};
use engine::snapshot::vip::Vip;
use engine::snapshot::{Ftp, Protocol};
use engine::types::drop_reason::DropReason;
use engine::types::id::VipId;
use engine::types::verdict::Verdict;
use kit::connections::{Connection, FIRST, add, backend, service, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::{active, endpoint_in};
use kit::packets::{ack, datagram, rrq};
use kit::topology::{self, FLOWS, Via, owner};
use kit::transfer::{self, Transfer, ask, run};
use std::net::SocketAddr;
use wire::ip::PROTOCOL_TCP;

const SSH: u16 = 22;
const WEB: u16 = 80;
const DNS: u16 = 53;
const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });

/// The `n`th of many clients.
fn client(via: Via, n: u16) -> SocketAddr {
    SocketAddr::new(transfer::client(via, n).ip(), 5000)
}

/// A spoofed request in this client's name, which a server answers.
fn spoof(gate: &mut EngineHarness, via: Via, n: u16) -> Transfer {
    let transfer = ask(gate, via, &rrq(transfer::client(via, n), via.vip(), "boot.img"));
    if !via.is_dsr() {
        let _ = gate.take(transfer.data(1, 512)).sent();
    }
    transfer
}

/// Backends of the service have at most `places` transfers.
fn limited(via: Via, places: u32) -> EngineHarness {
    let mut snapshot = topology::snapshot();
    for n in [0, 1] {
        let cap = TransferLimit::new(places, Places::default());
        snapshot[via.backend(n)].cap = Some(cap);
    }
    EngineHarness::with(snapshot, FLOWS)
}

#[test]
fn places_at_a_backend_go_to_clients_that_hear_their_server() {
    for via in Via::ALL {
        let mut gate = limited(via, 2);
        let spoofed: Vec<_> = (0..4).map(|n| spoof(&mut gate, via, n)).collect();
        // Each has had some time to be heard.
        gate.take(rrq(transfer::client(via, 10), via.vip(), "boot.img"))
            .dropped(DropReason::BackendsFull);
        gate.wait(2);
        let mut running = vec![];
        for n in 0..4 {
            gate.moves();
            running.push(run(&mut gate, via, transfer::client(via, 20 + n)));
            let moved = gate.moves();
            assert_eq!((moved["evicted"], moved["ended"]), (1, 1), "{via:?}");
            // The oldest one is gone.
            let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
            assert!(
                spoofed[..=usize::from(n)].iter().all(|transfer| !left.contains(&transfer.client))
            );
            assert_eq!(left.len(), 4);
        }
        gate.wait(2);
        gate.take(rrq(transfer::client(via, 30), via.vip(), "boot.img"))
            .dropped(DropReason::BackendsFull);
        running.iter().for_each(|transfer| drop(gate.take(transfer.ack(2)).sent()));
    }
}

/// A client that cannot hear the server can still send to the service's port.
#[test]
fn a_client_that_is_only_heard_at_the_services_port_makes_room() {
    for via in Via::SEEN {
        let mut gate = limited(via, 1);
        let asked = [0, 1].map(|n| spoof(&mut gate, via, n));
        gate.wait(2);
        // Renewed, it counts as a younger one.
        let _ = gate.take(ack(asked[0].client, asked[0].vip, 1)).sent();
        run(&mut gate, via, transfer::client(via, 2));
        let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
        assert!(left.contains(&asked[0].client) && !left.contains(&asked[1].client), "{via:?}");
        run(&mut gate, via, transfer::client(via, 3));
        assert!(gate.transfers().iter().all(|view| view.client != asked[0].client));
    }
}

/// Addresses can be chosen so that one worker gets the whole flood: its transfers make room for other workers' clients,
/// too.
#[test]
fn a_flood_on_one_worker_keeps_nobody_out_on_another() {
    for via in Via::ALL {
        let mut snapshot = topology::snapshot();
        for n in [0, 1] {
            let cap = TransferLimit::new(2, Places::default());
            snapshot[via.backend(n)].cap = Some(cap);
        }
        let mut gates = [0, 1].map(|n| EngineHarness::one_of(n, 2, snapshot.clone(), FLOWS));
        let mut clients = [0, 1].map(|worker| {
            let all = (0..).map(|n| transfer::client(via, n));
            all.filter(move |client| owner(client.ip(), 2) == worker)
        });
        let [flood, clients] = &mut clients;
        let mut spoof = |gates: &mut [EngineHarness; 2]| {
            let request = rrq(flood.next().expect("one"), via.vip(), "boot.img");
            let _ = gates[0].take(request).sent();
        };
        let wait = |gates: &mut [EngineHarness; 2], ticks| {
            gates.iter_mut().for_each(|gate| gate.wait(ticks))
        };
        (0..4).for_each(|_| spoof(&mut gates));
        wait(&mut gates, 20);
        let mut running: Vec<Transfer> = vec![];
        for client in clients.take(4) {
            // Room that was made is not for the flood.
            if running.len() < 3 {
                spoof(&mut gates);
            }
            let request = rrq(client, via.vip(), "boot.img");
            let outcome = gates[1].take(&request);
            if outcome.verdict == Verdict::Drop(DropReason::BackendsFull) {
                // The client repeats its request.
                wait(&mut gates, 10);
            } else {
                assert!(!running.is_empty(), "{via:?}: nobody had asked the other worker");
            }
            running.push(run(&mut gates[1], via, client));
            wait(&mut gates, 10);
        }
        let [of_flood, of_clients] = gates.each_ref().map(|gate| gate.transfers().len());
        assert_eq!((of_flood, of_clients), (0, 4), "{via:?}");
        let taken = |n| snapshot[via.backend(n)].cap.as_ref().map(TransferLimit::taken);
        assert_eq!([0, 1].map(taken), [Some(2); 2]);
        running.iter().for_each(|transfer| drop(gates[1].take(transfer.ack(2)).sent()));
        // All wishes have expired.
        wait(&mut gates, 200);
        let _ = gates[1].take(running[0].client_error(0)).sent();
        let request = rrq(flood.next().expect("one"), via.vip(), "boot.img");
        let _ = gates[0].take(request).sent();
    }
}

#[test]
fn answered_requests_make_room_in_a_full_table() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let running: Vec<_> =
            (0..4).map(|n| run(&mut gate, via, transfer::client(via, n))).collect();
        for n in 4..FLOWS as u16 {
            let transfer = spoof(&mut gate, via, n);
            // Some servers keep sending, or answer that there is no such file.
            if !via.is_dsr() && n % 3 == 0 {
                (0..5).for_each(|_| drop(gate.take(transfer.data(1, 512))));
            } else if !via.is_dsr() && n % 3 == 1 {
                let _ = gate.take(transfer.server_error(1)).sent();
            }
        }
        for n in 4..FLOWS as u16 {
            spoof(&mut gate, via, 1000 + n);
            let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
            assert!(!left.contains(&transfer::client(via, n)), "{via:?}: {n} is the oldest");
            assert_eq!(left.len(), FLOWS as usize);
        }
        running.iter().for_each(|transfer| drop(gate.take(transfer.ack(2)).sent()));
    }
}

#[test]
fn places_at_a_backend_go_to_whoever_answers() {
    for via in Via::SEEN {
        let mut snapshot = snapshot(Protocol::Tcp, SSH);
        for n in [0, 1] {
            let cap = TransferLimit::new(1, Places::default());
            snapshot[backend(via, n)].cap = Some(cap);
        }
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        for n in 0..5 {
            let syn = Connection::new(via, client(via, n), SSH).from_client("S", "");
            let _ = gate.take(syn).sent_segment();
        }
        let mut lines = [10, 11].map(|n| Connection::open(&mut gate, via, client(via, n), SSH));
        let told = gate.take(Connection::new(via, client(via, 12), SSH).from_client("S", ""));
        assert_eq!(told.answered_by_segment().flags, "AR", "{via:?}");
        lines.iter_mut().for_each(|line| drop(line.client_says(&mut gate, "AP", "still here")));
    }
}

/// Flows that wait at other services, however long, do not count.
#[test]
fn they_do_beside_older_ones_of_other_services() {
    for via in Via::SEEN {
        let mut snapshot = snapshot(Protocol::Tcp, SSH);
        for n in [0, 1] {
            let cap = TransferLimit::new(1, Places::default());
            snapshot[backend(via, n)].cap = Some(cap);
        }
        add(&mut snapshot, Protocol::Tcp, WEB, [1, 1]);
        let mut gate = EngineHarness::with(snapshot, 1024);
        let mut half_open = |count, port| {
            for n in 0..count {
                let syn = Connection::new(via, client(via, n), port).from_client("S", "");
                let _ = gate.take(syn).sent_segment();
            }
        };
        half_open(100, WEB);
        half_open(2, SSH);
        let mut lines = [110, 111].map(|n| Connection::open(&mut gate, via, client(via, n), SSH));
        lines.iter_mut().for_each(|line| drop(line.client_says(&mut gate, "AP", "still here")));
        assert_eq!(gate.connections().len(), 102, "{via:?}");
    }
}

/// A spoofing client can send a FIN.
#[test]
fn a_place_is_not_kept_by_an_end_in_another_s_name() {
    for via in Via::SEEN {
        let mut snapshot = snapshot(Protocol::Tcp, SSH);
        for n in [0, 1] {
            let cap = TransferLimit::new(1, Places::default());
            snapshot[backend(via, n)].cap = Some(cap);
        }
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        for n in 0..2 {
            let mut line = Connection::new(via, client(via, n), SSH);
            let syn = gate.take(line.from_client("S", ""));
            line.seen(syn.sent_segment());
            line.goes_on(0, "S", "");
            let _ = gate.take(line.from_server("SA", "")).sent_segment();
            line.next[1] = line.next[1].wrapping_sub(1000);
            let _ = gate.take(line.from_client("FA", "")).sent_segment();
        }
        let mut lines = [10, 11].map(|n| Connection::open(&mut gate, via, client(via, n), SSH));
        lines.iter_mut().for_each(|line| drop(line.client_says(&mut gate, "AP", "still here")));
        assert_eq!(gate.connections().len(), 2, "{via:?}");
    }
}

/// Over UDP a request may be spoofed and is answered. A client that goes on afterwards is assured.
#[test]
fn over_udp_a_single_question_makes_room() {
    for via in Via::ALL {
        let mut snapshot = snapshot(Protocol::Udp, DNS);
        for n in [0, 1] {
            let cap = TransferLimit::new(1, Places::default());
            snapshot[backend(via, n)].cap = Some(cap);
        }
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let vip = SocketAddr::new(via.vip().ip(), DNS);
        let ask = |gate: &mut EngineHarness, n| {
            let heard = gate.take(datagram(client(via, n), vip, b"question")).sent();
            if !via.is_dsr() {
                let _ = gate.take(datagram(heard.destination, heard.source, b"answer")).sent();
            }
        };
        (0..5).for_each(|n| ask(&mut gate, n));
        for n in 5..7 {
            ask(&mut gate, n);
            ask(&mut gate, n);
        }
        let left: Vec<_> = gate.connections().iter().map(|one| one.client).collect();
        assert!(left == [5, 6].map(|n| client(via, n)) || left == [6, 5].map(|n| client(via, n)));
        gate.take(datagram(client(via, 7), vip, b"question")).dropped(DropReason::BackendsFull);
    }
}

/// An assured client announced the connection.
#[test]
fn a_connection_that_is_expected_makes_no_room_for_strangers() {
    for via in Via::SEEN {
        let mut snapshot = snapshot(FTP, 21);
        add(&mut snapshot, Protocol::Tcp, SSH, [1, 1]);
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let mut control = Connection::open(&mut gate, via, via.client(), 21);
        let to = SocketAddr::new(via.client().ip(), 5001);
        let heard = control.client_says(&mut gate, "AP", &active(to));
        for n in 0..FLOWS as u16 {
            let syn = Connection::new(via, client(via, n), SSH).from_client("S", "");
            let _ = gate.take(syn).sent_segment();
        }
        let states: Vec<_> = gate.connections().iter().map(|one| one.state).collect();
        assert!(states.contains(&ConnectionState::Expected), "{via:?}");
        let half_open = states.iter().filter(|&&state| state == ConnectionState::HalfOpen).count();
        assert_eq!(half_open, FLOWS as usize / 4);
        let told = endpoint_in(&heard.text());
        let from = SocketAddr::new(control.server.ip(), 20);
        let data = Connection { server: from, seen_as: told, next: FIRST, ..control.clone() };
        let _ = gate.take(data.from_server("S", "")).sent_segment();
    }
}

#[test]
fn the_oldest_make_room_first_in_the_next_process_too() {
    for via in Via::ALL {
        let mut gate = EngineHarness::new();
        let running = run(&mut gate, via, transfer::client(via, 0));
        let asked: Vec<_> = (1..FLOWS as u16)
            .map(|n| {
                gate.wait(u32::from(n % 7 == 0));
                spoof(&mut gate, via, n)
            })
            .collect();
        // Rows are used in a different order than they lie.
        let _ = gate.take(asked[0].client_error(0));
        gate.wait(51);
        let last = spoof(&mut gate, via, 500);
        let mut gate = gate.reborn(topology::snapshot());
        for n in 1..FLOWS as u16 - 1 {
            spoof(&mut gate, via, 1000 + n);
        }
        let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
        assert!(left.contains(&running.client) && left.contains(&last.client), "{via:?}");
        spoof(&mut gate, via, 3000);
        assert!(gate.transfers().iter().all(|view| view.client != last.client), "{via:?}");
        let _ = gate.take(running.ack(2)).sent();
    }
}

#[test]
fn an_empty_pool_takes_from_its_own_alone() {
    let via = Via::Snat;
    let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, SSH), FLOWS);
    let stranger = Connection::new(Via::Nat, Via::Nat.client(), SSH);
    let _ = gate.take(stranger.from_client("S", "")).sent_segment();
    leave_ports(&mut gate, (via, PROTOCOL_TCP), neighbour(via, 0), 1);
    let first =
        gate.take(Connection::new(via, neighbour(via, 0), SSH).from_client("S", "")).sent_segment();
    let line = Connection::open(&mut gate, via, neighbour(via, 1), SSH);
    assert_eq!(line.seen_as, first.source);
    let third = Connection::new(via, neighbour(via, 2), SSH).from_client("S", "");
    gate.take(third).dropped(DropReason::SnatPoolEmpty);
    let states: Vec<_> = gate.connections().iter().map(|one| one.state).collect();
    assert!(
        states.contains(&ConnectionState::HalfOpen) && states.contains(&ConnectionState::Open),
        "{states:?}"
    );
}

/// Behind another VIP, the same server sees the same endpoint.
#[test]
fn a_running_connection_is_not_given_up_for_its_twin() {
    for via in [Via::Nat, Via::Nat6] {
        let mut snapshot = topology::snapshot();
        add(&mut snapshot, Protocol::Tcp, SSH, [1, 0]);
        let other = Vip { tcp: vec![(SSH, service(via))], ..Vip::new(via.host(0, 200)) };
        let vip = SocketAddr::new(other.address, SSH);
        snapshot.vips.push(other);
        snapshot.set_live(VipId(snapshot.vips.len() as u16 - 1), true);
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), SSH);
        let twin = Connection { vip, ..Connection::new(via, via.client(), SSH) };
        let told = gate.take(twin.from_client("S", "")).answered_by_segment();
        assert_eq!((told.source, told.flags.as_str()), (vip, "AR"), "{via:?}");
        line.client_says(&mut gate, "AP", "still here");
        line.server_says(&mut gate, "AP", "so am I");
    }
}
