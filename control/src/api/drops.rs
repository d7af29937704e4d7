//! Requests for dropped packets, and the answers.

use super::FrameBytes;
use serde::{Deserialize, Serialize};

/// A drop reason, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The name, as in [`DropCount::reason`].
    pub reason: String,
}

/// A drop reason, and its packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// The reason's name.
    pub reason: String,
    /// Packets dropped for this reason by all workers.
    pub packets: u64,
    /// The reason's meaning.
    pub meaning: String,
}

/// The last frames that were dropped for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedFrames {
    /// The reason's name.
    pub reason: String,
    /// The frames, oldest first.
    pub frames: Vec<DroppedFrame>,
}

/// A dropped frame, as it was when it was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedFrame {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// The worker's number.
    pub worker: u16,
    /// The interface that the frame came in by, or could not leave by; `null`: its VLANs are no interface's.
    pub interface: Option<String>,
    /// Bytes of the whole frame.
    pub len: usize,
    /// The front of the frame. Passwords of FTP are masked.
    pub bytes: FrameBytes,
}
