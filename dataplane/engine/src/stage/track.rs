//! What the packet changes in what is known of its transfer: carries out what the protocol's
//! [`crate::alg`] says.

use super::classify::{Parcel, Side};
use crate::alg::tftp::catch_up::Terms;
use crate::alg::{End, Lesson, tftp};
use crate::count::Counters;
use crate::family::Family;
use crate::flow::key::KeyKind;
use crate::flow::new_hop::{Arrival, Proof, Ways};
use crate::flow::record::{Detail, Flow};
use crate::here::Here;
use crate::reason::Reason;
use crate::tables::Hop;
use crate::verdict::Step;
use std::net::IpAddr;
use wire::tftp::Message;

/// Takes the packet into account, or refuses it. What it teaches beyond its flow is the answer, for
/// [`crate::own::Own::settle`].
#[inline]
pub fn track<H: Family>(
    parcel: &Parcel<H>,
    message: Message,
    (flow, detail): (&mut Flow, &mut Detail),
    here: &Here,
    counters: &Counters,
) -> Step<Lesson> {
    let had_spoken = flow.progress.client_spoke();
    if is_of_transfer_before(parcel, message, flow, detail) {
        return Err(Reason::NoTransfer.into());
    }
    let lesson = lesson(parcel, message, (flow, detail), here, counters)?;
    if lesson.end == Some(End::Completed) {
        parcel.packet.check_sum()?;
    }
    let elsewhere = from_elsewhere(parcel, message, (flow, detail), here);
    if let Some(arrival) = &elsewhere {
        way_back(arrival, parcel.sender(), (flow, detail), here);
    }
    flow.progress = lesson.progress;
    if lesson.learn.is_some() && parcel.side.key_kind() == KeyKind::Server {
        let backend = &here.tables.backends[usize::from(flow.backend)];
        flow.alias = backend.alias(parcel.packet.ip.source().into());
        detail.earlier.forget_last_block();
    }
    flow.bytes += u64::from(lesson.data.unwrap_or_default());
    if let Message::Data { block, .. } = message
        && parcel.side.key_kind() == KeyKind::Server
        && flow.progress.is_last(block)
    {
        detail.earlier.note_last_block(parcel.packet.udp.checksum());
    }
    match (parcel.side, message) {
        (Side::Client(_), Message::Data { block, .. } | Message::Ack { block }) => {
            // A guess at a block's number is passed on, and not taken for the client's.
            let is_guess = matches!(elsewhere, Some(Arrival { proof: Proof::Nothing, .. }));
            let goes_on = flow.goes_on(block) && !is_guess;
            if goes_on {
                flow.go_on(block);
            }
            if elsewhere.is_none() {
                by_old_way(goes_on, parcel.sender(), (flow, detail), here);
            }
        }
        (Side::Server | Side::ServerToClient, _)
            if !flow.progress.client_spoke() && !lesson.is_withheld =>
        {
            detail.answered = here.now;
            if let Message::Oack(options) = message {
                detail.terms = Terms::of(options);
                flow.timeout = options.timeout().unwrap_or_default();
            }
        }
        (Side::Client(_) | Side::Server | Side::ServerToClient, _) => {}
    }
    if let Some(Arrival { from, .. }) = elsewhere {
        detail.new_hop.advance(from, flow.blocks as u16);
    }
    // That the request was repeated is of the past.
    if !had_spoken && flow.progress.client_spoke() {
        flow.repeats = 0;
    }
    // Anybody can ask in a client's name that has spoken already.
    if !(had_spoken && matches!(message, Message::Request(_))) {
        touch(parcel, flow, here);
    }
    Ok(lesson)
}

/// Whether it is what a server said last in the transfer before, once more.
fn is_of_transfer_before<H>(
    parcel: &Parcel<H>,
    message: Message,
    flow: &Flow,
    detail: &mut Detail,
) -> bool {
    let is_first = parcel.side.key_kind() == KeyKind::Server && flow.tid().is_none();
    is_first
        && matches!(message, Message::Data { .. })
        && detail.earlier.is_last_block(parcel.packet.udp.checksum())
}

#[inline]
fn lesson<H>(
    parcel: &Parcel<H>,
    message: Message,
    (flow, detail): (&Flow, &Detail),
    here: &Here,
    counters: &Counters,
) -> Step<Lesson> {
    if let (Side::Client(_), Message::Request(_)) = (parcel.side, message) {
        let mut lesson = Lesson::of(flow.progress);
        lesson.progress.ask_again();
        return Ok(lesson);
    }
    let udp = &parcel.packet.udp;
    let tid = match parcel.side {
        Side::Client(_) => flow.client_tid(),
        Side::Server | Side::ServerToClient => flow.tid(),
    };
    let known = tftp::Known {
        tid,
        earlier: detail.earlier,
        service_port: || here.tables.service_of(flow.backend).port,
        answers_seen: flow.answers_seen(),
        progress: flow.progress,
    };
    match parcel.side {
        Side::Client(_) => {
            let lesson = tftp::from_client(&known, udp.destination(), message)?;
            if known.tid.is_some_and(|tid| tid != udp.destination())
                && udp.destination() == (known.service_port)()
            {
                counters.of(flow).to_service_port.add(1);
            }
            Ok(lesson)
        }
        Side::Server | Side::ServerToClient => tftp::from_server(&known, udp.source(), message)
            .map_err(|reason| {
                if reason == Reason::StrayTid {
                    counters.of(flow).strays.add(1);
                }
                reason.into()
            }),
    }
}

/// The flow lives on.
#[inline]
pub fn touch<H>(parcel: &Parcel<H>, flow: &mut Flow, here: &Here) {
    flow.last_packet = here.now;
    match parcel.side {
        Side::Client(_) => {}
        Side::Server | Side::ServerToClient => flow.repeats = 0,
    }
}

/// Where a client's message to the right TID comes from, if not from where answers go, and what it proves before it is
/// taken into account: whether it says the last one again, or goes on as the window allows.
#[inline]
pub fn from_elsewhere<H: Family>(
    parcel: &Parcel<H>,
    message: Message,
    (flow, detail): (&Flow, &Detail),
    here: &Here,
) -> Option<Arrival> {
    let from = Hop { mac: parcel.packet.ethernet.source, interface: here.from };
    if from == flow.back || !matches!(parcel.side, Side::Client(_)) {
        return None;
    }
    let mark = flow.blocks as u16;
    let (proof, goes_on) = match message {
        Message::Request(_) => (Proof::Claim, false),
        Message::Data { block, .. } | Message::Ack { block } => {
            let knows_block = block.wrapping_sub(mark) <= detail.terms.windowsize();
            // Everybody knows the service's port.
            let knows_tid = flow.is_client_tid(parcel.packet.udp.destination());
            let proof = match (knows_block, knows_tid) {
                (true, true) => Proof::Knowledge,
                (true, false) => Proof::Claim,
                (false, _) => Proof::Nothing,
            };
            (proof, flow.goes_on(block))
        }
        Message::Oack(_) | Message::Error { .. } => (Proof::Nothing, false),
    };
    Some(Arrival { from, proof, goes_on, mark })
}

/// Settles the way back to a client by a packet that comes from elsewhere: see [`crate::flow::new_hop`].
#[cold]
pub fn way_back(
    arrival: &Arrival,
    client: IpAddr,
    (flow, detail): (&mut Flow, &mut Detail),
    here: &Here,
) {
    let ways = Ways { back: flow.back, route: here.tables.hop_or_seek(client) };
    if detail.new_hop.takes_over(arrival, &ways, here.now) {
        flow.back = arrival.from;
    }
}

/// Settles it by one that comes from where answers go: it is in use, or nothing is heard there.
#[inline]
fn by_old_way(
    goes_on: bool,
    client: IpAddr,
    (flow, detail): (&mut Flow, &mut Detail),
    here: &Here,
) {
    detail.new_hop.is_not_needed(goes_on);
    // The server has spoken since the client said this before.
    if !goes_on && flow.repeats == 1 {
        unheard(client, (flow, detail), here);
    }
}

#[cold]
fn unheard(client: IpAddr, (flow, detail): (&mut Flow, &mut Detail), here: &Here) {
    let route = || here.tables.hop_or_seek(client);
    let other = detail.new_hop.unheard(flow.back, route, flow.blocks as u16, here.now);
    flow.back = other.unwrap_or(flow.back);
}
