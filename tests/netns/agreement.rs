//! A storm of clients while a server is killed: the storm's own report, the socket, the log, the metrics, the page, the
//! terminal and a capture agree.

use crate::daemon::{Daemon, Setup};
use crate::peers;
use crate::terminal::{Terminal, top};
use kit::exposition::Exposition;
use kit::lab::{Lab, NAT_VIP, until};
use serde_json::Value;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;
use storm::client::Request;
use storm::link::Manner;
use storm::report::Report;
use storm::storm::{End, Storm};
use storm::terms::Terms;

const ADDRESS: &str = "127.0.0.1:9781";
const SIZE: usize = 200_000;
const CLIENTS: u64 = 40;
const TRANSFERS: u64 = 200;
/// Requests for a file that no server has.
const MISSING: u64 = 12;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 10);

/// Clients that fetch a file so many times.
fn storm(lab: &Lab, file: &str, transfers: u64) -> JoinHandle<Report> {
    let target = SocketAddr::new(NAT_VIP.parse().expect("an address"), 69);
    let manner = Manner { retransmit: Duration::from_secs(1), retries: 15, loss: 0.0 };
    let file = file.to_owned();
    let request =
        Request { target, file, size: None, is_write: false, terms: Terms::PLAIN, manner };
    let storm = Storm {
        request,
        clients: CLIENTS.min(transfers),
        sources: vec![IpAddr::V4(CLIENT)],
        ramp: Duration::from_millis(500),
        end: End::Transfers(transfers),
    };
    lab.inside("client", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(storm.run(|_, _| {}))
    })
}

/// The values of a field of those lines that have this outcome.
fn field(lines: &[Value], outcome: &str, field: &str) -> Vec<u64> {
    let of_outcome = lines.iter().filter(|line| line["outcome"] == outcome);
    of_outcome.map(|line| line[field].as_u64().unwrap_or_default()).collect()
}

/// A daemon that tells everything: the log to a file, metrics and the page at one address.
fn daemon(lab: &Lab) -> Daemon<'_> {
    let both = format!("[control]\nmetrics = \"{ADDRESS}\"\nweb = \"{ADDRESS}\"\n");
    let text = Setup { service: "#health", ..Setup::default() }.text(lab);
    let text = text.replacen("[control]\n", &both, 1).replace(
        "#health",
        "[service.health]\ncheck = \"tftp\"\nfile = \"image\"\ninterval = \"5s\"\ntimeout = \"5s\"",
    );
    let log = lab.path("log");
    Daemon::with(lab, &format!("{text}[[log]]\nto = \"file:{}\"\n", log.display()))
}

#[test]
fn a_storm_with_a_killed_server_is_told_alike_everywhere() {
    let lab = Lab::new();
    peers::files(&lab, &[("image", SIZE)]);
    let [doomed, _alive] = ["s1", "s2"].map(|name| peers::tftpd_hpa(&lab, name));
    let daemon = daemon(&lab);
    let terminal = Terminal::open(&lab);
    terminal.press(&[&top(&lab, &daemon), "Enter"]);
    terminal.press(&["5"]);
    terminal.shows("requests that ended or were refused since");

    let fetching = storm(&lab, "image", TRANSFERS);
    until("some are done", || daemon.total("nat", "completed") > TRANSFERS / 10);
    peers::signal_all(&lab, "s1", "KILL");
    let report = fetching.join().expect("it ends");
    let capture = capture(&daemon);
    let missing = storm(&lab, "none", MISSING).join().expect("it ends");
    drop(doomed);
    assert_eq!((report.completed, &report.failed), (TRANSFERS, &Default::default()));
    assert_eq!(report.bytes, TRANSFERS * SIZE as u64);
    assert_eq!(missing.failed.get("error_1"), Some(&MISSING), "{:?}", missing.failed);

    let total = |counter: &str| daemon.total("nat", counter);
    daemon.completes("nat", TRANSFERS);
    assert_eq!(total("not_found"), MISSING);
    let moved = total("failed_over");
    assert!(moved > 0 && total("resumed") == moved, "{moved} went on elsewhere");
    let lines = the_log_tells_it(&lab, &daemon, moved);
    let repeats = report.retransmissions.requests + report.retransmissions.blocks;
    // An ACK that is repeated within a tick of the last packet is taken for one that crossed a block.
    let counted = field(&lines, "completed", "repeats_client").iter().sum::<u64>();
    assert!(counted <= repeats && (counted > 0) == (repeats > 0), "{counted} of {repeats}");
    metrics_tell_it(&lab, &lines, moved);
    until("the page tells it", || {
        let page = lab.must("gate", &format!("curl -sS --fail http://{ADDRESS}/"));
        page.contains(&format!("completed {TRANSFERS}, no such file {MISSING}"))
    });
    the_terminal_tells_it(&terminal);
    the_capture_tells_it(capture);
    terminal.press(&["q"]);
    terminal.is_restored("quit");
    daemon.finish();
}

/// Returns the lines.
fn the_log_tells_it(lab: &Lab, daemon: &Daemon, moved: u64) -> Vec<Value> {
    let total = |counter: &str| daemon.total("nat", counter);
    let text = || std::fs::read_to_string(lab.path("log")).unwrap_or_default();
    until("the log is written", || text().lines().count() as u64 == total("ended"));
    let text = text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |outcome: &str| field(&lines, outcome, "seq").len() as u64;
    assert_eq!((count("completed"), count("not-found")), (TRANSFERS, MISSING));
    assert_eq!((count("failed-over"), count("unanswered")), (moved, total("unanswered")));
    let resumed = lines.iter().filter(|line| line["why"] == "failover");
    assert!(resumed.clone().all(|line| line["first_backend"] == "s1" && line["backend"] == "s2"));
    assert_eq!(resumed.filter(|line| line["outcome"] == "completed").count() as u64, moved);
    let blocks = (SIZE / 512 + 1) as u64;
    assert!(field(&lines, "completed", "blocks").iter().all(|&seen| seen == blocks));
    lines
}

fn metrics_tell_it(lab: &Lab, lines: &[Value], moved: u64) {
    let page = lab.must("gate", &format!("curl -sS --fail http://{ADDRESS}/metrics"));
    let page = Exposition::parse(&page);
    let ended = |outcome: &str| -> f64 {
        let backend = |name| [("service", "nat"), ("backend", name), ("outcome", outcome)];
        let of = |name| page.value("tidegate_backend_transfers_ended_total", &backend(name));
        of("s1") + of("s2")
    };
    assert_eq!((ended("completed"), ended("not-found")), (TRANSFERS as f64, MISSING as f64));
    assert_eq!(ended("failed-over"), moved as f64);
    let of_service = [("service", "nat")];
    let bytes = field(lines, "completed", "bytes").iter().sum::<u64>() as f64;
    assert_eq!(page.value("tidegate_transfer_size_bytes_sum", &of_service), bytes);
    assert_eq!(page.value("tidegate_transfer_size_bytes_count", &of_service), TRANSFERS as f64);
    let completed = [("service", "nat"), ("outcome", "completed")];
    let seconds = field(lines, "completed", "duration_ms").iter().sum::<u64>() as f64 / 1000.0;
    let told = page.value("tidegate_transfer_duration_seconds_sum", &completed);
    assert!((told - seconds).abs() < 0.001, "{told} and {seconds} seconds");
    assert_eq!(page.value("tidegate_log_records_dropped_total", &[]), 0.0);
}

/// The screen of clients, which was shown all the time. All requests were one client's.
fn the_terminal_tells_it(terminal: &Terminal) {
    let client = CLIENT.to_string();
    let counts = [MISSING, TRANSFERS].map(|count| count.to_string());
    until("the terminal tells it", || {
        let screen = terminal.screen();
        let rows = screen.lines().filter(|row| row.starts_with(&client));
        let rows: Vec<Vec<_>> = rows.map(|row| row.split_whitespace().collect()).collect();
        // Above, requests without a file; below, behind the bytes and their unit, those that completed.
        let told = |row: usize, place: usize| rows.get(row)?.get(place).copied();
        [told(0, 1), told(1, 3)] == counts.each_ref().map(|count| Some(&**count))
    });
}

/// A capture of the client for ten seconds, whose frames come out as fields: IP source, ports, TFTP's opcode.
fn capture(daemon: &Daemon) -> Child {
    let tidegate = env!("CARGO_BIN_EXE_tidegate");
    let socket = daemon.socket();
    let fields = "-e ip.src -e udp.srcport -e udp.dstport -e tftp.opcode";
    let line = format!(
        "{tidegate} --socket {} capture --write - --client {CLIENT} --seconds 10 \
         | tshark -n -l -r - -T fields -E separator=/s {fields}",
        socket.display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().expect("a shell");
    let mut said = BufReader::new(child.stderr.as_mut().expect("a pipe")).lines();
    let begun = said.find(|line| line.as_ref().is_ok_and(|line| line.ends_with("Ctrl-C ends it")));
    assert!(begun.is_some(), "it does not capture: {line}");
    child
}

/// Each request for the missing file, from a port of its own, and each ERROR to it.
fn the_capture_tells_it(capture: Child) {
    let output = capture.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let frames: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    let ports = |opcode: &str, place: usize| -> HashSet<&str> {
        let of = frames.iter().filter(|frame| frame.get(3) == Some(&opcode));
        of.map(|frame| frame[place]).collect()
    };
    let (asked, told) = (ports("1", 1), ports("5", 2));
    assert_eq!(asked.len() as u64, MISSING, "{text}");
    assert_eq!(told, asked, "{text}");
}
