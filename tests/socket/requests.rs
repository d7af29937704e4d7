//! Requests: what each method answers, and what bad ones get.

use crate::Socket;
use serde_json::{Value, json};

pub fn error_code(answer: &Value) -> Option<i64> {
    answer["error"]["code"].as_i64()
}

#[test]
fn every_method_answers() {
    let socket = Socket::open(true);
    let mut connection = socket.connect();
    for (id, method) in [
        "status", "ready", "services", "backends", "flows", "stats", "nat", "routes", "log",
        "clients",
    ]
    .iter()
    .enumerate()
    {
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method }).to_string();
        let answer = connection.ask(&line);
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(id)), "{answer}");
        assert!(answer["result"].is_object() || answer["result"].is_array(), "{answer}");
    }
    let stats = socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"stats","params":{}}"#);
    assert_eq!(stats["result"]["packets"]["received"], 7);
    assert_eq!(stats["result"]["drops"]["bad-tftp"], 1);
    // Both requests asked the worker, whose latency is three microseconds, rounded to two digits.
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
    assert_eq!((&flow["answer"], &flow["repeats_client"]), (&json!(0.25), &json!(3)));
    assert_eq!((&flow["first_backend"], &flow["moves"]), (&json!("old"), &json!(1)));
    assert_eq!((&flow["why"], &flow["windowsize"]), (&json!("asked-elsewhere"), &json!(4)));
    let status = socket.ask(r#"{"jsonrpc":"2.0","id":1,"method":"status"}"#);
    assert_eq!(status["result"]["workers"][0]["busy"], 1.5);
    let idle = status["result"]["workers"][0]["idle"].as_f64().expect("seconds");
    assert!((0.5..0.51).contains(&idle), "{idle}");
    assert_eq!(status["result"]["interfaces"][0]["link"], json!({ "up": true, "speed": null }));
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
        (r#"{"jsonrpc":"2.0","id":1,"method":"log","params":{"limit":10001}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"log","params":{"after":-1}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"clients","params":{"a":1}}"#, -32602),
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
