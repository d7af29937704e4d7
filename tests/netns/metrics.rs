//! Metrics of the real daemon, as Prometheus scrapes them.

use crate::daemon::{Daemon, Setup};
use crate::operator::refused;
use crate::peers::{self, peer};
use kit::exposition::{Exposition, documented};
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, until};
use kit::meanwhile::meanwhile;
use serde_json::Value;
use std::fs::File;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.1:9781";

const HEALTH: &str = "[service.health]\ncheck = \"icmp\"\ninterval = \"1s\"";

/// A configuration with metrics at this address.
fn with_metrics(lab: &Lab, setup: &Setup, address: &str) -> String {
    let metrics = format!("[control]\nmetrics = \"{address}\"\n");
    setup.text(lab).replacen("[control]\n", &metrics, 1)
}

/// The configuration of two workers, with health checks, and with metrics at this address.
fn text(lab: &Lab, address: &str) -> String {
    let setup = Setup {
        workers: "1, 0",
        device_arguments: ",qpairs=2",
        service: HEALTH,
        ..Setup::default()
    };
    with_metrics(lab, &setup, address)
}

fn get(lab: &Lab, target: &str) -> String {
    lab.must("gate", &format!("curl -sS --fail http://{ADDRESS}{target}"))
}

/// The faults that `promtool` finds in a page.
fn lint(lab: &Lab, page: &str) -> String {
    let file = lab.path("page");
    std::fs::write(&file, page).expect("it is written");
    let mut promtool = Command::new(peer("prometheus/usr/bin/promtool"));
    promtool.args(["check", "metrics"]).stdin(File::open(&file).expect("a page"));
    let output = promtool.output().expect("promtool runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success() || !said.is_empty(), "{:?}", output.status);
    said
}

/// Asks Prometheus for an expression; `Null`, if it does not answer.
fn ask(lab: &Lab, expression: &str) -> Value {
    let url = "http://127.0.0.1:9090/api/v1/query";
    let mut curl = lab.command("gate", "curl -sS --get");
    let asked = curl.args([url, "--data-urlencode"]).arg(format!("query={expression}"));
    let output = asked.output().expect("curl runs");
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Asks Prometheus for the values of an expression.
fn query(lab: &Lab, expression: &str) -> Vec<f64> {
    let answer = ask(lab, expression);
    let result = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    let value = |row: &Value| row["value"][1].as_str().and_then(|text| text.parse().ok());
    result.iter().filter_map(value).collect()
}

/// The expressions of the dashboard, for all instances and services.
fn dashboard() -> Vec<String> {
    let text = include_str!("../../conf/grafana/tidegate.json");
    let dashboard: Value = serde_json::from_str(text).expect("JSON");
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expression = |target: &Value| {
        let text = target["expr"].as_str().expect("an expression");
        let text = text.replace("$instance", ".*").replace("$service", ".*");
        text.replace("$__rate_interval", "1m")
    };
    targets.map(expression).collect()
}

fn fetch(lab: &Lab, vip: &str, times: usize) {
    for _ in 0..times {
        lab.must("client", &format!("curl -sS --fail -o got tftp://{vip}/boot"));
    }
}

#[test]
fn prometheus_scrapes_what_the_socket_says() {
    let lab = Lab::new();
    peers::files(&lab, &[("boot", 20_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::with(&lab, &text(&lab, ADDRESS));
    let config = format!(
        "scrape_configs:\n- job_name: tidegate\n  scrape_interval: 1s\n  static_configs:\n  - targets: [\"{ADDRESS}\"]\n"
    );
    std::fs::write(lab.path("prometheus.yml"), config).expect("it is written");
    let command = format!(
        "{} --config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address=127.0.0.1:9090",
        peer("prometheus/usr/bin/prometheus")
    );
    let mut prometheus = lab.spawn("gate", &command);
    fetch(&lab, NAT_VIP, 5);
    fetch(&lab, SNAT_VIP, 3);
    let completed = |service: &str| {
        format!(
            "sum(tidegate_backend_transfers_ended_total{{service=\"{service}\",outcome=\"completed\"}})"
        )
    };
    for (service, count) in [("nat", 5), ("snat", 3)] {
        until("the transfers are over", || daemon.total(service, "completed") == count);
        until("Prometheus has them", || query(&lab, &completed(service)) == [count as f64]);
    }
    until("the scrape is whole", || query(&lab, "up{job=\"tidegate\"}") == [1.0]);
    until("bytes are the same", || {
        let bytes: u64 = daemon.by_backend("nat", "bytes_out").iter().sum();
        let expression = "sum(tidegate_backend_bytes_total{service=\"nat\",direction=\"out\"})";
        bytes > 100_000 && query(&lab, expression) == [bytes as f64]
    });
    until("checks pass", || {
        let passed = query(&lab, "tidegate_health_checks_total{verdict=\"passed\"} > 2");
        passed.len() == 6
    });
    assert_eq!(query(&lab, "tidegate_interface_up == 1").len(), 2);
    let expressions = dashboard();
    assert!(expressions.len() > 20, "{expressions:?}");
    for expression in expressions {
        let answer = ask(&lab, &expression);
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    assert_eq!(ask(&lab, "sum(")["status"], "error", "Prometheus finds faults");
    assert!(prometheus.terminate().success());
    daemon.finish();
}

#[test]
fn the_page_is_sound_and_documented() {
    let lab = Lab::new();
    peers::files(&lab, &[("boot", 20_000)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::with(&lab, &text(&lab, ADDRESS));
    fetch(&lab, SNAT_VIP, 2);
    sleep(Duration::from_secs(1));
    let page = get(&lab, "/metrics");
    assert_eq!(lint(&lab, &page), "");
    assert_ne!(lint(&lab, "# TYPE a_total gauge\na_total 1\n"), "", "promtool finds faults");
    let page = Exposition::parse(&page);
    for series in &page.series {
        let bare =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| series.name.strip_suffix(end));
        let name = bare.filter(|bare| page.types.contains_key(*bare)).unwrap_or(&series.name);
        let documented = documented().remove(name).unwrap_or_default();
        let labels = series.labels.keys().filter(|&label| label != "le");
        assert!(labels.eq(&documented.labels), "{name}: {:?}", series.labels);
    }
    let build = page.all("tidegate_build_info", &[("version", env!("CARGO_PKG_VERSION"))]);
    let is_number = |text: &String| text.starts_with(|c: char| c.is_ascii_digit());
    assert!(
        is_number(&build[0].labels["dpdk"]) && is_number(&build[0].labels["rustc"]),
        "{build:?}"
    );
    let workers = [("0", "1"), ("1", "0")];
    let busy = |name: &str| {
        let name = format!("tidegate_worker_{name}_seconds_total");
        workers.map(|(worker, core)| page.value(&name, &[("worker", worker), ("core", core)]))
    };
    let up = daemon.ask("status").expect("status")["uptime"].as_f64().expect("seconds");
    for (busy, idle) in busy("busy").into_iter().zip(busy("idle")) {
        assert!(idle > 0.0 && busy + idle <= up + 2.0, "{busy} s and {idle} s of {up} s");
    }
    let rows: f64 =
        page.all("tidegate_worker_flows", &[("kind", "transfer")]).iter().map(|it| it.value).sum();
    assert!(rows >= 2.0, "{rows} rows: transfers that are over are kept for late packets");
    let [taken, resting] = ["taken", "resting"]
        .map(|state| page.value("tidegate_snat_ports", &[("service", "snat"), ("state", state)]));
    assert!(taken + resting >= 1.0, "{taken} taken, {resting} resting");
    daemon.finish();
}

#[test]
fn a_reload_is_told() {
    let lab = Lab::new();
    let sound = text(&lab, ADDRESS);
    let daemon = Daemon::with(&lab, &sound);
    let value = |name: &str| Exposition::parse(&get(&lab, "/metrics")).value(name, &[]);
    const LAST: &str = "tidegate_config_last_reload_successful";
    const TIME: &str = "tidegate_config_last_reload_success_timestamp_seconds";
    let (start, first) = (value("tidegate_start_time_seconds"), value(TIME));
    assert_eq!((value(LAST), first), (1.0, start));
    let reload = |text: &str| {
        std::fs::write(lab.path("tidegate.toml"), text).expect("it is written");
        daemon.tidegate("reload")
    };
    let moved = reload(&text(&lab, "127.0.0.1:9782"));
    let said = String::from_utf8_lossy(&moved.stderr).into_owned();
    assert!(moved.status.code() == Some(1) && said.contains("needs a restart"), "{said}");
    until("the failure is told", || value(LAST) == 0.0);
    assert_eq!(value(TIME), first);
    assert!(reload(&sound.replacen("\"1s\"", "\"2s\"", 1)).status.success());
    until("the success is told", || value(LAST) == 1.0 && value(TIME) > first);
    daemon.finish();
}

#[test]
fn an_address_that_cannot_be_used_is_one_line() {
    let lab = Lab::new();
    let taken = lab.spawn("gate", "busybox nc -l -p 9781");
    until("the port is taken", || lab.must("gate", "ss -Hltn").contains(":9781"));
    refused(&lab, &text(&lab, ADDRESS), "cannot listen on 127.0.0.1:9781: Address already in use");
    drop(taken);
    refused(
        &lab,
        &text(&lab, "unix:/proc/no/metrics.sock"),
        "cannot listen on unix:/proc/no/metrics.sock",
    );
}

#[test]
fn a_unix_socket_serves_and_is_removed() {
    let lab = Lab::new();
    let path = lab.path("metrics.sock");
    let daemon = Daemon::with(&lab, &text(&lab, &format!("unix:{}", path.display())));
    let command =
        format!("curl -sS --fail --unix-socket {} http://any.example/metrics", path.display());
    let page = Exposition::parse(&lab.must("gate", &command));
    assert_eq!(
        page.value("tidegate_worker_packets_total", &[("worker", "0"), ("verdict", "held")]),
        0.0
    );
    daemon.finish();
    assert!(!path.exists());
}

/// A service with a thousand backends beside the others; their hardware addresses are fixed, as nobody answers for them.
fn a_thousand_more(lab: &Lab) -> String {
    let mut text = with_metrics(lab, &Setup::default(), ADDRESS);
    text += "[[service]]\nname = \"many\"\nprotocol = \"tftp\"\nvip = \"10.78.0.150\"\n";
    for n in 0..1000 {
        let (high, low) = (100 + n / 250, n % 250 + 1);
        text += &format!(
            "[[service.backend]]\nname = \"b{n}\"\naddress = \"10.77.{high}.{low}\"\nmac = \"02:00:00:00:{high:x}:{low:02x}\"\n"
        );
    }
    text
}

/// Transfers with and without ten clients that scrape a thousand backends, once a second each.
#[test]
fn transfers_go_on_under_ten_scrapers() {
    let lab = Lab::new();
    peers::files(&lab, &[("boot", 2 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::with(&lab, &a_thousand_more(&lab));
    let timed = || {
        let start = Instant::now();
        fetch(&lab, NAT_VIP, 10);
        start.elapsed()
    };
    let quiet = timed();
    let scrape = || {
        let page = get(&lab, "/metrics");
        let weights = page.lines().filter(|line| line.starts_with("tidegate_backend_weight{"));
        let of_many = weights.filter(|line| line.contains("service=\"many\""));
        assert_eq!(of_many.count(), 1000, "a page is whole");
        page.len()
    };
    let (loud, pages) = meanwhile((10, Duration::from_secs(1)), scrape, timed);
    println!(
        "ten transfers of 2 MiB took {quiet:?} without scrapers, {loud:?} under {} scrapes of {} bytes",
        pages.len(),
        pages[0]
    );
    until("all transfers are over", || daemon.total("nat", "completed") == 20);
    daemon.finish();
}

/// Rules by Prometheus' own tool: each alert fires for what it is about, and for nothing else.
#[test]
fn alerts_pass_their_tests() {
    for arguments in [
        ["check", "rules", "conf/prometheus/tidegate.rules.yml"],
        ["test", "rules", "conf/prometheus/tidegate.tests.yml"],
    ] {
        let mut promtool = Command::new(peer("prometheus/usr/bin/promtool"));
        let output = promtool.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.expect("promtool runs");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}
