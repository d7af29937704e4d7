//! Connections that nobody goes on with: they keep nobody out, and end nothing that runs.

use crate::capacity::drain;
use engine::flow::view::Stage;
use engine::reason::Reason;
use engine::select::cap::{Cap, Places};
use engine::tables::{Protocol, Vip};
use kit::connections::{Line, add, backend, service, tables};
use kit::gate::Gate;
use kit::world::{self, FLOWS, Via};
use std::net::SocketAddr;

const SSH: u16 = 22;

/// The `n`th of many clients.
fn client(via: Via, n: u8) -> SocketAddr {
    SocketAddr::new(via.station(0, 60 + n), 5000)
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
