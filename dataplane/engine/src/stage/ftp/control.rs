//! A control connection is read on its way: what it announces is expected, and where it names an address that the other
//! side does not see, another one goes on.

use super::listener::Listener;
use super::rewrite::{Rewritten, acknowledge, rewrite};
use crate::alg::ftp::rewriter::{Pushed, Segment, Speaker};
use crate::context::BurstContext;
use crate::flow::FlowId;
use crate::flow::connection::{flag, mark};
use crate::flow::ftp_session_table::FtpSession;
use crate::flow::state::{ConnectionKind, ConnectionState};
use crate::ip_family::IpFamily;
use crate::snapshot::Protocol;
use crate::stage::connection::packet::ConnectionPacket;
use crate::stage::connection::tcp_state::{opens, unbelieved};
use crate::stage::transmit::max_payload;
use crate::state::WorkerState;
use crate::types::drop_reason::DropReason;
use crate::types::end_reason::EndReason;
use crate::types::frame::Frame;
use crate::types::verdict::Step;
use wire::ip::Split;
use wire::tcp::{Flags, Tcp};

/// Makes room for what is read of a control connection, when its client opens it. Whatever becomes of one that was not
/// opened, no data goes on unread.
///
/// # Errors
///
/// There is no room, or data comes before the connection is open.
pub fn begin<H: IpFamily>(
    packet: &ConnectionPacket<H::Address>,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let connection = &state.connections[id];
    let is_control = connection.kind == ConnectionKind::Client
        && connection.answers_seen()
        && connection.state != ConnectionState::Open
        && matches!(ctx.snapshot.service_of(connection.backend).protocol, Protocol::Ftp(_));
    let Some(tcp) = packet.tcp.filter(|_| is_control) else { return Ok(()) };
    let is_opened = connection.is_half_open() && opens(connection, packet.is_by_client(), &tcp);
    if !is_opened {
        return no_data(packet);
    }
    let first = connection.halves.map(|half| half.next);
    let mut number = state.sessions.enter(id, first);
    // One that is over is kept for late packets, and one whose client has not logged in, as long as nobody needs its
    // place.
    if number.is_none() {
        let is_read = |&over: &FlowId| state.connections[over].has(flag::READ);
        let over = state.connections.over().find(is_read);
        let expendable = over.or_else(|| state.sessions.oldest_quiet());
        expendable.into_iter().for_each(|one| state.end_connection(one, EndReason::Evicted, ctx));
        number = state.sessions.enter(id, first);
    }
    let Some(number) = number else {
        state.end_connection(id, EndReason::Evicted, ctx);
        return Err(DropReason::SessionsFull.into());
    };
    state.connections[id].session = number;
    state.connections[id].flags |= flag::READ;
    state.connections[id].mark(mark::UNASSURED, false);
    state.advance(id, ConnectionState::Open, ctx);
    Ok(())
}

/// Reads a segment of a control connection, and rewrites it in its frame.
///
/// # Errors
///
/// The segment does not go on, as what it holds is kept here or is not to be believed.
pub fn read<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &mut ConnectionPacket<H::Address>,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let number = state.connections[id].session;
    let Some(mut session) = state.sessions.take(number) else { return Ok(()) };
    let step = listen::<H>(frame, packet, &mut session, id, ctx, state);
    state.sessions.put(number, session);
    step
}

fn listen<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &mut ConnectionPacket<H::Address>,
    session: &mut FtpSession,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
) -> Step<()> {
    let Some(tcp) = packet.tcp else { return Ok(()) };
    let from = usize::from(!packet.is_by_client());
    // A reset that does not know the numbers would be given the right ones.
    if tcp.flags().has(Flags::RST) && !session.streams[from].is_next(tcp.sequence()) {
        let is_by_client = packet.is_by_client();
        return Err(unbelieved(&state.connections[id], is_by_client).into());
    }
    // Data that comes with a SYN would go on unread (RFC 7413).
    if tcp.flags().has(Flags::SYN) {
        return no_data(packet);
    }
    let mut scratch = std::mem::take(&mut state.scratch);
    let pushed =
        push::<H>(frame.bytes_mut(), (packet, &tcp), session, id, ctx, state, &mut scratch);
    let step = match pushed {
        Ok(Pushed::Forward { sequence, len, is_last }) => {
            let rewritten = Rewritten { sequence, data: &scratch[..len], is_last };
            rewrite::<H>(frame, packet, &rewritten, session)
        }
        Ok(Pushed::Acknowledge { upto }) => {
            if packet.is_by_client() {
                // For the client its server has heard it.
                let [client, server] = &mut state.connections[id].halves;
                (client.next, server.acked) = (upto, upto);
            }
            let told = acknowledge::<H>(frame, packet, upto, session, ctx);
            Err(told.unwrap_or(DropReason::OutOfOrder.into()))
        }
        Ok(Pushed::Absorb) => Err(DropReason::OutOfOrder.into()),
        Err(why_not) => Err(why_not),
    };
    state.scratch = scratch;
    step
}

/// Lets a segment go on that holds nothing to read.
fn no_data<A>(packet: &ConnectionPacket<A>) -> Step<()> {
    if packet.len > 0 { Err(DropReason::OutOfOrder.into()) } else { Ok(()) }
}

/// Has the sender's stream take the segment. One that was damaged is dropped: a new checksum would hide that.
fn push<H: IpFamily>(
    frame: &mut [u8],
    (packet, tcp): (&ConnectionPacket<H::Address>, &Tcp),
    session: &mut FtpSession,
    id: FlowId,
    ctx: &BurstContext,
    state: &mut WorkerState,
    out: &mut [u8],
) -> Step<Pushed> {
    let room = max_payload::<H>(false, packet.direction, &state.connections[id], ctx)?;
    let room = usize::from(room).saturating_sub(tcp.header_len()).min(out.len());
    let Split { ip, body, .. } = packet.offsets.packet::<H>(frame)?.split;
    let (header, options, data) = Tcp::split(body).ok_or(DropReason::BadTcp)?;
    if !header.is_right(ip, options, data) {
        return Err(DropReason::BadTcp.into());
    }
    // What a reset carries is no line.
    let data = if tcp.flags().has(Flags::RST) { &[][..] } else { data };
    let by_client = packet.is_by_client();
    let from = usize::from(!by_client);
    let is_new = session.streams[from].is_new(tcp.sequence(), data.len());
    if by_client {
        session.heard_client(tcp.window(), ctx.now);
        // Whatever was left without a reply until now stays so.
        if is_new && session.is_silent(ctx.now) {
            session.exchange.forget();
        }
    } else {
        session.heard_server(tcp.window(), is_new, ctx.now);
    }
    if tcp.flags().has(Flags::ACK) {
        session.streams[1 - from].acknowledged(tcp.acknowledgement());
    }
    state.sessions.lend(&mut session.streams[from]);
    let FtpSession { streams: [client, server], exchange, .. } = session;
    let (speaker, stream, other) = if by_client {
        (Speaker::Client, client, server)
    } else {
        (Speaker::Server, server, client)
    };
    let segment = Segment { sequence: tcp.sequence(), data, is_last: tcp.flags().has(Flags::FIN) };
    let reader = Listener { by_client, exchange, other, id, ctx, state };
    let pushed = stream.push(segment, speaker, reader, &mut out[..room]);
    if exchange.has_logged_in() {
        state.sessions.settle(state.connections[id].session);
    }
    Ok(pushed)
}
