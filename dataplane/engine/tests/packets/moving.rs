//! What goes to another backend because its own serves no longer.

use engine::reason::Reason;
use engine::tables::{Duty, Protocol};
use kit::connections::{FAILURES, Line, backend, tables};
use kit::gate::Gate;
use kit::packet::Packet;
use kit::story::datagram;
use kit::world::{FLOWS, Via, mac};
use std::net::{IpAddr, SocketAddr};

const SSH: u16 = 22;
const DNS: u16 = 53;

/// A conversation over UDP with the first server, which answers where that is seen.
fn conversation(via: Via) -> (Gate, SocketAddr) {
    let mut gate = Gate::with(tables(Protocol::Udp, DNS), FLOWS);
    let vip = SocketAddr::new(via.vip().ip(), DNS);
    let seen_as = asked(&mut gate, via, via.server(0)).source;
    if !via.is_dsr() {
        let server = SocketAddr::new(via.server(0), DNS);
        let heard = gate.take(datagram(server, seen_as, b"answer")).sent();
        assert_eq!((heard.source, heard.destination), (vip, via.client()));
    }
    (gate, seen_as)
}

/// The client asks, and this server hears it.
fn asked(gate: &mut Gate, via: Via, server: IpAddr) -> Packet {
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
            gate.change(|tables| change(&mut tables.backends[usize::from(backend(via, 0))]));
            if !via.is_dsr() {
                // It has the last word.
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
        gate.change(|tables| {
            tables.backends[usize::from(backend(via, 0))].duty = Duty::Draining;
        });
        assert_eq!(asked(&mut gate, via, via.server(0)).source, seen_as, "{via:?}");
    }
}

/// The first backend drains, and datagrams are to be elsewhere in so many ticks.
fn drains(gate: &mut Gate, via: Via, ticks: u32) {
    let time = gate.now.after(ticks);
    gate.change(|tables| {
        tables.backends[usize::from(backend(via, 0))].duty = Duty::Draining;
        tables.leave_by = vec![(backend(via, 0), time)];
    });
}

/// A stream from one port has no end of its own.
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

/// Where it sees its client's own address, the kernel would route that with its own.
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
            gate.take(says(DNS)).dropped(Reason::NoTransfer);
            if !via.is_snat() {
                // From another port it is not that.
                gate.take(says(DNS + 1)).to_kernel();
                gate.wait(100);
                gate.take(says(DNS)).to_kernel();
            }
        }
    }
}

/// Its server is dead for the health check, but has not fallen silent.
#[test]
fn what_a_lost_server_says_to_a_client_that_has_moved_goes_no_further() {
    for via in Via::SEEN {
        for change in FAILURES {
            let (mut gate, seen_as) = conversation(via);
            gate.change(|tables| change(&mut tables.backends[usize::from(backend(via, 0))]));
            asked(&mut gate, via, via.server(1));
            let server = SocketAddr::new(via.server(0), DNS);
            gate.take(datagram(server, seen_as, b"late answer")).dropped(Reason::NoTransfer);
        }
    }
}

/// Whoever has left and come back hears its server.
#[test]
fn datagrams_that_come_back_to_a_server_are_answered() {
    for via in Via::SEEN {
        let (mut gate, _) = conversation(via);
        drains(&mut gate, via, 10);
        gate.wait(30);
        gate.change(|tables| {
            tables.backends[usize::from(backend(via, 0))].duty = Duty::Serving;
            tables.backends[usize::from(backend(via, 1))].duty = Duty::Down;
            tables.leave_by.clear();
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
        gate.change(|tables| {
            tables.backends[usize::from(backend(via, 0))].duty = Duty::Serving;
            tables.leave_by.clear();
        });
        gate.wait(100);
        asked(&mut gate, via, via.server(0));
    }
}

#[test]
fn connections_stay_with_a_server_that_drains() {
    for via in Via::ALL {
        let mut gate = Gate::with(tables(Protocol::Tcp, SSH), FLOWS);
        let mut line = Line::open(&mut gate, via, via.client(), SSH);
        drains(&mut gate, via, 0);
        gate.wait(20);
        let _ = line.client_says(&mut gate, "AP", "still here");
        assert_eq!(gate.connections().len(), 1, "{via:?}");
    }
}

/// Of a client that is bound with all that it sends, TCP would break off.
#[test]
fn a_client_of_everything_leaves_if_it_has_only_datagrams() {
    for via in [Via::Dsr, Via::Dsr6] {
        for has_tcp in [false, true] {
            let mut gate = Gate::with(tables(Protocol::Any, 0), FLOWS);
            asked(&mut gate, via, via.server(0));
            if has_tcp {
                let syn = Line::new(via, via.client(), SSH).from_client("S", "");
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
            let mut gate = Gate::with(tables(Protocol::Tcp, SSH), FLOWS);
            let mut line = Line::new(via, via.client(), SSH);
            let syn = line.from_client("S", "");
            line.seen(gate.take(syn.clone()).sent_segment());
            assert_eq!(line.server.ip(), via.server(0), "{via:?}");
            gate.change(|tables| change(&mut tables.backends[usize::from(backend(via, 0))]));
            line.seen(gate.take(syn).sent_segment());
            assert_eq!(line.server.ip(), via.server(1), "{via:?}");
            assert_eq!(gate.connections().len(), 1, "{via:?}");
        }
    }
}
