//! Dropped packets: how many for each reason, and the last ones.

use super::Daemon;
use crate::api::{DropCount, DroppedFrame, DroppedFrames, Error, FrameBytes, Reason};
use crate::passwords::Passwords;
use crate::wall_clock::WallClock;
use engine::types::drop_reason::DropReason;
use engine::types::id::InterfaceId;

impl Daemon {
    pub(super) fn drops(&self) -> Vec<DropCount> {
        let count = |&reason: &DropReason| DropCount {
            reason: reason.name().to_owned(),
            packets: self.counters().map(|counters| counters.drops.of(reason).value()).sum(),
            meaning: reason.meaning().to_owned(),
        };
        DropReason::ALL.iter().map(count).collect()
    }

    pub(super) async fn dropped(&self, reason: Reason) -> Result<DroppedFrames, Error> {
        let found = drop_reason(&reason.reason)?;
        let answers = self.channels.dropped(found).await?;
        let clock = WallClock::now();
        let mut passwords = Passwords::default();
        passwords.learn(&self.active().registry);
        let mut frames = vec![];
        for (worker, answer) in (0..).zip(answers) {
            for frame in answer {
                let mut bytes = frame.bytes.to_vec();
                passwords.mask(&mut bytes);
                frames.push(DroppedFrame {
                    time: clock.at(frame.at),
                    worker,
                    interface: frame.interface.map(|id| self.interface_name(id)),
                    len: frame.len,
                    bytes: FrameBytes(bytes),
                });
            }
        }
        frames.sort_by_key(|frame| frame.time);
        Ok(DroppedFrames { reason: reason.reason, frames })
    }

    pub(super) fn interface_name(&self, id: InterfaceId) -> String {
        self.active().config().interfaces[id.index()].name.clone()
    }
}

/// The drop reason with this name.
pub(super) fn drop_reason(name: &str) -> Result<DropReason, Error> {
    let found = DropReason::ALL.iter().find(|reason| reason.name() == name);
    found.copied().ok_or_else(|| {
        Error::Unknown(format!("there is no drop reason `{name}`: `tidegate drops` lists them"))
    })
}
