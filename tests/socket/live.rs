//! Commands and reloads, without a kernel.

use crate::Socket;
use serde_json::{Value, json};
use std::process::Output;
use std::time::UNIX_EPOCH;

fn json(socket: &Socket, command: &str) -> Value {
    let output = socket.tidegate(&format!("--json {command}"));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{command}: {output:?}"))
}

fn said(output: &Output) -> (Option<i32>, String) {
    let all = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&all).into_owned())
}

/// State and weights of pxe's first backend, whose configured weight is 3.
fn first(socket: &Socket) -> (Value, Value, Value) {
    let row = json(socket, "backends")[0].clone();
    assert_eq!((&row["service"], &row["name"]), (&json!("pxe"), &json!("tftp1")));
    (row["state"].clone(), row["weight"].clone(), row["file_weight"].clone())
}

#[test]
fn orders_are_carried_out_and_shown() {
    let socket = Socket::open(true);
    for (command, state, weight) in [
        ("drain pxe tftp1", "draining", 3),
        ("disable pxe tftp1", "disabled", 3),
        ("weight pxe tftp1 5", "disabled", 5),
        ("enable pxe tftp1", "up", 5),
        ("weight pxe tftp1 0", "up", 0),
        ("weight pxe tftp1 1000", "up", 1000),
        ("weight pxe tftp1 3", "up", 3),
    ] {
        let row = json(&socket, &format!("backend {command}"));
        let expected = (json!(state), json!(weight), json!(3));
        let answer = (row["state"].clone(), row["weight"].clone(), row["file_weight"].clone());
        assert_eq!((&answer, first(&socket)), (&expected, expected.clone()), "{command}");
    }
    let (code, text) = said(&socket.tidegate("backend weight pxe tftp1 7"));
    assert!(code == Some(0) && text.contains("7 (file: 3)"), "{text}");
}

#[test]
fn what_can_t_be_ordered_is_refused() {
    let socket = Socket::open(true);
    for (command, code, words) in [
        ("backend drain x tftp1", 1, "there is no service `x`"),
        ("backend drain pxe fw1", 1, "service `pxe` has no backend `fw1`"),
        ("backend weight pxe tftp1 1001", 1, "at most 1000"),
        ("backend weight pxe tftp1 many", 2, "invalid value"),
        ("backend weight pxe tftp1", 2, "required"),
        ("backend drain pxe", 2, "required"),
        ("backend dance pxe tftp1", 2, "unrecognized"),
    ] {
        let (exit, text) = said(&socket.tidegate(command));
        assert!(exit == Some(code) && text.contains(words), "{command}: {exit:?}: {text}");
    }
    assert_eq!(first(&socket), (json!("up"), json!(3), json!(3)));
}

#[test]
fn a_reload_shows_what_changes_and_changes_it() {
    let socket = Socket::open(true);
    assert!(said(&socket.tidegate("reload")).1.contains("the file says nothing new"));
    socket.edit("weight  = 3 ", "weight  = 4 ");
    socket.edit("name    = \"fw1\"", "name    = \"fw9\"");
    let lines = [
        "service pxe, backend tftp1: weight 3 → 4",
        "service firmware, backend fw1: removed",
        "service firmware, backend fw9: added",
    ];
    let (code, text) = said(&socket.tidegate("reload --check"));
    assert_eq!(code, Some(0), "{text}");
    assert!(lines.iter().all(|line| text.lines().any(|shown| shown == *line)), "{text}");
    assert!(text.contains("only checked"), "{text}");
    assert_eq!(first(&socket).1, 3);
    let (_, again) = said(&socket.tidegate("reload"));
    assert_eq!(again, text.replace("only checked: nothing is changed", "reloaded"));
    assert_eq!(first(&socket).1, 4);
    let names: Vec<_> = json(&socket, "backends")
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| row["name"].clone())
        .collect();
    assert!(names.contains(&json!("fw9")) && !names.contains(&json!("fw1")), "{names:?}");
    socket.edit("weight  = 4 ", "weight  = 5 ");
    let report = json(&socket, "reload");
    assert_eq!(report["applied"], true);
    let change = json!({
        "place": ["service pxe", "backend tftp1"], "change": "changed", "key": "weight", "old": 4,
        "new": 5
    });
    assert_eq!(report["changes"], json!([change]));
}

#[test]
fn what_was_ordered_stays_and_is_said() {
    let socket = Socket::open(true);
    socket.tidegate("backend drain pxe tftp1");
    socket.tidegate("backend weight pxe tftp1 1");
    socket.edit("weight  = 3 ", "weight  = 4 ");
    let (_, text) = said(&socket.tidegate("reload"));
    for kept in [
        "kept: backend tftp1 of pxe is drained by command",
        "kept: backend tftp1 of pxe has weight 1 by command, the file says 4",
    ] {
        assert!(text.contains(kept), "{text}");
    }
    assert_eq!(first(&socket), (json!("draining"), json!(1), json!(4)));
}

#[test]
fn a_broken_file_is_shown_and_the_old_one_goes_on() {
    let socket = Socket::open(true);
    socket.edit("\"10.1.0.31\"", "\"10.1.0.310\"");
    socket.edit("weight  = 3 ", "weight  = 4 ");
    for command in ["reload", "reload --check"] {
        let (code, text) = said(&socket.tidegate(command));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("`10.1.0.310` is no IP address"), "{text}");
        assert!(text.contains("tidegate.toml:") && text.contains("^^^^^^"), "{text}");
    }
    assert_eq!(first(&socket).1, 3);
    std::fs::remove_file(&socket.file).expect("it is there");
    let (code, text) = said(&socket.tidegate("reload"));
    assert!(code == Some(1) && text.contains("cannot read the configuration"), "{text}");
    assert_eq!(first(&socket).1, 3);
}

#[test]
fn the_status_has_the_last_reload() {
    let socket = Socket::open(true);
    let last = || json(&socket, "status")["last_reload"].clone();
    socket.tidegate("reload --check");
    assert_eq!(last(), Value::Null, "a check is no reload");
    for (this, that, successful, words) in [
        ("weight  = 3 ", "weight  = 4 ", true, ": done"),
        ("\"10.1.0.31\"", "\"10.1.0.310\"", false, ": refused"),
    ] {
        socket.edit(this, that);
        let before = UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        socket.tidegate("reload");
        let at = last()["at"].as_u64().expect("a time");
        assert_eq!(last()["successful"], successful);
        assert!((before..before + 60).contains(&at), "{at}, at {before}");
        let (_, text) = said(&socket.tidegate("status"));
        let line = text.lines().find(|line| line.starts_with("last reload ")).expect("a line");
        assert!(line.contains(words), "{line}");
    }
    // A check leaves the outcome as it was.
    socket.edit("\"10.1.0.310\"", "\"10.1.0.31\"");
    socket.tidegate("reload --check");
    assert_eq!(last()["successful"], false);
}

#[test]
fn what_needs_a_restart_says_so_and_changes_nothing() {
    for (this, that, line) in [
        ("mtu     = 1500", "mtu     = 1400", "interface clients: mtu 1500 → 1400"),
        ("max_flows = 262144", "max_flows = 1024", "dataplane: max_flows 262144 → 1024"),
        (
            "/run/tidegate",
            "/run/tide",
            "control: socket \"/run/tidegate/control.sock\" → \"/run/tide/control.sock\"",
        ),
        (
            "# Each interface is",
            "[pair]\nlisten = \"192.0.2.1:9470\"\npeer = \"192.0.2.2:9470\"\nkey = \"/k\"\n# Each interface is",
            "pair not set → { key = \"/k\", ",
        ),
        (
            "\"servers\"",
            "\"inside\"",
            "interface servers: removed\nneeds a restart: interface inside: added",
        ),
        (
            "[[service]]",
            "[[service]]\nname = \"a\"\nprotocol = \"tftp\"\nvip = \"10.0.0.71\"\n\
             [[service.backend]]\nname = \"a\"\naddress = \"10.0.0.72\"\n\
             [[service.backend]]\nname = \"b\"\naddress = \"10.0.0.73\"\n\
             [[service.backend]]\nname = \"c\"\naddress = \"10.0.0.74\"\n\
             [[service]]",
            "12 backends since the start, and there is room for 11",
        ),
    ] {
        let socket = Socket::open(true);
        socket.edit(this, that);
        socket.edit("weight  = 3 ", "weight  = 4 ");
        let (code, text) = said(&socket.tidegate("reload"));
        assert!(code == Some(1) && text.contains(&format!("needs a restart: {line}")), "{text}");
        assert!(!text.contains("weight"), "{text}");
        assert_eq!(first(&socket).1, 3);
    }
    // The same settings in other words.
    let socket = Socket::open(true);
    socket.edit("queues  = 1 ", "queues  = 0x1 ");
    assert!(said(&socket.tidegate("reload")).1.contains("nothing new"));
}
