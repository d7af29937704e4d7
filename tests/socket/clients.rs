//! Clients that say nothing, too much or read nothing keep nobody out.

use crate::requests::error_code;
use crate::{Connection, Socket};
use serde_json::Value;
use std::io::Write;
use std::time::{Duration, Instant};

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
    // When the last one is answered, the server knows all of them.
    assert!(held[63].ask(status)["error"].is_null());
    for connection in &mut held[..32] {
        assert!(connection.ask(status)["error"].is_null());
    }
    for connection in &mut held[32..] {
        connection.send(b"{\"jsonrpc\":");
    }
    // Connections with half a request are the oldest ones.
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
        // The server accepts as much as it has room for.
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
