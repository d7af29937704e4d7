//! The control socket over workers that are made up: what it answers, and what it does with bad
//! requests. Needs neither root nor DPDK.

mod live;
mod ways;

use control::api::{Error, How, Reload};
use control::appliance::{Appliance, InterfaceFacts};
use control::config;
use control::desks::Desks;
use control::estate::{Estate, Terms};
use control::in_force::InForce;
use control::kernel::{Route, Traffic, View};
use control::lasting::Lasting;
use control::registry::Registry;
use control::reload::Asked;
use control::server::Place;
use control::standing::Standings;
use control::tables;
use engine::count::Counters;
use engine::flow::view::{
    ConnectionKind, ConnectionView, FlowQuery, Kind, Stage, State, TransferView,
};
use engine::tables::Tables;
use engine::tick::Tick;
use engine::verdict::Verdict;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use wire::ethernet::Mac;
use worker::latency;
use worker::news::{Desk, News, Return};

/// A server on a thread of its own, and a worker that answers questions for flows.
struct Socket {
    path: PathBuf,
    /// The configuration's.
    file: PathBuf,
    _folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    worker_stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Socket {
    fn open(worker_answers: bool) -> Socket {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("not/there/yet/control.sock");
        let file = folder.path().join("tidegate.toml");
        std::fs::copy(EXAMPLE, &file).expect("an example");
        let counters = Counters::with_room(&tables(&read(&file)), 2);
        let desk = Desk::new(Arc::new(counters));
        desk.counters.packets.received.add(7);
        desk.counters.verdict(Verdict::Drop(engine::reason::Reason::BadTftp), 0);
        desk.counters.backends[0].started.add(3);
        desk.counters.backends[0].ended.add(1);

        let worker_stop = Arc::new(AtomicBool::new(!worker_answers));
        let (stopped, for_worker) = (Arc::clone(&worker_stop), desk.clone());
        let worker = spawn(move || {
            while !stopped.load(Relaxed) {
                answer_one(&for_worker);
            }
        });
        let (stop, stopped) = oneshot::channel();
        let place = Place::take(&path).expect("the place is free");
        let of_server = file.clone();
        let server = spawn(move || serve(place, desk, of_server, stopped));
        let socket = Socket {
            path,
            file,
            _folder: folder,
            stop: Some(stop),
            worker_stop,
            threads: vec![worker, server],
        };
        let start = Instant::now();
        while !socket.path.exists() {
            assert!(start.elapsed() < Duration::from_secs(10), "the socket does not open");
            std::thread::sleep(Duration::from_millis(5));
        }
        socket
    }

    fn connect(&self) -> Connection {
        let stream = UnixStream::connect(&self.path).expect("the socket is open");
        stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
        Connection(BufReader::new(stream))
    }

    /// The answer to one line on a connection of its own.
    fn ask(&self, line: &str) -> Value {
        self.connect().ask(line)
    }

    fn tidegate(&self, command: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("--socket")
            .arg(&self.path)
            .args(command.split_whitespace())
            .output()
            .expect("tidegate runs")
    }

    fn close(mut self) -> PathBuf {
        self.end();
        self.path.clone()
    }

    fn end(&mut self) {
        self.worker_stop.store(true, Relaxed);
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            thread.join().expect("it ends");
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.end();
    }
}

struct Connection(BufReader<UnixStream>);

impl Connection {
    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("it is open");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        line
    }

    fn ask(&mut self, line: &str) -> Value {
        self.send(format!("{line}\n").as_bytes());
        serde_json::from_str(&self.line()).expect("JSON")
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/full.toml");

/// What a file says.
fn read(file: &Path) -> InForce {
    let written = config::load(file).unwrap_or_else(|error| panic!("{error}"));
    InForce::first(written, &Registry::default()).expect("few enough")
}

fn tables(in_force: &InForce) -> Tables {
    let macs = [2, 4, 6].map(|n| Mac([n; 6]));
    let lasting = &mut Lasting::default();
    tables::build(in_force, &macs, &View::default(), &Standings::default(), lasting, Tick(0))
}

fn serve(place: Place, desk: Desk, file: PathBuf, stop: oneshot::Receiver<()>) {
    let facts = |mac| InterfaceFacts { driver: "made up".into(), mac, queues: 1, rss: "-" };
    let in_force = read(&file);
    let (reloads, mut asked) = mpsc::channel(1);
    let terms = Terms::new(in_force.config(), 1, 0, "made up".into());
    let estate = Estate::open(&file, terms, [0; 3]);
    let appliance = Appliance {
        file,
        tables: watch::Sender::new(Arc::new(tables(&in_force))),
        in_force: watch::Sender::new(Rc::new(in_force)),
        start: Instant::now(),
        interfaces: [2, 4, 6].map(|n| facts(Mac([n; 6]))).into(),
        lost: Box::new(|_| Default::default()),
        traffic: (0..3).map(|_| Arc::new(Traffic::default())).collect(),
        desks: Desks::new(vec![desk]),
        standings: watch::Sender::new(Standings::default()),
        view: watch::channel(view()).1,
        clock: Instant::now(),
        lasting: RefCell::default(),
        estate: RefCell::new(estate),
        telling: Mutex::default(),
        reloads,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime.expect("a runtime"), async {
        let server = place.listen().expect("the socket opens");
        let appliance = Rc::new(appliance);
        tokio::select! {
            () = server.run(Rc::clone(&appliance)) => {}
            () = async {
                while let Some(Asked { how, answer }) = asked.recv().await {
                    let _ = answer.send(reload(&appliance, how).await);
                }
            } => {}
            _ = stop => {}
        }
    });
}

/// Without a kernel, which would hold the addresses.
async fn reload(appliance: &Appliance, how: How) -> Result<Reload, Error> {
    let plan = appliance.plan()?;
    let applied = plan.changes_anything() && !how.check;
    let report = plan.report(applied);
    if applied {
        appliance.put_in_force(plan.next).await;
    }
    Ok(report)
}

/// A worker with one transfer, of a file whose name is meant to steer a terminal.
fn answer_one(desk: &Desk) {
    let mut query = match desk.news.pop() {
        Some(News::Flows(query)) => query,
        Some(News::Latencies(mut recorded)) => {
            latency::record(&mut recorded, Duration::from_micros(3));
            return desk.returns.push(Return::Latencies(recorded)).expect("room");
        }
        Some(News::Room(room)) => return desk.returns.push(Return::Room(room)).expect("room"),
        Some(News::Tables(tables)) => {
            return desk.returns.push(Return::Tables(tables)).expect("room");
        }
        Some(News::Look(mut look)) => {
            // Of pxe's two the second one, although it is the first one's turn; of files the bound one, which is
            // full; of rest the bound one; of all others none.
            match look.service {
                0 => (look.turn, look.chosen) = (Some(0), Some(1)),
                4 => look.bound = Some(6),
                6 => (look.turn, look.bound, look.chosen) = (Some(8), Some(8), Some(8)),
                _ => {}
            }
            return desk.returns.push(Return::Look(look)).expect("room");
        }
        Some(News::Uses(_)) | None => return std::thread::sleep(Duration::from_millis(1)),
    };
    query.matching = 3;
    connections(&mut query);
    if query.found.capacity() > 0 {
        query.found.push(TransferView {
            service: 1,
            backend: 2,
            client: "10.0.0.7:2070".parse().expect("an endpoint"),
            seen_as: "10.0.0.111:1024".parse().expect("an endpoint"),
            tid: Some(40_000),
            state: State::Established,
            kind: Kind::Read,
            file: b"\x1b[2Jboot\xff".iter().copied().collect(),
            blocks: 9,
            bytes: 4608,
            age: 15,
            idle: 1,
        });
    }
    desk.returns.push(Return::Flows(query)).expect("the ring has room");
}

/// A client's connection to the FTP service, and one that its server has opened by itself.
fn connections(query: &mut FlowQuery) {
    let endpoint = |text: &str| text.parse().expect("an endpoint");
    let (client, server) = (endpoint("10.0.0.7:40000"), endpoint("10.1.0.70:21"));
    let of_client = ConnectionView {
        backend: Some(6),
        kind: ConnectionKind::Client,
        protocol: 6,
        client,
        vip: endpoint("10.0.0.140:21"),
        seen_as: client,
        server,
        stage: Stage::Open,
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
        stage: Stage::HalfOpen,
        bytes_in: 0,
        bytes_out: 60,
        age: 2,
        idle: 2,
        ..of_client.clone()
    };
    let room = query.connections.capacity();
    query.connections.extend([of_client, of_server].into_iter().take(room));
}

/// What the kernel would say: one route over none of our interfaces, and no router that it has resolved.
fn view() -> View {
    let route = |to: &str, gateway: Option<&str>, interface, mac| Route {
        to: to.parse().expect("a network"),
        gateway: gateway.map(|gateway| gateway.parse().expect("an address")),
        interface,
        mac,
    };
    let routes = [
        route("0.0.0.0/0", Some("10.0.0.1"), Some(0), None),
        route("10.0.0.0/24", None, Some(0), None),
        route("10.1.0.70/32", None, Some(1), Some(Mac([2; 6]))),
        route("192.168.0.0/16", Some("172.16.0.1"), None, None),
    ];
    View { routes: routes.into(), ..View::default() }
}

fn error_code(answer: &Value) -> Option<i64> {
    answer["error"]["code"].as_i64()
}

#[test]
fn every_method_answers() {
    let socket = Socket::open(true);
    let mut connection = socket.connect();
    for (id, method) in
        ["status", "services", "backends", "flows", "stats", "nat", "routes"].iter().enumerate()
    {
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method }).to_string();
        let answer = connection.ask(&line);
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(id)), "{answer}");
        assert!(answer["result"].is_object() || answer["result"].is_array(), "{answer}");
    }
    let stats = socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"stats","params":{}}"#);
    assert_eq!(stats["result"]["packets"]["received"], 7);
    assert_eq!(stats["result"]["drops"]["bad-tftp"], 1);
    // Both requests asked the worker, which says three microseconds, to two digits.
    assert_eq!(stats["result"]["latency"]["turns"], 2);
    let p99_9 = stats["result"]["workers"][0]["latency"]["p99_9"].as_u64().expect("a number");
    assert!((2_950..3_050).contains(&p99_9), "{p99_9}");
    let services = socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"services"}"#);
    assert_eq!(services["result"][0]["transfers"], 2);
    assert_eq!(services["result"][0]["state"], "vip down");
    assert_eq!(services["result"][1]["mode"], "nat + snat");
    let flows = socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"flows","params":{"limit":5}}"#);
    let flow = &flows["result"]["flows"][0];
    assert_eq!((&flow["service"], &flow["backend"]), (&json!("firmware"), &json!("fw1")));
    assert_eq!((&flow["tid"], &flow["age"]), (&json!(40_000), &json!(1.5)));
}

#[test]
fn bad_requests_get_errors_and_the_connection_stays() {
    let socket = Socket::open(true);
    let mut connection = socket.connect();
    for (line, code) in [
        ("", -32700),
        ("hello", -32700),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,", -32700),
        ("7", -32600),
        ("[]", -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"status"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"status","more":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"reboot"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"status","params":{"a":1}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"flows","params":{"a":1}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"flows","params":{"client":"x"}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"flows","params":{"limit":-1}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"flows","params":{"limit":10001}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"flows","params":{"service":"x"}}"#, 1),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nat","params":{"a":1}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"routes","params":{"limit":10001}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"hash"}"#, -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"hash","params":{"service":"pxe","client":"x"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"hash","params":{"service":"x","client":"10.0.0.1"}}"#,
            1,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"hash","params":{"service":"pxe","client":"fd00::1"}}"#,
            4,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"order"}"#, -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"order","params":{"service":"pxe","backend":"tftp1"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"order","params":{"service":"pxe","backend":"tftp1","order":"dance"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"order","params":{"service":"pxe","backend":"x","order":"enabled"}}"#,
            1,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"weight","params":{"service":"x","backend":"tftp1","weight":1}}"#,
            1,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"weight","params":{"service":"pxe","backend":"tftp1","weight":1001}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"weight","params":{"service":"pxe","backend":"tftp1","weight":-1}}"#,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"reload","params":{"check":1}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"reload","params":{"force":true}}"#, -32602),
    ] {
        let answer = connection.ask(line);
        assert_eq!(error_code(&answer), Some(code), "{line}: {answer}");
    }
    connection.send(b"\xff\xfe\xfd\n");
    assert!(connection.line().contains("-32700"));
    assert!(connection.ask(r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#)["error"].is_null());
}

#[test]
fn a_line_without_end_is_cut_off() {
    let socket = Socket::open(true);
    let mut connection = socket.connect();
    connection.send(&vec![b'x'; 64 * 1024]);
    let answer: Value = serde_json::from_str(&connection.line()).expect("JSON");
    assert_eq!(error_code(&answer), Some(3), "{answer}");
    assert!(connection.is_closed());
    assert!(socket.tidegate("status").status.success());
}

#[test]
fn half_a_request_is_closed_after_a_while_and_holds_up_nobody() {
    let socket = Socket::open(true);
    let mut half = socket.connect();
    half.send(b"{\"jsonrpc\":");
    assert!(socket.tidegate("status").status.success());
    let start = Instant::now();
    assert!(half.is_closed());
    assert!(start.elapsed() > Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn idle_and_half_open_connections_keep_nobody_out() {
    let socket = Socket::open(true);
    let status = r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#;
    let mut held: Vec<Connection> = (0..64).map(|_| socket.connect()).collect();
    // When the last one has its answer, all are known to the server.
    assert!(held[63].ask(status)["error"].is_null());
    for connection in &mut held[..32] {
        assert!(connection.ask(status)["error"].is_null());
    }
    for connection in &mut held[32..] {
        connection.send(b"{\"jsonrpc\":");
    }
    // Those with half a request have been waited for longest.
    let start = Instant::now();
    for _ in 0..3 {
        assert!(socket.tidegate("status").status.success());
        held.push(socket.connect());
    }
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert!(held[32].line().contains("had to make room"));
    assert!(held[32].is_closed());
    assert!(held[0].ask(status)["error"].is_null());
}

#[test]
fn who_reads_no_answers_keeps_nobody_out() {
    let socket = Socket::open(true);
    let mut held: Vec<Connection> = (0..64).map(|_| socket.connect()).collect();
    let requests = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"services\"}\n".repeat(1000);
    for connection in &mut held {
        let stream = connection.0.get_ref();
        stream.set_nonblocking(true).expect("a socket");
        // It takes what it has room for.
        let _ = (&*stream).write(requests.as_bytes());
    }
    let start = Instant::now();
    let output = socket.tidegate("status");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_silent_worker_is_an_error_and_not_a_hang() {
    let socket = Socket::open(false);
    let output = socket.tidegate("flows");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("worker 0 does not answer"), "{said}");
    assert!(socket.tidegate("stats").status.success());
}

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_the_server() {
    let socket = Socket::open(true);
    let mode = std::fs::metadata(&socket.path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let again = Place::take(&socket.path).expect_err("it is taken");
    assert!(again.contains("another tidegated"), "{again}");
    let path = socket.close();
    assert!(!path.exists() && !path.with_extension("sock.lock").exists());
}

#[test]
fn what_a_killed_daemon_left_is_replaced() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    std::fs::write(path.with_extension("sock.lock"), "").expect("a lock nobody holds");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let _inside = runtime.as_ref().expect("a runtime").enter();
    drop(Place::take(&path).expect("nobody has it").listen().expect("it opens"));
    assert!(!path.exists());
}

#[test]
fn a_place_that_cannot_be_is_said() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = Place::take(&file.path().join("control.sock")).expect_err("it is no folder");
    assert!(error.contains("cannot use the socket"), "{error}");
}

#[test]
fn tables_for_people() {
    let socket = Socket::open(true);
    for (command, words) in [
        ("status", "made up"),
        ("services", "10.0.0.100:69"),
        ("backends", "unresolved"),
        ("flows", "10.0.0.111:1024"),
        ("stats", "bad-tftp"),
        ("stats", "3.0 µs"),
    ] {
        let output = socket.tidegate(command);
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && text.contains(words), "{command}: {text}");
        assert!(!text.contains('\x1b'), "{command}: a control character: {text:?}");
        let json = socket.tidegate(&format!("--json {command}")).stdout;
        assert!(serde_json::from_slice::<Value>(&json).is_ok(), "{command}");
    }
}

#[test]
fn stats_are_watched_until_the_reader_goes() {
    let socket = Socket::open(true);
    let mut watch = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["--json".as_ref(), "--socket".as_ref(), socket.path.as_os_str()])
        .args(["stats", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("tidegate runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    for _ in 0..2 {
        let line = lines.next().expect("a line a second").expect("text");
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
    drop(lines);
    assert!(watch.wait().expect("it ends").success());
}

#[test]
fn wrong_usage_and_no_daemon() {
    let socket = Socket::open(true);
    assert_eq!(socket.tidegate("dance").status.code(), Some(2));
    assert_eq!(socket.tidegate("flows --limit many").status.code(), Some(2));
    let path = socket.close();
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["--socket".as_ref(), path.as_os_str(), "status".as_ref()])
        .output()
        .expect("tidegate runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no tidegated answers"));
}
