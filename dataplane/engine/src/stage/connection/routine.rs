//! The short way for what nearly every segment is: data of an open connection, or its acknowledgement. It is what
//! the long way comes to for such a segment.

use super::follow::advance;
use super::segment::Segment;
use super::translate::translate;
use super::way_back;
use crate::family::Family;
use crate::flow::view::Stage;
use crate::here::Here;
use crate::origin::Origin;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::classify::Side;
use crate::stage::transmit::send;
use crate::tables::Hop;
use crate::verdict::{Step, Verdict};
use wire::tcp::Flags;

/// What becomes of a segment that changes nothing; `None`: it has to go the long way. Each side has its own code,
/// which spares most segments to be asked again.
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
    let transfers = counters.backend(connection.backend);
    let Segment { ethernet, ip, tcp, side, .. } = segment;
    match *side {
        Side::Client(_) => {
            let from = Hop { mac: ethernet.source, interface: here.from };
            if connection.back != from {
                return None;
            }
            translate((&mut **ip, &mut **tcp), *side, connection, here, hosts).ok()?;
            advance(&mut connection.halves, 0, tcp, segment.len);
            connection.last_packet = here.now;
            connection.count(0, len as u32);
            transfers.packets_in.add(1);
            transfers.bytes_in.add(len as u64);
            match &backend.hop {
                Some(hop) => Some(Ok(send(ethernet, hop, here))),
                None => Some(Err(Reason::BackendDown.into())),
            }
        }
        Side::Server | Side::ServerToClient => {
            let server = here.tables.servers.get(usize::from(segment.tuple.far()))?;
            if !server.is_usually_at(Origin::of(ethernet, here.from)) {
                return None;
            }
            translate((&mut **ip, &mut **tcp), *side, connection, here, hosts).ok()?;
            if !advance(&mut connection.halves, 1, tcp, segment.len) && segment.len > 0 {
                way_back::unheard(connection, hosts, here);
            }
            connection.last_packet = here.now;
            connection.count(1, len as u32);
            transfers.packets_out.add(1);
            transfers.bytes_out.add(len as u64);
            Some(Ok(send(ethernet, &connection.back, here)))
        }
    }
}
