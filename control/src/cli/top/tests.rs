//! The screens on a buffer, and the keys that change them.

mod keys;
mod screens;

use super::action::Effect;
use super::app::{App, Listed};
use super::{input, view};
use crate::api::{Clients, Flows, Log};
use crate::cli::fixture;
use crate::cli::sample::Sample;
use crossterm::event::{KeyCode, KeyEvent};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A sample of the idle farm, so many seconds after `start`.
fn sample(start: Instant, seconds: u64) -> Sample {
    Sample {
        at: start + Duration::from_secs(seconds),
        status: fixture::status(),
        services: fixture::services(),
        backends: fixture::backends(),
        stats: fixture::stats(),
    }
}

/// A later sample of the farm: it was busy, and one backend is down.
fn busy(start: Instant, seconds: u64) -> Sample {
    let mut now = sample(start, seconds);
    let counts = |value: Value| value.as_object().expect("counters").clone();
    now.services[0].totals = counts(json!({
        "started": 240, "completed": 170, "size_probes": 20, "not_found": 30, "failed": 1,
        "unanswered": 2,
    }));
    now.services[1].state = "partly live".into();
    let down = &mut now.backends[1];
    down.state = "down".into();
    (down.max_transfers, down.file_weight) = (Some(500), 3);
    down.totals = counts(json!({ "started": 8, "bytes_out": 250_000_000, "unanswered": 4 }));
    let check = down.check.as_mut().expect("a check");
    (check.verdict, check.last) = ("failed".into(), "port 69 is closed".into());
    let worker = &mut now.stats.workers[1];
    worker.packets = counts(json!({
        "received": 2_400_000, "bytes_received": 500_000_000, "bytes_transmitted": 1_000_000_000,
    }));
    worker.latency.p99 = 14_200;
    for counts in [&mut now.stats.drops, &mut worker.drops] {
        counts.insert("bad-tftp".into(), 6.into());
        counts.insert("no-backend".into(), 4.into());
    }
    now.status.interfaces[0].lost.missed = 14;
    let load = &mut now.status.workers[1];
    (load.busy, load.idle) = (101.5, 300.5);
    now.status.workers[0].idle = 302.0;
    now
}

/// A transfer of a client; the file's name clears the terminal.
fn transfer(client: &str, age: f64, idle: f64, bytes: u64) -> Value {
    json!({
        "service": "pxe", "backend": "tftp1", "client": client, "seen_as": client, "tid": 40_000,
        "state": "established", "kind": "read", "file": "\u{1b}[2Jboot.img", "blocks": 9,
        "blksize": 1428, "windowsize": 4, "size": 10_240, "bytes": bytes, "age": age, "idle": idle,
        "answer": 0.0035, "repeats_client": 2, "moves": 1, "first_backend": "tftp2",
        "why": "asked-elsewhere",
    })
}

fn flows(transfers: &[Value]) -> Flows {
    let connection = json!({
        "kind": "client", "service": "files", "backend": "ftp1", "protocol": "tcp",
        "client": "10.0.0.9:5000", "vip": "10.0.0.140:21", "seen_as": "10.0.0.9:5000",
        "server": "10.0.0.70:21", "state": "open", "bytes_in": 10, "bytes_out": 20, "age": 7200.0,
        "idle": 2.0,
    });
    let all = json!({
        "matching": transfers.len() + 5, "flows": transfers, "connections": [connection],
    });
    serde_json::from_value(all).expect("flows")
}

/// The list of the third screen.
fn listed(transfers: &[Value]) -> Listed {
    Listed::Flows(flows(transfers))
}

/// A list of clients, the first of which asks again and again. The file's name clears the terminal.
fn clients() -> Clients {
    let row = |client: &str, failed: u64, bytes: u64| {
        json!({
            "client": client, "completed": 1, "not_found": 2, "failed": failed, "refused": 3,
            "repeats": 40, "bytes": bytes, "last": "unanswered \u{1b}[2Jboot.img",
        })
    };
    let all = json!({
        "since": 1_772_352_842, "missed": 0, "missed_bytes": 0,
        "unfinished": [row("10.0.0.8", 217, 4000), row("fd00::9", 30, 0)],
        "talkers": [row("10.0.0.7", 0, 5 << 30)],
    });
    serde_json::from_value(all).expect("clients")
}

/// Lines of the log with these numbers, the latest first.
fn log(seqs: impl DoubleEndedIterator<Item = u64>) -> Log {
    let line = |seq: u64| {
        let outcome = if seq.is_multiple_of(2) { "completed 26124 B" } else { "timed-out" };
        let text =
            format!("10.0.8.{seq}:2070 pxe/tftp2 read pxelinux.0 {outcome} 19 blocks 0.041 s");
        json!({ "seq": seq, "time": "2026-03-01T08:14:02.118Z", "text": text })
    };
    let lines: Vec<_> = seqs.rev().map(line).collect();
    serde_json::from_value(json!({ "since": 1_772_352_842, "lines": lines })).expect("a log")
}

/// The program two seconds after its start.
fn running() -> App {
    let (start, mut app) = (Instant::now(), App::default());
    let young = |bytes| transfer("10.0.0.7:2070", 3.0, 0.1, bytes);
    app.take(sample(start, 0), Some(listed(&[young(1000)])));
    let now = [young(201_000), transfer("10.0.0.8:2071", 65.0, 9.5, 4000)];
    app.take(busy(start, 2), Some(listed(&now)));
    app
}

/// The screen as text, without the spaces at the ends of lines.
fn shown(app: &mut App, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
    terminal.draw(|frame| view::draw(frame, app)).expect("it is drawn");
    let cells = &terminal.backend().buffer().content;
    let lines = cells.chunks(width.into()).map(|line| {
        let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Presses keys, a character each; the effect is the last one's. A newline is Enter, `⎋` is Escape.
fn press(app: &mut App, keys: &str) -> Option<Effect> {
    let mut effect = None;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '⎋' => KeyCode::Esc,
            '↓' => KeyCode::Down,
            '←' => KeyCode::Backspace,
            '\t' => KeyCode::Tab,
            c => KeyCode::Char(c),
        };
        effect = input::action(app, KeyEvent::from(code)).and_then(|action| app.perform(action));
    }
    effect
}
