//! A client's request makes a transfer, on a backend; any other packet needs to have one.

mod repeat;

use crate::choose::SelectionRequest;
use crate::choose::candidates::Exclude;
use crate::context::{BurstContext, Env};
use crate::flow::FlowId;
use crate::flow::endpoint::Endpoint;
use crate::flow::forerunner::Forerunner;
use crate::flow::host_table::NoRoom;
use crate::flow::state::{Operation, TransferState};
use crate::flow::transfer::{Parties, Transfer};
use crate::ip_family::IpFamily;
use crate::mode::rules;
use crate::snapshot::access::Refusal;
use crate::stage::classify::TransferPacket;
use crate::state::WorkerState;
use crate::state::record::Refused;
use crate::state::snat::Facing;
use crate::types::direction::Direction;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::id::{BackendId, ServiceId, VipId};
use crate::types::next_hop::NextHop;
use crate::types::verdict::{Step, Verdict};
use std::net::{IpAddr, SocketAddr};
use wire::ip::PROTOCOL_UDP;
use wire::tftp::{Message, Request};

/// The transfer that the packet goes on with.
#[inline]
pub fn schedule<H: IpFamily>(
    packet: &TransferPacket<H>,
    message: Message,
    found: Option<FlowId>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    match (packet.direction, message) {
        (Direction::ToServer(vip), Message::Request(request)) => {
            asked(packet, vip, &request, found, ctx, state)
        }
        (Direction::ToServer(_) | Direction::ToSnat | Direction::ToClient, _) => {
            found.ok_or(DropReason::NoTransfer.into())
        }
    }
}

/// Apart, so that packets of running transfers don't fetch its instructions.
#[inline(never)]
fn asked<H: IpFamily>(
    packet: &TransferPacket<H>,
    vip: VipId,
    request: &Request,
    found: Option<FlowId>,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<FlowId> {
    let asked = Asked::new(packet, vip, request, ctx, state)?;
    match found {
        Some(flow) => asked.again(flow, ctx, state),
        None => asked.begin(Before::Nothing, ctx, state),
    }
}

/// The transfer that the endpoint of a request has already.
#[derive(Clone, Copy)]
enum Before {
    /// Nothing that matters.
    Nothing,
    /// This transfer, which ends like this.
    Over(FlowId, EndReason),
    /// This transfer, which the client may still go on with.
    GoesOn(FlowId),
}

/// A request and what it is for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// The frame's index in the burst.
    index: usize,
    client: IpAddr,
    port: u16,
    /// The client's address family ([`IpFamily::PLACE`]).
    family: usize,
    vip: VipId,
    service: ServiceId,
    request: &'a Request<'a>,
    /// All of it.
    message: &'a [u8],
    fingerprint: u32,
    /// The next hop for answers.
    back: NextHop,
}

impl<'a> Asked<'a> {
    fn new<H: IpFamily>(
        packet: &'a TransferPacket<H>,
        vip: VipId,
        request: &'a Request<'a>,
        ctx: &BurstContext,
        state: &WorkerState,
    ) -> Step<Asked<'a>> {
        let datagram = &packet.datagram;
        let client = datagram.ip.source().into();
        Ok(Asked {
            index: packet.index,
            client,
            port: datagram.udp.source(),
            family: H::PLACE,
            vip,
            service: ctx
                .snapshot
                .service(vip, PROTOCOL_UDP, datagram.udp.destination())
                .ok_or(DropReason::NoService)?,
            request,
            message: datagram.data,
            fingerprint: state.transfers.fingerprint(datagram.data),
            back: ctx.way_back(client, packet.origin(ctx).hop()),
        })
    }

    /// The endpoint has this transfer already, and perhaps one that waits beside it.
    fn again(&self, found: FlowId, ctx: &BurstContext, state: &mut WorkerState) -> Step<FlowId> {
        if self.is_repeated(found, ctx, state) {
            return self.repeat(found, ctx, state);
        }
        let asked = Asked { back: self.way_after(found, ctx, state), ..*self };
        let goes_on = state.goes_on(found, ctx);
        match state.transfers.newcomer(found) {
            Some(newcomer) if self.is_repeated(newcomer, ctx, state) => {
                if !goes_on && !state.succeed(newcomer, found, ctx) {
                    return asked.begin(Before::Nothing, ctx, state);
                }
                self.repeat(newcomer, ctx, state)
            }
            // That goes on, rather than the elder one.
            Some(newcomer) if goes_on && is_later(newcomer, found, ctx, state) => {
                let succeeds = state.succeed(newcomer, found, ctx);
                let before = if succeeds { Before::GoesOn(newcomer) } else { Before::Nothing };
                asked.begin(before, ctx, state)
            }
            Some(_) | None if goes_on => asked.begin(Before::GoesOn(found), ctx, state),
            Some(_) | None => asked.begin(Before::Over(found, EndReason::Replaced), ctx, state),
        }
    }

    /// Where answers to a new request go: by the kernel's route, if what went the other way was not heard.
    fn way_after(&self, found: FlowId, env: &Env, state: &WorkerState) -> NextHop {
        let before = &state.transfers[state.transfers.newcomer(found).unwrap_or(found)];
        let is_unheard = before.state == TransferState::Established
            && before.fingerprint == self.fingerprint
            && before.back == self.back
            && !before.progress.client_spoke();
        if !is_unheard {
            return self.back;
        }
        env.snapshot.hop_or_seek(self.client).unwrap_or(self.back)
    }

    /// Makes the transfer; one that the endpoint had before is over, unless its client may go on with it.
    fn begin(&self, before: Before, ctx: &BurstContext, state: &mut WorkerState) -> Step<FlowId> {
        if let Err(refusal) = self.check(ctx, state) {
            state.counters.service(self.service).of(refusal).add(1);
            state.record_refusal(&self.refused(), refusal.name(), ctx);
            state.deferred.refusals.push((self.index, self.vip, refusal));
            return Err(DropReason::Refused.into());
        }
        self.enter(before, None, ctx, state).inspect_err(|why_not| {
            if let Verdict::Drop(reason) = why_not {
                state.record_refusal(&self.refused(), reason.name(), ctx);
            }
        })
    }

    /// The request as one that was refused.
    fn refused(&self) -> Refused<'a> {
        Refused {
            service: self.service,
            vip: self.vip,
            protocol: PROTOCOL_UDP,
            client: SocketAddr::new(self.client, self.port),
            hop: self.back,
            request: Some(self.message),
        }
    }

    /// Makes the transfer in place of the one before, or beside it; at this backend, where it has a place, or else at any.
    fn enter(
        &self,
        before: Before,
        backend: Option<BackendId>,
        ctx: &BurstContext,
        state: &mut WorkerState,
    ) -> Step<FlowId> {
        // First, so that the client keeps its name.
        let host = state.hosts.intern(self.client).map_err(|NoRoom| DropReason::FlowTableFull)?;
        // The client has done with what is over, and the place that it has may be the last one.
        let before = match before {
            Before::Nothing => Predecessors { elder: None, before: None },
            Before::Over(id, end) => {
                let (elder, before) = (state.transfers.elder(id), state.transfers.forerunner(id));
                state.end_both(id, end, ctx);
                Predecessors { elder, before: Some(before) }
            }
            Before::GoesOn(id) => {
                let newcomer = state.end_newcomer(id, ctx);
                let before = newcomer.or_else(|| Some(state.transfers.forerunner(id)));
                Predecessors { elder: Some(id), before }
            }
        };
        let client = Endpoint { host, port: self.port };
        let backend = backend.map_or_else(|| self.backend(Exclude::Nobody, ctx, state), Ok);
        let made = backend.and_then(|backend| self.index(client, backend, &before, ctx, state));
        if made.is_err() {
            state.hosts.release(host);
        }
        made
    }

    /// Makes the transfer of a client that has a name, at a backend where it has a place.
    fn index(
        &self,
        client: Endpoint,
        backend: BackendId,
        before: &Predecessors,
        ctx: &BurstContext,
        state: &mut WorkerState,
    ) -> Step<FlowId> {
        let made = self.make(client, backend, before, ctx, state);
        if made.is_err() {
            ctx.backend(backend).release();
        }
        made
    }

    /// Whether the client may ask for that, now.
    fn check(&self, env: &Env, state: &mut WorkerState) -> Result<(), Refusal> {
        let access = &env.snapshot[self.service].access;
        access.check(self.client, self.request)?;
        match access.max_requests {
            Some(most) if !state.choose.rates.allows(self.service, self.client, most, env.now) => {
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
        env: &Env,
        state: &mut WorkerState,
    ) -> Step<FlowId> {
        let rules = rules(&env.snapshot[self.service].mode);
        let server = env.backend(backend);
        let facing = Facing { client, backend, protocol: PROTOCOL_UDP, ours: None };
        let seen_as = state.seen_as(&facing, env)?;
        let parties = Parties {
            client,
            seen_as: seen_as.endpoint,
            vip: self.vip,
            backend,
            back: self.back,
            answers_from: rules.answers_seen().then_some(server.server),
        };
        let operation = if self.request.is_write { Operation::Write } else { Operation::Read };
        let mut flow = Transfer::requested(parties, operation, self.fingerprint, env.now);
        let options = self.request.options;
        let limits = &env.snapshot[self.service].options;
        if !options.is_empty() && !flow.answers_seen() && !limits.strips(b"timeout") {
            // Nobody sees it granted, and no other value can be.
            flow.timeout = options.timeout().unwrap_or_default();
        }
        let earlier = before.before.as_ref().and_then(|before| before.earlier_of(&flow));
        let earlier = earlier.unwrap_or(seen_as.earlier);
        state.insert(flow, earlier, before.elder, self.message, env)
    }

    fn backend(&self, exclude: Exclude, env: &Env, state: &mut WorkerState) -> Step<BackendId> {
        let Asked { client, family, service, request, .. } = *self;
        state.choose(
            &SelectionRequest { client, family, service, tftp: Some(request) },
            exclude,
            env,
        )
    }
}

/// The transfers that a new one's endpoint had before.
struct Predecessors {
    /// The transfer that it waits beside.
    elder: Option<FlowId>,
    /// The one that its server's earlier TIDs are known from.
    before: Option<Forerunner>,
}

/// Whether a transfer's client has spoken in it, and later than in the one beside it.
fn is_later(newcomer: FlowId, elder: FlowId, env: &Env, state: &WorkerState) -> bool {
    let age = |id: FlowId| env.now.since(state.transfers[id].last_packet);
    state.transfers[newcomer].progress.client_spoke() && age(newcomer) < age(elder)
}
