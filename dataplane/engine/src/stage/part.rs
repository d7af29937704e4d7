//! A part of a datagram. The first one goes the way of a whole one, and the others follow it; those that
//! come before it wait.

use super::admit::{Datagram, Packet};
use super::classify::{check_source, classify, mine};
use super::cross::Crossing;
use super::forward::forward;
use super::translate::{NO_REQUEST, ends};
use super::transmit::{check_size, transmit};
use crate::family::Family;
use crate::fragments::{Part, TransferWay, Way};
use crate::here::{By, Here};
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::Owner;
use crate::verdict::{Step, Verdict};
use wire::ethernet::Ethernet;
use wire::ip::{Fragment, PROTOCOL_UDP, Split};
use wire::udp::{self, Udp};

/// Decides what becomes of a frame that holds this part of a datagram, at this place in its burst.
pub fn part<H: Family>(
    Packet { ethernet, split }: Packet<H>,
    fragment: Fragment,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    check_ends(&split, here)?;
    let part = Part {
        ends: [split.ip.source().into(), split.ip.destination().into()],
        protocol: split.protocol,
        fragment,
        len: split.body.len(),
    };
    let datagram = if here.by == By::Release {
        own.fragments.meet_again(&part, here.now).ok_or(Reason::Fragment)?
    } else {
        own.fragments.meet(&part, here.now).map_err(|_| Reason::Fragment)?
    };
    let step = match own.fragments.way(datagram) {
        Way::As(verdict) => Err(verdict),
        Way::Transfer(as_the_first) => follow(ethernet, split, place, as_the_first, here, own),
        Way::Unknown if part.fragment.offset == 0 => {
            let (way, step) = match first(ethernet, split, place, here, own) {
                Ok((way, verdict)) => (Way::Transfer(way), Ok(verdict)),
                Err(verdict) => (Way::As(verdict), Err(verdict)),
            };
            own.fragments.decide(datagram, way);
            step
        }
        Way::Unknown => Ok(Verdict::Hold(own.fragments.hold(datagram, here.now))),
    };
    own.fragments.pass(datagram);
    step
}

/// Whether the part is for us, and this worker's. Where only the port would tell, its sender's worker looks
/// after it until the first part has told.
fn check_ends<H: Family>(split: &Split<H>, here: &Here) -> Step<()> {
    let (ip, is_udp) = (&*split.ip, split.protocol == PROTOCOL_UDP);
    match H::owner(ip.destination(), here.tables) {
        Some(Owner::Down) => Err(Reason::VipDown.into()),
        Some(Owner::Vip(_)) => {
            check_source(ip, here)?;
            mine(H::worker(ip.source(), here.workers), here)?;
            if is_udp { Ok(()) } else { Err(Reason::Fragment.into()) }
        }
        Some(Owner::Snat(_)) => match check_source(ip, here)? {
            Some(Owner::Routed(_) | Owner::Answering(_)) if !is_udp => Err(Reason::Fragment.into()),
            Some(Owner::Routed(_) | Owner::Answering(_)) if here.by == By::Device => {
                mine(H::worker(ip.source(), here.workers), here)
            }
            Some(Owner::Routed(_) | Owner::Answering(_)) => Ok(()),
            Some(_) | None => Err(Reason::NoTransfer.into()),
        },
        Some(Owner::Everybody | Owner::Routed(_) | Owner::Answering(_)) | None => {
            match H::owner(ip.source(), here.tables) {
                Some(Owner::Routed(_)) if is_udp => {
                    mine(H::worker(ip.destination(), here.workers), here)
                }
                Some(owner) if owner.is_ours() => Err(Reason::BadSource.into()),
                Some(_) | None => Err(Verdict::Kernel),
            }
        }
    }
}

/// The first part names the ports.
fn first<H: Family>(
    ethernet: &mut Ethernet,
    split: Split<H>,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<(TransferWay, Verdict)> {
    let Split { ip, body, .. } = split;
    let (udp, data) = Udp::split_part::<H>(body).ok_or(Reason::Fragment)?;
    let whole = udp.total_len() - udp::HEADER;
    let packet = Datagram { ethernet, ip, udp, data };
    let mut parcel = classify(packet, place, here, own)?;
    let verdict = forward(&mut parcel, whole, here, own)?;
    let (key, side) = (parcel.key, parcel.side);
    let flow = own.flows.find(side.key_kind(), key).ok_or(Reason::NoTransfer)?;
    // Servers see many clients as one sender, whose numbers are not to clash.
    let id = own.is_one_of_many(flow, side, here).then(|| own.next_id());
    if let Some(id) = id {
        parcel.packet.ip.renumber(id);
    }
    // IPv6 has it elsewhere.
    if let Some((at, crossing)) = own.crossings.last_mut()
        && *at == place
    {
        crossing.id = id;
    }
    Ok((TransferWay { flow, key, side, id }, verdict))
}

/// Another part goes where the first one went. The checksum of UDP is in that one.
fn follow<H: Family>(
    ethernet: &mut Ethernet,
    split: Split<H>,
    place: usize,
    TransferWay { flow, key, side, id }: TransferWay,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let Own { flows, hosts, crossings, counters, .. } = own;
    let flow = flows.confirm(flow, side.key_kind(), key).ok_or(Reason::NoTransfer)?;
    // The first part was taken in.
    if flow.is_in_need() {
        return Ok(Verdict::Absorb);
    }
    let ip = split.ip;
    check_size(ip, true, side, flow, here)?;
    if flow.answers_seen() {
        match ends::<H>(side, 0, NO_REQUEST, flow, here, hosts) {
            Ok((source, destination, _)) => {
                let _ = ip.forward(source, destination).ok_or(Reason::TtlExpired)?;
            }
            Err(_other_version) => {
                let crossing = Crossing::of(ip, side, 0, NO_REQUEST, flow, here, hosts)?;
                crossings.push((place, Crossing { id, ..crossing }));
            }
        }
    }
    if let Some(id) = id {
        ip.renumber(id);
    }
    flow.last_packet = here.now;
    transmit(ethernet, ip.total_len(), side, flow, here, counters)
}
