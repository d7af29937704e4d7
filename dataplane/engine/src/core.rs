//! One worker's engine, and the walk of a burst through its stages.

use crate::frame::{Burst, Frame};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::admit::admit;
use crate::stage::answer;
use crate::stage::classify::{Parcel, classify};
use crate::stage::lookup::lookup;
use crate::stage::schedule::schedule;
use crate::stage::track::track;
use crate::stage::translate::translate;
use crate::stage::transmit::transmit;
use crate::tables::{InterfaceId, Tables};
use crate::tick::Tick;
use crate::verdict::{Step, Verdict};
use std::sync::Arc;
use wire::tftp::Message;

/// What one worker knows and owns.
pub struct Core {
    /// What control says of the world.
    pub tables: Arc<Tables>,
    /// What no other worker touches.
    pub own: Own,
}

impl Core {
    /// Decides what becomes of each frame of a burst (at most [`crate::frame::BURST`]) that came in by
    /// the interface `from`, and rewrites those that go on.
    pub fn walk<F: Frame>(
        &mut self,
        now: Tick,
        from: InterfaceId,
        burst: &mut [F],
    ) -> Burst<Verdict> {
        let Core { tables, own } = self;
        let here = Here { tables, now, from, worker: own.worker, workers: own.workers };
        let parcels: Burst<Step<Parcel>> = burst
            .iter_mut()
            .map(|frame| {
                let packet = admit(frame.bytes_mut(), &here.tables.interfaces[usize::from(from)])?;
                classify(packet, &here)
            })
            .collect();
        let mut verdicts: Burst<Verdict> = parcels
            .into_iter()
            .map(|parcel| parcel.and_then(|parcel| forward(parcel, &here, own)))
            .map(|step| step.unwrap_or_else(|verdict| verdict))
            .collect();
        for (verdict, frame) in verdicts.iter_mut().zip(burst) {
            if *verdict == Verdict::Drop(Reason::StrayTid) {
                *verdict = answer::unknown_tid(frame, here.mac());
            }
        }
        verdicts
    }

    /// Ends transfers whose time has come, some at a time.
    pub fn expire(&mut self, now: Tick) {
        let Core { tables, own } = self;
        let here = Here { tables, now, from: 0, worker: own.worker, workers: own.workers };
        own.expire(&here);
    }
}

/// From the transfer that the packet belongs to, to the interface that it leaves by.
fn forward(mut parcel: Parcel, here: &Here, own: &mut Own) -> Step<Verdict> {
    let found = lookup(&parcel, here, own)?;
    let message = Message::parse(parcel.packet.data).map_err(|_| Reason::BadTftp)?;
    let flow = schedule(&parcel, &message, found, here, own)?;
    track(&parcel, message, flow, here, own)?;
    translate(&mut parcel, message, &own.flows[flow], here)?;
    transmit(&mut parcel, flow, here, own)
}
