//! Fragments. The first one, which alone names ports, is processed like an unfragmented datagram; later ones follow its
//! path, and those that come before it are held. Nothing is reassembled.

mod first;
mod rest;

use super::classify::{check_owner, check_source};
use super::parse::{Offsets, Packet};
use crate::context::{BurstContext, Ingress};
use crate::flow::fragment_table::{Fate, FragmentInfo};
use crate::ip_family::IpFamily;
use crate::net::address_map::Owner;
use crate::net::origin::Origin;
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::id::InterfaceId;
use crate::types::verdict::{Step, Verdict};
use first::first;
use rest::rest;
use std::net::IpAddr;
use wire::ip::{Fragment, PROTOCOL_UDP, Split};

/// Takes a frame that holds this fragment, with its headers at these offsets, to the interface that it leaves by.
pub fn fragment<H: IpFamily>(
    frame: &mut impl Frame,
    (fragment, offsets): (Fragment, Offsets),
    index: usize,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<InterfaceId> {
    let Packet { ethernet, split } = offsets.packet::<H>(frame.bytes_mut())?;
    let origin = Origin::of(ethernet, ctx.interface);
    check_ends(&split, origin, ctx)?;
    let info = FragmentInfo {
        ends: [split.ip.source().into(), split.ip.destination().into()],
        protocol: split.protocol,
        fragment,
        len: split.body.len(),
    };
    let datagram = if ctx.ingress == Ingress::Fragment {
        state.fragments.record_released(&info, ctx.now).ok_or(DropReason::Fragment)?
    } else {
        state.fragments.record(&info, ctx.now).map_err(|_| DropReason::Fragment)?
    };
    let step = match state.fragments.fate(datagram) {
        Fate::Shares(verdict) => Err(verdict),
        Fate::Follows(path) => rest::<H>(frame, (offsets, index), &path, ctx, state),
        Fate::Unknown if fragment.offset == 0 => {
            let (fate, step) = match first::<H>(frame, offsets, index, ctx, state) {
                Ok((path, interface)) => (Fate::Follows(path), Ok(interface)),
                Err(verdict) => (Fate::Shares(verdict), Err(verdict)),
            };
            state.fragments.decide(datagram, fate);
            step
        }
        Fate::Unknown => Err(Verdict::Hold(state.fragments.hold(datagram, ctx.now))),
    };
    state.fragments.pass(datagram);
    step
}

/// Whether the fragment is for the gate, and for this worker. Where only the ports would tell, the sender's worker holds
/// it until the first fragment has told.
fn check_ends<H: IpFamily>(split: &Split<H>, origin: Origin, ctx: &BurstContext) -> Step<()> {
    let (ip, is_udp) = (&*split.ip, split.protocol == PROTOCOL_UDP);
    match H::owner(ip.destination(), ctx.snapshot) {
        Some(Owner::Down) => Err(DropReason::VipDown.into()),
        Some(Owner::Vip(_)) => {
            check_source(ip, ctx)?;
            check_owner(H::worker(ip.source(), ctx.workers), ctx)?;
            if is_udp { Ok(()) } else { Err(DropReason::Fragment.into()) }
        }
        Some(Owner::Snat(_)) => match check_source(ip, ctx)? {
            Some(Owner::Routed(_) | Owner::Answering(_)) if !is_udp => {
                Err(DropReason::Fragment.into())
            }
            Some(Owner::Routed(server) | Owner::Answering(server))
                if !ctx.snapshot.is_server_at(server, origin) =>
            {
                Err(DropReason::WrongOrigin.into())
            }
            Some(Owner::Routed(_) | Owner::Answering(_)) if ctx.ingress == Ingress::Device => {
                check_owner(H::worker(ip.source(), ctx.workers), ctx)
            }
            Some(Owner::Routed(_) | Owner::Answering(_)) => Ok(()),
            Some(_) | None => Err(DropReason::NoTransfer.into()),
        },
        Some(Owner::Everybody | Owner::Routed(_) | Owner::Answering(_)) | None => {
            match H::owner(ip.source(), ctx.snapshot) {
                Some(owner) if owner.is_ours() => Err(DropReason::BadSource.into()),
                Some(Owner::Routed(server))
                    if is_udp && !ctx.snapshot.is_server_at(server, origin) =>
                {
                    Err(DropReason::WrongOrigin.into())
                }
                Some(Owner::Routed(_)) if is_udp => {
                    check_owner(H::worker(ip.destination(), ctx.workers), ctx)
                }
                Some(_) | None if is_udp && has_rule(ip.source().into(), ctx) => {
                    check_owner(H::worker(ip.destination(), ctx.workers), ctx)
                }
                Some(_) | None => Err(Verdict::Kernel),
            }
        }
    }
}

/// Whether some datagrams of this server's own are to leave as a VIP.
fn has_rule(server: IpAddr, ctx: &BurstContext) -> bool {
    let mut rules = ctx.snapshot.nat.iter();
    rules.any(|rule| rule.protocol == PROTOCOL_UDP && rule.from.contains(&server))
}
