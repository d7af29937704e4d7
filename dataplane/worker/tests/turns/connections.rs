//! Connections through two workers, whatever queue their frames arrive at.

use engine::snapshot::{Ftp, Protocol};
use kit::connections::{Connection, FIRST, snapshot};
use kit::ftp::{active, endpoint_in, passive_at};
use kit::segment::Segment;
use kit::topology::{Via, owner};
use kit::worker_set::WorkerSet;
use std::net::SocketAddr;
use worker::memory::MemoryPort;

const SSH: u16 = 22;
const FTP: Protocol = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
const WORKERS: u16 = 2;

/// A queue where frames arrive, and the frame that leaves.
struct Queue {
    set: WorkerSet<MemoryPort>,
    queue: usize,
}

impl Queue {
    fn new(protocol: Protocol, port: u16, queue: usize) -> Queue {
        Queue { set: WorkerSet::new(WORKERS, snapshot(protocol, port)), queue }
    }

    /// The segment that leaves.
    #[track_caller]
    fn pass(&mut self, segment: Segment) -> Segment {
        self.set.arrive(self.queue, segment);
        // It may be handed over.
        self.set.turn();
        self.set.turn();
        let [frame] = &self.set.left()[..] else { panic!("one frame") };
        Segment::read(frame)
    }

    #[track_caller]
    fn client_says(&mut self, line: &mut Connection, flags: &str, text: &str) -> Segment {
        let heard = self.pass(line.from_client(flags, text));
        line.goes_on(0, flags, text);
        heard
    }

    #[track_caller]
    fn server_says(&mut self, line: &mut Connection, flags: &str, text: &str) -> Segment {
        let heard = self.pass(line.from_server(flags, text));
        line.goes_on(1, flags, text);
        assert_eq!((heard.source, heard.destination), (line.vip, line.client));
        heard
    }

    fn open(&mut self, via: Via, client: SocketAddr, port: u16) -> Connection {
        let mut line = Connection::new(via, client, port);
        let syn = self.client_says(&mut line, "S", "");
        line.seen(syn);
        if via.is_dsr() {
            line.goes_on(1, "S", "");
        } else {
            self.server_says(&mut line, "SA", "");
        }
        self.client_says(&mut line, "A", "");
        line
    }

    /// Connections that each worker has begun.
    fn started(&self) -> [u64; 2] {
        [0, 1].map(|n| {
            let sets = &self.set.channels[n].counters.backends;
            sets.iter().map(|set| set.started.value()).sum()
        })
    }

    /// Rows in use after the next tick: connections, expected and half-open ones.
    fn occupancy(&mut self) -> [u64; 3] {
        self.set.wait(1);
        let all = self.set.channels.iter().map(|channel| &channel.counters.occupancy);
        all.fold([0; 3], |sum, one| {
            let values = [&one.connections, &one.expected, &one.half_open];
            std::array::from_fn(|n| sum[n] + values[n].value())
        })
    }

    /// Checks that no frame is lost between the workers.
    fn balances(&self, what: &str) {
        let counter_values = self.set.counter_values();
        assert_eq!(counter_values.at("handed_over"), counter_values.at("taken_over"), "{what}");
        assert_eq!(
            counter_values.at("received"),
            counter_values.at("transmitted"),
            "{what}: no drops"
        );
    }
}

/// Clients of both workers.
fn clients(via: Via) -> [SocketAddr; 6] {
    std::array::from_fn(|n| SocketAddr::new(via.address([192, 168, 0, n as u8]), 2070))
}

/// Numbers of clients that each worker owns.
fn shares(via: Via) -> [u64; 2] {
    let owners = clients(via).map(|client| usize::from(owner(client.ip(), WORKERS)));
    [0, 1].map(|n| owners.iter().filter(|&&owner| owner == n).count() as u64)
}

#[test]
fn a_connection_is_one_workers_whatever_queue_its_segments_arrive_at() {
    for (via, queue) in Via::ALL.into_iter().flat_map(|via| [(via, 0), (via, 1)]) {
        let mut at = Queue::new(Protocol::Tcp, SSH, queue);
        let mut lines = clients(via).map(|client| at.open(via, client, SSH));
        for line in &mut lines {
            let heard = at.client_says(line, "AP", "SSH-2.0-client\r\n");
            assert_eq!(at.occupancy(), [6, 0, 0], "{via:?}");
            assert_eq!((heard.source, heard.text().as_str()), (line.seen_as, "SSH-2.0-client\r\n"));
            at.client_says(line, "AF", "");
            if !via.is_dsr() {
                assert_eq!(at.server_says(line, "AF", "the rest").text(), "the rest");
                at.client_says(line, "A", "");
            }
        }
        let what = format!("{via:?} by queue {queue}");
        at.balances(&what);
        assert_eq!(at.started(), shares(via), "{what}");
        assert!(shares(via).iter().all(|&share| share > 0));
        // All of one, and none of the other.
        let segments = if via.is_dsr() { 4 } else { 7 };
        let counter_values = at.set.counter_values();
        assert_eq!(counter_values.at("handed_over"), segments * shares(via)[1 - queue], "{what}");
        at.set.wait(600);
        assert_eq!(at.set.counter_values().at("ended"), 6, "{what}");
        assert_eq!(at.occupancy(), [0; 3], "{what}");
    }
}

#[test]
fn a_syn_alone_is_half_open() {
    let mut at = Queue::new(Protocol::Tcp, SSH, 0);
    let mut line = Connection::new(Via::Nat, clients(Via::Nat)[0], SSH);
    at.client_says(&mut line, "S", "");
    assert_eq!(at.occupancy(), [0, 0, 1]);
}

#[test]
fn data_of_either_side_is_its_control_connections_workers() {
    for (via, queue) in Via::SEEN.into_iter().flat_map(|via| [(via, 0), (via, 1)]) {
        let mut at = Queue::new(FTP, 21, queue);
        for client in clients(via) {
            let mut control = at.open(via, client, 21);
            let mut data = passive(&mut at, &mut control);
            assert_eq!(at.server_says(&mut data, "AP", "listing").text(), "listing");
            assert_eq!(data.server.ip(), control.server.ip());
            // A new one: the numbers of this one are no longer both sides'.
            let client = SocketAddr::new(client.ip(), 2072);
            let mut control = at.open(via, client, 21);
            let mut data = server_opens(&mut at, &mut control);
            assert_eq!(at.server_says(&mut data, "AP", "listing").text(), "listing");
            assert_eq!(data.vip.port(), 20);
        }
        let what = format!("{via:?} by queue {queue}");
        at.balances(&what);
        assert_eq!(at.started(), shares(via).map(|share| 4 * share), "{what}");
    }
}

/// The client asks where the server listens, and connects there.
fn passive(at: &mut Queue, control: &mut Connection) -> Connection {
    let via = control.via;
    let listens = SocketAddr::new(control.server.ip(), 40_001);
    let asks = if via.is_v6() || via.translates() { "EPSV\r\n" } else { "PASV\r\n" };
    let [open, ..] = at.occupancy();
    let asked = at.client_says(control, "AP", asks).text();
    let answer = match asked.as_str() {
        "PASV\r\n" => passive_at(listens),
        _ => "229 Entering Extended Passive Mode (|||40001|)\r\n".to_owned(),
    };
    let heard = at.pass(control.from_server("AP", &answer)).text();
    let expected = match asks {
        "PASV\r\n" => passive_at(SocketAddr::new(control.vip.ip(), 40_001)),
        _ => "229 Entering Extended Passive Mode (|||40001|)\r\n".to_owned(),
    };
    assert_eq!(heard, expected);
    let [unchanged, announced, _] = at.occupancy();
    assert!(unchanged == open && announced > 0, "{announced} announced, {unchanged} of {open}");
    let data = at.open(via, SocketAddr::new(control.client.ip(), 2071), 40_001);
    assert_eq!(at.occupancy()[0], open + 1);
    assert_eq!(data.server, listens);
    assert_eq!(data.seen_as.ip(), control.seen_as.ip());
    data
}

/// The client says where it listens, and the server connects there.
fn server_opens(at: &mut Queue, control: &mut Connection) -> Connection {
    let listens = SocketAddr::new(control.client.ip(), 5001);
    let told = endpoint_in(&at.client_says(control, "AP", &active(listens)).text());
    let server = SocketAddr::new(control.server.ip(), 4444);
    let mut data =
        Connection { client: listens, server, seen_as: told, next: FIRST, ..control.clone() };
    let heard = at.pass(data.from_server("S", ""));
    assert_eq!(heard.destination, listens);
    data.vip = heard.source;
    data.goes_on(1, "S", "");
    let heard = at.client_says(&mut data, "SA", "");
    assert_eq!((heard.source, heard.destination), (told, server));
    at.server_says(&mut data, "A", "");
    data
}

#[test]
fn order_is_kept() {
    for (protocol, port) in [(Protocol::Tcp, SSH), (FTP, 21)] {
        for via in Via::SEEN {
            let wrong = 1 - usize::from(owner(via.client().ip(), WORKERS));
            let mut at = Queue::new(protocol, port, wrong);
            let mut line = at.open(via, via.client(), port);
            // Several bursts, in the middle of one as well as over its end.
            let said: Vec<String> = (0..100).map(|n| format!("NOOP {n}\r\n")).collect();
            for word in &said {
                at.set.arrive(wrong, line.from_client("AP", word));
                line.goes_on(0, "AP", word);
            }
            for _ in 0..8 {
                at.set.turn();
            }
            let left = at.set.left();
            let heard = left.iter().map(|frame| Segment::read(frame).text());
            assert!(heard.eq(said), "{via:?} {protocol:?}");
            at.balances("in order");
        }
    }
}
