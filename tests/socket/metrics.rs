//! Metrics: what a page says, and what scrapes cost.

use crate::Socket;
use kit::exposition::Exposition;
use kit::meanwhile::meanwhile;
use serde_json::Value;
use std::collections::HashSet;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// The example, and a service with many backends.
pub fn many(backends: u32) -> String {
    let mut text = std::fs::read_to_string(crate::EXAMPLE).expect("an example");
    text += "[[service]]\nname = \"many\"\nprotocol = \"tftp\"\nvip = \"10.0.0.150\"\n";
    text += "snat = [\"10.0.0.151\"]\n";
    for n in 0..backends {
        let address = format!("172.16.{}.{}", n / 250, n % 250 + 1);
        text += &format!("[[service.backend]]\nname = \"b{n}\"\naddress = \"{address}\"\n");
    }
    text
}

fn page(socket: &Socket, target: &str) -> Exposition {
    Exposition::parse(&socket.get(target, "").1)
}

#[test]
fn a_page_says_what_the_socket_says() {
    let socket = Socket::open(true);
    let page = page(&socket, "/metrics");
    let ask = |method: &str| {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        socket.ask(&line)["result"].clone()
    };
    let (stats, backends, services) = (ask("stats"), ask("backends"), ask("services"));
    let number = |value: &Value| value.as_f64().expect("a number");
    let value = |name: &str, labels: &[(&str, &str)]| page.value(name, labels);
    assert_eq!(
        value("tidegate_worker_received_packets_total", &[]),
        number(&stats["packets"]["received"])
    );
    for (reason, count) in stats["drops"].as_object().expect("drops") {
        let labels = [("reason", &**reason)];
        assert_eq!(
            value("tidegate_worker_dropped_packets_total", &labels),
            number(count),
            "{reason}"
        );
    }
    for row in backends.as_array().expect("backends") {
        let text = |key: &str| row[key].as_str().expect("a text").to_owned();
        let (service, name, state) = (text("service"), text("name"), text("state"));
        let labels = [("service", &*service), ("backend", &*name)];
        let with_state = [labels[0], labels[1], ("state", &state)];
        assert_eq!(value("tidegate_backend_state", &with_state), 1.0);
        for (name, counter) in [("started", "started"), ("inherited", "inherited")] {
            let name = format!("tidegate_backend_transfers_{name}_total");
            assert_eq!(value(&name, &labels), number(&row["totals"][counter]));
        }
        assert_eq!(value("tidegate_backend_transfers", &labels), number(&row["transfers"]));
        assert_eq!(value("tidegate_backend_weight", &labels), number(&row["weight"]));
    }
    for row in services.as_array().expect("services") {
        let name = row["name"].as_str().expect("a name");
        assert_eq!(page.all("tidegate_service_info", &[("service", name)]).len(), 1, "{name}");
    }
    assert_eq!(value("tidegate_worker_turn_seconds_count", &[]), 1.0);
    let ports = page.all("tidegate_snat_ports", &[("state", "taken"), ("service", "firmware")]);
    assert!(ports.len() == 2 && ports.iter().all(|series| series.value == 0.0), "{ports:?}");
}

#[test]
fn formats_and_services_are_chosen_by_the_client() {
    let socket = Socket::open(true);
    let (head, _) = socket.get("/metrics", "Accept: */*\r\n");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let (head, body) = socket.get("/metrics", "Accept: application/openmetrics-text\r\n");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"));
    let page = page(&socket, "/metrics?service=%70xe");
    assert!(page.series.iter().all(|series| series.labels["service"] == "pxe"));
    assert!(!page.series.is_empty());
}

#[test]
fn a_reload_keeps_counters_and_drops_series_of_removed_backends() {
    let socket = Socket::open(true);
    let started = |name: &str, backend: &str| -> Vec<f64> {
        let page = page(&socket, "/metrics");
        page.all(name, &[("backend", backend)]).iter().map(|series| series.value).collect()
    };
    const STARTED: &str = "tidegate_backend_transfers_started_total";
    assert_eq!(started(STARTED, "tftp1"), [3.0]);
    assert_eq!(started(STARTED, "fw1"), [0.0]);
    socket.edit("\"fw1\"", "\"fw9\"");
    socket.reload();
    sleep(Duration::from_secs(1));
    assert_eq!(started(STARTED, "tftp1"), [3.0]);
    assert_eq!(started(STARTED, "fw1"), [0.0; 0]);
    assert_eq!(started(STARTED, "fw9"), [0.0]);
}

/// A backend with another address, and a service with another port, are new ones under names that have counted before.
#[test]
fn counters_of_a_name_never_fall() {
    for (this, that) in [
        ("address = \"10.1.0.30\"", "address = \"10.1.0.39\""),
        ("port         = 69 ", "port         = 6969 "),
    ] {
        let socket = Socket::open(true);
        let counted = || {
            let page = page(&socket, "/metrics");
            [
                ("backend_transfers_started_total", [("service", "pxe"), ("backend", "tftp1")]),
                ("service_refused_requests_total", [("service", "pxe"), ("reason", "file")]),
            ]
            .map(|(name, labels)| page.value(&format!("tidegate_{name}"), &labels))
        };
        assert_eq!(counted(), [3.0, 5.0]);
        socket.edit(this, that);
        socket.reload();
        sleep(Duration::from_secs(1));
        assert_eq!(counted(), [3.0, 5.0], "{that}");
    }
}

/// A reload adds a backend while a scrape and the web page wait for a worker that does not answer.
#[test]
fn a_page_is_whole_whatever_is_reloaded_meanwhile() {
    let socket = Socket::open(false);
    let weights = || page(&socket, "/metrics").all("tidegate_backend_weight", &[]).len();
    let one = "[[service.backend]]\nname    = \"image1\"\n";
    let more = "[[service.backend]]\nname = \"image2\"\naddress = \"10.0.0.51\"\n";
    let before = weights();
    // Another page than that one, which is kept for a second.
    sleep(Duration::from_secs(1));
    let weight = scope(|threads| {
        let scrape = threads.spawn(weights);
        let web = threads.spawn(|| socket.get("/", "").1);
        sleep(Duration::from_millis(300));
        socket.edit(one, &format!("{more}{one}"));
        socket.reload();
        assert!(web.join().expect("a page").contains("Backends of pxe"));
        scrape.join().expect("a page")
    });
    assert!((before..=before + 1).contains(&weight), "{weight}, and before {before}");
    sleep(Duration::from_secs(1));
    assert_eq!(weights(), before + 1);
}

/// The line of a page that tells samples apart: each sample asks the worker once, which records one turn more.
fn sampled(page: &str) -> String {
    let line = page.lines().find(|line| line.starts_with("tidegate_worker_turn_seconds_count"));
    line.expect("a histogram").to_owned()
}

/// Ten clients scrape a thousand backends, ten times a second each, while the configuration is reloaded.
#[test]
fn ten_scrapers_cost_one_page_a_second() {
    let socket = Socket::with(&many(1000), true, crate::view());
    let text = std::fs::read_to_string(&socket.file).expect("the file");
    let reload = |n: u32| {
        let timeout = format!("idle_timeout = \"{}s\"", 61 + n);
        std::fs::write(&socket.file, text.replace("idle_timeout = \"60s\"", &timeout))
            .expect("the file");
        let start = Instant::now();
        let output = socket.tidegate("reload");
        let change = format!("→ \"{}s\"", 61 + n);
        assert!(String::from_utf8_lossy(&output.stdout).contains(&change), "{output:?}");
        let took = start.elapsed();
        sleep(Duration::from_millis(200));
        took
    };
    let quiet = (0..10).map(reload).max().expect("some");
    let start = Instant::now();
    socket.get("/metrics", "");
    let first = start.elapsed();
    let start = Instant::now();
    let scrape = || {
        let (_, page) = socket.get("/metrics", "");
        (page.len(), sampled(&page))
    };
    let reloads = || (10..20).map(reload).max().expect("some");
    let (loud, pages) = meanwhile((10, Duration::from_millis(100)), scrape, reloads);
    let seconds = start.elapsed().as_secs();
    let samples = pages.iter().map(|(_, sampled)| sampled).collect::<HashSet<_>>().len();
    println!(
        "{} pages of {} bytes in {seconds} s from {samples} samples; a new page took {first:?}, the longest reload \
         {quiet:?} without scrapers, {loud:?} with them",
        pages.len(),
        pages[0].0
    );
    assert!(samples as u64 <= seconds + 2, "{samples} samples in {seconds} s");
    let (_, whole) = socket.get("/metrics", "");
    assert!(
        pages.iter().all(|(len, _)| len.abs_diff(whole.len()) < whole.len() / 100),
        "a page is cut off"
    );
}
