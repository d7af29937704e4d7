use super::*;
use crate::flow_log::sample::{self, end, record, request, transfer};
use engine::state::flow_log::TftpError;
use engine::types::end_reason::EndReason;
use serde_json::{Value, json};
use std::time::Duration;

fn line(record: &FlowRecord) -> (Value, String) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let line = Line::new(record, 1, time, &sample::names());
    (serde_json::to_value(&line).unwrap(), line.to_string())
}

#[test]
fn a_download_in_both_forms() {
    let asked = b"\0\x01pxelinux.0\0octet\0blksize\x001428\0tsize\x000\0";
    let (json, text) = line(&transfer(asked, EndReason::Completed, None));
    let expected = json!({
        "time": "2023-11-14T22:13:20.123Z", "seq": 0, "event": "transfer", "service": "pxe",
        "vip": "10.0.0.100", "port": 69, "protocol": "tftp", "mode": "nat",
        "client": "10.0.8.21", "client_port": 2070, "client_mac": "02:00:00:00:00:09",
        "interface": "lan", "worker": 1, "outcome": "completed", "backend": "one",
        "server": "10.0.0.30", "tid": 35448, "moves": 0, "duration_ms": 41, "answer_ms": 3,
        "why": "round-robin", "operation": "read", "file": "pxelinux.0",
        "transfer_mode": "octet", "options_asked": "blksize=1428,tsize=0", "bytes": 26124,
        "blocks": 52, "blksize": 512, "windowsize": 1, "repeats_client": 0, "repeats_server": 0,
        "options_changed": "blksize=512", "stalled_ms": 20,
    });
    assert_eq!(json, expected);
    assert_eq!(
        text,
        "10.0.8.21:2070 pxe/one read pxelinux.0 completed 26124 B 52 blocks 0.041 s answer=0.003 \
         why=round-robin blksize=512 windowsize=1 repeats=0/0 mac=02:00:00:00:00:09"
    );
}

/// Nobody steers a terminal, or forges a line or a field, by the name of a file or an ERROR's text.
#[test]
fn hostile_names_stay_within_their_field() {
    let asked = b"\0\x01a\n\x1b[2J\xff%\xc2\x9b\xe2\x80\xae \"x\0octet\0";
    let error = TftpError::new(2, b"no\r\n\"admin\" 1\0");
    let (json, text) = line(&transfer(asked, EndReason::Failed, Some(error)));
    assert_eq!(json["file"], "a%0A%1B[2J%FF%25%C2%9B%E2%80%AE \"x");
    assert_eq!(
        (&json["error_code"], &json["error_text"]),
        (&json!(2), &json!("no%0D%0A\"admin\" 1"))
    );
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.contains(r#"read "a%0A%1B[2J%FF%25%C2%9B%E2%80%AE \"x" failed"#), "{text}");
    assert!(text.contains(r#"error=2 "no%0D%0A\"admin\" 1""#), "{text}");
}

#[test]
fn refused_requests_and_connections() {
    let refused = RefusedRequest { reason: "rate", request: Some(request(b"\0\x02up\0octet\0")) };
    let (json, text) = line(&record(FlowEvent::Refused(refused)));
    assert_eq!((&json["event"], &json["outcome"]), (&json!("refused"), &json!("refused")));
    assert_eq!((&json["reason"], &json["operation"]), (&json!("rate"), &json!("write")));
    assert_eq!(json.get("backend"), None);
    assert_eq!(text, "10.0.8.21:2070 pxe/- write up refused (rate) mac=02:00:00:00:00:09");
    let about = ConnectionEnd { kind: ConnectionKind::Data, bytes: [100, 2000] };
    let (json, text) = line(&record(FlowEvent::Connection(end(EndReason::TimedOut), about)));
    assert_eq!((&json["event"], &json["bytes_out"]), (&json!("connection"), &json!(2000)));
    assert_eq!(
        text,
        "10.0.8.21:2070 pxe/one data connection timed-out 100 B in 2000 B out 0.041 s \
         answer=0.003 why=round-robin mac=02:00:00:00:00:09"
    );
}

/// A long name's end is kept, without what was asked beside it.
#[test]
fn a_request_that_is_too_long_to_keep_has_the_end_of_its_name() {
    let asked = [&b"\0\x01"[..], &[b'x'; 300], b".img\0octet\0"].concat();
    let (json, _) = line(&transfer(&asked, EndReason::Completed, None));
    let file = json["file"].as_str().unwrap();
    assert!(file.ends_with("xx.img") && file.len() > 100, "{file}");
    assert_eq!(json.get("operation"), None);
}
