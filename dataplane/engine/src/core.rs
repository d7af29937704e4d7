//! One worker's engine, and the walk of a burst through its stages.

use crate::family::Family;
use crate::flow::view::FlowQuery;
use crate::fragments::Slot;
use crate::frame::{BURST, Burst, Frame};
use crate::here::{By, Here};
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::admit::{Admitted, Datagram, admit, check_station, ether_type};
use crate::stage::answer;
use crate::stage::classify::{Parcel, classify, classify_other};
use crate::stage::forward::forward;
use crate::stage::lookup::guess;
use crate::stage::part::part;
use crate::stage::routine::routine;
use crate::tables::{InterfaceId, Tables};
use crate::tick::Tick;
use crate::verdict::{Step, Verdict};
use std::net::SocketAddr;
use std::sync::Arc;
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::plain::Plain;

/// What one worker knows and owns.
pub struct Core {
    /// What control says of the world.
    pub tables: Arc<Tables>,
    /// What no other worker touches.
    pub own: Own,
}

impl Core {
    /// Decides what becomes of each frame of a burst (at most [`crate::frame::BURST`]) that came in by
    /// the interface `from`, and rewrites those that go on. Then some that were held may go on too:
    /// [`Core::released`].
    pub fn walk<F: Frame>(
        &mut self,
        now: Tick,
        from: InterfaceId,
        by: By,
        burst: &mut [F],
    ) -> Burst<Verdict> {
        let Core { tables, own } = self;
        let here = own.here(tables, now, from, by);
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

    /// Slots of [`Verdict::Hold`] whose frames are to be walked again, by [`By::Release`], in this order. The
    /// caller takes them out.
    pub fn released(&mut self) -> &mut Vec<Slot> {
        self.own.fragments.released()
    }

    /// Ends transfers whose time has come, some at a time.
    pub fn expire(&mut self, now: Tick) {
        let Core { tables, own } = self;
        let here = own.here(tables, now, 0, By::Device);
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

/// Decides on whole datagrams first, then on parts of them. Answers whether some are strays.
fn decide<F: Frame>(burst: &mut [F], verdicts: &mut [Verdict], here: &Here, own: &mut Own) -> bool {
    let mut parts = Burst::new();
    let strays = decide_whole(burst, verdicts, &mut parts, here, own);
    if !parts.is_empty() {
        pass_parts(&parts, burst, verdicts, here, own);
    }
    strays
}

/// All packets' way up to their transfers, then each packet's own. `parts` gets the places of frames that
/// hold no whole datagram.
#[inline]
fn decide_whole<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    parts: &mut Burst<usize>,
    here: &Here,
    own: &mut Own,
) -> bool {
    let mut parcels = Parcels::default();
    for (place, frame) in burst.iter_mut().enumerate() {
        if let Err(verdict) = sort(frame.bytes_mut(), place, here, own, &mut parcels, parts) {
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
    parts: &mut Burst<usize>,
) -> Step<()> {
    check_station(frame, here.mac)?;
    match Plain::check(frame) {
        Some(len) => {
            let packet = Datagram::plain(frame, len).ok_or(Reason::Truncated)?;
            parcels.v4.push(classify(packet, place, here, own)?);
        }
        None => sort_unusual(frame, place, here, own, parcels, parts)?,
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
    parts: &mut Burst<usize>,
) -> Step<()> {
    let Parcels { v4, v6 } = parcels;
    match ether_type(frame)? {
        Ipv4::ETHER_TYPE => sort_by_header(frame, place, here, own, v4, parts),
        Ipv6::ETHER_TYPE => sort_by_header(frame, place, here, own, v6, parts),
        _ => Err(Verdict::Kernel),
    }
}

fn sort_by_header<'a, H: Family>(
    frame: &'a mut [u8],
    place: usize,
    here: &Here,
    own: &Own,
    parcels: &mut Burst<Parcel<'a, H>>,
    parts: &mut Burst<usize>,
) -> Step<()> {
    match admit(frame)? {
        Admitted::Datagram(packet) => {
            parcels.push(classify(packet, place, here, own)?);
            Ok(())
        }
        Admitted::Other(packet) if packet.split.fragment.is_some() => {
            parts.push(place);
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
            let step = forward(parcel, parcel.packet.data.len(), here, own);
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

/// Parts of datagrams, in their order: the others follow the first one.
#[cold]
fn pass_parts<F: Frame>(
    places: &[usize],
    burst: &mut [F],
    verdicts: &mut [Verdict],
    here: &Here,
    own: &mut Own,
) {
    for &place in places {
        let frame = burst[place].bytes_mut();
        let step = match ether_type(frame) {
            Ok(Ipv6::ETHER_TYPE) => part::<Ipv6>(frame, place, here, own),
            _ => part::<Ipv4>(frame, place, here, own),
        };
        verdicts[place] = match step {
            Ok(verdict) | Err(verdict) => verdict,
        };
    }
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
        let id = own.next_id();
        let step = match crossing.destination {
            SocketAddr::V4(_) => crossing.carry_out::<Ipv6, Ipv4>(frame, mtu, id),
            SocketAddr::V6(_) => crossing.carry_out::<Ipv4, Ipv6>(frame, mtu, id),
        };
        if let Err(why_not) = step {
            *verdict = why_not;
        }
    }
}
