//! A control connection is read on its way: what it announces is expected, and where it names an address that the other
//! side does not see, another one goes on.

use super::follow::opens;
use super::reset::answer;
use super::seen::Seen;
use super::translate::{server, vip, way};
use crate::alg::End;
use crate::alg::ftp::stream::{Pushed, Rewrite, Segment, Side};
use crate::alg::ftp::{Asks, Context, Form, State, from_client, from_server, refuse, write};
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::flag;
use crate::flow::sessions::Session;
use crate::flow::view::{ConnectionKind, Stage};
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::transmit::room_to;
use crate::tables::Protocol;
use crate::verdict::{Step, Verdict};
use std::net::SocketAddr;
use wire::ethernet;
use wire::ip::Split;
use wire::tcp::{Flags, Tcp, answer_timestamps};

/// Makes room for what is read of a control connection, when its client opens it. Answers why that can't be.
pub fn begin<H: Family>(
    seen: &Seen<H::Address>,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Option<Verdict> {
    let connection = &own.connections[id];
    let is_control = connection.kind == ConnectionKind::Client
        && connection.answers_seen()
        && matches!(here.tables.service_of(connection.backend).protocol, Protocol::Ftp(_));
    let tcp = seen.tcp.filter(|_| is_control)?;
    // Data that comes with a SYN would go on unread (RFC 7413).
    if tcp.flags().has(Flags::SYN) && seen.len > 0 {
        return Some(Reason::OutOfOrder.into());
    }
    if !opens(connection, seen.is_by_client(), &tcp) {
        return (seen.len > 0).then_some(Reason::OutOfOrder.into());
    }
    let first = connection.halves.map(|half| half.next);
    let mut number = own.sessions.enter(first);
    // One that is over is kept for late packets, as long as nobody needs its place.
    if number.is_none() {
        let over = own.connections.over().find(|&over| own.connections[over].has(flag::READ));
        over.into_iter().for_each(|over| own.end_connection(over, End::Evicted, here));
        number = own.sessions.enter(first);
    }
    let Some(number) = number else {
        own.end_connection(id, End::Evicted, here);
        return Some(Reason::SessionsFull.into());
    };
    own.connections[id].session = number;
    own.connections[id].flags |= flag::READ;
    own.connections[id].unassured = false;
    own.advance(id, Stage::Open, here);
    None
}

/// Reads a segment of a control connection, and rewrites it in its frame. Answers what becomes of it, if it does not go
/// on.
pub fn read<H: Family>(
    frame: &mut impl Frame,
    seen: &mut Seen<H::Address>,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Option<Step<Verdict>> {
    let number = own.connections[id].session;
    let mut session = own.sessions.take(number)?;
    let step = listen::<H>(frame, seen, &mut session, id, here, own);
    own.sessions.put(number, session);
    step
}

fn listen<H: Family>(
    frame: &mut impl Frame,
    seen: &mut Seen<H::Address>,
    session: &mut Session,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Option<Step<Verdict>> {
    let tcp = seen.tcp?;
    let from = usize::from(!seen.is_by_client());
    // A reset that does not know the numbers would be given the right ones.
    if tcp.flags().has(Flags::RST) && !session.streams[from].is_next(tcp.sequence()) {
        return Some(Err(Reason::BadReset.into()));
    }
    if tcp.flags().has(Flags::SYN) {
        return None;
    }
    let mut scratch = std::mem::take(&mut own.scratch);
    let pushed = push::<H>(frame.bytes_mut(), (seen, &tcp), session, id, here, own, &mut scratch);
    let step = match pushed {
        Ok(Pushed::Forward { sequence, len, is_last }) => {
            let said = Said { sequence, data: &scratch[..len], is_last };
            say_instead::<H>(frame, seen, &said, session).err().map(Err)
        }
        Ok(Pushed::Acknowledge { upto }) => {
            if seen.is_by_client() {
                // For the client its server has heard it.
                let [client, server] = &mut own.connections[id].halves;
                (client.next, server.acked) = (upto, upto);
            }
            let told = tell_sender::<H>(frame, seen, upto, session, here);
            Some(Ok(told.unwrap_or(Reason::OutOfOrder.into())))
        }
        Ok(Pushed::Absorb) => Some(Err(Reason::OutOfOrder.into())),
        Err(why_not) => Some(Err(why_not)),
    };
    own.scratch = scratch;
    step
}

/// Has the sender's stream take the segment. One that was damaged is dropped: a new checksum would hide that.
fn push<H: Family>(
    frame: &mut [u8],
    (seen, tcp): (&Seen<H::Address>, &Tcp),
    session: &mut Session,
    id: FlowId,
    here: &Here,
    own: &mut Own,
    out: &mut [u8],
) -> Step<Pushed> {
    let (hop, receiver) = way(seen.side, &own.connections[id], here).ok_or(Reason::BackendDown)?;
    let room = room_to::<H>(false, &hop, receiver, here);
    let room = usize::from(room).saturating_sub(tcp.header_len()).min(out.len());
    let packet = frame.get_mut(ethernet::HEADER..).ok_or(Reason::Truncated)?;
    let Split { ip, body, .. } = H::split(packet).map_err(|_| H::BAD)?;
    let (header, options, data) = Tcp::split(body).ok_or(Reason::BadTcp)?;
    if !header.is_right(ip, options, data) {
        return Err(Reason::BadTcp.into());
    }
    let from = usize::from(!seen.is_by_client());
    session.windows[from] = tcp.window();
    if tcp.flags().has(Flags::ACK) {
        session.streams[1 - from].acknowledged(tcp.acknowledgement());
    }
    // What a reset carries is no line.
    let data = if tcp.flags().has(Flags::RST) { &[][..] } else { data };
    let by_client = seen.is_by_client();
    own.sessions.lend(&mut session.streams[from]);
    let Session { streams: [client, server], state, .. } = session;
    let (side, stream, other) =
        if by_client { (Side::Client, client, server) } else { (Side::Server, server, client) };
    let segment = Segment { sequence: tcp.sequence(), data, is_last: tcp.flags().has(Flags::FIN) };
    let rewrite = |line: &[u8]| {
        let rewrite = judge(line, by_client, state, id, here, own);
        if rewrite == Rewrite::Opaque {
            other.leave_alone();
        }
        rewrite
    };
    Ok(stream.push(segment, side, rewrite, &mut out[..room]))
}

/// What becomes of a line, and what is expected because of it.
fn judge(
    line: &[u8],
    by_client: bool,
    state: &mut State,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Rewrite {
    let connection = &own.connections[id];
    let service = here.tables.service_of(connection.backend);
    let Protocol::Ftp(ftp) = service.protocol else { return Rewrite::Keep };
    let context = Context {
        client: own.hosts.socket_address(connection.client().near()).ip(),
        vip: vip(connection, here).ip(),
        server: server(connection, here, &own.hosts).ip(),
        foreign_data: ftp.foreign_data,
    };
    let asks = match by_client {
        true => from_client(line, &context, state),
        false => from_server(line, &context, state),
    };
    let backend = connection.backend;
    match asks {
        Asks::Nothing => Rewrite::Keep,
        Asks::Opaque => Rewrite::Opaque,
        Asks::Instead(other) => Rewrite::Replace(other),
        Asks::Refused(other) => {
            let service = here.backend(backend).service;
            own.counters.refusals[usize::from(service)].data.add(1);
            Rewrite::Replace(other)
        }
        Asks::Active { to, form } => {
            let seen_as = own.expect_from_server(id, to.port(), ftp.data_port, here).ok();
            let at = seen_as.map(|seen_as| own.hosts.socket_address(seen_as));
            tell(&form, line, at)
        }
        Asks::Passive { at, form } => {
            let port = own.expect_from_client(id, at.port(), here).ok();
            tell(&form, line, port.map(|port| SocketAddr::new(context.vip, port)))
        }
    }
}

/// Tells this endpoint; `None`: the other side could not be let through, and nobody is to wait for it.
fn tell(form: &Form, line: &[u8], endpoint: Option<SocketAddr>) -> Rewrite {
    let told = endpoint.and_then(|at| write(form, line, at));
    Rewrite::Replace(told.unwrap_or_else(|| refuse(form)))
}

/// What goes on in the place of a segment.
struct Said<'a> {
    sequence: u32,
    data: &'a [u8],
    is_last: bool,
}

/// Rewrites the segment in its frame. From then on it is seen as the client sees it.
fn say_instead<H: Family>(
    frame: &mut impl Frame,
    seen: &mut Seen<H::Address>,
    said: &Said,
    session: &Session,
) -> Step<()> {
    let from = usize::from(!seen.is_by_client());
    let other = &session.streams[1 - from];
    let before = seen.len as usize;
    let end = ethernet::HEADER + seen.total_len - before + said.data.len();
    if !frame.set_len(end) {
        return Err(Reason::TooBig.into());
    }
    // Its header may be behind extensions: it is where the data was.
    let bytes = frame.bytes_mut();
    let place = &mut bytes[end - said.data.len()..];
    let is_same = before == said.data.len() && *place == *said.data;
    place.copy_from_slice(said.data);
    let packet = &mut bytes[ethernet::HEADER..];
    let (ip, _) = H::mut_from_prefix(packet).map_err(|_| Reason::Truncated)?;
    ip.resize(before, said.data.len());
    let Split { ip, body, .. } = H::split(packet).map_err(|_| H::BAD)?;
    let (tcp, options, data) = Tcp::split(body).ok_or(Reason::BadTcp)?;
    tcp.set_sequence(said.sequence);
    if tcp.flags().has(Flags::ACK) {
        tcp.set_acknowledgement(other.unshift(tcp.acknowledgement()));
        tcp.map_blocks(options, |block| other.unshift_block(block));
    }
    let fin = if said.is_last { Flags::FIN } else { Flags::default() };
    // Which of its bytes is urgent is no longer so.
    let urgent = if is_same { Flags::default() } else { Flags::URG };
    tcp.set_flags(tcp.flags().without(Flags::FIN | urgent) | fin);
    tcp.make_checksum(ip, options, data);
    if seen.is_by_client() {
        // The client does not know what goes on in its place.
        seen.tcp.iter_mut().for_each(|seen| seen.set_flags(tcp.flags()));
    } else {
        seen.tcp = Some(*tcp);
        seen.len = said.data.len() as u32;
    }
    seen.total_len = end - ethernet::HEADER;
    Ok(())
}

/// Tells the segment's sender, in the receiver's place, that all up to there has come.
fn tell_sender<H: Family>(
    frame: &mut impl Frame,
    seen: &Seen<H::Address>,
    upto: u32,
    session: &Session,
    here: &Here,
) -> Option<Verdict> {
    let tcp = seen.tcp?;
    let from = usize::from(!seen.is_by_client());
    let Split { body, .. } = H::split(frame.bytes_mut().get_mut(ethernet::HEADER..)?).ok()?;
    let options = answer_timestamps(Tcp::split(body)?.1);
    let options = options.as_ref().map_or(&[][..], |options| options);
    let window = session.windows[1 - from];
    let numbers = (tcp.acknowledgement(), upto);
    answer::<H>(frame, seen, numbers, (Flags::ACK, window, options), here)
}
