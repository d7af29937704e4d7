//! The short way for what nearly every packet is: part of a running transfer, and nothing new. It is
//! what schedule and track come to for such a packet; translate and transmit follow as for any other.

use super::admit::Datagram;
use super::classify::{Parcel, Side};
use super::track::touch;
use super::translate::{NO_REQUEST, Untranslated, translate};
use crate::alg::tftp;
use crate::family::Family;
use crate::flow::hosts::Hosts;
use crate::flow::record::Flow;
use crate::here::Here;
use crate::origin::Origin;
use crate::own::Own;
use crate::tables::Hop;
use crate::verdict::{Step, Verdict};

/// What becomes of a packet that teaches nothing; `None`: it has to go stage by stage. Each side has its own code,
/// which spares most packets to be asked again.
#[inline]
pub fn routine<H: Family>(
    parcel: &mut Parcel<H>,
    here: &Here,
    own: &mut Own,
) -> Option<Step<Verdict>> {
    let Own { flows, hosts, counters, .. } = own;
    let flow = flows.confirm(parcel.guess, parcel.side.key_kind(), parcel.key)?;
    // It fits whatever interface it leaves by.
    if flow.is_in_need() || parcel.packet.ip.total_len() > here.least_mtu {
        return None;
    }
    let Datagram { ethernet, udp, data, .. } = &parcel.packet;
    match parcel.side {
        Side::Client(_) => {
            let from = Hop { mac: ethernet.source, interface: here.from };
            if !flow.is_client_tid(udp.destination()) || flow.back != from {
                return None;
            }
            let usual = tftp::routine(flow.progress, data)?;
            let goes_on = flow.goes_on(usual.block);
            // Who has waited for an answer, and says the same again.
            if !goes_on && flow.last_packet != here.now {
                return None;
            }
            pass(parcel, flow, here, hosts)?;
            flow.bytes += u64::from(usual.len);
            if goes_on {
                flow.go_on(usual.block);
            }
        }
        Side::Server | Side::ServerToClient => {
            let server = here.tables.servers.get(usize::from(parcel.key.other()))?;
            let origin = Origin::of(ethernet, here.from);
            if !flow.is_tid(udp.source()) || !server.is_usually_at(origin) {
                return None;
            }
            let usual = tftp::routine(flow.progress, data)?;
            pass(parcel, flow, here, hosts)?;
            flow.bytes += u64::from(usual.len);
        }
    }
    touch(parcel, flow, here);
    Some(parcel.transmit(flow, here, counters))
}

/// Translates the packet, unless it has to go the long way.
#[inline(always)]
fn pass<H: Family>(parcel: &mut Parcel<H>, flow: &Flow, here: &Here, hosts: &Hosts) -> Option<()> {
    match translate(parcel, NO_REQUEST, flow, here, hosts) {
        Ok(()) => Some(()),
        Err(Untranslated::OtherVersion | Untranslated::Expired) => None,
    }
}
