//! Transfers and connections as tables.

use super::table::{endpoint, size, table, time};
use crate::api::{Connection, Flow, Flows};

/// Shows the answer of `tidegate flows`.
pub fn flows(answer: &Flows) -> String {
    let Flows { matching, flows, connections } = answer;
    let mut parts = vec![];
    if !flows.is_empty() || connections.is_empty() {
        parts.push(transfers(flows));
    }
    if !connections.is_empty() {
        parts.push(self::connections(connections));
    }
    let shown = flows.len() + connections.len();
    if shown < *matching {
        parts.push(format!("{shown} of {matching}; --limit shows more"));
    }
    parts.join("\n\n")
}

fn transfers(flows: &[Flow]) -> String {
    let header = [
        "CLIENT", "SEEN AS", "SERVICE", "BACKEND", "TID", "STATE", "KIND", "BLOCKS", "BYTES",
        "AGE", "IDLE", "FILE",
    ];
    let mut table = table(&header, 12);
    for flow in flows {
        table.add_row(transfer(flow));
    }
    table.to_string()
}

fn transfer(flow: &Flow) -> Vec<String> {
    let seen_as = if flow.seen_as == flow.client { "-".into() } else { flow.seen_as.to_string() };
    vec![
        flow.client.to_string(),
        seen_as,
        flow.service.clone(),
        flow.backend.clone(),
        flow.tid.map_or("-".to_owned(), |tid| tid.to_string()),
        flow.state.clone(),
        flow.kind.clone(),
        flow.blocks.to_string(),
        size(flow.bytes),
        format!("{:.1}s", flow.age),
        format!("{:.1}s", flow.idle),
        // A client chooses the name: it must not steer the terminal.
        flow.file.escape_debug().to_string(),
    ]
}

/// A table of connections, with two lines each: the client's endpoints, and the server's.
fn connections(connections: &[Connection]) -> String {
    let header = [
        "CLIENT\n SEEN AS",
        "VIP\n SERVER",
        "PROTO",
        "SERVICE\n BACKEND",
        "KIND",
        "STATE",
        "IN",
        "OUT",
        "AGE",
        "IDLE",
    ];
    let mut table = table(&header, 6);
    for one in connections {
        let (service, backend) = (one.service.as_deref(), one.backend.as_deref());
        table.add_row([
            both(&endpoint(one.client), &endpoint(one.seen_as)),
            both(&endpoint(one.vip), &endpoint(one.server)),
            one.protocol.clone(),
            both(service.unwrap_or("-"), backend.unwrap_or("-")),
            one.kind.clone(),
            one.state.clone(),
            size(one.bytes_in),
            size(one.bytes_out),
            time(one.age),
            time(one.idle),
        ]);
    }
    table.to_string()
}

fn both(before: &str, after: &str) -> String {
    format!("{before}\n {after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(kind: &str, vip: &str) -> Connection {
        let endpoint = |text: &str| text.parse().expect("an endpoint");
        Connection {
            kind: kind.into(),
            service: Some("files".into()),
            backend: Some("ftp1".into()),
            protocol: "tcp".into(),
            client: endpoint("255.255.255.255:65535"),
            vip: endpoint(vip),
            seen_as: endpoint("255.255.255.255:65535"),
            server: endpoint("255.255.255.255:65535"),
            state: "half-open".into(),
            bytes_in: 1_099_511_627_775,
            bytes_out: 1_099_511_627_775,
            age: 7440.0,
            idle: 59.94,
        }
    }

    #[test]
    fn a_connection_fits_a_screen_and_shows_both_sides() {
        let connections =
            vec![connection("client", "10.0.0.100:21"), connection("data", "10.0.0.100:0")];
        let shown = flows(&Flows { matching: 3, flows: vec![], connections });
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.trim_end().len() <= 120), "{shown}");
        assert!(lines[0].contains("CLIENT") && lines[1].contains("SEEN AS"), "{shown}");
        assert!(lines[2].contains("10.0.0.100:21") && lines[2].contains("2h"), "{shown}");
        assert!(lines[3].contains("ftp1") && lines[4].contains("10.0.0.100 "), "{shown}");
        assert!(shown.ends_with("2 of 3; --limit shows more"), "{shown}");
    }
}
