//! Transfers and connections that nobody goes on with: they keep nobody out, and end nothing that runs.

use crate::capacity::drain;
use engine::flow::view::Stage;
use engine::reason::Reason;
use engine::select::cap::{Cap, Places};
use engine::tables::{Protocol, Vip};
use kit::connections::{Line, add, backend, service, tables};
use kit::gate::Gate;
use kit::story::{ack, rrq};
use kit::talk::{self, Talk, ask, run};
use kit::world::{self, FLOWS, Via};
use std::net::SocketAddr;

const SSH: u16 = 22;

/// The `n`th of many clients.
fn client(via: Via, n: u8) -> SocketAddr {
    SocketAddr::new(via.station(0, 60 + n), 5000)
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

#[test]
fn an_empty_pool_takes_from_its_own_alone() {
    let via = Via::Snat;
    let mut gate = Gate::with(tables(Protocol::Tcp, SSH), FLOWS);
    let stranger = Line::new(Via::Nat, Via::Nat.client(), SSH);
    let _ = gate.take(stranger.from_client("S", "")).sent_segment();
    drain(&mut gate, (1024..=u16::MAX).count() - 1);
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
