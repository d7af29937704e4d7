//! The fake worker: it answers queries, and drops what tests give it.

use crate::{drops, records};
use engine::flow::query::{ConnectionView, FlowQuery, TransferView};
use engine::flow::state::{ConnectionKind, ConnectionState, Operation, TransferState};
use engine::snapshot::Snapshot;
use engine::state::explain::SelectionTrace;
use engine::types::drop_reason::DropReason;
use engine::types::id::{BackendId, InterfaceId, ServiceId};
use engine::types::selection_reason::SelectionReason;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use worker::capture::Capture;
use worker::command_channel::{Command, Query, Reply, WorkerChannel};
use worker::drop_history::DropHistory;
use worker::latency;

/// A worker with one transfer, whose file name contains terminal escapes.
pub struct FakeWorker {
    channel: WorkerChannel,
    /// Frames to be dropped.
    frames: Receiver<Vec<u8>>,
    dropped: DropHistory,
    capture: Option<Box<Capture>>,
    /// Whether records of refused requests are made, for tests to see.
    makes_records: Arc<AtomicBool>,
}

impl FakeWorker {
    /// A worker that drops these frames as `no-service`.
    pub fn new(
        channel: WorkerChannel,
        frames: Receiver<Vec<u8>>,
        makes_records: Arc<AtomicBool>,
    ) -> FakeWorker {
        FakeWorker { channel, frames, dropped: DropHistory::new(), capture: None, makes_records }
    }

    /// Takes the commands, and then a frame.
    pub fn turn(&mut self) {
        self.channel.counters.load.idle.add(1);
        self.take_commands();
        if let Ok(frame) = self.frames.recv_timeout(Duration::from_millis(1)) {
            // Those that were given while it waited are of before the frame.
            self.take_commands();
            self.lose(&frame);
        }
    }

    fn take_commands(&mut self) {
        while let Some(command) = self.channel.commands.pop() {
            match command {
                Command::Query(query) => self.answer(query),
                Command::Capture(capture) => self.capture = Some(capture),
                Command::EndCapture => {
                    let ended = self.capture.take();
                    ended.into_iter().for_each(|ended| self.reply(Reply::Capture(ended)));
                }
                Command::Resize(room) => self.reply(Reply::Resize(room)),
                Command::Snapshot(snapshot) => {
                    self.refuse(&snapshot);
                    self.reply(Reply::Snapshot(snapshot));
                }
            }
        }
    }

    /// Refuses a request, if records of that are wanted.
    fn refuse(&self, snapshot: &Snapshot) {
        let is_wanted = snapshot.services[1].log.refusals;
        self.makes_records.store(is_wanted, Relaxed);
        if is_wanted {
            self.channel.records.push(records::refused()).expect("room");
        }
    }

    fn lose(&mut self, frame: &[u8]) {
        let (at, interface) = (Instant::now(), InterfaceId(0));
        self.dropped.keep(DropReason::NoService, Some(interface), frame, at);
        if let Some(capture) = &mut self.capture {
            capture.lose(DropReason::NoService, interface, frame, at);
        }
    }

    fn answer(&self, mut query: Query) {
        match &mut query {
            Query::Flows(query) => flows(query),
            Query::Latencies(recorded) => latency::record(recorded, Duration::from_micros(3)),
            Query::Drops(query) if query.reason == DropReason::NoBackend => drops::answer(query),
            Query::Drops(query) => self.dropped.answer(query),
            Query::Selection(look) => select(look),
            Query::References(_) | Query::Export(_) | Query::Import(_) | Query::Purge(_) => return,
        }
        self.reply(Reply::Query(query));
    }

    fn reply(&self, reply: Reply) {
        self.channel.replies.push(reply).expect("the ring has room");
    }
}

/// The choice: pxe: the second backend, out of turn; files: the remembered backend, which is full; rest: the remembered
/// backend; all others: none.
fn select(look: &mut SelectionTrace) {
    match look.service {
        ServiceId(0) => (look.turn, look.chosen) = (Some(BackendId(0)), Some(BackendId(1))),
        ServiceId(4) => look.bound = Some(BackendId(6)),
        ServiceId(6) => {
            let bound = Some(BackendId(8));
            (look.turn, look.bound, look.chosen) = (bound, bound, bound);
        }
        _ => {}
    }
}

/// The one transfer, and two connections.
fn flows(query: &mut FlowQuery) {
    query.matching = 3;
    connections(query);
    if query.found.capacity() > 0 {
        query.found.push(TransferView {
            service: ServiceId(1),
            backend: BackendId(2),
            client: "10.0.0.7:2070".parse().expect("an endpoint"),
            seen_as: "10.0.0.111:1024".parse().expect("an endpoint"),
            tid: Some(40_000),
            state: TransferState::Established,
            operation: Operation::Read,
            file: b"\x1b[2Jboot\xff".iter().copied().collect(),
            blocks: 9,
            blksize: 512,
            windowsize: 4,
            size: Some(10_000),
            bytes: 4608,
            age: 15,
            idle: 1,
            answer: Some(250),
            repeats: 3,
            moves: 1,
            first_backend: Some(BackendId(3)),
            reason: SelectionReason::AskedElsewhere,
        });
    }
}

/// A client's connection to the FTP service, and a server's own connection.
fn connections(query: &mut FlowQuery) {
    let endpoint = |text: &str| text.parse().expect("an endpoint");
    let (client, server) = (endpoint("10.0.0.7:40000"), endpoint("10.1.0.70:21"));
    let of_client = ConnectionView {
        backend: Some(BackendId(6)),
        kind: ConnectionKind::Client,
        protocol: 6,
        client,
        vip: endpoint("10.0.0.140:21"),
        seen_as: client,
        server,
        state: ConnectionState::Open,
        bytes_in: 1000,
        bytes_out: 2000,
        age: 7400,
        idle: 75,
    };
    let outside = endpoint("198.51.100.7:443");
    let of_server = ConnectionView {
        backend: None,
        kind: ConnectionKind::Policy,
        client: outside,
        vip: endpoint("10.0.0.140:40001"),
        seen_as: outside,
        server: endpoint("10.1.0.70:40001"),
        state: ConnectionState::HalfOpen,
        bytes_in: 0,
        bytes_out: 60,
        age: 2,
        idle: 2,
        ..of_client.clone()
    };
    let room = query.connections.capacity();
    query.connections.extend([of_client, of_server].into_iter().take(room));
}
