//! Records for tests, and the names in them.

use super::names::Names;
use crate::active_config::ActiveConfig;
use crate::config;
use crate::config::sample::SOUND;
use crate::registry::Registry;
use engine::alg::tftp::takeover::Terms;
use engine::flow::saved_request::SavedRequest;
use engine::flow::state::Operation;
use engine::state::flow_log::{
    FlowEnd, FlowEvent, FlowRecord, History, RefusedRequest, TftpError, TransferEnd,
};
use engine::types::end_reason::EndReason;
use engine::types::id::{BackendId, InterfaceId, ServiceId};
use engine::types::next_hop::NextHop;
use engine::types::selection_reason::SelectionReason;
use engine::types::tick::Millis;
use wire::ethernet::Mac;

/// Names of a configuration with the service `pxe` and its backend `one`.
pub fn names() -> Names {
    let written = config::read("test.toml", SOUND).expect("no faults");
    Names::of(&ActiveConfig::first(written, &Registry::default()).expect("few numbers"))
}

pub fn request(bytes: &[u8]) -> SavedRequest {
    let mut kept = SavedRequest::NONE;
    kept.keep(bytes);
    kept
}

pub fn record(event: FlowEvent) -> FlowRecord {
    FlowRecord {
        time: Millis(0),
        service: ServiceId(0),
        vip: "10.0.0.100:69".parse().unwrap(),
        protocol: 17,
        client: "10.0.8.21:2070".parse().unwrap(),
        hop: NextHop { mac: Mac([2, 0, 0, 0, 0, 9]), interface: InterfaceId(0) },
        event,
    }
}

pub fn end(reason: EndReason) -> FlowEnd {
    FlowEnd {
        reason,
        backend: BackendId(0),
        server_port: 35_448,
        seen_as: "10.0.8.21:2070".parse().unwrap(),
        duration: 41,
        history: History {
            begun: Some(Millis(0)),
            answer: Some(3),
            reason: SelectionReason::RoundRobin,
            ..History::default()
        },
    }
}

pub fn transfer(bytes: &[u8], reason: EndReason, error: Option<TftpError>) -> FlowRecord {
    let about = TransferEnd {
        stalled: 20,
        operation: Operation::Read,
        request: request(bytes),
        terms: Terms::PLAIN,
        bytes: 26_124,
        blocks: 52,
        error,
    };
    record(FlowEvent::Transfer(end(reason), about))
}

/// A download of `pxelinux.0` that is complete.
pub fn completed() -> FlowRecord {
    transfer(b"\0\x01pxelinux.0\0octet\0", EndReason::Completed, None)
}

/// The end of a download of 1000 bytes, whose client has repeated itself twice.
pub fn ended(reason: EndReason) -> FlowRecord {
    let mut record = completed();
    if let FlowEvent::Transfer(end, about) = &mut record.event {
        (end.reason, end.history.repeats, about.bytes) = (reason, 2, 1000);
    }
    record
}

/// A request that was refused, as its client asks too often.
pub fn refused() -> FlowRecord {
    let request = request(b"\0\x01pxelinux.0\0octet\0");
    record(FlowEvent::Refused(RefusedRequest { reason: "rate", request: Some(request) }))
}
