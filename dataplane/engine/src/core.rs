//! One worker's engine, and the walk of a burst through its stages.

use crate::family::Family;
use crate::flow::view::FlowQuery;
use crate::frame::{BURST, Burst, Frame};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::admit::{Admitted, Datagram, admit, check_station, ether_type};
use crate::stage::answer;
use crate::stage::classify::{Parcel, classify, classify_other};
use crate::stage::cross::Crossing;
use crate::stage::lookup::{guess, lookup};
use crate::stage::routine::routine;
use crate::stage::schedule::schedule;
use crate::stage::track::track;
use crate::stage::translate::{Untranslated, translate};
use crate::stage::transmit::transmit;
use crate::tables::{InterfaceId, Tables};
use crate::tick::Tick;
use crate::verdict::{Step, Verdict};
use std::net::SocketAddr;
use std::sync::Arc;
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::plain::Plain;
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
        let here = own.here(tables, now, from);
        // What nobody claims is the kernel's.
        let mut verdicts = Burst::from([Verdict::Kernel; BURST]);
        verdicts.truncate(burst.len());
        if decide(burst, &mut verdicts, &here, own) {
            answer_strays(burst, &mut verdicts, &here);
        }
        if !own.crossings.is_empty() {
            cross_over(burst, &mut verdicts, &here, own);
        }
        verdicts
    }

    /// Ends transfers whose time has come, some at a time.
    pub fn expire(&mut self, now: Tick) {
        let Core { tables, own } = self;
        let here = own.here(tables, now, 0);
        own.expire(&here);
    }

    /// Goes on with a question for transfers; answers true when all have been looked at.
    pub fn answer(&self, query: &mut FlowQuery, now: Tick) -> bool {
        self.own.answer(query, &self.tables, now)
    }
}

/// The datagrams of a burst, by version of IP.
#[derive(Default)]
struct Parcels<'a> {
    v4: Burst<Parcel<'a, Ipv4>>,
    v6: Burst<Parcel<'a, Ipv6>>,
}

/// All packets' way up to their transfers, then each packet's own. Answers whether some are strays.
fn decide<F: Frame>(burst: &mut [F], verdicts: &mut [Verdict], here: &Here, own: &mut Own) -> bool {
    let mut parcels = Parcels::default();
    for (place, frame) in burst.iter_mut().enumerate() {
        if let Err(verdict) = sort(frame.bytes_mut(), place, here, own, &mut parcels) {
            verdicts[place] = verdict;
        }
    }
    let strays = pass(&mut parcels.v4, verdicts, here, own);
    strays | (!parcels.v6.is_empty() && pass_v6(&mut parcels.v6, verdicts, here, own))
}

/// Adds the frame to the parcels, unless it is clear already what becomes of it.
#[inline]
fn sort<'a>(
    frame: &'a mut [u8],
    place: usize,
    here: &Here,
    own: &Own,
    parcels: &mut Parcels<'a>,
) -> Step<()> {
    check_station(frame, here.mac)?;
    match Plain::check(frame) {
        Some(len) => {
            let packet = Datagram::plain(frame, len).ok_or(Reason::Truncated)?;
            parcels.v4.push(classify(packet, place, here, own)?);
        }
        None => sort_unusual(frame, place, here, own, parcels)?,
    }
    Ok(())
}

/// Apart, also so that the common case need not lay its packet down in memory for both to meet.
#[inline(never)]
fn sort_unusual<'a>(
    frame: &'a mut [u8],
    place: usize,
    here: &Here,
    own: &Own,
    parcels: &mut Parcels<'a>,
) -> Step<()> {
    match ether_type(frame)? {
        Ipv4::ETHER_TYPE => sort_by_header(frame, place, here, own, &mut parcels.v4),
        Ipv6::ETHER_TYPE => sort_by_header(frame, place, here, own, &mut parcels.v6),
        _ => Err(Verdict::Kernel),
    }
}

fn sort_by_header<'a, H: Family>(
    frame: &'a mut [u8],
    place: usize,
    here: &Here,
    own: &Own,
    parcels: &mut Burst<Parcel<'a, H>>,
) -> Step<()> {
    match admit(frame)? {
        Admitted::Datagram(packet) => {
            parcels.push(classify(packet, place, here, own)?);
            Ok(())
        }
        Admitted::Other(packet) => Err(classify_other(packet, here)),
    }
}

/// Each packet's way from its transfer on. Answers whether some are strays.
#[inline]
fn pass<H: Family>(
    parcels: &mut [Parcel<H>],
    verdicts: &mut [Verdict],
    here: &Here,
    own: &mut Own,
) -> bool {
    guess(parcels, &own.flows);
    let mut strays = false;
    for parcel in parcels {
        parcel.name_anew(&own.hosts);
        let step = routine(parcel, here, own).unwrap_or_else(|| {
            let step = forward(parcel, here, own);
            strays |= step == Err(Reason::StrayTid.into());
            step
        });
        verdicts[parcel.place] = match step {
            Ok(verdict) | Err(verdict) => verdict,
        };
    }
    strays
}

/// Apart, so that it does not spread in the code for most packets.
#[inline(never)]
fn pass_v6(
    parcels: &mut [Parcel<Ipv6>],
    verdicts: &mut [Verdict],
    here: &Here,
    own: &mut Own,
) -> bool {
    pass(parcels, verdicts, here, own)
}

/// From the transfer that the packet belongs to, to the interface that it leaves by. Not inlined: most
/// packets are routine.
#[inline(never)]
fn forward<H: Family>(parcel: &mut Parcel<H>, here: &Here, own: &mut Own) -> Step<Verdict> {
    let found = lookup(parcel, here, own)?;
    let message = Message::parse(parcel.packet.data).map_err(|_| Reason::BadTftp)?;
    let id = schedule(parcel, message, found, here, own)?;
    let Own { flows, hosts, crossings, counters, .. } = own;
    let flow = &mut flows[id];
    let lesson = track(parcel, message, flow, here, counters)?;
    let mut way = || {
        match translate(parcel, message, flow, here, hosts) {
            Ok(()) => {}
            Err(Untranslated::Expired) => return Err(Reason::TtlExpired.into()),
            Err(Untranslated::OtherVersion) => {
                crossings.push(Crossing::of(parcel, message, flow, here, hosts)?);
            }
        }
        transmit(parcel, flow, here, counters)
    };
    let step = way();
    own.settle(id, &lesson, here);
    step
}

/// Tells servers that their ports are no transfer's.
#[cold]
fn answer_strays<F: Frame>(burst: &mut [F], verdicts: &mut [Verdict], here: &Here) {
    for (verdict, frame) in verdicts.iter_mut().zip(burst) {
        if *verdict == Verdict::Drop(Reason::StrayTid) {
            *verdict = answer::unknown_tid(frame, here.mac);
        }
    }
}

/// Gives packets for the other side's version of IP its header.
#[cold]
fn cross_over<F: Frame>(burst: &mut [F], verdicts: &mut [Verdict], here: &Here, own: &mut Own) {
    for crossing in own.crossings.take() {
        let (frame, verdict) = (&mut burst[crossing.place], &mut verdicts[crossing.place]);
        let Verdict::Transmit(interface) = *verdict else { continue };
        let mtu = here.tables.interfaces[usize::from(interface)].mtu;
        own.last_id = own.last_id.wrapping_add(1);
        let step = match crossing.destination {
            SocketAddr::V4(_) => crossing.carry_out::<Ipv6, Ipv4>(frame, mtu, own.last_id),
            SocketAddr::V6(_) => crossing.carry_out::<Ipv4, Ipv6>(frame, mtu, own.last_id),
        };
        if let Err(why_not) = step {
            *verdict = why_not;
        }
    }
}
