use super::*;
use crate::api::{self, Check, Flow, Flows, Link};
use crate::config::Addresses;
use crate::flow_log::{Asked, End, Line};
use crate::metrics::{Facts, Interface};
use crate::service_facts::{ServiceFacts, VipFacts};
use engine::types::drop_reason::DropReason;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{1b}[2J\u{202e}";

fn backend(name: &str, state: &str, reason: &str) -> Backend {
    let (verdict, since) = (if state == "up" { "passed" } else { "failed" }.into(), Some(75));
    let check = Some(Check { verdict, since, last: reason.into() });
    let row = api::Backend {
        service: "pxe".into(),
        name: name.into(),
        address: "10.0.0.30".parse().expect("an address"),
        weight: 3,
        file_weight: 1,
        max_transfers: Some(2000),
        state: state.into(),
        check,
        next_hop: None,
        transfers: 1234,
        totals: api::Counts::default(),
    };
    Backend { row, reason: reason.into(), since: Duration::from_secs(75) }
}

fn flow(file: &str, size: Option<u32>) -> Flow {
    Flow {
        service: "pxe".into(),
        backend: "one".into(),
        client: "10.0.0.7:2070".parse().expect("an endpoint"),
        seen_as: "10.0.0.7:2070".parse().expect("an endpoint"),
        tid: Some(40_000),
        state: "established".into(),
        kind: "read".into(),
        file: file.into(),
        blocks: 10,
        blksize: 512,
        windowsize: 1,
        size,
        bytes: 5120,
        age: 2.0,
        idle: 0.1,
        answer: None,
        repeats_client: 0,
        moves: 0,
        first_backend: None,
        why: "round-robin".into(),
    }
}

fn failure() -> Line {
    let request = Asked {
        operation: Some("read"),
        file: HOSTILE.into(),
        transfer_mode: None,
        options_asked: None,
    };
    let end = End {
        backend: "one".into(),
        server: None,
        tid: None,
        first_backend: None,
        moves: 0,
        seen_as: None,
        duration_ms: 2500,
        answer_ms: None,
        why: "round-robin",
    };
    Line {
        time: "2026-01-02T03:04:05.678Z".into(),
        service: "pxe".into(),
        client: "10.0.0.8".into(),
        client_port: 2071,
        outcome: "timed-out",
        request: Some(request),
        end: Some(end),
        ..Line::default()
    }
}

fn view() -> View {
    let vip = |address: &str, is_live| Vip {
        facts: VipFacts {
            address: address.parse().expect("an address"),
            interface: "lan".into(),
            is_live,
            is_withdrawn: false,
            addresses: Addresses::Ours,
        },
        since: Duration::from_secs(7300),
    };
    let service = Service {
        facts: ServiceFacts::example("pxe"),
        vips: vec![vip("10.0.0.100", true), vip("10.0.0.101", false)],
        lacks_pool: false,
        backends: vec![backend("one", "up", ""), backend("two", "down", "no answer within 1s")],
        hour: vec![Second { requests: 5, outcomes: [3, 1, 1, 0] }; 90],
    };
    let flows = vec![flow(HOSTILE, Some(10_240)), flow("boot", None)];
    View {
        at: SystemTime::now(),
        host: "gate1".into(),
        daemon: Facts::new("none".into()),
        uptime: Duration::from_secs(7300),
        last_reload: None,
        services: vec![service],
        flows: Ok(Flows { matching: 7, flows, connections: vec![] }),
        failures: vec![failure()],
        drops: vec![Drop { reason: DropReason::NoBackend, total: 40, minute: 3 }],
        workers: vec![Worker {
            core: 5,
            load: Some(WorkerLoad { busy: 0.256, packets: [12_000.0, 11_000.0, 0.5] }),
        }],
        interfaces: vec![Interface {
            link: Link { is_up: false, speed: Some(1_250_000_000) },
            ..Interface::example()
        }],
    }
}

/// The text of a page without its tags, as a reader hears it.
fn heard(page: &str) -> String {
    let mut text = String::new();
    for part in page.split('<') {
        text += part.split_once('>').map_or(part, |(_, text)| text);
        text += " ";
    }
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_shows_the_view() {
    let page = page(&view());
    let text = heard(&page);
    for words in [
        "(4) Tidegate on gate1",
        "4 problems ✖ VIP 10.0.0.101 of pxe is down: the kernel does not hold it on lan",
        "✖ Backend two of pxe is down for 1 min: no answer within 1s",
        "✖ Another host claims 10.0.0.100: it is also at 02:00:00:00:00:99",
        "✖ The link of lan is down",
        "VIP 10.0.0.100 ● up for 2 h",
        "VIP 10.0.0.101 ✖ down for 2 h: the kernel does not hold it on lan: another host has it",
        "tftp, port 69, nat, round-robin; 1 of 2 backends up",
        "one ● up 1 min 1\u{202f}234 / 2\u{202f}000 3 (file: 1) passed for 1 min 10.0.0.30",
        "two ✖ down 1 min no answer within 1s 1\u{202f}234 / 2\u{202f}000 3 (file: 1) failed for 1 min: no answer",
        "completed 270",
        "50 %, block 10",
        "2 of 7, the youngest first",
        "read boot pxe/one established block 10 5.0 KiB 2.5 KiB/s 2.0 s 0.1 s",
        "2026-01-02 03:04:05.678 UTC timed-out 10.0.0.8:2071",
        "no-backend 3 40 No backend can be reached for the request.",
        "0 5 25.6 % 12\u{202f}000 11\u{202f}000 0.5",
        "lan ✖ down 10\u{202f}000 Mbit/s 9 0000:03:00.0",
        concat!("Version ", env!("CARGO_PKG_VERSION"), " Up for 2 h"),
        "Last reload none since the start",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn nothing_wrong_is_said_too() {
    let mut view = view();
    view.services[0].vips.truncate(1);
    view.services[0].backends.truncate(1);
    view.interfaces[0].link.is_up = true;
    view.interfaces[0].conflicts.clear();
    (view.drops, view.failures) = (vec![], vec![]);
    view.flows = Err("worker 0 does not answer".into());
    let text = heard(&page(&view));
    for words in [
        "● No problem now.",
        "No packet was dropped.",
        "Nothing has failed.",
        "There is no list now: worker 0 does not answer",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    view.services[0].backends.clear();
    view.daemon.reloads.is_last_successful = false;
    view.last_reload = Some(Duration::from_secs(61));
    let text = heard(&page(&view));
    for words in
        ["pxe has no backend that is up", "The last reload was refused", "refused 1 min ago"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn nothing_runs_only_where_nothing_is_counted() {
    let mut view = view();
    let empty = |matching| Ok(Flows { matching, flows: vec![], connections: vec![] });
    view.flows = empty(0);
    assert!(heard(&page(&view)).contains("Nothing runs now."));
    view.flows = empty(12_345);
    let text = heard(&page(&view));
    assert!(text.contains("12\u{202f}345 transfers and connections run now;"), "{text}");
    assert!(!text.contains("Nothing runs"), "{text}");
}

#[test]
fn a_hostile_file_name_is_text() {
    let page = page(&view());
    assert_eq!(page.matches("<script").count(), 1, "the page's own");
    let shown = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;'&amp;\\u{1b}[2J\\u{202e}";
    assert_eq!(page.matches(shown).count(), 2, "running and failed: {page}");
    assert!(!page.contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn the_page_is_whole_and_loads_from_here_alone() {
    let page = page(&view());
    let values = |name: &str| {
        let parts = page.split(name).skip(1);
        parts.map(|part| part.split('"').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let ids = values(" id=\"");
    for (place, id) in ids.iter().enumerate() {
        assert!(!ids[..place].contains(id), "two have the id {id}");
    }
    for target in values("href=\"#").into_iter().chain(values("labelledby=\"")) {
        assert!(ids.contains(&target), "nothing has the id {target}");
    }
    assert_eq!(
        [values(" src=\""), values("rel=\"stylesheet\" href=\"")],
        [["tidegate.js"], ["tidegate.css"]]
    );
    for inline in ["style=\"", "onclick", "http://", "https://", "<style"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    assert!(SCRIPT.len() < 2048, "{} bytes", SCRIPT.len());
    assert!(SCRIPT.contains("AbortSignal.timeout("), "a daemon that is silent is noticed");
    let tables = page.matches("<table>").count();
    assert_eq!((page.matches("<caption>").count(), page.matches("<h1>").count()), (tables, 1));
}

/// Colours of a scheme by their names.
fn colours(block: &str) -> HashMap<&str, [f64; 3]> {
    let pairs = block.lines().filter_map(|line| line.trim().strip_suffix(';')?.split_once(": #"));
    let part = |hex: &str, place: usize| {
        let value = u8::from_str_radix(&hex[place..place + 2], 16).expect("a colour");
        f64::from(value) / 255.0
    };
    pairs.map(|(name, hex)| (name, [part(hex, 0), part(hex, 2), part(hex, 4)])).collect()
}

/// The contrast of two colours (WCAG 2.2, 1.4.3).
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let linear = |part: f64| {
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = |[red, green, blue]: [f64; 3]| {
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_and_pictures_stand_out_in_light_and_dark() {
    let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").expect("both");
    let dark = dark.split_once("\n}").expect("its end").0;
    for scheme in [colours(light), colours(dark)] {
        assert_eq!(scheme.len(), 13);
        for ground in ["--page", "--card"] {
            for (names, least) in [
                (&["--text", "--quiet", "--accent", "--good", "--warn", "--bad"][..], 4.5),
                (&["--kind0", "--kind1", "--kind2", "--kind3"], 3.0),
            ] {
                for name in names {
                    let contrast = contrast(scheme[name], scheme[ground]);
                    assert!(contrast >= least, "{name} on {ground}: {contrast:.2}");
                }
            }
        }
    }
    let white = [1.0; 3];
    assert!((contrast(white, [0.0; 3]) - 21.0).abs() < 0.01 && contrast(white, white) == 1.0);
}
