//! A small farm's answers, for tests of what is made of them.

use crate::api::{Backend, Service, Stats, Status};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn parsed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an answer")
}

/// One interface and two workers.
pub fn status() -> Status {
    let worker = |core| {
        json!({
            "core": core, "received": 0, "transmitted": 0, "dropped": 0, "busy": 100.0,
            "idle": 300.0,
        })
    };
    parsed(json!({
        "version": "0.1.0", "uptime": 4000, "transfers": 12,
        "workers": [worker(1), worker(2)],
        "interfaces": [{
            "name": "lan", "device": "0000:03:00.0", "vlans": [], "driver": "net_ixgbe",
            "mac": "02:00:00:00:00:01", "mtu": 1500, "queues": 2, "rss": "by source",
            "tap": { "to_kernel": 0, "refused": 0, "from_kernel": 0, "no_room": 0 },
            "lost": { "missed": 0, "broken": 0, "no_buffer": 0, "oversized": 0, "unsent": 0 },
            "link": { "up": true, "speed": 1_250_000_000 },
        }],
    }))
}

/// The services `pxe` and `firmware`.
pub fn services() -> Vec<Service> {
    let service = |name, vip| {
        json!({
            "name": name, "vips": [vip], "port": 69, "protocol": "tftp", "mode": "nat",
            "state": "live", "transfers": 6, "totals": { "started": 0 }, "refused": {},
        })
    };
    parsed(json!([service("pxe", "10.0.0.100"), service("firmware", "10.0.0.110")]))
}

/// Two backends of each service.
pub fn backends() -> Vec<Backend> {
    let backend = |service, name, address| {
        json!({
            "service": service, "name": name, "address": address, "weight": 1, "file_weight": 1,
            "state": "up", "check": { "verdict": "passed", "since": 300, "last": "" },
            "next_hop": "02:00:00:00:00:30", "transfers": 3, "totals": { "started": 0 },
        })
    };
    parsed(json!([
        backend("pxe", "tftp1", "10.0.0.30"),
        backend("pxe", "tftp2", "10.0.0.31"),
        backend("firmware", "fw1", "10.0.0.40"),
        backend("firmware", "fw2", "10.0.0.41"),
    ]))
}

/// Counters that have counted nothing yet.
pub fn stats() -> Stats {
    let latency = json!({ "turns": 0, "p50": 0, "p99": 0, "p99_9": 0, "max": 0 });
    let worker = |core| json!({ "core": core, "packets": {}, "drops": {}, "latency": latency });
    parsed(json!({
        "packets": {}, "drops": {}, "workers": [worker(1), worker(2)], "transfers": {},
        "refused": {}, "latency": latency, "handed_over_share": 0.0,
    }))
}
