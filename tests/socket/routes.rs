//! Connections and routes, over fake workers.

use crate::Socket;
use serde_json::{Value, json};

fn ask(socket: &Socket, method: &str, params: Value) -> Value {
    let line = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    socket.ask(&line.to_string())
}

fn shown(socket: &Socket, command: &str) -> String {
    let output = socket.tidegate(command);
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn connections_stand_beside_transfers() {
    let socket = Socket::open(true);
    let flows = &ask(&socket, "flows", json!({}))["result"];
    assert_eq!(flows["matching"], 3);
    assert_eq!(flows["flows"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        flows["connections"],
        json!([
            {
                "kind": "policy",
                "service": null,
                "backend": null,
                "protocol": "tcp",
                "client": "198.51.100.7:443",
                "vip": "10.0.0.140:40001",
                "seen_as": "198.51.100.7:443",
                "server": "10.1.0.70:40001",
                "state": "half-open",
                "bytes_in": 0,
                "bytes_out": 60,
                "age": 0.2,
                "idle": 0.2
            },
            {
                "kind": "client",
                "service": "files",
                "backend": "ftp1",
                "protocol": "tcp",
                "client": "10.0.0.7:40000",
                "vip": "10.0.0.140:21",
                "seen_as": "10.0.0.7:40000",
                "server": "10.1.0.70:21",
                "state": "open",
                "bytes_in": 1000,
                "bytes_out": 2000,
                "age": 740.0,
                "idle": 7.5
            }
        ])
    );
    // The youngest of both kinds.
    let two = &ask(&socket, "flows", json!({ "limit": 2 }))["result"];
    let counts = ["flows", "connections"].map(|list| two[list].as_array().map(Vec::len));
    assert_eq!(counts, [Some(1), Some(1)]);
    let table = shown(&socket, "flows");
    for words in ["policy", "files", "half-open", "12m", "10.1.0.70:21", "198.51.100.7:443"] {
        assert!(table.contains(words), "{words}:\n{table}");
    }
    assert!(shown(&socket, "flows --limit 2").contains("2 of 3; --limit shows more"));
}

#[test]
fn services_say_what_they_speak() {
    let socket = Socket::open(true);
    let services = &ask(&socket, "services", json!({}))["result"];
    let all = services.as_array().expect("a list");
    let speak: Vec<_> = all.iter().map(|one| (&one["protocol"], &one["port"])).collect();
    for pair in [("tftp", 69), ("ftp", 21), ("tcp", 22), ("any", 0)] {
        assert!(speak.contains(&(&json!(pair.0), &json!(pair.1))), "{pair:?}: {speak:?}");
    }
    let table = shown(&socket, "services");
    let rest = table.lines().find(|line| line.starts_with("rest")).expect("it is listed");
    assert!(rest.contains("10.0.0.120 ") && rest.contains("any"), "{table}");
}

#[test]
fn rules_are_shown_with_their_hits() {
    let socket = Socket::open(true);
    assert_eq!(
        ask(&socket, "nat", json!({}))["result"],
        json!([{
            "from": "10.1.0.0/24",
            "protocol": "tcp",
            "source_port": 20,
            "to": "10.0.0.140",
            "hits": 0
        }])
    );
    let text = std::fs::read_to_string(&socket.file).expect("the file");
    std::fs::write(&socket.file, text.replace("source_port = 20 ", "#")).expect("the file");
    let said = shown(&socket, "reload");
    assert!(said.contains("nat 1: source_port 20 → not set"), "{said}");
    let table = shown(&socket, "nat");
    assert!(table.contains("10.1.0.0/24  tcp       any"), "{table}");
}

#[test]
fn routes_are_those_of_our_interfaces() {
    let socket = Socket::open(true);
    let mac = "02:02:02:02:02:02";
    assert_eq!(
        ask(&socket, "routes", json!({}))["result"],
        json!({
            "matching": 3,
            "routes": [
                { "to": "0.0.0.0/0", "gateway": "10.0.0.1", "interface": "clients", "mac": null },
                { "to": "10.0.0.0/24", "gateway": null, "interface": "clients", "mac": null },
                { "to": "10.1.0.70/32", "gateway": null, "interface": "servers", "mac": mac }
            ]
        })
    );
    let table = shown(&socket, "routes --limit 2");
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[1].contains("unresolved") && lines[2].trim_end().ends_with('-'), "{table}");
    assert!(table.ends_with("2 of 3; --limit shows more\n"), "{table}");
}

#[test]
fn who_a_client_would_get_and_why() {
    let socket = Socket::open(true);
    socket.tidegate("backend drain pxe tftp1");
    assert_eq!(
        ask(&socket, "hash", json!({ "service": "pxe", "client": "10.0.0.7" }))["result"],
        json!({
            "service": "pxe",
            "client": "10.0.0.7",
            "worker": 0,
            "backend": "tftp2",
            "by": "round-robin",
            "passed_over": [{ "backend": "tftp1", "why": "draining" }]
        })
    );
    for (command, words) in [
        ("hash pxe 10.0.0.7", "10.0.0.7 gets tftp2 of pxe: by round-robin, it is the next one"),
        ("hash pxe 10.0.0.7", "\npassed over: tftp1, draining\n"),
        ("hash pxe 192.0.2.1", "it is not among its clients"),
        (
            "hash sftp 10.0.0.7",
            "10.0.0.7 gets nothing of sftp: no backend can be had\npassed over: sftp1",
        ),
        (
            "hash files 10.0.0.7",
            "10.0.0.7 gets nothing of files: the backend that it is bound to is full\npassed over: ftp1,",
        ),
        ("hash rest 10.0.0.7", "10.0.0.7 gets image1 of rest: it is bound to it in worker 0\n"),
        ("hash rest fd00::7", "service `rest` is not there over IPv6"),
        ("hash nobody 10.0.0.7", "there is no service `nobody`"),
    ] {
        let said = shown(&socket, command);
        assert!(said.contains(words), "{command}: {said}");
    }
    socket.tidegate("backend enable pxe tftp1");
    socket.tidegate("backend weight pxe tftp1 0");
    let said = shown(&socket, "hash pxe 10.0.0.7");
    assert!(said.contains("passed over: tftp1, weight 0"), "{said}");
}
