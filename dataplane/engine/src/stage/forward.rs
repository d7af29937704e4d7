//! The long way, stage by stage: for packets that begin, teach or end something.

use super::classify::{Parcel, Side};
use super::cross::Crossing;
use super::lookup::lookup;
use super::schedule::schedule;
use super::track::track;
use super::translate::{Untranslated, translate};
use super::transmit::mtu;
use crate::family::Family;
use crate::flow::hosts::Hosts;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::notice::{Notice, What};
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::ServiceId;
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
    let Own { flows, hosts, crossings, notices, edits, counters, .. } = own;
    let flow = &mut flows[id];
    let lesson = track(parcel, message, flow, here, counters)?;
    let step = match leave(parcel, message, flow, here, hosts, whole) {
        Ok(crossing) => {
            crossings.extend(crossing);
            edits.extend(edit(parcel, message, flow, here));
            parcel.transmit(flow, here, counters)
        }
        Err(why_not) => {
            notices.extend(notice(parcel, why_not, flow, here));
            Err(why_not)
        }
    };
    own.settle(id, &lesson, here);
    step
}

/// Translates the packet; answers how it is to cross, if it is for the other version of IP.
fn leave<H: Family>(
    parcel: &mut Parcel<H>,
    message: Message,
    flow: &Flow,
    here: &Here,
    hosts: &Hosts,
    whole: usize,
) -> Step<Option<Crossing>> {
    parcel.check_size(flow, here)?;
    match translate(parcel, message, flow, here, hosts) {
        Ok(()) => Ok(None),
        Err(Untranslated::Expired) => Err(Reason::TtlExpired.into()),
        // A part would need a header that only parts have.
        Err(Untranslated::OtherVersion) if whole > parcel.packet.data.len() => {
            Err(Reason::Fragment.into())
        }
        Err(Untranslated::OtherVersion) => {
            Crossing::of(parcel, message, flow, here, hosts).map(Some)
        }
    }
}

/// Whose limits the message's options are to be held to, if it has some that have to be.
fn edit<H>(
    parcel: &Parcel<H>,
    message: Message,
    flow: &Flow,
    here: &Here,
) -> Option<(usize, ServiceId)> {
    let service = here.tables.backends[usize::from(flow.backend)].service;
    let limits = &here.tables.services[usize::from(service)].options;
    match message {
        Message::Request(_) | Message::Oack(_) if !limits.is_empty() => {
            Some((parcel.place, service))
        }
        _ => None,
    }
}

/// What the packet's sender is to be told, if it is to be told why the packet does not go on.
fn notice<H: Family>(
    parcel: &Parcel<H>,
    why_not: Verdict,
    flow: &Flow,
    here: &Here,
) -> Option<Notice> {
    let what = match why_not {
        Verdict::Drop(Reason::TtlExpired) => What::TimeExceeded,
        Verdict::Drop(Reason::TooBig) => {
            let mtu = mtu(parcel.side, flow, here).ok()?;
            What::TooBig(mtu - Crossing::growth::<H>(parcel.side, flow, here))
        }
        _ => return None,
    };
    let from = match parcel.side {
        Side::Client(_) | Side::Server => parcel.packet.ip.destination().into(),
        Side::ServerToClient => here.tables.vips[usize::from(flow.vip())].address,
    };
    Some(Notice { place: parcel.place, from, what })
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
