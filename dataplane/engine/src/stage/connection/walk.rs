//! The long way, stage by stage: for packets that open, change or end a connection, and for those that are read.

use super::again::begins_again;
use super::control;
use super::follow::{follow, is_repeated};
use super::lookup::lookup;
use super::reset;
use super::seen::Seen;
use super::translate::{Body, crossing, translate, way};
use super::way_back;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::{Connection, flag, mark};
use crate::flow::view::Stage;
use crate::frame::Frame;
use crate::here::Here;
use crate::notice::Notice;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::classify::Side;
use crate::stage::translate::Untranslated;
use crate::stage::transmit::{room_to, send};
use crate::verdict::{Step, Verdict};
use wire::ethernet::Ethernet;
use wire::ip::Split;
use wire::tcp::{Flags, Tcp};
use wire::trouble::Trouble;
use zerocopy::FromBytes;

/// Decides what becomes of a frame that is perhaps of a connection, at this place in its burst.
pub fn connection<H: Family>(
    frame: &mut impl Frame,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let mut seen = Seen::of::<H>(frame.bytes_mut(), place, here, own)?;
    let id = match lookup::<H>(&seen, here, own) {
        Ok(id) => id,
        Err(why_not) => return Err(refused::<H>(frame, &seen, why_not, here, own)),
    };
    begins_again(&seen, id, here, own);
    way_back::settle(&seen, id, here, own)?;
    // In `dsr` packets stay as they are.
    if seen.has(Flags::RST) && own.connections[id].answers_seen() {
        reset::make_plain::<H>(frame);
    }
    if !own.connections[id].has(flag::READ)
        && let Some(verdict) = control::begin::<H>(&seen, id, here, own)
    {
        return Err(refused::<H>(frame, &seen, verdict, here, own));
    }
    if own.connections[id].has(flag::READ)
        && let Some(step) = control::read::<H>(frame, &mut seen, id, here, own)
    {
        return step;
    }
    pass::<H>(frame, &seen, id, here, own)
}

/// The same for a frame that holds the first part of a datagram; answers also which connection that is of, and who sent
/// it.
pub fn first_part<H: Family>(
    frame: &mut impl Frame,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<(FlowId, Side, Verdict)> {
    let seen = Seen::of::<H>(frame.bytes_mut(), place, here, own)?;
    let id = lookup::<H>(&seen, here, own)?;
    way_back::settle(&seen, id, here, own)?;
    let verdict = pass::<H>(frame, &seen, id, here, own)?;
    Ok((id, seen.side, verdict))
}

/// Takes the packet into account and passes it on.
fn pass<H: Family>(
    frame: &mut impl Frame,
    seen: &Seen<H::Address>,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    track(seen, id, here, own)?;
    let step = leave::<H>(frame, seen, id, here, own);
    let why_not = step.err();
    own.notices.extend(why_not.and_then(|why_not| notice::<H>(seen, why_not, id, here, own)));
    step
}

/// Who opens a connection that can't be is told so, and who goes on with one that is not known: they need not wait.
fn refused<H: Family>(
    frame: &mut impl Frame,
    seen: &Seen<H::Address>,
    why_not: Verdict,
    here: &Here,
    own: &mut Own,
) -> Verdict {
    let is_told = matches!(
        why_not,
        Verdict::Drop(
            Reason::NoConnection
                | Reason::NoBackend
                | Reason::BackendsFull
                | Reason::BackendDown
                | Reason::SessionsFull
                | Reason::ClientFull
                | Reason::Refused
        )
    );
    if !is_told || seen.tcp.is_none() || !own.notice_rate.allows(here.now) {
        return why_not;
    }
    reset::refuse::<H>(frame, seen, here).unwrap_or(why_not)
}

/// Takes the packet into account.
fn track<A: Copy>(seen: &Seen<A>, id: FlowId, here: &Here, own: &mut Own) -> Step<()> {
    let by_client = seen.is_by_client();
    let connection = &mut own.connections[id];
    let was_unassured = connection.is_unassured();
    let from = usize::from(!by_client);
    let is_repeated = |tcp: Tcp| is_repeated(&connection.halves, from, &tcp, seen.len);
    if !by_client && seen.tcp.is_some_and(is_repeated) {
        way_back::unheard(connection, &own.hosts, here);
    }
    let stage = match &seen.tcp {
        Some(tcp) if !connection.has(flag::BOND) => follow(connection, by_client, tcp, seen.len)?,
        tcp => {
            if tcp.is_some() {
                connection.mark(mark::HAS_TCP, true);
            }
            answered(connection, by_client)
        }
    };
    connection.count(from, seen.total_len as u32);
    connection.last_packet = here.now;
    if by_client {
        connection.new_hop.advance(seen.hop(here), way_back::mark(connection));
    }
    if stage != connection.stage {
        own.advance(id, stage, here);
    } else if was_unassured && !connection.is_unassured() {
        own.connections.assure(id);
        own.quotas.assure(id, 0);
    }
    Ok(())
}

/// Where a connection stands that has no signs of its own, after a packet of one side.
fn answered(connection: &mut Connection, by_client: bool) -> Stage {
    let by_opener = by_client != connection.has(flag::BY_SERVER);
    // Where we don't see answers, the opener's second word tells that there was one.
    let may_be_answered = !connection.answers_seen() && connection.bytes()[0] > 0;
    if by_opener && (may_be_answered || connection.stage == Stage::Open) {
        connection.mark(mark::UNASSURED, false);
    }
    if by_opener && !may_be_answered { connection.stage } else { Stage::Open }
}

/// Translates the packet and has it leave.
fn leave<H: Family>(
    frame: &mut impl Frame,
    seen: &Seen<H::Address>,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Step<Verdict> {
    let Own { connections, hosts, crossings, counters, .. } = own;
    let connection = &connections[id];
    let (hop, receiver) = way(seen.side, connection, here).ok_or(Reason::BackendDown)?;
    let (ethernet, rest) =
        Ethernet::mut_from_prefix(frame.bytes_mut()).map_err(|_| Reason::Truncated)?;
    let Split { ip, protocol, body, .. } = H::split(rest).map_err(|_| H::BAD)?;
    let len = ip.total_len();
    if len - size_of::<H>() > usize::from(room_to::<H>(seen.is_part, &hop, receiver, here)) {
        return Err(Reason::TooBig.into());
    }
    match translate((ip, &mut Body(protocol, body)), seen.side, connection, here, hosts) {
        Ok(()) => {}
        Err(Untranslated::Expired) => return Err(Reason::TtlExpired.into()),
        Err(Untranslated::OtherVersion) if ip.hops() <= 1 => {
            return Err(Reason::TtlExpired.into());
        }
        Err(Untranslated::OtherVersion) => {
            crossings.push((seen.place, crossing(seen.side, connection, here, hosts)));
        }
    }
    counters.pass(connection.backend, seen.is_by_client(), len);
    Ok(send(ethernet, &hop, here))
}

/// What the packet's sender is to be told, if it is to be told why the packet does not go on.
fn notice<H: Family>(
    seen: &Seen<H::Address>,
    why_not: Verdict,
    id: FlowId,
    here: &Here,
    own: &Own,
) -> Option<Notice> {
    let connection = &own.connections[id];
    let trouble = match why_not {
        Verdict::Drop(Reason::TtlExpired) => Trouble::Expired,
        Verdict::Drop(Reason::TooBig) => {
            let (hop, receiver) = way(seen.side, connection, here)?;
            Trouble::TooBig(room_to::<H>(seen.is_part, &hop, receiver, here))
        }
        _ => return None,
    };
    let from = match seen.side {
        Side::Client(_) | Side::Server => seen.addresses[1].into(),
        Side::ServerToClient => here.tables.vips[usize::from(connection.vip())].address,
    };
    Some(Notice { place: seen.place, from, trouble })
}
