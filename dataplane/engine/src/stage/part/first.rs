//! The first part of a datagram names the ports: it goes the way of a whole one.

use crate::family::Family;
use crate::flow::key::KeyKind;
use crate::fragments::{Lead, Of};
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::admit::Datagram;
use crate::stage::classify::{Side, classify};
use crate::stage::connection;
use crate::stage::forward::forward;
use crate::stage::lookup::transfer;
use crate::tables::{BackendId, Mode};
use crate::verdict::{Step, Verdict};
use wire::ethernet::{self, Ethernet};
use wire::ip::Split;
use wire::udp::{self, Udp};
use zerocopy::FromBytes;

/// What becomes of the first part, and what it has found for the others.
pub fn first<H: Family>(
    frame: &mut impl Frame,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<(Lead, Verdict)> {
    let of_transfer = match of_transfer::<H>(frame, place, here, own) {
        // A rule may be for what a server sends by itself.
        Err(Verdict::Kernel) if here.tables.has_rules => None,
        step => step?,
    };
    let FirstPart { of, backend, side, verdict } = match of_transfer {
        Some(part) => part,
        None => of_connection::<H>(frame, place, here, own)?,
    };
    let id = is_one_of_many(backend, side, here).then(|| own.next_id());
    if let Some(id) = id {
        renumber::<H>(frame, place, id, own);
    }
    Ok((Lead { of, side, id }, verdict))
}

/// What is known of one that goes on.
struct FirstPart {
    of: Of,
    backend: BackendId,
    side: Side,
    verdict: Verdict,
}

/// `None`: it is not of TFTP, but of a connection, which it may begin.
fn of_transfer<H: Family>(
    frame: &mut impl Frame,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<Option<FirstPart>> {
    let (ethernet, rest) =
        Ethernet::mut_from_prefix(frame.bytes_mut()).map_err(|_| Reason::Truncated)?;
    let Split { ip, body, .. } = H::split(rest).map_err(|_| H::BAD)?;
    let (udp, data) = Udp::split_part::<H>(body).ok_or(Reason::Fragment)?;
    let whole = udp.total_len() - udp::HEADER;
    let packet = Datagram { ethernet, ip, udp, data };
    let mut parcel = classify(packet, place, here, own)?;
    let verdict = forward(&mut parcel, whole, here, own)?;
    if own.apart.pop().is_some() {
        return Ok(None);
    }
    let (key, side) = (parcel.key, parcel.side);
    let id = transfer(&parcel, here, own).ok_or(Reason::NoTransfer)?;
    let backend = own.flows[id].backend;
    Ok(Some(FirstPart { of: Of::Transfer(id, key), backend, side, verdict }))
}

fn of_connection<H: Family>(
    frame: &mut impl Frame,
    place: usize,
    here: &Here,
    own: &mut Own,
) -> Step<FirstPart> {
    let (id, side, verdict) = connection::first_part::<H>(frame, place, here, own)?;
    let connection = &own.connections[id];
    let tuple = match side.key_kind() {
        KeyKind::Client => connection.client(),
        KeyKind::Server => connection.server(),
    };
    let of = Of::Connection(id, tuple);
    Ok(FirstPart { of, backend: connection.backend, side, verdict })
}

/// Whether the receiver sees several senders as one, whose numbers are not to clash: clients behind a pool, or servers
/// that a rule has leave as a VIP.
fn is_one_of_many(backend: BackendId, side: Side, here: &Here) -> bool {
    let backend = here.tables.backends.get(usize::from(backend));
    let service = backend.map(|backend| &here.tables.services[usize::from(backend.service)]);
    match (side.key_kind(), service) {
        (KeyKind::Client, Some(service)) => matches!(service.mode, Mode::Snat(_)),
        (KeyKind::Client, None) | (KeyKind::Server, Some(_)) => false,
        (KeyKind::Server, None) => true,
    }
}

fn renumber<H: Family>(frame: &mut impl Frame, place: usize, id: u16, own: &mut Own) {
    let packet = frame.bytes_mut().get_mut(ethernet::HEADER..).unwrap_or_default();
    if let Ok((ip, _)) = H::mut_from_prefix(packet) {
        ip.renumber(id);
    }
    // IPv6 has it elsewhere.
    if let Some((at, crossing)) = own.crossings.last_mut()
        && *at == place
    {
        crossing.id = Some(id);
    }
}
