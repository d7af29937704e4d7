//! The short way for what nearly every segment is: data of an open connection, or its acknowledgement. It is what
//! the long way comes to for such a segment.

use super::follow::advance;
use super::segment::Segment;
use super::translate::translate;
use crate::family::Family;
use crate::flow::view::Stage;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::classify::Side;
use crate::stage::transmit::send;
use crate::tables::Hop;
use crate::verdict::{Step, Verdict};
use wire::tcp::Flags;

/// What becomes of a segment that changes nothing; `None`: it has to go the long way.
#[inline]
pub fn routine<H: Family>(
    segment: &mut Segment<H>,
    here: &Here,
    own: &mut Own,
) -> Option<Step<Verdict>> {
    let Own { connections, hosts, counters, .. } = own;
    let connection = connections.confirm(segment.guess, &segment.tuple)?;
    let anyhow = Flags::PSH | Flags::ECE | Flags::CWR;
    let usual = segment.tcp.flags().without(anyhow) == Flags::ACK;
    // What is read is read on the long way.
    if !usual || connection.stage != Stage::Open || !connection.is_plain() {
        return None;
    }
    let backend = here.tables.backends.get(usize::from(connection.backend))?;
    let len = segment.ip.total_len();
    // It fits whatever interface it leaves by.
    if len > here.least_mtu {
        return None;
    }
    let (side, from) = match segment.side {
        Side::Client(_) => (segment.side, 0),
        Side::Server | Side::ServerToClient => (segment.side, 1),
    };
    translate((&mut *segment.ip, &mut *segment.tcp), side, connection, here, hosts).ok()?;
    advance(&mut connection.halves, from, segment.tcp, segment.len);
    connection.last_packet = here.now;
    connection.count(from, len as u32);
    let transfers = counters.backend(connection.backend);
    let hop = if from == 0 {
        connection.back = Hop { mac: segment.ethernet.source, interface: here.from };
        transfers.packets_in.add(1);
        transfers.bytes_in.add(len as u64);
        match &backend.hop {
            Some(hop) => hop,
            None => return Some(Err(Reason::BackendDown.into())),
        }
    } else {
        transfers.packets_out.add(1);
        transfers.bytes_out.add(len as u64);
        &connection.back
    };
    Some(Ok(send(segment.ethernet, hop, here)))
}
