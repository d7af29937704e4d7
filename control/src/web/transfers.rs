//! Running transfers and connections, and the last ones that failed.

use super::elements::{Column, section, table, text, utc};
use super::words::{grouped, seconds, size};
use crate::api::{Connection, Flow, Flows};
use crate::flow_log::Line;
use maud::{Markup, html};

/// The section of running transfers and connections.
pub fn running(flows: &Result<Flows, String>) -> Markup {
    let content = match flows {
        Err(why) => html! { p { "There is no list now: " (why) } },
        Ok(Flows { matching: 0, .. }) => html! { p { "Nothing runs now." } },
        Ok(Flows { matching, flows, connections })
            if flows.is_empty() && connections.is_empty() =>
        {
            none_listed(*matching)
        }
        Ok(flows) => list(flows),
    };
    section("running", content)
}

/// Words for a list that has none of what runs: the daemon lists a part of large tables, and what is over is in it too.
fn none_listed(running: usize) -> Markup {
    let running = grouped(running as u64);
    html! { p { (running) " transfers and connections run now; the part of the tables that was read has none of them." } }
}

fn list(flows: &Flows) -> Markup {
    let columns = [
        Column::Text("client"),
        Column::Text("what"),
        Column::Text("backend"),
        Column::Text("state"),
        Column::Number("progress"),
        Column::Number("bytes"),
        Column::Number("rate"),
        Column::Number("age"),
        Column::Number("idle"),
    ];
    let shown = flows.flows.len() + flows.connections.len();
    let rows = flows.flows.iter().map(transfer);
    let rows = rows.chain(flows.connections.iter().map(connection)).collect();
    let caption = format!(
        "Transfers and connections: {} of {}, the youngest first",
        shown,
        grouped(flows.matching as u64)
    );
    table(&caption, &columns, rows)
}

fn transfer(flow: &Flow) -> Vec<Markup> {
    let mut row = vec![
        html! { (flow.client) },
        text(&format!("{} {}", flow.kind, flow.file)),
        html! { (flow.service) "/" (flow.backend) },
        html! { (flow.state) },
        progress(flow),
    ];
    row.extend(amounts(flow.bytes, flow.age, flow.idle));
    row
}

fn progress(flow: &Flow) -> Markup {
    let blocks = format!("block {}", grouped(flow.blocks.into()));
    match percent(flow) {
        Some(percent) => html! {
            progress max="100" value=(percent) aria-hidden="true" {}
            " " (percent) " %, " (blocks)
        },
        None => html! { (blocks) },
    }
}

/// The part of the file that has been acknowledged; `None` if its size is not known. A file of more than 4 GiB has
/// another size than the lower bits tell, and no part.
fn percent(flow: &Flow) -> Option<u64> {
    let size = u64::from(flow.size.filter(|&size| size > 0)?);
    let done = u64::from(flow.blocks) * u64::from(flow.blksize);
    (done < size + u64::from(flow.blksize)).then_some((100 * done / size).min(100))
}

fn connection(one: &Connection) -> Vec<Markup> {
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
    let mut row = vec![
        html! { (one.client) },
        html! { (one.protocol) " " (one.kind) " to " (one.vip) },
        html! { (name(&one.service)) "/" (name(&one.backend)) },
        html! { (one.state) },
        html! { "-" },
    ];
    row.extend(amounts(one.bytes_in + one.bytes_out, one.age, one.idle));
    row
}

/// Bytes, the mean rate, age and idle time.
fn amounts(bytes: u64, age: f64, idle: f64) -> [Markup; 4] {
    let rate = (age > 0.0).then(|| format!("{}/s", size((bytes as f64 / age) as u64)));
    [
        html! { (size(bytes)) },
        html! { (rate.as_deref().unwrap_or("-")) },
        html! { (seconds(age)) },
        html! { (seconds(idle)) },
    ]
}

/// The section of the last failures.
pub fn failed(lines: &[Line]) -> Markup {
    let columns = [
        Column::Text("time"),
        Column::Text("outcome"),
        Column::Text("client"),
        Column::Text("file"),
        Column::Text("backend"),
        Column::Text("reason"),
        Column::Number("after"),
    ];
    let content = if lines.is_empty() {
        html! { p { "Nothing has failed." } }
    } else {
        let rows = lines.iter().map(failure).collect();
        table(&format!("The last {} failures, the latest first", lines.len()), &columns, rows)
    };
    section("failed", content)
}

fn failure(line: &Line) -> Vec<Markup> {
    let file = line.request.as_ref().map_or("-", |request| &request.file);
    let backend = line.end.as_ref().map_or("-", |end| &end.backend);
    let after = line.end.as_ref().map(|end| seconds(f64::from(end.duration_ms) / 1000.0));
    vec![
        html! { time datetime=(line.time) { (utc(&line.time)) } },
        html! { (line.outcome) },
        html! { (line.client) ":" (line.client_port) },
        text(file),
        html! { (line.service) "/" (backend) },
        text(&reason(line)),
        html! { (after.as_deref().unwrap_or("-")) },
    ]
}

/// The reason for a failure: that of a refusal, the server's or client's own words, or how far the transfer had come.
fn reason(line: &Line) -> String {
    if let Some(reason) = line.reason {
        return format!("refused: {reason}");
    }
    let Some(transfer) = &line.transfer else { return String::new() };
    match (transfer.error_code, &transfer.error_text) {
        (Some(code), Some(text)) => format!("ERROR {code}: {text}"),
        (Some(code), None) => format!("ERROR {code}"),
        (None, _) => format!("after block {}", grouped(transfer.blocks.into())),
    }
}
