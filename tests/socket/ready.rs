//! `tidegate ready`: exit codes, words and JSON, and a daemon that does not answer.

use crate::check::well;
use crate::{EXAMPLE, Socket};
use control::kernel::KernelView;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The exit code and the words.
fn told(output: &Output) -> (Option<i32>, String) {
    let text = [&*output.stdout, &output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("text").trim_end().to_owned())
}

fn ready(socket: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    told(&command.arg("--socket").arg(socket).arg("ready").output().expect("tidegate runs"))
}

#[test]
fn a_gate_is_ready_while_the_named_services_have_a_backend() {
    let socket = Socket::watching(true, well());
    let ready = |services: &str| told(&socket.tidegate(&format!("ready {services}")));
    for services in ["", "pxe", "pxe firmware files"] {
        assert_eq!(ready(services), (Some(0), "ready".into()), "{services}");
    }
    for order in ["disable pxe tftp1", "weight pxe tftp2 0"] {
        assert_eq!(ready("pxe").0, Some(0), "{order}");
        assert!(socket.tidegate(&format!("backend {order}")).status.success(), "{order}");
    }
    let reason = "no backend of service pxe is up";
    assert_eq!(ready("firmware pxe"), (Some(1), format!("not ready: {reason}")));
    assert_eq!(ready("firmware").0, Some(0));
    assert_eq!(ready("").0, Some(0));
    let output = socket.tidegate("--json ready pxe");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer, json!({ "ready": false, "missing": [reason] }));
    assert_eq!(output.status.code(), Some(1));
    let unknown = "not ready: no backend of service images is up".into();
    assert_eq!(ready("firmware images"), (Some(1), unknown), "its checks have no verdict yet");
    let (code, words) = ready("pxe nobody");
    assert_eq!((code, &*words), (Some(1), "tidegate: there is no service `nobody`"));
    assert_eq!(ready("--nobody").0, Some(2));
}

#[test]
fn a_gate_without_a_link_is_not_ready() {
    let view = KernelView { down: HashSet::from([1]), ..well() };
    let socket = Socket::watching(true, view);
    let name = crate::read(Path::new(EXAMPLE)).config().interfaces[1].name.clone();
    let words = format!("not ready: the link of interface {name} is down");
    assert_eq!(told(&socket.tidegate("ready pxe")), (Some(1), words));
    let status = socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#);
    let links = status["result"]["interfaces"].as_array().expect("interfaces").iter();
    let links: Vec<_> = links.map(|one| one["link"]["up"].clone()).collect();
    assert_eq!(links, [true, false, true]);
}

#[test]
fn a_drained_gate_is_not_ready() {
    let socket = Socket::watching(true, well());
    let (code, words) = told(&socket.tidegate("gate drain"));
    // There is no kernel here that gives up addresses.
    assert!(words.starts_with("drained, do not stop tidegated yet: it still holds "), "{words}");
    assert_eq!(code, Some(0), "it was not to wait");
    assert_eq!(told(&socket.tidegate("gate drain --wait 1ms")), (Some(1), words));
    let words = "not ready: the gate is drained".into();
    assert_eq!(told(&socket.tidegate("ready pxe")), (Some(1), words));
    assert_eq!(told(&socket.tidegate("gate enable")), (Some(0), "enabled".into()));
    assert_eq!(told(&socket.tidegate("ready pxe")), (Some(0), "ready".into()));
    let answer =
        socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"gate","params":{"order":"enable"}}"#);
    assert_eq!(answer["result"]["drained"], false, "{answer}");
    assert_eq!(answer["result"]["in_step"], Value::Null, "{answer}");
    let refused =
        socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"gate","params":{"order":"stop"}}"#);
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
}

#[test]
fn a_worker_that_stands_still_is_told_within_a_second() {
    let socket = Socket::watching(false, well());
    let words = "not ready: the worker on core 1 stands still";
    assert_eq!(told(&socket.tidegate("ready")), (Some(1), words.into()));
}

#[test]
fn a_daemon_that_does_not_answer_is_not_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    let (code, words) = ready(&path);
    assert_eq!(code, Some(1));
    assert!(words.starts_with("tidegate: no tidegated answers on "), "{words}");
    // One that is stopped still has its socket.
    let _stopped = UnixListener::bind(&path).expect("a socket");
    let start = Instant::now();
    let (code, words) = ready(&path);
    assert_eq!(code, Some(1));
    assert!(words.starts_with("tidegate: no tidegated answers on "), "{words}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
