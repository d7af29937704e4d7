//! Copies of frames that a worker keeps for operators: the last dropped ones, and a capture while one runs.

use crate::capture::Capture;
use crate::drop_history::DropHistory;
use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;
use std::time::Instant;

/// The dropped frames and the capture of a worker.
pub struct Recorder {
    /// The beginning of the turn in hand: the time of its frames.
    pub turn: Instant,
    /// The last dropped frames.
    pub history: DropHistory,
    /// The capture that runs.
    pub capture: Option<Box<Capture>>,
}

impl Recorder {
    /// A recorder that has nothing yet.
    pub fn new() -> Recorder {
        Recorder { turn: Instant::now(), history: DropHistory::new(), capture: None }
    }

    /// Keeps a frame that the engine has dropped, and that the capture has seen.
    pub fn keep(&mut self, reason: DropReason, interface: InterfaceId, frame: &[u8]) {
        self.history.keep(reason, Some(interface), frame, self.turn);
    }

    /// Keeps a frame that was dropped before or after the engine's verdict. `None`: no interface has its VLANs.
    #[cold]
    pub fn lose(&mut self, reason: DropReason, interface: Option<InterfaceId>, frame: &[u8]) {
        self.history.keep(reason, interface, frame, self.turn);
        if let (Some(capture), Some(interface)) = (&mut self.capture, interface) {
            capture.lose(reason, interface, frame, self.turn);
        }
    }
}
