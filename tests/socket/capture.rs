//! Captures over the socket: one at a time, as long as their client is there, and without passwords.

use crate::{Connection, Socket};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etherparse::PacketBuilder;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const REQUEST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"capture","params":{}}"#;

/// Starts a capture, as soon as there is none.
fn started(socket: &Socket) -> (Connection, Value) {
    let begun = Instant::now();
    loop {
        let mut connection = socket.connect();
        let answer = connection.ask(REQUEST);
        if answer["result"].is_object() {
            return (connection, answer);
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_capture_at_a_time_until_its_client_goes() {
    let socket = Socket::open(true);
    let (mut first, answer) = started(&socket);
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["result"]["interfaces"], json!(["clients", "servers", "uplink"]));
    let names = answer["result"]["names"].as_array().expect("names");
    assert!(names.contains(&json!({ "address": "10.0.0.100", "names": ["pxe"] })), "{names:?}");
    // A message comes also without frames.
    let message: Value = serde_json::from_str(&first.line()).expect("JSON");
    assert_eq!(message["params"], json!({ "frames": [], "lost": 0 }));
    let refused = socket.ask(REQUEST);
    assert_eq!(refused["error"]["code"], 3, "{refused}");
    assert!(refused["error"]["message"].as_str().expect("a reason").contains("one at a time"));
    assert!(socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#)["result"].is_object());
    drop(first);
    let (mut second, _) = started(&socket);
    second.send(b"anything\n");
    assert!(second.ends(), "what the client says ends it");
    drop(started(&socket));
}

#[test]
fn unknown_parameters_are_refused() {
    let socket = Socket::open(true);
    for params in [json!({ "colour": "red" }), json!({ "client": "10.0.0.0/33" })] {
        let line = json!({ "jsonrpc": "2.0", "id": 1, "method": "capture", "params": params });
        assert_eq!(socket.ask(&line.to_string())["error"]["code"], -32602, "{params}");
    }
}

/// A service of FTP that the example does not have.
const LATE: &str = "[[service]]\nname = \"late\"\nprotocol = \"ftp\"\nvip = \"10.0.0.150\"\n\
                    [[service.backend]]\nname = \"late1\"\naddress = \"10.1.0.90\"\n";

/// A password on its way to this address of the late service.
fn login(to: [u8; 4]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 0, 0, 7], to, 64);
    let mut frame = vec![];
    builder.tcp(40_000, 21, 1, 1000).write(&mut frame, b"PASS secret\r\n").expect("a frame");
    frame
}

fn has_password(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|part| part == b"secret")
}

/// The bytes of the next frame.
fn captured(capture: &mut Connection) -> Vec<u8> {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(10), "no frame comes");
        let message: Value = serde_json::from_str(&capture.line()).expect("a message");
        if let Some(bytes) = message["params"]["frames"][0]["bytes"].as_str() {
            return BASE64_STANDARD.decode(bytes).expect("base64");
        }
    }
}

/// Passwords are masked by the FTP services that there are, and by those that there were: frames may still be in hand.
#[test]
fn passwords_are_masked_as_services_come_and_go() {
    let socket = Socket::open(true);
    let (mut capture, _) = started(&socket);
    let mut is_seen = |to| {
        socket.frames.send(login(to)).expect("a worker");
        let is_captured = has_password(&captured(&mut capture));
        let dropped = socket.tidegate("drops no-service --write -").stdout;
        assert_eq!(has_password(&dropped), is_captured, "{to:?}");
        is_captured
    };
    assert!(is_seen([10, 0, 0, 150]) && is_seen([10, 1, 0, 90]), "nobody speaks FTP there");
    let text = std::fs::read_to_string(&socket.file).expect("the file");
    for with in [LATE, ""] {
        std::fs::write(&socket.file, format!("{text}{with}")).expect("the file");
        socket.reload();
        assert!(!is_seen([10, 0, 0, 150]) && !is_seen([10, 1, 0, 90]), "{with}");
    }
}

/// A reader that has gone ends the command, although there is no frame to be written.
#[test]
fn a_closed_pipe_ends_the_command() {
    for command in [&["capture", "--write", "-"][..], &["trace", "10.0.0.7"]] {
        let socket = Socket::open(true);
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("--socket")
            .arg(&socket.path)
            .args(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tidegate runs");
        let mut said = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        assert!(said.next().is_some_and(|line| line.is_ok()), "it does not capture");
        drop(child.stdout.take());
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            if start.elapsed() > Duration::from_secs(20) {
                child.kill().expect("it runs");
                panic!("{command:?} goes on without a reader");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{command:?}: {status}");
    }
}
