//! Captures: what a filter matches, as frames come in and as they leave.

use engine::flow::state::TransferState;
use engine::flow::summary::FlowState;
use engine::types::drop_reason::DropReason;
use engine::types::verdict::Verdict;
use kit::fragments::cut;
use kit::icmp_error::about;
use kit::packet::Packet;
use kit::packets::{CLIENT, ack, arp, data, rrq};
use kit::topology::{INSIDE, OUTSIDE, Via, snapshot};
use kit::worker_set::WorkerSet;
use std::net::SocketAddr;
use std::sync::Arc;
use worker::capture::{Capture, Fate, Filter, Record, Slots};
use worker::command_channel::{Command, Reply};
use worker::memory::MemoryPort;

/// A worker that captures.
struct Captured {
    set: WorkerSet<MemoryPort>,
    slots: Arc<Slots>,
}

impl Captured {
    fn new(filter: Filter) -> Captured {
        Captured::with(filter, 256, 256)
    }

    fn with(filter: Filter, records: usize, snaplen: usize) -> Captured {
        let set = WorkerSet::<MemoryPort>::new(1, snapshot());
        let slots = Arc::new(Slots::new(records, snaplen));
        let counters = Arc::clone(&set.channels[0].counters);
        let capture = Capture::new(0, filter, Arc::clone(&slots), counters);
        let command = Command::Capture(Box::new(capture));
        set.channels[0].commands.push(command).expect("room");
        Captured { set, slots }
    }

    /// The records of a frame, and the last one that left.
    fn pass(&mut self, frame: impl Into<Vec<u8>>) -> (Vec<Record>, Option<Vec<u8>>) {
        self.set.arrive(0, frame);
        self.set.turn();
        (self.records(), self.set.left().pop())
    }

    fn records(&self) -> Vec<Record> {
        let taken = std::iter::from_fn(|| self.slots.filled.pop());
        let taken = taken.map(|record| {
            let copy = Record::clone(&record);
            self.slots.free.push(record).expect("it came from there");
            copy
        });
        taken.collect()
    }
}

fn of_client(client: SocketAddr) -> Filter {
    Filter { client: Some(client.ip().into()), ..Filter::default() }
}

/// Two records of one frame: as it came in by this interface, and as it left.
fn is_pair(records: &[Record], came: &[u8], left: &[u8]) -> bool {
    let [one, other] = records else { panic!("{records:?}") };
    let front = |frame: &[u8]| frame[..frame.len().min(256)].to_vec();
    assert!(!one.is_sent && other.is_sent);
    assert_eq!((&one.bytes, one.len), (&front(came), came.len()));
    assert_eq!((&other.bytes, other.len), (&front(left), left.len()));
    assert_eq!(one.flow, other.flow);
    one.packet == other.packet && one.fate == other.fate
}

/// The server sees only an address of the pool: its packets, their fragments and errors about them are the client's all
/// the same.
#[test]
fn both_sides_of_a_transfer_are_its_clients() {
    for via in Via::ALL.into_iter().filter(|via| via.is_snat() && !via.translates()) {
        let client = via.client();
        let mut gate = Captured::new(of_client(client));
        let other = SocketAddr::new(via.host(0, 77), 2070);
        assert!(gate.pass(rrq(other, via.vip(), "f")).0.is_empty(), "another client's");
        let request = rrq(client, via.vip(), "f").bytes();
        let (records, left) = gate.pass(request.clone());
        let left = left.expect("it is forwarded");
        assert!(is_pair(&records, &request, &left));
        assert_eq!(records[0].interface, OUTSIDE);
        let flow = records[0].flow.expect("a flow");
        assert_eq!(
            (flow.client, flow.service, flow.by_client),
            (client, Some(via.service()), true)
        );
        assert_eq!(flow.state, FlowState::Transfer(TransferState::Requested, None));
        let asked = Packet::read(&left);
        assert_ne!(asked.source.ip(), client.ip());
        let server = SocketAddr::new(asked.destination.ip(), 4000);

        let block = data(server, asked.source, 1, 512);
        let (records, left) = gate.pass(block.clone());
        assert!(is_pair(&records, &block.bytes(), &left.expect("it is forwarded")));
        let flow = records[0].flow.expect("a flow");
        assert_eq!((flow.client, flow.by_client), (client, false));
        assert_eq!(flow.state, FlowState::Transfer(TransferState::Established, Some(4000)));

        for part in cut(&data(server, asked.source, 1, 2000), 1400) {
            let (records, left) = gate.pass(part.clone());
            assert!(is_pair(&records, &part, &left.expect("it is forwarded")), "{via:?}");
            assert_eq!(records[0].flow.map(|flow| flow.client), Some(client));
        }

        let stray = data(SocketAddr::new(server.ip(), 4001), asked.source, 1, 512);
        let (records, left) = gate.pass(stray.clone());
        assert!(is_pair(&records, &stray.bytes(), &left.expect("its sender is told")));
        assert_eq!(records[0].fate, Fate::Verdict(Verdict::Answer));

        if !via.is_v6() {
            let acknowledged = ack(client, SocketAddr::new(via.vip().ip(), 4000), 1);
            let (_, left) = gate.pass(acknowledged);
            let left = Packet::read(&left.expect("it is forwarded"));
            let error = about(&left, server.ip(), [3, 1], 0, 28);
            let (records, left) = gate.pass(error.clone());
            assert!(is_pair(&records, &error, &left.expect("the client is told")));
            assert_eq!(records[0].flow.map(|flow| flow.client), Some(client));
        }
        assert_eq!(gate.set.counter_values().at("capture_lost"), 0);
    }
}

#[test]
fn filters_by_service_backend_interface_and_reason() {
    let (nat, snat) = (Via::Nat, Via::Snat);
    let mut wrong = rrq(SocketAddr::new(CLIENT.ip(), 9), nat.vip(), "f").bytes();
    wrong[43] = 9;
    let frames = [
        rrq(nat.client(), nat.vip(), "f").bytes(),
        rrq(snat.client(), snat.vip(), "f").bytes(),
        wrong,
        arp(CLIENT.ip(), nat.host(0, 2)),
    ];
    let all = Filter::default();
    let backends = Some(vec![nat.backend(0), nat.backend(1)]);
    for (filter, expected) in [
        (all.clone(), [2, 2, 1, 1]),
        (Filter { service: Some(nat.service()), ..all.clone() }, [2, 0, 1, 0]),
        (Filter { backends, ..all.clone() }, [2, 0, 0, 0]),
        (Filter { interface: Some(INSIDE), ..all.clone() }, [1, 0, 0, 0]),
        (Filter { is_dropped: true, ..all.clone() }, [0, 0, 1, 0]),
        (Filter { reason: Some(DropReason::BadTftp), ..all.clone() }, [0, 0, 1, 0]),
        (Filter { reason: Some(DropReason::Looped), ..all.clone() }, [0; 4]),
    ] {
        let mut gate = Captured::new(filter.clone());
        let counts = frames.clone().map(|frame| gate.pass(frame).0.len());
        assert_eq!(counts, expected, "{filter:?}");
    }
}

#[test]
fn frames_without_a_record_are_lost_and_counted() {
    let mut gate = Captured::with(Filter::default(), 3, 60);
    for n in 0..4 {
        gate.set.arrive(0, rrq(SocketAddr::new(CLIENT.ip(), 3000 + n), Via::Nat.vip(), "f"));
    }
    gate.set.turn();
    assert_eq!(gate.set.left().len(), 4, "packets go on");
    assert_eq!(gate.set.counter_values().at("capture_lost"), 5);
    let records = gate.records();
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.lost == 0 && record.bytes.len() <= 60));
    let (records, _) = gate.pass(rrq(CLIENT, Via::Nat.vip(), "f"));
    assert_eq!(records.iter().map(|record| record.lost).collect::<Vec<_>>(), [5, 0]);
}

#[test]
fn an_ended_capture_goes_back_and_nothing_is_captured_any_longer() {
    let mut gate = Captured::new(Filter::default());
    assert_eq!(gate.pass(rrq(CLIENT, Via::Nat.vip(), "f")).0.len(), 2);
    gate.set.channels[0].commands.push(Command::EndCapture).expect("room");
    assert!(gate.pass(rrq(CLIENT, Via::Nat.vip(), "f")).0.is_empty());
    let Some(Reply::Capture(capture)) = gate.set.channels[0].replies.pop() else { panic!() };
    drop(capture);
    assert_eq!(Arc::strong_count(&gate.slots), 1);
}
