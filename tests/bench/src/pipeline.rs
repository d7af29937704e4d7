//! The engine alone: criterion's results for bursts of 32.

use crate::results::{Reach, Results};
use engine::types::frame::BURST;
use serde_json::Value;
use std::process::Command;

pub fn measure(results: &mut Results) {
    let status = Command::new("cargo")
        .args(["bench", "--quiet", "--locked", "-p", "bench", "--bench", "pipeline"])
        .status();
    assert!(status.is_ok_and(|status| status.success()), "cargo bench failed");
    for way in ["dsr in", "nat in", "nat out", "snat in", "snat out"] {
        for flows in ["4096", "65536", "1048576", "4194304", "16500000"] {
            let what = format!("pipeline, {way}, {flows} flows");
            results.add(&what, a_packet(way, flows), "ns a packet", None);
        }
    }
    for way in ["dsr6 in", "nat6 in", "nat6 out", "snat6 in", "snat6 out"] {
        let what = format!("pipeline, {way}, 1048576 flows");
        results.add(&what, a_packet(way, "1048576"), "ns a packet", None);
    }
    for way in ["dsr in", "nat in", "nat out", "snat in", "snat out"] {
        for count in ["4096", "65536"] {
            let what = format!("pipeline, {way}, {count} TCP connections");
            let tcp = a_packet(&format!("tcp {way}"), count);
            let against = ("TFTP", a_packet(way, count));
            results.compare(&what, tcp, "ns a packet", against, Some(Reach::AtMost(1.15)));
        }
    }
    let nat = |flows| 0.5 * (a_packet("nat in", flows) + a_packet("nat out", flows));
    let rate = |flows| 1000.0 / nat(flows);
    let (few, million, most) = (rate("4096"), rate("1048576"), rate("16500000"));
    let reach = Some(Reach::AtLeast(0.4));
    results.compare("pipeline, nat, 1 million flows", million, "Mpps", ("4,096 flows", few), reach);
    let reach = Some(Reach::AtLeast(0.6));
    let against = ("1 million flows", million);
    results.compare("pipeline, nat, 16.5 million flows", most, "Mpps", against, reach);
    for mode in ["dsr", "nat", "snat"] {
        let each = a_packet(&format!("new {mode}"), "requests");
        let reach = Some(Reach::AtLeast(1.5));
        results.add(&format!("new transfers, {mode}"), 1000.0 / each, "million a second", reach);
    }
    let million = mean("expiry", "of a million") / 1e6;
    results.add("expiry of a million flows", million, "ms", None);
    for round in ["told", "known"] {
        let what = format!("a pair's round over 200,000 flows, all {round}");
        results.add(&what, mean("pair", round) / 1e6, "ms", None);
    }
}

/// Nanoseconds per packet.
fn a_packet(group: &str, name: &str) -> f64 {
    mean(group, name) / BURST as f64
}

fn mean(group: &str, name: &str) -> f64 {
    let path = format!("target/criterion/{group}/{name}/new/estimates.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let estimates: Value = serde_json::from_str(&text).expect("criterion writes JSON");
    estimates["median"]["point_estimate"].as_f64().expect("a number")
}
