use super::*;
use crate::backend_status::{CheckCounts, Condition};
use crate::config::Addresses;
use crate::service_facts::{ServiceFacts, VipFacts};
use engine::counters::Room;
use engine::counters::{Counters, Packets, Refusals, Transfers};
use engine::snapshot::Snapshot;
use engine::types::drop_reason::DropReason;
use kit::exposition::Exposition;
use std::sync::Arc;
use std::time::Duration;
use worker::latency;

/// A worker, a service with two backends, and one of everything else.
fn sample() -> Arc<Sample> {
    let counters = Counters::new(Room::of(&Snapshot::default(), 0));
    counters.packets.received.add(10);
    counters.packets.transmitted.add(7);
    counters.drops.of(DropReason::NoBackend).add(3);
    counters.load.busy.add(1_500_000_000);
    counters.occupancy.half_open.set(4);
    let mut latencies = latency::none();
    latency::record(&mut latencies, Duration::from_micros(4));
    latency::record(&mut latencies, Duration::from_millis(2));
    Arc::new(Sample {
        daemon: Facts::new("22.11".into()),
        workers: vec![Worker::new((0, 5), &counters, &latencies, 1024)],
        interfaces: vec![Interface::example()],
        pair: Some(Pair {
            telling: PairLink { is_linked: true, links: 2, rows: 7, lag: Some(0.25) },
            hearing: PairLink { is_linked: false, links: 1, rows: 5, lag: None },
            refused: [4, 0, 0, 0, 0, 1],
            conflicts: 3,
        }),
        services: ["pxe", "we\"ird\\\n"].map(service).into(),
        snat: vec![SnatPorts {
            service: "pxe".into(),
            address: "10.0.0.101".into(),
            is_live: true,
            addresses: Addresses::Elsewhere,
            taken: 3,
            resting: 2,
            max: 64_512,
        }],
        backends: vec![backend("pxe", "one"), backend("pxe", "two"), backend("we\"ird\\\n", "one")],
        nat: vec![NatRule { rule: "0".into(), to: "10.0.0.100".into(), connections: 6 }],
    })
}

/// Two values.
fn times() -> Buckets {
    Buckets { sum: 3.5, buckets: vec![(0.5, 1), (f64::INFINITY, 1)] }
}

fn service(name: &str) -> Service {
    let refusals = Refusals::default();
    refusals.read_only.add(2);
    Service {
        facts: ServiceFacts::example(name),
        vips: vec![VipFacts {
            address: "10.0.0.100".parse().expect("an address"),
            interface: "lan".into(),
            is_live: true,
            is_withdrawn: false,
            addresses: Addresses::Ours,
        }],
        refusals,
        durations: [times(), times()],
        sizes: times(),
    }
}

fn backend(service: &str, name: &str) -> Backend {
    let transfers = Transfers::default();
    transfers.started.add(5);
    transfers.ended.add(2);
    transfers.completed.add(1);
    transfers.drained.add(1);
    transfers.retransmitted.add(4);
    transfers.ignored.add(1);
    let mut checks = CheckCounts { passed: 1, none: 1, ..CheckCounts::default() };
    checks.time.record(Duration::from_millis(3), 1);
    checks.time.record(Duration::from_secs(11), 1);
    Backend {
        service: service.into(),
        name: name.into(),
        condition: Condition::Draining,
        weight: 3,
        max: (name == "one").then_some(50),
        kind: "transfer",
        transfers,
        answers: times(),
        checks: Some(checks),
    }
}

fn page(service: Option<&str>) -> Exposition {
    Exposition::parse(&encode(&sample(), Format::Text, service))
}

#[test]
fn values_are_where_they_belong() {
    let page = page(None);
    let worker = [("worker", "0"), ("core", "5")];
    let one = [("service", "pxe"), ("backend", "one")];
    let with =
        |labels: [(&'static str, &'static str); 2], one| [labels.as_slice(), &[one]].concat();
    for (name, labels, value) in [
        ("worker_received_packets_total", worker.to_vec(), 10.0),
        ("worker_packets_total", with(worker, ("verdict", "transmitted")), 7.0),
        ("worker_packets_total", with(worker, ("verdict", "dropped")), 3.0),
        ("worker_dropped_packets_total", with(worker, ("reason", "no-backend")), 3.0),
        ("worker_busy_seconds_total", worker.to_vec(), 1.5),
        ("worker_idle_seconds_total", worker.to_vec(), 0.0),
        ("worker_turn_seconds_bucket", with(worker, ("le", "2e-06")), 0.0),
        ("worker_turn_seconds_bucket", with(worker, ("le", "5e-06")), 1.0),
        ("worker_turn_seconds_bucket", with(worker, ("le", "0.01")), 2.0),
        ("worker_turn_seconds_count", worker.to_vec(), 2.0),
        ("worker_flows", with(worker, ("kind", "half-open")), 4.0),
        ("worker_flows_max", with(worker, ("kind", "transfer")), 1024.0),
        ("snat_ports", vec![("address", "10.0.0.101"), ("state", "resting")], 2.0),
        ("snat_ports_max", vec![("service", "pxe")], 64_512.0),
        ("interface_info", vec![("device", "0000:03:00.0"), ("rss", "by source")], 1.0),
        ("interface_up", vec![("interface", "lan")], 1.0),
        ("address_conflict", vec![("interface", "lan"), ("address", "10.0.0.100")], 1.0),
        ("interface_speed_bytes", vec![("interface", "lan")], 1.25e9),
        ("interface_lost_packets_total", vec![("reason", "missed")], 9.0),
        ("interface_kernel_packets_total", vec![("outcome", "no-room")], 8.0),
        (
            "service_vip_up",
            vec![("service", "pxe"), ("vip", "10.0.0.100"), ("addresses", "ours")],
            1.0,
        ),
        ("service_vip_up", vec![("service", "we\"ird\\\n")], 1.0),
        ("service_refused_requests_total", vec![("service", "pxe"), ("reason", "read-only")], 2.0),
        ("backend_state", with(one, ("state", "draining")), 1.0),
        ("backend_state", with(one, ("state", "up")), 0.0),
        ("backend_weight", one.to_vec(), 3.0),
        ("backend_transfers", with(one, ("kind", "transfer")), 3.0),
        ("backend_transfers_started_total", one.to_vec(), 5.0),
        ("backend_transfers_ended_total", with(one, ("outcome", "drained")), 1.0),
        ("backend_requests_repeated_total", with(one, ("ignored", "true")), 1.0),
        ("backend_requests_repeated_total", with(one, ("ignored", "false")), 3.0),
        ("health_checks_total", with(one, ("verdict", "none")), 1.0),
        ("health_check_seconds_bucket", with(one, ("le", "0.005")), 1.0),
        ("health_check_seconds_bucket", with(one, ("le", "10")), 1.0),
        ("health_check_seconds_sum", one.to_vec(), 11.003),
        ("sync_connected", vec![("direction", "out")], 1.0),
        ("sync_connected", vec![("direction", "in")], 0.0),
        ("sync_links_total", vec![("direction", "out")], 2.0),
        ("sync_rows_total", vec![("direction", "in")], 5.0),
        ("sync_lag_seconds", vec![("direction", "out")], 0.25),
        ("sync_refused_rows_total", vec![("reason", "held")], 4.0),
        ("sync_refused_rows_total", vec![("reason", "full")], 1.0),
        ("pair_conflicts", vec![], 3.0),
        ("nat_rule_connections_total", vec![("rule", "0"), ("to", "10.0.0.100")], 6.0),
        ("build_info", vec![("dpdk", "22.11"), ("version", env!("CARGO_PKG_VERSION"))], 1.0),
        ("config_last_reload_successful", vec![], 1.0),
    ] {
        assert_eq!(page.value(&format!("tidegate_{name}"), &labels), value, "{name} {labels:?}");
    }
    // Always all reasons, states and outcomes, so that rates have a first value.
    let count = |name: &str, labels: &[(&str, &str)]| page.all(name, labels).len();
    assert_eq!(count("tidegate_worker_dropped_packets_total", &[]), DropReason::ALL.len());
    assert_eq!(count("tidegate_backend_state", &one), 8);
    assert_eq!(count("tidegate_backend_transfers_ended_total", &one), 13);
    assert_eq!(count("tidegate_backend_transfers_max", &[]), 2);
}

#[test]
fn one_service_has_a_page_of_its_own() {
    let (page, all) = (page(Some("pxe")), page(None));
    assert!(page.series.iter().all(|series| series.labels["service"] == "pxe"));
    assert_eq!(page.all("tidegate_backend_weight", &[]).len(), 2);
    let of_service = all
        .series
        .iter()
        .filter(|series| series.labels.get("service").is_some_and(|name| name == "pxe"));
    assert_eq!(of_service.cloned().collect::<Vec<_>>(), page.series);
}

#[test]
fn openmetrics_has_its_own_form() {
    let text = encode(&sample(), Format::OpenMetrics, None);
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("# TYPE tidegate_nat_rule_connections counter\n"), "{text}");
    assert!(text.contains("tidegate_nat_rule_connections_total{rule=\"0\",to=\"10.0.0.100\"} 6\n"));
}

/// A counter that is new to the engine needs a metric, too: this test has to be told of it.
#[test]
fn every_counter_has_a_metric() {
    assert_eq!(Packets::NAMES.len(), 15);
    assert_eq!(Transfers::NAMES.len(), 31);
    assert_eq!(Refusals::NAMES.len(), 6);
}
