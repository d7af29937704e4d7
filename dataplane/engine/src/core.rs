//! One worker's engine, and the walk of a burst through its stages.

use crate::family::Family;
use crate::flow::view::FlowQuery;
use crate::fragments::Slot;
use crate::frame::{BURST, Burst, Frame};
use crate::here::{By, Here};
use crate::own::Own;
use crate::own::room::Room;
use crate::own::uses::Uses;
use crate::reason::Reason;
use crate::select::cap;
use crate::select::look::{Look, look};
use crate::stage::admit::{Admitted, Datagram, admit, check_station, ether_type};
use crate::stage::answer;
use crate::stage::apart::{is_apart, pass_apart};
use crate::stage::classify::{Parcel, classify, classify_other};
use crate::stage::connection::reset::cut_off;
use crate::stage::connection::{self, Segment};
use crate::stage::cross;
use crate::stage::edit;
use crate::stage::forward::forward;
use crate::stage::lookup::guess;
use crate::stage::neighbour;
use crate::stage::routine::routine;
use crate::stage::speak::{Speech, speak};
use crate::tables::{InterfaceId, Tables};
use crate::tick::Tick;
use crate::verdict::{Step, Verdict};
use std::sync::Arc;
use wire::icmp::is_redirect;
use wire::ip::Ip;
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::neighbour::ARP;
use wire::plain::{Plain, PlainTcp};

/// What one worker knows and owns.
pub struct Core {
    /// What control says of the world.
    pub tables: Arc<Tables>,
    /// What no other worker touches.
    pub own: Own,
}

impl Core {
    /// Goes by these tables from now on; gives back those before.
    pub fn adopt(&mut self, tables: Arc<Tables>) -> Arc<Tables> {
        cap::recount(&self.tables, &tables, &self.own.counters);
        std::mem::replace(&mut self.tables, tables)
    }

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
            answer::strays(burst, &mut verdicts, &here);
        }
        if !own.notices.is_empty() {
            answer::notify(burst, &mut verdicts, &here, own);
        }
        if !own.refusals.is_empty() {
            answer::refuse(burst, &mut verdicts, &here, own);
        }
        if !own.edits.is_empty() {
            edit::options(burst, &here, own);
        }
        if !own.crossings.is_empty() {
            cross::over(burst, &mut verdicts, own);
        }
        verdicts
    }

    /// Slots of [`Verdict::Hold`] whose frames are to be walked again, by [`By::Release`], in this order. The
    /// caller takes them out.
    pub fn released(&mut self) -> &mut Vec<Slot> {
        self.own.fragments.released()
    }

    /// Ends transfers whose time has come, and helps those whose server is dead, some at a time.
    pub fn expire(&mut self, now: Tick) {
        let Core { tables, own } = self;
        let here = own.here(tables, now, 0, By::Device);
        own.expire(&here);
        own.expire_connections(&here);
        own.give_up_wanted(&here);
        own.look_for_orphans(&here);
        own.look_for_cut_off(&here);
    }

    /// Whether this worker has something to say of its own accord: [`Core::speak`].
    #[inline]
    pub fn has_to_speak(&self) -> bool {
        !self.own.outbox.is_empty() || !self.own.resets.is_empty()
    }

    /// The next frame of our own making, and where it leaves.
    pub fn speak(&mut self, now: Tick) -> Option<(InterfaceId, Speech)> {
        let Core { tables, own } = self;
        let here = own.here(tables, now, 0, By::Device);
        while let Some(id) = own.outbox.next(now, tables.speech) {
            own.outbox.charge(own.flows.detail(id).terms.windowsize());
            if let Some((hop, speech)) = speak(id, &here, own) {
                return Some((hop.interface, speech));
            }
        }
        while let Some(id) = own.resets.next(now, RESETS) {
            if let Some((hop, speech)) = cut_off(id, &here, own) {
                return Some((hop.interface, speech));
            }
        }
        None
    }

    /// Moves what this worker owns to this room, which then holds what is left over.
    pub fn move_to(&mut self, room: &mut Room) {
        self.own.move_to(room);
    }

    /// Goes on looking for what transfers use; answers true when all have been looked at.
    pub fn note_uses(&self, uses: &mut Uses) -> bool {
        self.own.note_uses(uses)
    }

    /// Which backend a client would get.
    pub fn look(&self, question: &mut Look, now: Tick) {
        look(question, &self.own.here(&self.tables, now, 0, By::Device), &self.own);
    }

    /// Goes on with a question for transfers; answers true when all have been looked at.
    pub fn answer(&self, query: &mut FlowQuery, now: Tick) -> bool {
        self.own.answer(query, &self.tables, now)
    }
}

/// Connections that are broken off in a tick, at the most: a dead server's clients are all told in a second or two.
const RESETS: u32 = 2048;

/// The datagrams and segments of a burst, by version of IP.
#[derive(Default)]
struct Parcels<'a> {
    v4: Burst<Parcel<'a, Ipv4>>,
    v6: Burst<Parcel<'a, Ipv6>>,
    tcp_v4: Burst<Segment<'a, Ipv4>>,
    tcp_v6: Burst<Segment<'a, Ipv6>>,
}

/// Decides on whole datagrams first, then on all else. Answers whether some are strays.
fn decide<F: Frame>(burst: &mut [F], verdicts: &mut [Verdict], here: &Here, own: &mut Own) -> bool {
    let strays = decide_whole(burst, verdicts, here, own);
    strays | (!own.apart.is_empty() && pass_apart(burst, verdicts, here, own))
}

/// All packets' way up to their transfers, then each packet's own. [`Own::apart`] gets the places of frames that
/// hold no whole datagram, or go a long way.
#[inline]
fn decide_whole<F: Frame>(
    burst: &mut [F],
    verdicts: &mut [Verdict],
    here: &Here,
    own: &mut Own,
) -> bool {
    let mut parcels = Parcels::default();
    let station = here.mac.word();
    for (place, frame) in burst.iter_mut().enumerate() {
        match sort(frame.bytes_mut(), place, station, here, own, &mut parcels) {
            Ok(()) => {}
            // A rule may be for what a server opens by itself.
            Err(Verdict::Kernel) if here.tables.has_rules => own.apart.push(place),
            Err(verdict) => verdicts[place] = verdict,
        }
    }
    let strays = pass(&mut parcels.v4, verdicts, here, own);
    let Parcels { v6, tcp_v4, tcp_v6, .. } = &mut parcels;
    if !tcp_v4.is_empty() {
        pass_segments(tcp_v4, verdicts, here, own);
    }
    if !tcp_v6.is_empty() {
        pass_segments(tcp_v6, verdicts, here, own);
    }
    strays | (!v6.is_empty() && pass_v6(v6, verdicts, here, own))
}

/// Adds the frame to the parcels, unless it is clear already what becomes of it.
#[inline(always)]
fn sort<'a>(
    frame: &'a mut [u8],
    place: usize,
    station: u64,
    here: &Here,
    own: &mut Own,
    parcels: &mut Parcels<'a>,
) -> Step<()> {
    check_station(frame, station)?;
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
    own: &mut Own,
    parcels: &mut Parcels<'a>,
) -> Step<()> {
    let Parcels { v4, v6, tcp_v4, tcp_v6 } = parcels;
    if let Some(len) = PlainTcp::check(frame) {
        let (PlainTcp { ethernet, ip, tcp }, _) =
            PlainTcp::split(frame).ok_or(Reason::Truncated)?;
        tcp_v4.push(Segment::classify((ethernet, ip, tcp), len, place, here, own)?);
        return Ok(());
    }
    match ether_type(frame)? {
        Ipv4::ETHER_TYPE => sort_by_header(frame, place, here, own, (v4, tcp_v4)),
        Ipv6::ETHER_TYPE => sort_by_header(frame, place, here, own, (v6, tcp_v6)),
        ARP => Err(neighbour::arp(frame, here)),
        _ => Err(Verdict::Kernel),
    }
}

fn sort_by_header<'a, H: Family>(
    frame: &'a mut [u8],
    place: usize,
    here: &Here,
    own: &mut Own,
    (parcels, segments): (&mut Burst<Parcel<'a, H>>, &mut Burst<Segment<'a, H>>),
) -> Step<()> {
    match admit(frame, here.tables.interfaces[usize::from(here.from)].mtu)? {
        Admitted::Datagram(packet) => {
            parcels.push(classify(packet, place, here, own)?);
            Ok(())
        }
        Admitted::Segment(packet, len) => {
            segments.push(Segment::classify(packet, len, place, here, own)?);
            Ok(())
        }
        Admitted::Other(mut packet) => {
            // Where packets go is the operator's to say, and what the kernel makes of a redirect depends on settings of
            // the whole machine.
            if is_redirect(&packet.split) {
                return Err(Reason::Redirect.into());
            }
            if H::answer_neighbour(&mut packet, here) {
                return Err(Verdict::Answer);
            }
            if is_apart(&packet.split, here) {
                own.apart.push(place);
                return Ok(());
            }
            Err(classify_other(packet, here))
        }
    }
}

/// Each packet's way from its transfer on. Answers whether some are strays.
#[inline(never)]
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

/// Each segment's way from its connection on.
#[inline(never)]
fn pass_segments<H: Family>(
    segments: &mut [Segment<H>],
    verdicts: &mut [Verdict],
    here: &Here,
    own: &mut Own,
) {
    for segment in segments.iter_mut() {
        segment.guess = own.connections.guess(segment.spot);
    }
    for segment in segments {
        segment.name_anew(&own.hosts);
        match connection::routine::routine(segment, here, own) {
            Some(Ok(verdict) | Err(verdict)) => verdicts[segment.place] = verdict,
            None => own.apart.push(segment.place),
        }
    }
}
