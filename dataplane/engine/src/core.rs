//! One worker's engine, and the walk of a burst through its stages.

use crate::flow::table::Age;
use crate::flow::view::FlowQuery;
use crate::frame::{BURST, Burst, Frame};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::admit::admit;
use crate::stage::answer;
use crate::stage::classify::{Parcel, classify};
use crate::stage::lookup::{found, lookup};
use crate::stage::routine::routine;
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
        let mut verdicts = decide(burst, &here, own);
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

    /// Goes on with a question for transfers; answers true when all have been looked at.
    pub fn answer(&self, query: &mut FlowQuery, now: Tick) -> bool {
        self.own.answer(query, &self.tables, now)
    }
}

/// All packets' way up to their transfers, then each packet's own.
fn decide<F: Frame>(burst: &mut [F], here: &Here, own: &mut Own) -> Burst<Verdict> {
    // What nobody claims is the kernel's.
    let mut verdicts = Burst::from([Verdict::Kernel; BURST]);
    verdicts.truncate(burst.len());
    let mut parcels: Burst<Parcel> = Burst::new();
    let mac = here.mac();
    for (place, frame) in burst.iter_mut().enumerate() {
        match admit(frame.bytes_mut(), mac).and_then(|packet| classify(packet, here)) {
            Ok(parcel) => parcels.push(Parcel { place, ..parcel }),
            Err(verdict) => verdicts[place] = verdict,
        }
    }
    let looked_at = lookup(&mut parcels, own);
    for parcel in &mut parcels {
        let step = routine(parcel, looked_at, here, own)
            .unwrap_or_else(|| forward(parcel, looked_at, here, own));
        verdicts[parcel.place] = match step {
            Ok(verdict) | Err(verdict) => verdict,
        };
    }
    verdicts
}

/// From the transfer that the packet belongs to, to the interface that it leaves by. Not inlined: most
/// packets are routine.
#[inline(never)]
fn forward(parcel: &mut Parcel, looked_at: Age, here: &Here, own: &mut Own) -> Step<Verdict> {
    let found = found(parcel, looked_at, here, own)?;
    let message = Message::parse(parcel.packet.data).map_err(|_| Reason::BadTftp)?;
    let id = schedule(parcel, message, found, here, own)?;
    let Own { flows, counters, .. } = own;
    let flow = &mut flows[id];
    let lesson = track(parcel, message, flow, here, counters)?;
    let step = translate(parcel, message, flow, here)
        .and_then(|()| transmit(parcel, flow, here, counters));
    own.settle(id, &lesson, here);
    step
}
