//! Frames on their way past a capture.

use super::Worker;
use crate::capture::{Fate, Moment};
use crate::port::Port;
use engine::context::Ingress;
use engine::types::frame::{Burst, Frame};
use engine::types::id::InterfaceId;
use engine::types::tick::Tick;
use engine::types::verdict::Verdict;

impl<P: Port> Worker<P> {
    /// Has the engine process a burst, and records its frames as they came and as they leave.
    #[cold]
    pub(super) fn process_captured(
        &mut self,
        burst: &mut Burst<P::Buffer>,
        from: InterfaceId,
        by: Ingress,
        now: Tick,
    ) -> Burst<Verdict> {
        let moment = Moment { interface: from, now, at: self.recorder.turn };
        if let Some(capture) = &mut self.recorder.capture {
            capture.stage(burst, moment, &self.engine);
        }
        let verdicts = self.engine.process(now, from, by, burst);
        if let Some(capture) = &mut self.recorder.capture {
            capture.settle(burst, &verdicts, moment, &self.engine);
        }
        verdicts
    }

    /// Records a frame that leaves without having come by a device.
    pub(super) fn capture_sent(
        &mut self,
        fate: Fate,
        frame: &mut P::Buffer,
        interface: InterfaceId,
        now: Tick,
    ) {
        if let Some(capture) = &mut self.recorder.capture {
            let moment = Moment { interface, now, at: self.recorder.turn };
            capture.sent(fate, frame.bytes_mut(), moment, &self.engine);
        }
    }
}
