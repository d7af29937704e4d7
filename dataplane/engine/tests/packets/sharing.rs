//! Services that share a VIP, a port, a backend or a pool.

use engine::net::address_map::Owner;
use engine::scheduler::backend_group::{BackendGroup, Scheduler};
use engine::scheduler::maglev::Maglevs;
use engine::scheduler::member::Member;
use engine::snapshot::service::{BackendGroups, Service};
use engine::snapshot::vip::Vip;
use engine::snapshot::{Backend, BackendState, Protocol, Snapshot};
use engine::types::drop_reason::DropReason;
use engine::types::id::{BackendId, GroupId, ServerId, ServiceId, VipId};
use engine::types::verdict::Verdict;
use kit::connections::{self, Connection};
use kit::engine_harness::EngineHarness;
use kit::packets::rrq;
use kit::topology::{FLOWS, Via, groups, hop, snapshot};
use kit::transfer::{TID, Transfer, ask};
use std::net::{IpAddr, SocketAddr};

fn other_vip(via: Via) -> IpAddr {
    via.host(0, 200)
}

/// Adds a service with one backend at the address of `via`'s first.
fn add(snapshot: &mut Snapshot, via: Via, vip: IpAddr, port: u16) {
    let service = ServiceId(snapshot.services.len() as u16);
    let backend = BackendId(snapshot.backends.len() as u16);
    let known = snapshot.vips.iter().position(|known| known.address == vip);
    let id = VipId(known.unwrap_or(snapshot.vips.len()) as u16);
    if known.is_none() {
        snapshot.vips.push(Vip::new(vip));
        snapshot.set_live(id, true);
    }
    snapshot[id].udp.push((port, service));
    let like = snapshot[via.service()].clone();
    let address = via.server(0);
    let alone = Member { id: backend, address, weight: 1 };
    let mut groups = BackendGroups::default();
    groups[via.family()] =
        BackendGroup::new(Scheduler::RoundRobin, vec![alone], &mut Maglevs::default());
    let group = GroupId(snapshot.groups.len() as u16);
    snapshot.groups.push(groups);
    snapshot.services.push(Service { port, group, ..like });
    let same = snapshot.backends.iter().position(|backend| backend.address == address);
    let server = ServerId(same.unwrap_or(backend.index()) as u16);
    snapshot.backends.push(Backend {
        address,
        aliases: vec![],
        service,
        server,
        hop: Some(hop(address)),
        state: BackendState::Active,
        cap: None,
        slow_start: None,
    });
}

fn shared(via: Via, vip: IpAddr, port: u16) -> EngineHarness {
    let mut snapshot = snapshot();
    add(&mut snapshot, via, vip, port);
    // The first service has the same single backend.
    snapshot[via.group()] = groups(via, Scheduler::RoundRobin, [1, 0]);
    EngineHarness::with(snapshot, FLOWS)
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
        assert_eq!(gate.transfer(client).service, ServiceId(Via::ALL.len() as u16));
        if via.is_dsr() {
            continue;
        }
        for transfer in [one, two] {
            transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
            transfer.server_gets(gate.take(transfer.ack(1)), &transfer.ack(1).payload);
        }
        gate.take(rrq(via.client(), SocketAddr::new(vip, 70), "f")).dropped(DropReason::NoService);
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

/// One client endpoint asks both VIPs in succession: a server cannot tell them apart.
fn ask_both(gate: &mut EngineHarness, via: Via) -> (Transfer, Transfer) {
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
    for transfer in [one, two] {
        transfer.client_gets(gate.take(transfer.data(1, 512)), &transfer.data(1, 512).payload);
        transfer.server_gets(gate.take(transfer.ack(1)), &transfer.ack(1).payload);
    }
    assert_eq!(gate.transfers().len(), 2);
}

#[test]
fn without_it_the_later_request_takes_the_endpoint_over() {
    let via = Via::Nat;
    let mut gate = shared(via, other_vip(via), 69);
    let (one, two) = ask_both(&mut gate, via);
    let counters = &gate.engine.state.counters.backends;
    assert_eq!(counters[usize::from(via.backend(0))].replaced.value(), 1);
    two.client_gets(gate.take(two.data(1, 512)), &two.data(1, 512).payload);
    one.server_is_told_off(gate.take(one.data(2, 512)));
    two.server_gets(gate.take(two.ack(1)), &two.ack(1).payload);
    assert_eq!(gate.take(one.ack(1)).verdict, Verdict::Drop(DropReason::NoService));
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
    let mut gate = EngineHarness::new();
    let talks = Via::SEEN.map(|via| ask(&mut gate, via, &rrq(via.client(), via.vip(), "f")));
    for transfer in talks {
        transfer.client_gets(gate.take(transfer.data(1, 1)), &transfer.data(1, 1).payload);
        transfer.server_gets(gate.take(transfer.ack(1)), &transfer.ack(1).payload);
        assert_eq!(transfer.server.port(), TID);
    }
}

#[test]
fn a_backend_can_be_a_client_of_the_vip() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    // The first backend gets the first request, so this client is the second one.
    let client = SocketAddr::new(via.server(1), 2070);
    let transfer = ask(&mut gate, via, &rrq(client, via.vip(), "f"));
    let outcome = gate.take(transfer.data(1, 512));
    transfer.client_gets(outcome, &transfer.data(1, 512).payload);
    transfer.server_gets(gate.take(transfer.ack(1)), &transfer.ack(1).payload);
}

#[test]
fn a_dsr_answer_that_is_routed_through_us_is_the_kernel_s() {
    // The server has the gate as its router, for the `nat` service, and answers `dsr` clients from its own address: row
    // 23 of the habits of real servers.
    let mut snapshot = snapshot();
    let shared = Via::Nat.server(0);
    let backend = Via::Dsr.backend(0);
    snapshot[backend].address = shared;
    snapshot[backend].hop = Some(hop(shared));
    let mut gate = EngineHarness::with(snapshot, FLOWS);
    let _ = gate.take(rrq(Via::Dsr.client(), Via::Dsr.vip(), "f")).sent();
    gate.take(kit::packets::data(SocketAddr::new(shared, TID), Via::Dsr.client(), 1, 512))
        .to_kernel();
}

/// One more service at this VIP and at another one: TCP to the same server.
fn one_server_at_two_vips(via: Via) -> Snapshot {
    let mut snapshot = snapshot();
    connections::add(&mut snapshot, Protocol::Tcp, 22, [1, 0]);
    let like = snapshot[connections::service(via)].clone();
    let other = other_vip(via);
    add(&mut snapshot, via, other, 22);
    let (id, last) = (snapshot.vips.len() - 1, snapshot.services.len() - 1);
    snapshot.services[last] = Service { group: snapshot.services[last].group, ..like };
    let vip = &mut snapshot.vips[id];
    vip.tcp = std::mem::take(&mut vip.udp);
    snapshot.addresses.insert(other, Owner::Vip(VipId(id as u16)));
    snapshot
}

/// A client that has sent FIN and receives a long answer keeps its connection: another one in its name may be spoofed.
#[test]
fn a_half_closed_connection_is_not_given_up_for_its_twin() {
    for via in [Via::Nat, Via::Nat6] {
        let mut gate = EngineHarness::with(one_server_at_two_vips(via), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), 22);
        let mut twin = Connection::new(via, via.client(), 22);
        twin.vip.set_ip(other_vip(via));
        line.client_says(&mut gate, "AP", "give me all");
        line.client_says(&mut gate, "AF", "");
        line.server_says(&mut gate, "AP", "the first part");
        assert_eq!(gate.take(twin.from_client("S", "")).answered_by_segment().flags, "AR");
        assert_eq!(line.server_says(&mut gate, "AP", "the second part").source, line.vip);
        // The server has sent FIN as well.
        line.server_says(&mut gate, "AF", "");
        let syn = gate.take(twin.from_client("S", "")).sent_segment();
        assert_eq!(syn.destination.ip(), via.server(0), "{via:?}");
    }
}
