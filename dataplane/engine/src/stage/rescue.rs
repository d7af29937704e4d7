//! Downloads outlive their server. When it has died, the same file is asked for at another one, and acknowledged in
//! the client's place up to the block that the client has: all that the client sees of it is one
//! retransmission of its own. What can't be taken over ends with an ERROR to the client.

use super::classify::{Parcel, Side};

use super::track::{from_elsewhere, touch, way_back};
use crate::alg::End;
use crate::alg::tftp::catch_up::{Goal, Heard};
use crate::alg::tftp::earlier::begins;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::new_hop::{Arrival, Proof};
use crate::flow::record::{Detail, Flow, Rescue};
use crate::flow::view::{Kind, State};
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::tables::BackendId;
use crate::tick::{PER_SECOND, Tick};
use crate::verdict::{Step, Verdict};
use wire::tftp::Message;

/// Repetitions of a client, and ticks since the first of them, after which a server counts as dead of which
/// nothing else is known.
const REPEATS: u8 = 2;
const SILENCE: u32 = 4 * PER_SECOND;

/// What becomes of a packet because of what is done, or has to be done, about its transfer's server;
/// `None`: it goes on.
pub fn rescue<H: Family>(
    parcel: &Parcel<H>,
    message: Message,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Option<Step<Verdict>> {
    let udp = &parcel.packet.udp;
    let (flow, detail) = own.flows.both(id);
    let elsewhere = from_elsewhere(parcel, message, (flow, detail), here);
    let step = match parcel.side {
        Side::Client(_) if matches!(elsewhere, Some(Arrival { proof: Proof::Nothing, .. })) => {
            return flow.is_in_need().then_some(Err(Reason::WrongOrigin.into()));
        }
        Side::Client(_) if is_for_server(udp.destination(), &own.flows[id], here) => {
            if let &[0, 4, _, _, window] = parcel.packet.data {
                own.flows[id].window = window;
            }
            by_client(message, id, here, own)
        }
        Side::Client(_) => None,
        Side::Server | Side::ServerToClient => {
            let backend = here.backend(own.flows[id].backend);
            let alias = backend.alias(parcel.packet.ip.source().into());
            by_server((udp.source(), alias), message, id, here, own)
        }
    }?;
    let (flow, detail) = own.flows.both(id);
    if let Some(arrival) = &elsewhere {
        way_back(arrival, parcel.sender(), (flow, detail), here);
    }
    touch(parcel, flow, here);
    Some(step)
}

/// Whether a client that sends there talks to its server. Some never leave the service's port.
fn is_for_server(port: u16, flow: &Flow, here: &Here) -> bool {
    flow.client_tid()
        .is_some_and(|tid| port == tid || port == here.tables.service_of(flow.backend).port)
}

/// The client says this, to the port that it takes for its server's.
fn by_client(message: Message, id: FlowId, here: &Here, own: &mut Own) -> Option<Step<Verdict>> {
    let (flow, detail) = own.flows.both(id);
    let block = match (message, flow.kind) {
        (Message::Ack { block }, Kind::Read) | (Message::Data { block, .. }, Kind::Write) => block,
        // There is nobody yet to be told.
        (Message::Error { .. }, _) if flow.rescue == Rescue::Asking => {
            own.close(id, End::Failed, here);
            return ABSORBED;
        }
        _ => return None,
    };
    let goes_on = flow.goes_on(block);
    let usual = goes_on || !flow.progress.client_spoke() || flow.state.is_over();
    if !flow.answers_seen() || (usual && !flow.is_in_need()) {
        return None;
    }
    if goes_on {
        flow.go_on(block);
    } else if block == flow.blocks as u16 {
        flow.repeats = flow.repeats.saturating_add(1);
        detail.stalled = if flow.repeats == 1 { here.now } else { detail.stalled };
    }
    let rescue = flow.rescue;
    if rescue == Rescue::Over {
        return ABSORBED;
    }
    if rescue.is_under_way() && flow.progress.is_last(block) {
        own.close(id, End::Completed, here);
        return ABSORBED;
    }
    let helped = rescue != Rescue::Lost && is_dead(flow, detail, here) && own.help(id, here);
    // What was said before may have got lost.
    if !helped && matches!(rescue, Rescue::Asking | Rescue::Lost) {
        own.say(id);
    }
    if helped || rescue.is_under_way() || rescue == Rescue::Lost { ABSORBED } else { None }
}

const ABSORBED: Option<Step<Verdict>> = Some(Ok(Verdict::Absorb));

/// Whether a transfer's server is given up for dead.
fn is_dead(flow: &Flow, detail: &Detail, here: &Here) -> bool {
    let suspected = !here.backend(flow.backend).is_trusted();
    let silence = here.now.since(detail.stalled);
    is_surely_dead(flow, here) || (flow.repeats >= REPEATS && (suspected || silence >= SILENCE))
}

fn is_surely_dead(flow: &Flow, here: &Here) -> bool {
    flow.rescue == Rescue::Due || !here.backend(flow.backend).serves()
}

/// A server says this, from this port.
fn by_server(
    (from, alias): (u16, u8),
    message: Message,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Option<Step<Verdict>> {
    let flow = &mut own.flows[id];
    match flow.rescue {
        Rescue::None => return None,
        // It lives.
        Rescue::Due => {
            flow.rescue = Rescue::None;
            return None;
        }
        Rescue::Lost | Rescue::Over => return Some(Err(Reason::StrayTid.into())),
        Rescue::Asking | Rescue::CatchingUp | Rescue::Arrived => {}
    }
    match flow.tid() {
        Some(tid) if tid != from => return Some(Err(Reason::StrayTid.into())),
        Some(_) => {}
        None if begins(message) => {
            own.counters.of(&own.flows[id]).responded.add(1);
            own.flows.learn(id, from, here.now);
            own.flows[id].alias = alias;
        }
        // It was asked before, and still sends from where the client was then.
        None => return Some(Err(Reason::StrayTid.into())),
    }
    let (flow, detail) = own.flows.both(id);
    let wraps_to_zero = flow.progress.wraps_to_zero();
    let goal = Goal { block: flow.blocks, wraps_to_zero, terms: detail.terms };
    match detail.catch_up.hear(message, &goal) {
        Heard::Nothing => {}
        Heard::Acknowledge => {
            flow.rescue = Rescue::CatchingUp;
            own.say(id);
        }
        Heard::Arrived => {
            flow.rescue = Rescue::Arrived;
            own.say(id);
        }
        // The server waits for our ACK all the same.
        Heard::Next if flow.rescue == Rescue::Arrived => {}
        Heard::Next => {
            flow.rescue = Rescue::None;
            return None;
        }
        Heard::Mismatch => {
            own.lose(id, here);
            return Some(Err(Reason::StrayTid.into()));
        }
    }
    ABSORBED
}

impl Own {
    /// Nobody listens any longer at a transfer's server. Answers whether its client need not hear of that.
    pub fn is_spared(&mut self, id: FlowId, here: &Here) -> bool {
        let flow = &self.flows[id];
        if !flow.state.is_over() {
            self.counters.of(flow).unreachable.add(1);
            self.note_silence(flow.backend, id, here);
        }
        let (flow, detail) = self.flows.both(id);
        match flow.rescue {
            Rescue::Lost | Rescue::Over | Rescue::Due => true,
            Rescue::Asking | Rescue::CatchingUp | Rescue::Arrived => {
                flow.repeats = REPEATS;
                detail.stalled = Tick(here.now.0.wrapping_sub(SILENCE));
                true
            }
            Rescue::None if flow.state.is_over() || !is_replaceable(flow.backend, here) => false,
            Rescue::None => {
                flow.rescue = Rescue::Due;
                if flow.state == State::Established && flow.progress.client_spoke() {
                    self.help(id, here);
                }
                true
            }
        }
    }
}

/// Whether there is anybody else who could go on.
fn is_replaceable(backend: BackendId, here: &Here) -> bool {
    let service = here.tables.backends[usize::from(backend)].service;
    let mut others = (0..).zip(&here.tables.backends).filter(|&(id, _)| id != backend);
    here.tables.services[usize::from(service)].failover
        && others
            .any(|(_, other)| other.service == service && (other.takes() || other.takes_at_worst()))
}
