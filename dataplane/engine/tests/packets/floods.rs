//! Transfers and connections that nobody goes on with: they keep nobody out, and end nothing that runs.

use crate::pools::leave_ports;
use engine::flow::view::Stage;
use engine::reason::Reason;
use engine::select::cap::{Cap, Places};
use engine::tables::{Ftp, Protocol, Vip};
use engine::verdict::Verdict;
use kit::connections::{FIRST, Line, add, backend, service, tables};
use kit::ftp::{active, endpoint_in};
use kit::gate::Gate;
use kit::story::{ack, datagram, rrq};
use kit::talk::{self, Talk, ask, run};
use kit::world::{self, FLOWS, Via, owner};
use std::net::SocketAddr;
use wire::ip::PROTOCOL_TCP;

const SSH: u16 = 22;
const WEB: u16 = 80;
const DNS: u16 = 53;
const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });

/// The `n`th of many clients.
fn client(via: Via, n: u16) -> SocketAddr {
    SocketAddr::new(talk::client(via, n).ip(), 5000)
}

/// Somebody asks in the name of this client, and a server answers what it can't know is nobody's.
fn spoof(gate: &mut Gate, via: Via, n: u16) -> Talk {
    let talk = ask(gate, via, &rrq(talk::client(via, n), via.vip(), "boot.img"));
    if !via.is_dsr() {
        let _ = gate.take(talk.data(1, 512)).sent();
    }
    talk
}

/// A world in which each backend of the service has so many places.
fn limited(via: Via, places: u32) -> Gate {
    let mut tables = world::tables();
    for n in [0, 1] {
        let cap = Cap::new(places, Places::default());
        tables.backends[usize::from(via.backend(n))].cap = Some(cap);
    }
    Gate::with(tables, FLOWS)
}

#[test]
fn places_at_a_backend_go_to_clients_that_hear_their_server() {
    for via in Via::ALL {
        let mut gate = limited(via, 2);
        let spoofed: Vec<_> = (0..4).map(|n| spoof(&mut gate, via, n)).collect();
        // Each has had some time to be heard.
        gate.take(rrq(talk::client(via, 10), via.vip(), "boot.img")).dropped(Reason::BackendsFull);
        gate.wait(2);
        let mut running = vec![];
        for n in 0..4 {
            gate.moves();
            running.push(run(&mut gate, via, talk::client(via, 20 + n)));
            let moved = gate.moves();
            assert_eq!((moved["evicted"], moved["ended"]), (1, 1), "{via:?}");
            // The oldest one.
            let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
            assert!(spoofed[..=usize::from(n)].iter().all(|talk| !left.contains(&talk.client)));
            assert_eq!(left.len(), 4);
        }
        gate.wait(2);
        gate.take(rrq(talk::client(via, 30), via.vip(), "boot.img")).dropped(Reason::BackendsFull);
        running.iter().for_each(|talk| drop(gate.take(talk.ack(2)).sent()));
    }
}

/// Who can't hear the server can send there.
#[test]
fn a_client_that_is_only_heard_at_the_services_port_makes_room() {
    for via in Via::SEEN {
        let mut gate = limited(via, 1);
        let asked = [0, 1].map(|n| spoof(&mut gate, via, n));
        gate.wait(2);
        // It is as good as a younger one.
        let _ = gate.take(ack(asked[0].client, asked[0].vip, 1)).sent();
        run(&mut gate, via, talk::client(via, 2));
        let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
        assert!(left.contains(&asked[0].client) && !left.contains(&asked[1].client), "{via:?}");
        run(&mut gate, via, talk::client(via, 3));
        assert!(gate.transfers().iter().all(|view| view.client != asked[0].client));
    }
}

/// Addresses can be chosen so that one worker has all of the flood: its places are for the others' clients, too.
#[test]
fn a_flood_on_one_worker_keeps_nobody_out_on_another() {
    for via in Via::ALL {
        let mut tables = world::tables();
        for n in [0, 1] {
            let cap = Cap::new(2, Places::default());
            tables.backends[usize::from(via.backend(n))].cap = Some(cap);
        }
        let mut gates = [0, 1].map(|n| Gate::one_of(n, 2, tables.clone(), FLOWS));
        let mut clients = [0, 1].map(|worker| {
            let all = (0..).map(|n| talk::client(via, n));
            all.filter(move |client| owner(client.ip(), 2) == worker)
        });
        let [flood, clients] = &mut clients;
        let mut spoof = |gates: &mut [Gate; 2]| {
            let request = rrq(flood.next().expect("one"), via.vip(), "boot.img");
            let _ = gates[0].take(request).sent();
        };
        let wait =
            |gates: &mut [Gate; 2], ticks| gates.iter_mut().for_each(|gate| gate.wait(ticks));
        (0..4).for_each(|_| spoof(&mut gates));
        wait(&mut gates, 20);
        let mut running: Vec<Talk> = vec![];
        for client in clients.take(4) {
            // What was given up is not for the flood.
            if running.len() < 3 {
                spoof(&mut gates);
            }
            let request = rrq(client, via.vip(), "boot.img");
            let outcome = gates[1].take(&request);
            if outcome.verdict == Verdict::Drop(Reason::BackendsFull) {
                // The client asks again.
                wait(&mut gates, 10);
            } else {
                assert!(!running.is_empty(), "{via:?}: nobody had asked the other worker");
            }
            running.push(run(&mut gates[1], via, client));
            wait(&mut gates, 10);
        }
        let [of_flood, of_clients] = gates.each_ref().map(|gate| gate.transfers().len());
        assert_eq!((of_flood, of_clients), (0, 4), "{via:?}");
        let taken = |n| tables.backends[usize::from(via.backend(n))].cap.as_ref().map(Cap::taken);
        assert_eq!([0, 1].map(taken), [Some(2); 2]);
        running.iter().for_each(|talk| drop(gates[1].take(talk.ack(2)).sent()));
        // Nobody asks any longer.
        wait(&mut gates, 200);
        let _ = gates[1].take(running[0].client_error(0)).sent();
        let request = rrq(flood.next().expect("one"), via.vip(), "boot.img");
        let _ = gates[0].take(request).sent();
    }
}

#[test]
fn answered_requests_make_room_in_a_full_table() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let running: Vec<_> = (0..4).map(|n| run(&mut gate, via, talk::client(via, n))).collect();
        for n in 4..FLOWS as u16 {
            let talk = spoof(&mut gate, via, n);
            // To some of these the server goes on talking, or says that there is no such file.
            if !via.is_dsr() && n % 3 == 0 {
                (0..5).for_each(|_| drop(gate.take(talk.data(1, 512))));
            } else if !via.is_dsr() && n % 3 == 1 {
                let _ = gate.take(talk.server_error(1)).sent();
            }
        }
        for n in 4..FLOWS as u16 {
            spoof(&mut gate, via, 1000 + n);
            let left: Vec<_> = gate.transfers().iter().map(|view| view.client).collect();
            assert!(!left.contains(&talk::client(via, n)), "{via:?}: {n} is the oldest");
            assert_eq!(left.len(), FLOWS as usize);
        }
        running.iter().for_each(|talk| drop(gate.take(talk.ack(2)).sent()));
    }
}

#[test]
fn places_at_a_backend_go_to_whoever_answers() {
    for via in Via::SEEN {
        let mut tables = tables(Protocol::Tcp, SSH);
        for n in [0, 1] {
            let cap = Cap::new(1, Places::default());
            tables.backends[usize::from(backend(via, n))].cap = Some(cap);
        }
        let mut gate = Gate::with(tables, FLOWS);
        for n in 0..5 {
            let syn = Line::new(via, client(via, n), SSH).from_client("S", "");
            let _ = gate.take(syn).sent_segment();
        }
        let mut lines = [10, 11].map(|n| Line::open(&mut gate, via, client(via, n), SSH));
        let told = gate.take(Line::new(via, client(via, 12), SSH).from_client("S", ""));
        assert_eq!(told.answered_by_segment().flags, "AR", "{via:?}");
        lines.iter_mut().for_each(|line| drop(line.client_says(&mut gate, "AP", "still here")));
    }
}

/// Whatever waits at other services, and however long.
#[test]
fn they_do_beside_older_ones_of_other_services() {
    for via in Via::SEEN {
        let mut tables = tables(Protocol::Tcp, SSH);
        for n in [0, 1] {
            let cap = Cap::new(1, Places::default());
            tables.backends[usize::from(backend(via, n))].cap = Some(cap);
        }
        add(&mut tables, Protocol::Tcp, WEB, [1, 1]);
        let mut gate = Gate::with(tables, 1024);
        let mut half_open = |count, port| {
            for n in 0..count {
                let syn = Line::new(via, client(via, n), port).from_client("S", "");
                let _ = gate.take(syn).sent_segment();
            }
        };
        half_open(100, WEB);
        half_open(2, SSH);
        let mut lines = [110, 111].map(|n| Line::open(&mut gate, via, client(via, n), SSH));
        lines.iter_mut().for_each(|line| drop(line.client_says(&mut gate, "AP", "still here")));
        assert_eq!(gate.connections().len(), 102, "{via:?}");
    }
}

/// Who can't hear the server can say that it is done.
#[test]
fn a_place_is_not_kept_by_an_end_in_anothers_name() {
    for via in Via::SEEN {
        let mut tables = tables(Protocol::Tcp, SSH);
        for n in [0, 1] {
            let cap = Cap::new(1, Places::default());
            tables.backends[usize::from(backend(via, n))].cap = Some(cap);
        }
        let mut gate = Gate::with(tables, FLOWS);
        for n in 0..2 {
            let mut line = Line::new(via, client(via, n), SSH);
            let syn = gate.take(line.from_client("S", ""));
            line.seen(syn.sent_segment());
            line.goes_on(0, "S", "");
            let _ = gate.take(line.from_server("SA", "")).sent_segment();
            line.next[1] = line.next[1].wrapping_sub(1000);
            let _ = gate.take(line.from_client("FA", "")).sent_segment();
        }
        let mut lines = [10, 11].map(|n| Line::open(&mut gate, via, client(via, n), SSH));
        lines.iter_mut().for_each(|line| drop(line.client_says(&mut gate, "AP", "still here")));
        assert_eq!(gate.connections().len(), 2, "{via:?}");
    }
}

/// Over UDP anybody can ask in another's name, and be answered. Who goes on after that is no such stranger.
#[test]
fn over_udp_a_single_question_makes_room() {
    for via in Via::ALL {
        let mut tables = tables(Protocol::Udp, DNS);
        for n in [0, 1] {
            let cap = Cap::new(1, Places::default());
            tables.backends[usize::from(backend(via, n))].cap = Some(cap);
        }
        let mut gate = Gate::with(tables, FLOWS);
        let vip = SocketAddr::new(via.vip().ip(), DNS);
        let ask = |gate: &mut Gate, n| {
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
        gate.take(datagram(client(via, 7), vip, b"question")).dropped(Reason::BackendsFull);
    }
}

/// It was announced by somebody who is known.
#[test]
fn a_connection_that_is_expected_makes_no_room_for_strangers() {
    for via in Via::SEEN {
        let mut tables = tables(FTP, 21);
        add(&mut tables, Protocol::Tcp, SSH, [1, 1]);
        let mut gate = Gate::with(tables, FLOWS);
        let mut control = Line::open(&mut gate, via, via.client(), 21);
        let to = SocketAddr::new(via.client().ip(), 5001);
        let heard = control.client_says(&mut gate, "AP", &active(to));
        for n in 0..FLOWS as u16 {
            let syn = Line::new(via, client(via, n), SSH).from_client("S", "");
            let _ = gate.take(syn).sent_segment();
        }
        let stages: Vec<_> = gate.connections().iter().map(|one| one.stage).collect();
        assert!(stages.contains(&Stage::Expected), "{via:?}");
        let half_open = stages.iter().filter(|&&stage| stage == Stage::HalfOpen).count();
        assert_eq!(half_open, FLOWS as usize / 4);
        let told = endpoint_in(&heard.text());
        let from = SocketAddr::new(control.server.ip(), 20);
        let data = Line { server: from, seen_as: told, next: FIRST, ..control.clone() };
        let _ = gate.take(data.from_server("S", "")).sent_segment();
    }
}

#[test]
fn the_oldest_make_room_first_in_the_next_process_too() {
    for via in Via::ALL {
        let mut gate = Gate::new();
        let running = run(&mut gate, via, talk::client(via, 0));
        let asked: Vec<_> = (1..FLOWS as u16)
            .map(|n| {
                gate.wait(u32::from(n % 7 == 0));
                spoof(&mut gate, via, n)
            })
            .collect();
        // Places are taken in another order than that of the rows.
        let _ = gate.take(asked[0].client_error(0));
        gate.wait(51);
        let last = spoof(&mut gate, via, 500);
        let mut gate = gate.reborn(world::tables());
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
    let mut gate = Gate::with(tables(Protocol::Tcp, SSH), FLOWS);
    let stranger = Line::new(Via::Nat, Via::Nat.client(), SSH);
    let _ = gate.take(stranger.from_client("S", "")).sent_segment();
    leave_ports(&mut gate, PROTOCOL_TCP, 1);
    let first = gate.take(Line::new(via, client(via, 0), SSH).from_client("S", "")).sent_segment();
    let line = Line::open(&mut gate, via, client(via, 1), SSH);
    assert_eq!(line.seen_as, first.source);
    let third = Line::new(via, client(via, 2), SSH).from_client("S", "");
    gate.take(third).dropped(Reason::SnatPoolEmpty);
    let stages: Vec<_> = gate.connections().iter().map(|one| one.stage).collect();
    assert!(stages.contains(&Stage::HalfOpen) && stages.contains(&Stage::Open), "{stages:?}");
}

/// Through another VIP the same server sees the same endpoint.
#[test]
fn a_running_connection_is_not_given_up_for_its_twin() {
    for via in [Via::Nat, Via::Nat6] {
        let mut tables = world::tables();
        add(&mut tables, Protocol::Tcp, SSH, [1, 0]);
        let other = Vip { tcp: vec![(SSH, service(via))], ..Vip::new(via.station(0, 200)) };
        let vip = SocketAddr::new(other.address, SSH);
        tables.vips.push(other);
        tables.set_live(tables.vips.len() as u16 - 1, true);
        let mut gate = Gate::with(tables, FLOWS);
        let mut line = Line::open(&mut gate, via, via.client(), SSH);
        let twin = Line { vip, ..Line::new(via, via.client(), SSH) };
        let told = gate.take(twin.from_client("S", "")).answered_by_segment();
        assert_eq!((told.source, told.flags.as_str()), (vip, "AR"), "{via:?}");
        line.client_says(&mut gate, "AP", "still here");
        line.server_says(&mut gate, "AP", "so am I");
    }
}
