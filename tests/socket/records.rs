//! The last records of the log, and the clients in them: made while somebody asks, and only then.

use crate::Socket;
use engine::state::flow_log::{FlowEvent, FlowRecord, RefusedRequest};
use engine::types::id::{InterfaceId, ServiceId};
use engine::types::next_hop::NextHop;
use engine::types::tick::Millis;
use kit::lab::until;
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;
use wire::ethernet::Mac;

/// A refused request of a service that has no log.
pub fn refused() -> FlowRecord {
    FlowRecord {
        time: Millis(0),
        service: ServiceId(1),
        vip: "10.0.0.100:69".parse().expect("an endpoint"),
        protocol: 17,
        client: "10.0.8.21:2070".parse().expect("an endpoint"),
        hop: NextHop { mac: Mac([2, 0, 0, 0, 0, 9]), interface: InterfaceId(0) },
        event: FlowEvent::Refused(RefusedRequest { reason: "rate", request: None }),
    }
}

fn ask(socket: &Socket, method: &str, params: Value) -> Value {
    let line = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    socket.ask(&line.to_string())["result"].take()
}

#[test]
fn records_are_made_while_somebody_asks_for_them() {
    let socket = Socket::open(true);
    assert!(!socket.makes_records.load(Relaxed));
    let first = ask(&socket, "log", json!({}));
    assert_eq!(first["lines"], json!([]));
    let mut log = Value::Null;
    until("the log has the refusal", || {
        log = ask(&socket, "log", json!({ "after": 0 }));
        log["lines"] != json!([])
    });
    assert!(socket.makes_records.load(Relaxed));
    let text = "10.0.8.21:2070 firmware/- refused (rate) mac=02:00:00:00:00:09";
    assert_eq!((&log["lines"][0]["text"], &log["lines"][0]["seq"]), (&json!(text), &json!(1)));
    assert_eq!(log["since"], first["since"], "both are of one watch");
    assert_eq!(ask(&socket, "log", json!({ "after": 1 }))["lines"], json!([]));
    let clients = ask(&socket, "clients", json!({}));
    assert_eq!(clients["unfinished"][0]["client"], "10.0.8.21");
    assert_eq!(clients["unfinished"][0]["refused"], 1);
    assert_eq!((&clients["talkers"], &clients["since"]), (&json!([]), &first["since"]));
    // Nobody asks any longer: workers get another snapshot.
    until("no records are made", || !socket.makes_records.load(Relaxed));
    let again = ask(&socket, "clients", json!({}));
    assert!(again["since"].as_u64() > first["since"].as_u64(), "{again}");
    until("records are made again", || socket.makes_records.load(Relaxed));
}
