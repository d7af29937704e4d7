//! The long way, stage by stage: for packets that begin, teach or end something.

use super::classify::{Parcel, Side};
use super::cross::Crossing;
use super::edit::Edit;
use super::lookup::{Found, lookup};
use super::rescue::rescue;
use super::schedule::schedule;
use super::track::track;
use super::translate::{Untranslated, translate};
use super::transmit::{check_size, room};
use crate::alg::End;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::hosts::Hosts;
use crate::flow::key::KeyKind;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::notice::Notice;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::{Step, Verdict};
use wire::tftp::{self, Message};
use wire::trouble::Trouble;

/// From the transfer that the packet belongs to, to the interface that it leaves by. `whole` is the length
/// of its datagram's data, of which it may be the first part. If it is of a connection, [`Own::apart`] gets its place.
/// Not inlined: most packets are routine.
#[inline(never)]
pub fn forward<H: Family>(
    parcel: &mut Parcel<H>,
    whole: usize,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let found = match lookup(parcel, here, own)? {
        Found::Transfer(id) => Some(id),
        Found::Nothing => None,
        Found::Elsewhere => {
            own.apart.push(parcel.place);
            return Ok(Verdict::Kernel);
        }
    };
    let message = message(parcel.packet.data, whole)?;
    check_sum(parcel, message, found, own)?;
    let id = schedule(parcel, message, found, here, own)?;
    if let Some(step) = rescue(parcel, message, id, here, own) {
        return step;
    }
    let is_mistakable = is_mistakable(parcel, id, here, own);
    let Own { flows, hosts, crossings, notices, edits, counters, .. } = own;
    let (flow, detail) = flows.both(id);
    let mut lesson = track(parcel, message, (flow, detail), here, counters)?;
    lesson.is_withheld |= is_mistakable;
    let leaves = match lesson.is_withheld {
        true => Err(Reason::UnheardClient.into()),
        false => leave(parcel, message, flow, here, hosts, whole),
    };
    let step = match leaves {
        Ok(crossing) => {
            crossings.extend(crossing.map(|crossing| (parcel.place, crossing)));
            edits.extend(Edit::of(message, flow, here).map(|edit| (parcel.place, edit)));
            parcel.transmit(flow, here, counters)
        }
        Err(why_not) => {
            notices.extend(notice(parcel, whole, why_not, flow, here));
            Err(why_not)
        }
    };
    let is_heard = step.is_ok() || parcel.side.key_kind() == KeyKind::Server;
    if is_heard && lesson.end.is_some_and(|end| end != End::Unheard) {
        flow.progress.end_at_server();
    }
    own.settle(id, &lesson, here);
    step
}

/// What was damaged on the way begins and teaches nothing: its receiver would not take it. The blocks of a running
/// transfer go on as they are.
fn check_sum<H: Family>(
    parcel: &Parcel<H>,
    message: Message,
    found: Option<FlowId>,
    own: &Own,
) -> Step<()> {
    match (message, found) {
        (Message::Data { .. } | Message::Ack { .. }, Some(id))
            if own.flows[id].progress.client_spoke() =>
        {
            Ok(())
        }
        _ => parcel.packet.check_sum(),
    }
}

/// Whether the client would take what a server says for part of another transfer, which it goes on with: servers that
/// answer from the service's port have no other.
fn is_mistakable<H>(parcel: &Parcel<H>, id: FlowId, here: &Here, own: &Own) -> bool {
    let Some(elder) = own.flows.elder(id) else { return false };
    let (flow, before) = (&own.flows[id], &own.flows[elder]);
    let from = flow.client_tid().unwrap_or(parcel.packet.udp.source());
    !matches!(parcel.side, Side::Client(_))
        && flow.client_key() == before.client_key()
        && before.client_tid() == Some(from)
        && own.goes_on(elder, here)
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
    let is_part = whole > parcel.packet.data.len();
    check_size(&*parcel.packet.ip, is_part, parcel.side, flow, here)?;
    match translate(parcel, message, flow, here, hosts) {
        Ok(()) => Ok(None),
        Err(Untranslated::OtherVersion) if parcel.packet.ip.hops() > 1 => {
            let from = parcel.packet.udp.source();
            Ok(Some(Crossing::of(parcel.side, from, message, flow, here, hosts)))
        }
        Err(Untranslated::Expired | Untranslated::OtherVersion) => Err(Reason::TtlExpired.into()),
    }
}

/// What the packet's sender is to be told, if it is to be told why the packet does not go on.
fn notice<H: Family>(
    parcel: &Parcel<H>,
    whole: usize,
    why_not: Verdict,
    flow: &Flow,
    here: &Here,
) -> Option<Notice> {
    let is_part = whole > parcel.packet.data.len();
    let trouble = match why_not {
        Verdict::Drop(Reason::TtlExpired) => Trouble::Expired,
        Verdict::Drop(Reason::TooBig) => {
            Trouble::TooBig(room::<H>(is_part, parcel.side, flow, here).ok()?)
        }
        _ => return None,
    };
    let from = match parcel.side {
        Side::Client(_) | Side::Server => parcel.packet.ip.destination().into(),
        Side::ServerToClient => here.tables.vips[usize::from(flow.vip())].address,
    };
    Some(Notice { place: parcel.place, from, trouble })
}

/// What it says, of which `data` may be the beginning.
fn message(data: &[u8], whole: usize) -> Step<Message<'_>> {
    let is_part = whole > data.len();
    let broken = if is_part { Reason::Fragment } else { Reason::BadTftp };
    match Message::parse(data).map_err(|_| broken)? {
        Message::Data { block, .. } => {
            let len = u16::try_from(whole.saturating_sub(tftp::DATA_HEADER))
                .map_err(|_| Reason::BadTftp)?;
            Ok(Message::Data { block, len })
        }
        // Nobody's fills a packet, and what is cut off would matter.
        Message::Request(_) | Message::Oack(_) if is_part => Err(Reason::Fragment.into()),
        message => Ok(message),
    }
}
