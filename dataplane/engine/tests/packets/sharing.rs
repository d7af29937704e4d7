//! Services that share a VIP, a port, a backend or a pool.

use engine::reason::Reason;
use engine::select::maglev::Maglevs;
use engine::select::rota::{Member, Rota, Scheduler};
use engine::tables::{Backend, Duty, Owner, Protocol, Rotas, Service, Tables, Vip};
use engine::verdict::Verdict;
use kit::connections::{self, Line};
use kit::gate::Gate;
use kit::story::rrq;
use kit::talk::{TID, Talk, ask};
use kit::world::{FLOWS, Via, hop, rotas, tables};
use std::net::{IpAddr, SocketAddr};

fn other_vip(via: Via) -> IpAddr {
    via.station(0, 200)
}

/// Another service, with one backend at the address of `via`'s first.
fn add(tables: &mut Tables, via: Via, vip: IpAddr, port: u16) {
    let (service, backend) = (tables.services.len() as u16, tables.backends.len() as u16);
    let known = tables.vips.iter().position(|known| known.address == vip);
    let id = known.unwrap_or(tables.vips.len()) as u16;
    if known.is_none() {
        tables.vips.push(Vip::new(vip));
        tables.set_live(id, true);
    }
    tables.vips[usize::from(id)].udp.push((port, service));
    let like = tables.services[usize::from(via.service())].clone();
    let address = via.server(0);
    let alone = Member { id: backend, address, weight: 1 };
    let mut rotas = Rotas::default();
    rotas[via.family()] = Rota::new(Scheduler::RoundRobin, vec![alone], &mut Maglevs::default());
    let rota = tables.rotas.len() as u16;
    tables.rotas.push(rotas);
    tables.services.push(Service { port, rota, ..like });
    let same = tables.backends.iter().position(|backend| backend.address == address);
    let server = same.unwrap_or(usize::from(backend)) as u16;
    tables.backends.push(Backend {
        address,
        aliases: vec![],
        service,
        server,
        hop: Some(hop(address)),
        duty: Duty::Serving,
        cap: None,
        slow_start: None,
    });
}

fn shared(via: Via, vip: IpAddr, port: u16) -> Gate {
    let mut tables = tables();
    add(&mut tables, via, vip, port);
    // The first service has the same single backend.
    tables.rotas[usize::from(via.service())] = rotas(via, Scheduler::RoundRobin, [1, 0]);
    Gate::with(tables, FLOWS)
}

#[test]
fn two_services_on_one_vip_are_told_apart_by_port() {
    for via in Via::ALL {
        let vip = via.vip().ip();
        let mut gate = shared(via, vip, 1069);
        let other = SocketAddr::new(vip, 1069);
        let client = SocketAddr::new(via.client().ip(), 3000);
        let one = ask(&mut gate, via, &rrq(via.client(), via.vip(), "f")).with_tid(1111);
        let two = ask(&mut gate, via, &rrq(client, other, "f")).with_tid(2222);
        assert_eq!(gate.transfer(via.client()).service, via.service());
        assert_eq!(gate.transfer(client).service, Via::ALL.len() as u16);
        if via.is_dsr() {
            continue;
        }
        for talk in [one, two] {
            talk.client_gets(gate.take(talk.data(1, 512)), &talk.data(1, 512).payload);
            talk.server_gets(gate.take(talk.ack(1)), &talk.ack(1).payload);
        }
        gate.take(rrq(via.client(), SocketAddr::new(vip, 70), "f")).dropped(Reason::NoService);
    }
}

#[test]
fn a_request_reaches_the_backend_on_the_service_s_port() {
    for via in Via::SEEN {
        let mut gate = shared(via, other_vip(via), 1069);
        let sent = gate.take(rrq(via.client(), SocketAddr::new(other_vip(via), 1069), "f")).sent();
        assert_eq!(sent.destination, SocketAddr::new(via.server(0), 1069));
    }
}

/// The same client endpoint asks both VIPs, one after the other: a server cannot tell.
fn ask_both(gate: &mut Gate, via: Via) -> (Talk, Talk) {
    let one = ask(gate, via, &rrq(via.client(), via.vip(), "f")).with_tid(1111);
    let _ = gate.take(one.data(1, 512)).sent();
    let two =
        ask(gate, via, &rrq(via.client(), SocketAddr::new(other_vip(via), 69), "g")).with_tid(2222);
    (one, two)
}

#[test]
fn with_source_nat_two_vips_with_one_backend_do_not_mix() {
    let via = Via::Snat;
    let mut gate = shared(via, other_vip(via), 69);
    let (one, two) = ask_both(&mut gate, via);
    for talk in [one, two] {
        talk.client_gets(gate.take(talk.data(1, 512)), &talk.data(1, 512).payload);
        talk.server_gets(gate.take(talk.ack(1)), &talk.ack(1).payload);
    }
    assert_eq!(gate.transfers().len(), 2);
}

#[test]
fn without_it_the_later_request_takes_the_endpoint_over() {
    let via = Via::Nat;
    let mut gate = shared(via, other_vip(via), 69);
    let (one, two) = ask_both(&mut gate, via);
    let counters = &gate.core.own.counters.backends;
    assert_eq!(counters[usize::from(via.backend(0))].replaced.value(), 1);
    two.client_gets(gate.take(two.data(1, 512)), &two.data(1, 512).payload);
    one.server_is_told_off(gate.take(one.data(2, 512)));
    two.server_gets(gate.take(two.ack(1)), &two.ack(1).payload);
    assert_eq!(gate.take(one.ack(1)).verdict, Verdict::Drop(Reason::NoService));
}

#[test]
fn the_tid_of_the_transfer_that_was_taken_over_does_not_come_back() {
    let via = Via::Nat;
    let mut gate = shared(via, other_vip(via), 69);
    let (one, two) = ask_both(&mut gate, via);
    one.server_is_told_off(gate.take(one.data(2, 512)));
    assert_eq!(gate.transfer(via.client()).tid, None);
    two.client_gets(gate.take(two.data(1, 512)), &two.data(1, 512).payload);
}

#[test]
fn one_client_on_two_vips_of_different_modes() {
    let mut gate = Gate::new();
    let talks = Via::SEEN.map(|via| ask(&mut gate, via, &rrq(via.client(), via.vip(), "f")));
    for talk in talks {
        talk.client_gets(gate.take(talk.data(1, 1)), &talk.data(1, 1).payload);
        talk.server_gets(gate.take(talk.ack(1)), &talk.ack(1).payload);
        assert_eq!(talk.server.port(), TID);
    }
}

#[test]
fn a_backend_can_be_a_client_of_the_vip() {
    let via = Via::Nat;
    let mut gate = Gate::new();
    // The first backend gets the first request, so this client is the second one.
    let client = SocketAddr::new(via.server(1), 2070);
    let talk = ask(&mut gate, via, &rrq(client, via.vip(), "f"));
    let outcome = gate.take(talk.data(1, 512));
    talk.client_gets(outcome, &talk.data(1, 512).payload);
    talk.server_gets(gate.take(talk.ack(1)), &talk.ack(1).payload);
}

#[test]
fn a_dsr_answer_that_is_routed_through_us_is_the_kernel_s() {
    // The server has us as its gateway, for the `nat` service, and answers `dsr` clients from its
    // own address: row 23 of what real servers do.
    let mut tables = tables();
    let shared = Via::Nat.server(0);
    let backend = usize::from(Via::Dsr.backend(0));
    tables.backends[backend].address = shared;
    tables.backends[backend].hop = Some(hop(shared));
    let mut gate = Gate::with(tables, FLOWS);
    let _ = gate.take(rrq(Via::Dsr.client(), Via::Dsr.vip(), "f")).sent();
    gate.take(kit::story::data(SocketAddr::new(shared, TID), Via::Dsr.client(), 1, 512))
        .to_kernel();
}

/// The world with one more service at this and at another VIP: TCP connections to the same server.
fn one_server_at_two_vips(via: Via) -> Tables {
    let mut tables = tables();
    connections::add(&mut tables, Protocol::Tcp, 22, [1, 0]);
    let like = tables.services[usize::from(connections::service(via))].clone();
    let other = other_vip(via);
    add(&mut tables, via, other, 22);
    let (id, last) = (tables.vips.len() - 1, tables.services.len() - 1);
    tables.services[last] = Service { rota: tables.services[last].rota, ..like };
    let vip = &mut tables.vips[id];
    vip.tcp = std::mem::take(&mut vip.udp);
    tables.addresses.insert(other, Owner::Vip(id as u16));
    tables
}

/// A client that has said all, and hears a long answer, has its connection: anybody can open another one in its name.
#[test]
fn a_half_closed_connection_is_not_given_up_for_its_twin() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = Gate::with(one_server_at_two_vips(via), FLOWS);
        let mut line = Line::open(&mut gate, via, via.client(), 22);
        let mut twin = Line::new(via, via.client(), 22);
        twin.vip.set_ip(other_vip(via));
        line.client_says(&mut gate, "AP", "give me all");
        line.client_says(&mut gate, "AF", "");
        line.server_says(&mut gate, "AP", "the first part");
        assert_eq!(gate.take(twin.from_client("S", "")).answered_by_segment().flags, "AR");
        assert_eq!(line.server_says(&mut gate, "AP", "the second part").source, line.vip);
        // Its server is done as well.
        line.server_says(&mut gate, "AF", "");
        let syn = gate.take(twin.from_client("S", "")).sent_segment();
        assert_eq!(syn.destination.ip(), via.server(0), "{via:?}");
    }
}
