//! Requests for captures, and the answers: first a [`CaptureStart`], then [`Captured`] as notifications, until the client
//! goes.

use super::FrameBytes;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// A filter for frames; a frame is captured if all that is set matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureFilter {
    /// The client's network: both sides of its flows, their fragments, and ICMP errors about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpNet>,
    /// The flow's service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The flow's backend: each of this name, or the one of `service`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The interface that the frame came in by, or leaves by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The drop reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether only dropped frames are captured.
    pub dropped: bool,
    /// Whether frames are whole, with passwords. Otherwise they are cut, and passwords of FTP are masked.
    pub full: bool,
}

/// The begin of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureStart {
    /// The interfaces, by [`CapturedFrame::interface`].
    pub interfaces: Vec<String>,
    /// Bytes that are kept of a frame.
    pub snaplen: usize,
    /// The names of VIPs and backends.
    pub names: Vec<AddressNames>,
}

/// The services or backends that an address belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressNames {
    /// The address.
    pub address: IpAddr,
    /// The names of these.
    pub names: Vec<String>,
}

/// The frames since the last such message. One comes at least once a second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// The frames.
    pub frames: Vec<CapturedFrame>,
    /// Frames that this capture has lost so far, as its reader was too slow.
    pub lost: u64,
}

/// A frame as it came in, or as it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedFrame {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// The frame's number, the same as it came in and as it left.
    pub packet: u64,
    /// The worker's number.
    pub worker: u16,
    /// The interface, as an index.
    pub interface: usize,
    /// Whether the frame leaves.
    pub sent: bool,
    /// The fate: `forwarded`, `answered`, `to kernel`, `absorbed`, `dropped`, `originated` or `from kernel`.
    pub verdict: String,
    /// The reason for which the frame was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The frame's flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FrameFlow>,
    /// Frames that the worker lost before this one.
    pub lost: u64,
    /// Bytes of the whole frame.
    pub len: usize,
    /// The front of the frame.
    pub bytes: FrameBytes,
}

/// The flow of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameFlow {
    /// The client's endpoint.
    pub client: SocketAddr,
    /// The service, if it is one's.
    pub service: Option<String>,
    /// The backend, if one was chosen.
    pub backend: Option<String>,
    /// Whether the frame is the client's.
    pub by_client: bool,
    /// The state, as in a list of flows; `null`: there is neither transfer nor connection.
    pub state: Option<String>,
    /// The transfer's TID, once known.
    pub tid: Option<u16>,
}
