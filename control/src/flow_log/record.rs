//! A record as a line of the log: the fields of its JSON form.

use super::names::Names;
use super::outcome::Outcome;
use super::request::{Asked, changed};
use crate::foreign_text::percent_encoded;
use engine::flow::state::{ConnectionKind, Operation};
use engine::state::flow_log::{
    ConnectionEnd, FlowEnd, FlowEvent, FlowRecord, RefusedRequest, TransferEnd,
};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

/// A line of the log. Fields that do not apply are left out. Times are in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Line {
    /// Time of the end, by RFC 3339, in UTC.
    pub time: String,
    /// The line's number since the daemon's start, from 1; gaps are records of other outputs.
    pub seq: u64,
    /// `transfer`, `connection` or `refused`.
    pub event: &'static str,
    /// Service.
    pub service: String,
    /// Address that the client asked.
    pub vip: String,
    /// Port that the client asked.
    pub port: u16,
    /// The service's protocol.
    pub protocol: &'static str,
    /// The service's mode.
    pub mode: &'static str,
    /// The client's address.
    pub client: String,
    /// The client's port.
    pub client_port: u16,
    /// Hardware address of the client's last hop: its own, if it is on the interface's wire.
    pub client_mac: String,
    /// Interface.
    pub interface: String,
    /// The interface's VLANs, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vlan: Vec<u16>,
    /// Worker.
    pub worker: u16,
    /// The end's reason, or `refused`.
    pub outcome: &'static str,
    /// Whether something went wrong, for the journal's priority.
    #[serde(skip)]
    pub is_failure: bool,
    /// The reason of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The end of the flow, unless it was refused.
    #[serde(flatten)]
    pub end: Option<End>,
    /// The TFTP request.
    #[serde(flatten)]
    pub request: Option<Asked>,
    /// Facts about a TFTP transfer.
    #[serde(flatten)]
    pub transfer: Option<Transfer>,
    /// Facts about a connection.
    #[serde(flatten)]
    pub connection: Option<Connection>,
}

/// The end of a transfer or connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct End {
    /// Backend.
    pub backend: String,
    /// The backend's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<IpAddr>,
    /// The server's port: a transfer's TID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<u16>,
    /// The first backend, if there was another one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_backend: Option<String>,
    /// Backends before this one.
    pub moves: u8,
    /// Endpoint that the server sees as the client, if it is not the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_as: Option<SocketAddr>,
    /// Milliseconds from the request to the end.
    pub duration_ms: u32,
    /// Milliseconds from the request to the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_ms: Option<u32>,
    /// Why the backend was chosen.
    pub why: &'static str,
}

/// Facts about a TFTP transfer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transfer {
    /// Bytes of DATA, repeated ones too.
    pub bytes: u64,
    /// Blocks that the client has acknowledged or sent.
    pub blocks: u32,
    /// The file's size, if the server told it: its lower 32 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Bytes of a full block.
    pub blksize: u16,
    /// Blocks an ACK.
    pub windowsize: u16,
    /// Options that the server granted otherwise than asked, as `name=value` with what holds, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options_changed: Option<String>,
    /// Milliseconds without progress before the end, to a tenth of a second.
    pub stalled_ms: u32,
    /// Requests, blocks and ACKs that the client repeated.
    pub repeats_client: u16,
    /// Blocks that the sender of the file repeated, as far as the bytes tell.
    pub repeats_server: u32,
    /// Code of the ERROR that ended the transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u16>,
    /// Beginning of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_text: Option<String>,
}

/// Facts about a connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Connection {
    /// `client`, or `data` for a data connection.
    pub kind: &'static str,
    /// Bytes from the client, by IP length.
    pub bytes_in: u64,
    /// Bytes from the server, by IP length.
    pub bytes_out: u64,
}

impl Line {
    /// The line of this record of a worker, which ended at `time`.
    pub fn new(record: &FlowRecord, worker: u16, time: SystemTime, names: &Names) -> Line {
        let service = names.service(record.service);
        let outcome = Outcome::of(record);
        let (interface, vlan) = names.interface(record.hop.interface);
        let line = Line {
            time: humantime::format_rfc3339_millis(time).to_string(),
            service: service.name.clone(),
            vip: record.vip.ip().to_string(),
            port: record.vip.port(),
            protocol: service.protocol,
            mode: service.mode,
            client: record.client.ip().to_string(),
            client_port: record.client.port(),
            client_mac: record.hop.mac.to_string(),
            interface,
            vlan,
            worker,
            outcome: outcome.name(),
            is_failure: outcome.is_failure(service.is_without_end),
            ..Line::default()
        };
        match &record.event {
            FlowEvent::Transfer(end, about) => Line {
                event: "transfer",
                end: Some(End::new(end, record.client, names)),
                request: Some(Asked::new(&about.request)),
                transfer: Some(Transfer::new(end, about)),
                ..line
            },
            FlowEvent::Connection(end, about) => Line {
                event: "connection",
                end: Some(End::new(end, record.client, names)),
                connection: Some(Connection::new(about)),
                ..line
            },
            FlowEvent::Refused(RefusedRequest { reason, request }) => Line {
                event: "refused",
                reason: Some(reason),
                request: request.as_ref().map(Asked::new),
                ..line
            },
        }
    }
}

impl End {
    fn new(end: &FlowEnd, client: SocketAddr, names: &Names) -> End {
        let name = |id| names.backend(id).map(|(name, _)| name.clone());
        End {
            backend: name(end.backend).unwrap_or_default(),
            server: names.backend(end.backend).map(|&(_, address)| address),
            tid: Some(end.server_port).filter(|&port| port != 0),
            first_backend: end.history.first_backend.and_then(name),
            moves: end.history.moves,
            seen_as: Some(end.seen_as).filter(|&seen_as| seen_as != client),
            duration_ms: end.duration,
            answer_ms: end.history.answer,
            why: end.history.reason.name(),
        }
    }
}

impl Transfer {
    fn new(end: &FlowEnd, about: &TransferEnd) -> Transfer {
        let error = about.error.as_ref();
        let blksize = about.terms.blksize();
        let sent = about.bytes.div_ceil(u64::from(blksize.max(1)));
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        Transfer {
            bytes: about.bytes,
            blocks: about.blocks,
            size: about.terms.size(),
            blksize,
            windowsize: about.terms.windowsize(),
            options_changed: changed(&about.request, &about.terms),
            stalled_ms: about.stalled,
            repeats_client: end.history.repeats,
            repeats_server: match about.operation {
                Operation::Read => sent.saturating_sub(about.blocks),
                Operation::Write => 0,
            },
            error_code: error.map(|error| error.code),
            error_text: error.map(|error| percent_encoded(&error.text)),
        }
    }
}

impl Connection {
    fn new(about: &ConnectionEnd) -> Connection {
        let kind = match about.kind {
            ConnectionKind::Client => "client",
            ConnectionKind::Data => "data",
            ConnectionKind::Policy => "policy",
        };
        let [bytes_in, bytes_out] = about.bytes;
        Connection { kind, bytes_in, bytes_out }
    }
}

#[cfg(test)]
mod tests;
