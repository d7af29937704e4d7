//! Records for the log: what they say of a transfer, a connection and a refused request. That each counted end has one is
//! checked by the harness in every test.

use engine::flow::state::{ConnectionKind, Operation};
use engine::snapshot::log_policy::LogPolicy;
use engine::snapshot::{BackendState, Protocol};
use engine::state::flow_log::{
    ConnectionEnd, DEPTH, FlowEnd, FlowEvent, FlowRecord, TftpError, TransferEnd,
};
use engine::types::drop_reason::DropReason;
use engine::types::end_reason::EndReason;
use engine::types::selection_reason::SelectionReason;
use kit::connections::{self, Connection};
use kit::engine_harness::EngineHarness;
use kit::packets::{rrq, wrq};
use kit::topology::{FLOWS, Via, mac, snapshot};
use kit::transfer::{ask, client, run};

/// The only record of a transfer since the last look.
fn transfer(gate: &mut EngineHarness) -> (FlowRecord, FlowEnd, TransferEnd) {
    let mut records = gate.records();
    assert_eq!(records.len(), 1, "{records:?}");
    let record = records.remove(0);
    let FlowEvent::Transfer(end, about) = record.event.clone() else { panic!("{record:?}") };
    (record, end, about)
}

/// The reason of the only refusal since the last look, and its file.
fn refusal(gate: &mut EngineHarness) -> (&'static str, Vec<u8>) {
    let mut records = gate.records();
    assert_eq!(records.len(), 1, "{records:?}");
    let FlowEvent::Refused(refused) = records.remove(0).event else { panic!("no refusal") };
    (refused.reason, refused.request.map(|kept| kept.file().to_vec()).unwrap_or_default())
}

#[test]
fn a_download_is_recorded_with_both_ends_and_its_times() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let one = ask(&mut gate, via, &rrq(via.client(), via.vip(), "boot.img"));
        gate.wait(3);
        let _ = gate.take(one.data(1, 512)).sent();
        let _ = gate.take(one.ack(1)).sent();
        let _ = gate.take(one.data(2, 100)).sent();
        gate.wait(4);
        assert!(gate.records().is_empty(), "it runs");
        let _ = gate.take(one.ack(2)).sent();
        let (record, end, about) = transfer(&mut gate);
        assert_eq!((record.client, record.vip, record.protocol), (one.client, one.vip, 17));
        assert_eq!(record.hop.mac, mac(one.client.ip()));
        assert_eq!((end.reason, end.backend), (EndReason::Completed, via.backend(0)));
        assert_eq!((end.server_port, end.seen_as), (one.server.port(), one.seen_as));
        assert_eq!((end.duration, end.history.answer), (700, Some(300)));
        assert_eq!(end.history.reason, SelectionReason::RoundRobin);
        assert_eq!((about.operation, about.request.file()), (Operation::Read, &b"boot.img"[..]));
        assert_eq!((about.bytes, about.blocks, about.error), (612, 2, None));
        assert_eq!(about.stalled, 0);
        let answers = gate.engine.state.counters.answers(via.backend(0));
        assert_eq!((answers.sum(), answers.above()), (300, 0));
        let service = &gate.engine.state.counters.services[via.service().index()];
        assert_eq!(
            (service.completed().sum(), service.size().sum(), service.other().sum()),
            (700, 612, 0)
        );
    }
}

#[test]
fn the_error_that_ends_a_transfer_is_recorded_of_either_side() {
    for (via, text) in Via::SEEN.into_iter().zip(["File not found", "x".repeat(100).as_str()]) {
        let mut gate = EngineHarness::new();
        let one = ask(&mut gate, via, &wrq(via.client(), via.vip(), "up.bin"));
        let message = [b"\0\x05\0\x01", text.as_bytes(), b"\0"].concat();
        let _ = gate.take(one.says(&message)).sent();
        let (_, end, about) = transfer(&mut gate);
        assert_eq!((end.reason, about.operation), (EndReason::NotFound, Operation::Write));
        let expected = TftpError::new(1, text.as_bytes());
        assert_eq!(about.error, Some(expected));

        let other = run(&mut gate, via, client(via, 2));
        let _ = gate.take(other.client_error(3)).sent();
        let (_, end, about) = transfer(&mut gate);
        assert_eq!(end.reason, EndReason::Failed);
        assert_eq!(about.error.map(|error| error.code), Some(3));
        // The next one has none.
        let _ = run(&mut gate, via, client(via, 3));
        gate.wait(kit::topology::IDLE + 10);
        let (_, end, about) = transfer(&mut gate);
        assert_eq!((end.reason, about.error), (EndReason::TimedOut, None));
        assert_eq!(about.stalled, end.duration, "it has never gone on");
    }
}

#[test]
fn a_request_that_goes_elsewhere_has_a_record_for_each_backend() {
    let via = Via::Nat;
    let mut gate = EngineHarness::new();
    let request = rrq(via.client(), via.vip(), "boot.img");
    let first = ask(&mut gate, via, &request);
    for _ in 0..2 {
        gate.wait(10);
        let _ = gate.take(&request).sent();
    }
    let (_, end, _) = transfer(&mut gate);
    assert_eq!((end.reason, end.backend), (EndReason::Unanswered, via.backend(0)));
    assert!(end.history.goes_on);
    let one = kit::transfer::Transfer {
        server: std::net::SocketAddr::new(via.server(1), first.server.port()),
        ..first
    };
    let _ = gate.take(one.data(1, 512)).sent();
    let _ = gate.take(one.ack(1)).sent();
    // The client repeats itself a tick later.
    gate.wait(1);
    let _ = gate.take(one.ack(1)).sent();
    let _ = gate.take(one.client_error(0)).sent();
    let (_, end, _) = transfer(&mut gate);
    assert_eq!((end.backend, end.history.first_backend), (via.backend(1), Some(via.backend(0))));
    assert!(!end.history.goes_on);
    assert_eq!((end.history.moves, end.history.repeats), (1, 3));
    assert_eq!(end.history.reason, SelectionReason::AskedElsewhere);
    assert_eq!(end.history.answer, Some(2000), "since the first request");
    let answers = |n| gate.engine.state.counters.answers(via.backend(n)).sum();
    assert_eq!([0, 1].map(answers), [0, 0], "the second one answered at once");
}

/// An ERROR after the end ends nothing, and is no other transfer's.
#[test]
fn a_second_error_is_told_of_no_transfer() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::new();
        let over = run(&mut gate, via, via.client());
        let _ = gate.take(over.client_error(3)).sent();
        let (_, _, about) = transfer(&mut gate);
        assert_eq!(about.error.map(|error| error.code), Some(3));
        for _ in 0..2 {
            let _ = gate.take(over.client_error(4));
            let _ = gate.take(over.server_error(5));
        }
        let _ = run(&mut gate, via, client(via, 3));
        gate.wait(kit::topology::IDLE + 10);
        let (_, end, about) = transfer(&mut gate);
        assert_eq!((end.reason, about.error), (EndReason::TimedOut, None), "{via:?}");
    }
}

#[test]
fn refused_requests_are_recorded_with_reason_and_file() {
    let via = Via::Snat;
    let mut gate = EngineHarness::new();
    gate.change(|snapshot| snapshot[via.service()].access.read_only = true);
    let _ = gate.take(wrq(via.client(), via.vip(), "up.bin"));
    assert_eq!(refusal(&mut gate), ("read-only", b"up.bin".to_vec()));
    gate.change(|snapshot| {
        for backend in [0, 1].map(|n| via.backend(n)) {
            snapshot[backend].state = BackendState::Down;
        }
    });
    gate.take(rrq(via.client(), via.vip(), "boot.img")).dropped(DropReason::NoBackend);
    assert_eq!(refusal(&mut gate), ("no-backend", b"boot.img".to_vec()));
}

#[test]
fn connections_are_recorded_with_their_bytes() {
    for via in Via::SEEN {
        let mut gate = EngineHarness::with(connections::snapshot(Protocol::Tcp, 22), FLOWS);
        let mut line = Connection::open(&mut gate, via, via.client(), 22);
        gate.wait(5);
        line.client_says(&mut gate, "AF", "");
        line.server_says(&mut gate, "AF", "");
        let mut records = gate.records();
        assert_eq!(records.len(), 1);
        let record = records.remove(0);
        let FlowEvent::Connection(end, ConnectionEnd { kind, bytes }) = record.event else {
            panic!("no connection")
        };
        assert_eq!((record.client, record.vip, record.protocol), (line.client, line.vip, 6));
        assert_eq!((end.reason, end.duration), (EndReason::Completed, 500));
        assert_eq!((end.server_port, end.history.answer), (22, Some(0)));
        assert_eq!(kind, ConnectionKind::Client);
        assert_eq!(bytes.map(|bytes| bytes >= 40), [true, true]);

        gate.change(|snapshot| {
            let service = connections::service(via);
            snapshot[service].access.allow_clients = vec!["203.0.113.0/24".parse().unwrap()];
        });
        let _ = gate.take(Connection::new(via, client(via, 9), 22).from_client("S", ""));
        assert_eq!(refusal(&mut gate).0, "client");
    }
}

/// Ends transfers at once: each is answered by an ERROR.
fn failures(gate: &mut EngineHarness, count: usize) {
    for n in 0..count {
        let one = ask(gate, Via::Nat, &rrq(client(Via::Nat, n as u16), Via::Nat.vip(), "none"));
        let _ = gate.take(one.server_error(1)).sent();
        gate.wait(60);
    }
}

#[test]
fn only_wanted_records_are_made() {
    let policy = |ends, one_in| LogPolicy { ends, refusals: false, one_in };
    let not_found = LogPolicy::bit(EndReason::NotFound);
    for (policy, expected) in [
        (LogPolicy::default(), 0..=0),
        (policy(not_found, 1), 20..=20),
        (policy(not_found, 5), 1..=8),
        (policy(!not_found, 1), 0..=0),
    ] {
        let mut snapshot = snapshot();
        snapshot[Via::Nat.service()].log = policy;
        let mut gate = EngineHarness::with(snapshot, FLOWS);
        failures(&mut gate, 20);
        let count = gate.records().len();
        assert!(expected.contains(&count), "{policy:?}: {count}");
        assert_eq!(gate.engine.state.counters.lost_records.value(), 0);
    }
}

#[test]
fn a_full_ring_loses_records_and_nothing_else() {
    let mut snapshot = snapshot();
    // Otherwise the harness reads the ring and compares.
    snapshot[Via::Dsr.service()].log = LogPolicy::default();
    let mut gate = EngineHarness::with(snapshot, FLOWS);
    failures(&mut gate, 1);
    let record = gate.records().remove(0);
    let ring = gate.engine.state.flow_log.records.clone().expect("a ring");
    for _ in 0..DEPTH {
        ring.push(record.clone()).expect("room");
    }
    let one = ask(&mut gate, Via::Nat, &rrq(client(Via::Nat, 7), Via::Nat.vip(), "none"));
    assert_eq!(gate.records().len(), DEPTH, "the harness has read them");
    for _ in 0..DEPTH {
        ring.push(record.clone()).expect("room");
    }
    let _ = gate.take(one.server_error(1)).sent();
    assert_eq!(gate.engine.state.counters.lost_records.value(), 1);
    assert_eq!(gate.moves().get("not_found"), Some(&2));
}
