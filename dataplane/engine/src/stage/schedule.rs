//! A client's request makes a transfer, on a backend; any other packet needs to have one.

use super::classify::{Parcel, Side};
use super::track::way_back;
use crate::alg::End;
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::forerunner::Forerunner;
use crate::flow::hosts::{Endpoint, NoRoom};
use crate::flow::new_hop::{Arrival, Proof};
use crate::flow::record::{Detail, Flow, Parties, Rescue};
use crate::flow::view::{Kind, State};
use crate::here::Here;
use crate::mode::rules;
use crate::own::Own;
use crate::own::pool::Facing;
use crate::policy::Refusal;
use crate::reason::Reason;
use crate::select::candidates::Avoid;
use crate::select::choice::{Wish, choose};
use crate::tables::{BackendId, Hop, ServiceId, VipId};
use crate::tick::{PER_SECOND, Tick};
use crate::verdict::Step;
use std::net::IpAddr;
use wire::ip::PROTOCOL_UDP;
use wire::tftp::{Message, Request};

/// Ticks in which the same request can still have crossed the server's first answer on the way, or
/// a repetition of it that the client has not heard yet. Later, its sender has given up on that.
const CROSSING: u32 = PER_SECOND;

/// Ticks before which nobody repeats a request because nothing was heard.
const IN_EARNEST: u32 = PER_SECOND / 2;

/// How often the time for an answer is doubled: to half a minute and more, which no server needs.
const MOST_DOUBLED: u16 = 5;

/// The transfer that the packet goes on with.
#[inline]
pub fn schedule<H: Family>(
    parcel: &Parcel<H>,
    message: Message,
    found: Option<FlowId>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    match (parcel.side, message) {
        (Side::Client(vip), Message::Request(request)) => {
            asked(parcel, vip, &request, found, here, own)
        }
        (Side::Client(_) | Side::Server | Side::ServerToClient, _) => {
            found.ok_or(Reason::NoTransfer.into())
        }
    }
}

/// Apart, so that packets of running transfers don't fetch its instructions.
#[inline(never)]
fn asked<H: Family>(
    parcel: &Parcel<H>,
    vip: VipId,
    request: &Request,
    found: Option<FlowId>,
    here: &Here,
    own: &mut Own,
) -> Step<FlowId> {
    let asked = Asked::new(parcel, vip, request, here, own)?;
    match found {
        Some(flow) => asked.again(flow, here, own),
        None => asked.begin(Before::Nothing, here, own),
    }
}

/// What the endpoint of a request has already.
#[derive(Clone, Copy)]
enum Before {
    /// Nothing that matters.
    Nothing,
    /// This transfer, which ends like this.
    Over(FlowId, End),
    /// This transfer, which the client may still go on with.
    GoesOn(FlowId),
}

/// A request and what it is for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// Its place in the burst.
    place: usize,
    client: IpAddr,
    port: u16,
    /// The client's version of IP ([`Family::PLACE`]).
    family: usize,
    vip: VipId,
    service: ServiceId,
    request: &'a Request<'a>,
    /// All of it.
    message: &'a [u8],
    fingerprint: u32,
    /// The station that answers go to.
    back: Hop,
}

impl<'a> Asked<'a> {
    fn new<H: Family>(
        parcel: &'a Parcel<H>,
        vip: VipId,
        request: &'a Request<'a>,
        here: &Here,
        own: &Own,
    ) -> Step<Asked<'a>> {
        let packet = &parcel.packet;
        let client = packet.ip.source().into();
        Ok(Asked {
            place: parcel.place,
            client,
            port: packet.udp.source(),
            family: H::PLACE,
            vip,
            service: here
                .tables
                .service(vip, PROTOCOL_UDP, packet.udp.destination())
                .ok_or(Reason::NoService)?,
            request,
            message: packet.data,
            fingerprint: own.flows.fingerprint(packet.data),
            back: here.tables.routes.back_to(client, parcel.origin(here).hop()),
        })
    }

    /// The endpoint has this transfer already, and perhaps one that waits beside it.
    fn again(&self, found: FlowId, here: &Here, own: &mut Own) -> Step<FlowId> {
        if self.is_repeated(found, here, own) {
            return self.repeat(found, here, own);
        }
        let asked = Asked { back: self.way_after(found, here, own), ..*self };
        let goes_on = own.goes_on(found, here);
        match own.flows.newcomer(found) {
            Some(newcomer) if self.is_repeated(newcomer, here, own) => {
                if !goes_on && !own.succeed(newcomer, found, here) {
                    return asked.begin(Before::Nothing, here, own);
                }
                self.repeat(newcomer, here, own)
            }
            // That goes on, rather than the elder one.
            Some(newcomer) if goes_on && is_later(newcomer, found, here, own) => {
                let succeeds = own.succeed(newcomer, found, here);
                let before = if succeeds { Before::GoesOn(newcomer) } else { Before::Nothing };
                asked.begin(before, here, own)
            }
            Some(_) | None if goes_on => asked.begin(Before::GoesOn(found), here, own),
            Some(_) | None => asked.begin(Before::Over(found, End::Replaced), here, own),
        }
    }

    /// Where answers to a new request go: by the kernel's route, if what went the other way was not heard.
    fn way_after(&self, found: FlowId, here: &Here, own: &Own) -> Hop {
        let before = &own.flows[own.flows.newcomer(found).unwrap_or(found)];
        let is_unheard = before.state == State::Established
            && before.fingerprint == self.fingerprint
            && before.back == self.back
            && !before.progress.client_spoke();
        if !is_unheard {
            return self.back;
        }
        here.tables.hop_or_seek(self.client).unwrap_or(self.back)
    }

    /// Whether the client merely says again what it said, because it has not heard an answer. Any
    /// other request is a new transfer: boot ROMs use the same ports at every boot.
    fn is_repeated(&self, flow: FlowId, here: &Here, own: &Own) -> bool {
        let answered = own.flows.detail(flow).answered;
        let flow = &own.flows[flow];
        let same = flow.fingerprint == self.fingerprint && flow.vip() == self.vip;
        let unheard = match flow.state {
            State::Requested => true,
            State::Established => here.now.since(answered) < CROSSING,
            State::Closing | State::Completed => false,
        };
        same && unheard && here.tables.backends[usize::from(flow.backend)].service == self.service
    }

    /// The request goes where it went before; or, when that backend has left it unanswered for long
    /// enough, to another one.
    fn repeat(&self, id: FlowId, here: &Here, own: &mut Own) -> Step<FlowId> {
        let flow = &mut own.flows[id];
        flow.repeats = flow.repeats.saturating_add(1);
        let silent = flow.backend;
        own.counters.of(flow).retransmitted.add(1);
        let Detail { begun, moves, .. } = *own.flows.detail(id);
        if own.flows[id].state == State::Requested && here.now.since(begun) >= IN_EARNEST {
            own.counters.of(&own.flows[id]).ignored.add(1);
        }
        if own.flows[id].state == State::Requested
            && has_waited(&own.flows[id], (begun, moves), here)
        {
            match self.backend(Avoid::This(silent), here, own) {
                Ok(backend) => {
                    own.counters.of(&own.flows[id]).asked_elsewhere.add(1);
                    let (flow, detail) = own.flows.both(id);
                    if self.back != flow.back {
                        way_back(&self.arrival(flow), self.client, (flow, detail), here);
                    }
                    let asked = Asked { back: flow.back, ..*self };
                    let before = Before::Over(id, End::Unanswered);
                    let id = asked.enter(before, Some(backend), here, own)?;
                    let (_, detail) = own.flows.both(id);
                    (detail.silent, detail.moves) = (silent, moves.saturating_add(1));
                    return Ok(id);
                }
                Err(none) if !here.backend(silent).is_reached() => return Err(none),
                Err(_) => {}
            }
        }
        // A forking server answers a repeated request from another TID. Where we don't see answers, only
        // the client's next packet tells which one it follows.
        if !own.flows[id].answers_seen() {
            own.flows[id].forget_tid();
        }
        Ok(id)
    }

    /// Where a repeated request comes from, that anybody could have made.
    fn arrival(&self, flow: &Flow) -> Arrival {
        let mark = flow.blocks as u16;
        Arrival { from: self.back, proof: Proof::Claim, goes_on: false, mark }
    }

    /// Makes the transfer; one that the endpoint had before is over, unless its client may go on with it.
    fn begin(&self, before: Before, here: &Here, own: &mut Own) -> Step<FlowId> {
        if let Err(refusal) = self.check(here, own) {
            own.counters.refusals[usize::from(self.service)].of(refusal).add(1);
            own.refusals.push((self.place, self.vip, refusal));
            return Err(Reason::Refused.into());
        }
        self.enter(before, None, here, own)
    }

    /// Makes the transfer in place of the one before, or beside it; at this backend, where it has a place, or else at any.
    fn enter(
        &self,
        before: Before,
        backend: Option<BackendId>,
        here: &Here,
        own: &mut Own,
    ) -> Step<FlowId> {
        // First, so that the client keeps its name.
        let host = own.hosts.enter(self.client).map_err(|NoRoom| Reason::FlowTableFull)?;
        // The client has done with what is over, and the place that it has may be the last one.
        let before = match before {
            Before::Nothing => Predecessors { elder: None, before: None },
            Before::Over(id, end) => {
                let (elder, before) = (own.flows.elder(id), own.flows.forerunner(id));
                own.end_both(id, end, here);
                Predecessors { elder, before: Some(before) }
            }
            Before::GoesOn(id) => {
                let newcomer = own.end_newcomer(id, here);
                let before = newcomer.or_else(|| Some(own.flows.forerunner(id)));
                Predecessors { elder: Some(id), before }
            }
        };
        let client = Endpoint { host, port: self.port };
        let backend = backend.map_or_else(|| self.backend(Avoid::Nobody, here, own), Ok);
        let made = backend.and_then(|backend| self.place(client, backend, &before, here, own));
        if made.is_err() {
            own.hosts.leave(host);
        }
        made
    }

    /// Makes the transfer of a client that has a name, at a backend where it has a place.
    fn place(
        &self,
        client: Endpoint,
        backend: BackendId,
        before: &Predecessors,
        here: &Here,
        own: &mut Own,
    ) -> Step<FlowId> {
        let made = self.make(client, backend, before, here, own);
        if made.is_err() {
            here.backend(backend).give_place_back();
        }
        made
    }

    /// Whether the client may ask for that, now.
    fn check(&self, here: &Here, own: &mut Own) -> Result<(), Refusal> {
        let access = &here.tables.services[usize::from(self.service)].access;
        access.check(self.client, self.request)?;
        match access.max_requests {
            Some(most) if !own.rates.allows(self.service, self.client, most, here.now) => {
                Err(Refusal::Rate)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Makes the transfer, of this client at this backend.
    fn make(
        &self,
        client: Endpoint,
        backend: BackendId,
        before: &Predecessors,
        here: &Here,
        own: &mut Own,
    ) -> Step<FlowId> {
        let rules = rules(&here.tables.services[usize::from(self.service)].mode);
        let server = here.backend(backend);
        let facing = Facing { client, backend, protocol: PROTOCOL_UDP, ours: None };
        let seen_as = own.seen_as(&facing, here)?;
        let parties = Parties {
            client,
            seen_as: seen_as.endpoint,
            vip: self.vip,
            backend,
            back: self.back,
            answers_from: rules.answers_seen().then_some(server.server),
        };
        let kind = if self.request.is_write { Kind::Write } else { Kind::Read };
        let mut flow = Flow::requested(parties, kind, self.fingerprint, here.now);
        let options = self.request.options;
        let limits = &here.tables.services[usize::from(self.service)].options;
        if !options.is_empty() && !flow.answers_seen() && !limits.strips(b"timeout") {
            // Nobody sees it granted, and no other value can be.
            flow.timeout = options.timeout().unwrap_or_default();
        }
        let earlier = before.before.as_ref().and_then(|before| before.earlier_of(&flow));
        let earlier = earlier.unwrap_or(seen_as.earlier);
        own.insert(flow, earlier, before.elder, self.message, here)
    }

    fn backend(&self, avoid: Avoid, here: &Here, own: &mut Own) -> Step<BackendId> {
        let Asked { client, family, service, request, .. } = *self;
        choose(&Wish { client, family, service, request: Some(request) }, avoid, here, own)
    }
}

/// What a new transfer's endpoint had before.
struct Predecessors {
    /// The transfer that it waits beside.
    elder: Option<FlowId>,
    /// The one that its server's earlier TIDs are known from.
    before: Option<Forerunner>,
}

/// Whether a transfer's client has spoken in it, and later than in the one beside it.
fn is_later(newcomer: FlowId, elder: FlowId, here: &Here, own: &Own) -> bool {
    let age = |id: FlowId| here.now.since(own.flows[id].last_packet);
    own.flows[newcomer].progress.client_spoke() && age(newcomer) < age(elder)
}

/// Whether another backend is to be asked, `moves` of which were asked before. A sound one gets the benefit of the doubt
/// once, and clients that say everything several times at once get no more by it. Each one has twice the time of the one
/// before: where all are slow, a client that went from one to the other would hear none of them.
fn has_waited(flow: &Flow, (begun, moves): (Tick, u16), here: &Here) -> bool {
    let backend = here.backend(flow.backend);
    if flow.rescue == Rescue::Due || !backend.serves() {
        return true;
    }
    let patience = if backend.is_trusted() { 2 } else { 1 };
    let times = 1 << moves.min(MOST_DOUBLED);
    u32::from(flow.repeats) >= patience * times && here.now.since(begun) >= IN_EARNEST * times
}
