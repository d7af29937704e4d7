//! The long way, stage by stage: for packets that begin, teach or end something.

use super::classify::Parcel;
use super::cross::Crossing;
use super::lookup::lookup;
use super::schedule::schedule;
use super::track::track;
use super::translate::{Untranslated, translate};
use crate::family::Family;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use wire::tftp::Message;

/// From the transfer that the packet belongs to, to the interface that it leaves by. `whole` is the length
/// of its datagram's data, of which it may be the first part. Not inlined: most packets are routine.
#[inline(never)]
pub fn forward<H: Family>(
    parcel: &mut Parcel<H>,
    whole: usize,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let found = lookup(parcel, here, own)?;
    let message = message(parcel.packet.data, whole)?;
    let id = schedule(parcel, message, found, here, own)?;
    let Own { flows, hosts, crossings, counters, .. } = own;
    let flow = &mut flows[id];
    let lesson = track(parcel, message, flow, here, counters)?;
    let mut way = || {
        match translate(parcel, message, flow, here, hosts) {
            Ok(()) => {}
            Err(Untranslated::Expired) => return Err(Reason::TtlExpired.into()),
            // A part would need a header that only parts have.
            Err(Untranslated::OtherVersion) if whole > parcel.packet.data.len() => {
                return Err(Reason::Fragment.into());
            }
            Err(Untranslated::OtherVersion) => {
                crossings.push(Crossing::of(parcel, message, flow, here, hosts)?);
            }
        }
        parcel.transmit(flow, here, counters)
    };
    let step = way();
    own.settle(id, &lesson, here);
    step
}

/// What it says, of which `data` may be the beginning.
fn message(data: &[u8], whole: usize) -> Step<Message<'_>> {
    let is_part = whole > data.len();
    let broken = if is_part { Reason::Fragment } else { Reason::BadTftp };
    match Message::parse(data).map_err(|_| broken)? {
        Message::Data { block, .. } => {
            let len = u16::try_from(whole.saturating_sub(4)).map_err(|_| Reason::BadTftp)?;
            Ok(Message::Data { block, len })
        }
        // Nobody's fills a packet, and what is cut off would matter.
        Message::Request(_) | Message::Oack(_) if is_part => Err(Reason::Fragment.into()),
        message => Ok(message),
    }
}
