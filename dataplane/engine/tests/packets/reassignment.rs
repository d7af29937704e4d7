//! Flows that move to another backend because their own does not serve any more.

use engine::snapshot::{BackendState, Protocol};
use engine::types::drop_reason::DropReason;
use kit::connections::{Connection, FAILURES, backend, snapshot};
use kit::engine_harness::EngineHarness;
use kit::packet::Packet;
use kit::packets::datagram;
use kit::topology::{FLOWS, Via, mac};
use std::net::{IpAddr, SocketAddr};

const SSH: u16 = 22;
const DNS: u16 = 53;

/// UDP packets between a client and the first server, which answers where answers pass the gate.
fn conversation(via: Via) -> (EngineHarness, SocketAddr) {
    let mut gate = EngineHarness::with(snapshot(Protocol::Udp, DNS), FLOWS);
    let vip = SocketAddr::new(via.vip().ip(), DNS);
    let seen_as = asked(&mut gate, via, via.server(0)).source;
    if !via.is_dsr() {
        let server = SocketAddr::new(via.server(0), DNS);
        let heard = gate.take(datagram(server, seen_as, b"answer")).sent();
        assert_eq!((heard.source, heard.destination), (vip, via.client()));
    }
    (gate, seen_as)
}

/// The client sends a datagram, and this server gets it.
fn asked(gate: &mut EngineHarness, via: Via, server: IpAddr) -> Packet {
    let vip = SocketAddr::new(via.vip().ip(), DNS);
    let heard = gate.take(datagram(via.client(), vip, b"question")).sent();
    assert_eq!(heard.to, mac(server), "{via:?}");
    heard
}

#[test]
fn datagrams_stay_with_no_server_that_serves_no_longer() {
    for via in Via::ALL {
        for change in FAILURES {
            let (mut gate, seen_as) = conversation(via);
            asked(&mut gate, via, via.server(0));
            gate.change(|snapshot| change(&mut snapshot[backend(via, 0)]));
            if !via.is_dsr() {
                // The last packet is the server's.
                let server = SocketAddr::new(via.server(0), DNS);
                let _ = gate.take(datagram(server, seen_as, b"late answer")).sent();
            }
            asked(&mut gate, via, via.server(1));
            asked(&mut gate, via, via.server(1));
            assert_eq!(gate.connections().len(), 1, "{via:?}");
        }
    }
}

#[test]
fn datagrams_stay_with_a_server_that_drains() {
    for via in Via::ALL {
        let (mut gate, seen_as) = conversation(via);
        gate.change(|snapshot| {
            snapshot[backend(via, 0)].state = BackendState::Draining;
        });
        assert_eq!(asked(&mut gate, via, via.server(0)).source, seen_as, "{via:?}");
    }
}

/// The first backend drains, and UDP connections must move after `ticks`.
fn drains(gate: &mut EngineHarness, via: Via, ticks: u32) {
    let time = gate.now.after(ticks);
    gate.change(|snapshot| {
        snapshot[backend(via, 0)].state = BackendState::Draining;
        snapshot.leave_by = vec![(backend(via, 0), time)];
    });
}

/// Datagrams from one port have no end of their own.
#[test]
fn datagrams_leave_a_server_that_drains_when_their_time_is_over() {
    for via in Via::ALL {
        let (mut gate, _) = conversation(via);
        drains(&mut gate, via, 50);
        for _ in 0..9 {
            gate.wait(5);
            asked(&mut gate, via, via.server(0));
        }
        gate.moves();
        gate.wait(10);
        assert_eq!(gate.connections().len(), 0, "{via:?}: a silent one would stay for minutes");
        gate.moved(&[("ended", 1), ("drained", 1)]);
        asked(&mut gate, via, via.server(1));
        asked(&mut gate, via, via.server(1));
        assert_eq!(gate.moves().get("started"), Some(&1), "{via:?}");
    }
}

/// If the server sees the client's address, the kernel would route the server's packets with its own address.
#[test]
fn what_a_server_says_to_a_client_that_has_left_goes_no_further() {
    for via in Via::SEEN {
        for has_moved in [false, true] {
            let (mut gate, seen_as) = conversation(via);
            drains(&mut gate, via, 10);
            gate.wait(30);
            if has_moved {
                asked(&mut gate, via, via.server(1));
            }
            let says =
                |port| datagram(SocketAddr::new(via.server(0), port), seen_as, b"late answer");
            gate.wait(550);
            gate.take(says(DNS)).dropped(DropReason::NoTransfer);
            if !via.is_snat() {
                // From another port the packet is not an answer.
                gate.take(says(DNS + 1)).to_kernel();
                gate.wait(100);
                gate.take(says(DNS)).to_kernel();
            }
        }
    }
}

/// The server is down for the health check, but still sends.
#[test]
fn what_a_lost_server_says_to_a_client_that_has_moved_goes_no_further() {
    for via in Via::SEEN {
        for change in FAILURES {
            let (mut gate, seen_as) = conversation(via);
            gate.change(|snapshot| change(&mut snapshot[backend(via, 0)]));
            asked(&mut gate, via, via.server(1));
            let server = SocketAddr::new(via.server(0), DNS);
            gate.take(datagram(server, seen_as, b"late answer")).dropped(DropReason::NoTransfer);
        }
    }
}

/// A client that has moved and come back hears its server.
#[test]
fn datagrams_that_come_back_to_a_server_are_answered() {
    for via in Via::SEEN {
        let (mut gate, _) = conversation(via);
        drains(&mut gate, via, 10);
        gate.wait(30);
        gate.change(|snapshot| {
            snapshot[backend(via, 0)].state = BackendState::Active;
            snapshot[backend(via, 1)].state = BackendState::Down;
            snapshot.leave_by.clear();
        });
        let seen_as = asked(&mut gate, via, via.server(0)).source;
        let server = SocketAddr::new(via.server(0), DNS);
        let heard = gate.take(datagram(server, seen_as, b"answer")).sent();
        assert_eq!(heard.destination, via.client());
    }
}

#[test]
fn datagrams_stay_with_a_server_that_drains_no_longer() {
    for via in Via::ALL {
        let (mut gate, _) = conversation(via);
        drains(&mut gate, via, 50);
        gate.wait(40);
        gate.change(|snapshot| {
            snapshot[backend(via, 0)].state = BackendState::Active;
            snapshot.leave_by.clear();
        });
        gate.wait(100);
        asked(&mut gate, via, via.server(0));
    }
}

#[test]
fn connections_stay_with_a_server_that_drains() {
    for via in Via::ALL {
        let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, SSH), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), SSH);
        drains(&mut gate, via, 0);
        gate.wait(20);
        let _ = line.client_says(&mut gate, "AP", "still here");
        assert_eq!(gate.connections().len(), 1, "{via:?}");
    }
}

/// Client affinity for everything: TCP connections would break.
#[test]
fn a_client_of_everything_leaves_if_it_has_only_datagrams() {
    for via in [Via::Dsr, Via::Dsr6] {
        for has_tcp in [false, true] {
            let mut gate = EngineHarness::with(snapshot(Protocol::Any, 0), FLOWS);
            asked(&mut gate, via, via.server(0));
            if has_tcp {
                let syn = Connection::new(via, via.client(), SSH).from_client("S", "");
                assert_eq!(gate.take(syn).sent_segment().to, mac(via.server(0)));
            }
            drains(&mut gate, via, 50);
            gate.wait(60);
            asked(&mut gate, via, via.server(usize::from(!has_tcp)));
        }
    }
}

#[test]
fn a_syn_that_is_repeated_goes_to_no_server_that_serves_no_longer() {
    for via in Via::ALL {
        for change in FAILURES {
            let mut gate = EngineHarness::with(snapshot(Protocol::Tcp, SSH), FLOWS);
            let mut line = Connection::new(via, via.client(), SSH);
            let syn = line.from_client("S", "");
            line.seen(gate.take(syn.clone()).sent_segment());
            assert_eq!(line.server.ip(), via.server(0), "{via:?}");
            gate.change(|snapshot| change(&mut snapshot[backend(via, 0)]));
            line.seen(gate.take(syn).sent_segment());
            assert_eq!(line.server.ip(), via.server(1), "{via:?}");
            assert_eq!(gate.connections().len(), 1, "{via:?}");
        }
    }
}
