//! The short way for what nearly every packet is: part of a running transfer, and nothing new. It is
//! what schedule and track come to for such a packet; translate and transmit follow as for any other.

use super::classify::{Parcel, Side};
use super::track::touch;
use super::translate::{NO_REQUEST, Untranslated, translate};
use crate::alg::tftp;
use crate::family::Family;
use crate::here::Here;
use crate::own::Own;
use crate::verdict::{Step, Verdict};

/// What becomes of a packet that teaches nothing; `None`: it has to go stage by stage.
#[inline]
pub fn routine<H: Family>(
    parcel: &mut Parcel<H>,
    here: &Here,
    own: &mut Own,
) -> Option<Step<Verdict>> {
    let Own { flows, hosts, counters, .. } = own;
    let flow = flows.confirm(parcel.guess, parcel.side.key_kind(), parcel.key)?;
    let udp = &parcel.packet.udp;
    let (tid, known) = match parcel.side {
        Side::Client(_) => (udp.destination(), flow.client_tid()),
        Side::Server | Side::ServerToClient => (udp.source(), flow.tid()),
    };
    if known != Some(tid) || flow.is_in_need() {
        return None;
    }
    let usual = tftp::routine(flow.progress, parcel.packet.data)?;
    let is_client = matches!(parcel.side, Side::Client(_));
    let goes_on = is_client && flow.goes_on(usual.block);
    // Who has waited for an answer, and says the same again.
    if is_client && !goes_on && flow.last_packet != here.now {
        return None;
    }
    // It fits whatever interface it leaves by.
    if parcel.packet.ip.total_len() > here.least_mtu {
        return None;
    }
    match translate(parcel, NO_REQUEST, flow, here, hosts) {
        Ok(()) => {}
        Err(Untranslated::OtherVersion | Untranslated::Expired) => return None,
    }
    flow.bytes += u64::from(usual.len);
    if goes_on {
        flow.go_on(usual.block);
    }
    touch(parcel, flow, here);
    Some(parcel.transmit(flow, here, counters))
}
