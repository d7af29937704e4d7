//! Metrics in documents, alerts and the dashboard are those that there are.

use crate::markdown::{Document, root};
use control::metrics::{Format, Sample, encode};
use kit::exposition::{Exposition, documented};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Metrics and their types.
fn existing() -> Exposition {
    Exposition::parse(&encode(&Arc::new(Sample::default()), Format::Text, None))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("a file")
}

/// Names of metrics in a text, without the suffixes of histograms' series.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("tidegate_"));
    let bare = |name: &str| name.strip_suffix("_bucket").unwrap_or(name).to_owned();
    names.map(bare).collect()
}

/// Names in a text that no metric has.
fn unknown(text: &str) -> Vec<String> {
    let existing = existing();
    named(text).into_iter().filter(|name| !existing.types.contains_key(name)).collect()
}

#[test]
fn the_documented_metrics_are_those_that_exist() {
    let documented = documented().into_iter().map(|(name, metric)| (name, metric.kind));
    assert_eq!(documented.collect::<Vec<_>>(), existing().types.into_iter().collect::<Vec<_>>());
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    for (path, least) in [
        ("conf/prometheus/tidegate.rules.yml", 15),
        ("conf/prometheus/tidegate.tests.yml", 15),
        ("conf/grafana/tidegate.json", 25),
    ] {
        let text = text(path);
        assert_eq!(unknown(&text), [""; 0], "{path}");
        assert!(named(&text).len() >= least, "{path}: {}", named(&text).len());
    }
    assert_eq!(unknown("rate(tidegate_no_such_total[5m])"), ["tidegate_no_such_total"]);
}

#[test]
fn every_alert_has_a_section_and_a_test() {
    let (rules, tests) =
        (text("conf/prometheus/tidegate.rules.yml"), text("conf/prometheus/tidegate.tests.yml"));
    let anchors = Document::read("docs/metrics.md").anchors;
    let alerts: Vec<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    for alert in &alerts {
        let anchor = alert.to_lowercase();
        assert!(anchors.contains(&anchor), "docs/metrics.md has no section {alert}");
        assert!(rules.contains(&format!("runbook: docs/metrics.md#{anchor}\n")), "{alert}");
        assert!(tests.contains(&format!("alertname: {alert}\n")), "no test for {alert}");
    }
    assert!(alerts.len() > 10, "{alerts:?}");
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&text("conf/grafana/tidegate.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are unique");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().expect("targets");
        let sound = |target: &serde_json::Value| {
            let expression = target["expr"].as_str().unwrap_or_default();
            !named(expression).is_empty() && expression.contains("instance=~\"$instance\"")
        };
        assert!(!targets.is_empty() && targets.iter().all(sound), "{}", panel["title"]);
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
}
