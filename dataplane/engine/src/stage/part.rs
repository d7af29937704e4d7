//! A part of a datagram. The first one goes the way of a whole one, and the others follow it; those that
//! come before it wait.

mod first;
mod follow;

use super::classify::{check_source, mine};
use crate::family::Family;
use crate::fragments::{Part, Way};
use crate::frame::Frame;
use crate::here::{By, Here};
use crate::origin::Origin;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::Owner;
use crate::verdict::{Step, Verdict};
use first::first;
use follow::follow;
use std::net::IpAddr;
use wire::ethernet::Ethernet;
use wire::ip::{Fragment, PROTOCOL_UDP, Split};
use zerocopy::FromBytes;

/// Decides what becomes of a frame that holds this part of a datagram, at this place in its burst.
pub fn part<H: Family>(
    frame: &mut impl Frame,
    fragment: Fragment,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let (ethernet, packet) =
        Ethernet::mut_from_prefix(frame.bytes_mut()).map_err(|_| Reason::Truncated)?;
    let origin = Origin::of(ethernet, here.from);
    let split: Split<H> = H::split(packet).map_err(|_| H::BAD)?;
    check_ends(&split, origin, here)?;
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
        Way::After(lead) => follow::<H>(frame, place, &lead, here, own),
        Way::Unknown if fragment.offset == 0 => {
            let (way, step) = match first::<H>(frame, place, here, own) {
                Ok((lead, verdict)) => (Way::After(lead), Ok(verdict)),
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
fn check_ends<H: Family>(split: &Split<H>, origin: Origin, here: &Here) -> Step<()> {
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
            Some(Owner::Routed(server) | Owner::Answering(server))
                if !here.tables.is_server_at(server, origin) =>
            {
                Err(Reason::WrongOrigin.into())
            }
            Some(Owner::Routed(_) | Owner::Answering(_)) if here.by == By::Device => {
                mine(H::worker(ip.source(), here.workers), here)
            }
            Some(Owner::Routed(_) | Owner::Answering(_)) => Ok(()),
            Some(_) | None => Err(Reason::NoTransfer.into()),
        },
        Some(Owner::Everybody | Owner::Routed(_) | Owner::Answering(_)) | None => {
            match H::owner(ip.source(), here.tables) {
                Some(owner) if owner.is_ours() => Err(Reason::BadSource.into()),
                Some(Owner::Routed(server))
                    if is_udp && !here.tables.is_server_at(server, origin) =>
                {
                    Err(Reason::WrongOrigin.into())
                }
                Some(Owner::Routed(_)) if is_udp => {
                    mine(H::worker(ip.destination(), here.workers), here)
                }
                Some(_) | None if is_udp && has_rule(ip.source().into(), here) => {
                    mine(H::worker(ip.destination(), here.workers), here)
                }
                Some(_) | None => Err(Verdict::Kernel),
            }
        }
    }
}

/// Whether some datagrams of this server's own are to leave as a VIP.
fn has_rule(server: IpAddr, here: &Here) -> bool {
    let mut rules = here.tables.nat.iter();
    rules.any(|rule| rule.protocol == PROTOCOL_UDP && rule.from.contains(&server))
}
