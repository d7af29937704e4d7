//! A control connection is read on its way: what it announces is expected, and where it names an address that the other
//! side does not see, another one goes on.

use super::follow::{opens, unbelieved};
use super::reset::answer;
use super::seen::Seen;
use super::translate::{server, vip, way};
use crate::alg::End;
use crate::alg::ftp::exchange::Exchange;
use crate::alg::ftp::stream::{Pushed, Reader, Rewrite, Segment, Side, Stream};
use crate::alg::ftp::{Asks, Context, Form, from_client, from_server, refuse, write};
use crate::family::Family;
use crate::flow::FlowId;
use crate::flow::connection::{flag, mark};
use crate::flow::sessions::Session;
use crate::flow::view::{ConnectionKind, Stage};
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::reason::Reason;
use crate::stage::transmit::room_to;
use crate::tables::{BackendId, Protocol};
use crate::verdict::{Step, Verdict};
use std::net::SocketAddr;
use wire::ethernet;
use wire::ftp::is_signal;
use wire::ip::Split;
use wire::tcp::{Flags, Tcp, answer_timestamps};

/// Makes room for what is read of a control connection, when its client opens it. Answers why that can't be. Whatever
/// becomes of one that was not opened, no data goes on unread.
pub fn begin<H: Family>(
    seen: &Seen<H::Address>,
    id: FlowId,
    here: &Here,
    own: &mut Own,
) -> Option<Verdict> {
    let connection = &own.connections[id];
    let is_control = connection.kind == ConnectionKind::Client
        && connection.answers_seen()
        && connection.stage != Stage::Open
        && matches!(here.tables.service_of(connection.backend).protocol, Protocol::Ftp(_));
    let tcp = seen.tcp.filter(|_| is_control)?;
    let is_opened = connection.is_half_open() && opens(connection, seen.is_by_client(), &tcp);
    if !is_opened {
        return (seen.len > 0).then_some(Reason::OutOfOrder.into());
    }
    let first = connection.halves.map(|half| half.next);
    let mut number = own.sessions.enter(id, first);
    // One that is over is kept for late packets, and one whose client has not logged in, as long as nobody needs its
    // place.
    if number.is_none() {
        let is_read = |&over: &FlowId| own.connections[over].has(flag::READ);
        let over = own.connections.over().find(is_read);
        let expendable = over.or_else(|| own.sessions.oldest_quiet());
        expendable.into_iter().for_each(|one| own.end_connection(one, End::Evicted, here));
        number = own.sessions.enter(id, first);
    }
    let Some(number) = number else {
        own.end_connection(id, End::Evicted, here);
        return Some(Reason::SessionsFull.into());
    };
    own.connections[id].session = number;
    own.connections[id].flags |= flag::READ;
    own.connections[id].mark(mark::UNASSURED, false);
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
        let is_by_client = seen.is_by_client();
        return Some(Err(unbelieved(&own.connections[id], is_by_client).into()));
    }
    // Data that comes with a SYN would go on unread (RFC 7413).
    if tcp.flags().has(Flags::SYN) {
        return (seen.len > 0).then_some(Err(Reason::OutOfOrder.into()));
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
    // What a reset carries is no line.
    let data = if tcp.flags().has(Flags::RST) { &[][..] } else { data };
    let by_client = seen.is_by_client();
    let from = usize::from(!by_client);
    let is_new = session.streams[from].is_new(tcp.sequence(), data.len());
    if by_client {
        session.heard_client(tcp.window(), here.now);
        // Whatever was left without a reply until now stays so.
        if is_new && session.is_silent(here.now) {
            session.exchange.forget();
        }
    } else {
        session.heard_server(tcp.window(), is_new, here.now);
    }
    if tcp.flags().has(Flags::ACK) {
        session.streams[1 - from].acknowledged(tcp.acknowledgement());
    }
    own.sessions.lend(&mut session.streams[from]);
    let Session { streams: [client, server], exchange, .. } = session;
    let (side, stream, other) =
        if by_client { (Side::Client, client, server) } else { (Side::Server, server, client) };
    let segment = Segment { sequence: tcp.sequence(), data, is_last: tcp.flags().has(Flags::FIN) };
    let reader = Listener { by_client, exchange, other, id, here, own };
    let pushed = stream.push(segment, side, reader, &mut out[..room]);
    if exchange.has_logged_in() {
        own.sessions.settle(own.connections[id].session);
    }
    Ok(pushed)
}

/// Who reads what one side says.
struct Listener<'a> {
    by_client: bool,
    exchange: &'a mut Exchange,
    /// What the other side says.
    other: &'a mut Stream,
    id: FlowId,
    here: &'a Here<'a>,
    own: &'a mut Own,
}

impl Reader for Listener<'_> {
    /// What becomes of a line, and what is expected because of it.
    fn judge(&mut self, line: &[u8]) -> Rewrite {
        let connection = &self.own.connections[self.id];
        let (backend, vip) = (connection.backend, vip(connection, self.here).ip());
        let service = self.here.tables.service_of(backend);
        let Protocol::Ftp(ftp) = service.protocol else { return Rewrite::Keep };
        match self.asks(line, ftp.foreign_data) {
            Asks::Nothing => Rewrite::Keep,
            Asks::Opaque => {
                self.is_foreign();
                Rewrite::Opaque
            }
            Asks::Instead(other) => Rewrite::Replace(other),
            Asks::Refused(other) => {
                let service = self.here.backend(backend).service;
                self.own.counters.refusals[usize::from(service)].data.add(1);
                Rewrite::Replace(other)
            }
            Asks::Active { to, form } => {
                let (port, from) = (to.port(), ftp.data_port);
                let seen_as = self.own.expect_from_server(self.id, port, from, self.here).ok();
                let at = seen_as.map(|seen_as| self.own.hosts.socket_address(seen_as));
                tell(&form, line, at)
            }
            Asks::Passive { at, form } => {
                let port = self.own.expect_from_client(self.id, at.port(), self.here).ok();
                tell(&form, line, port.map(|port| SocketAddr::new(vip, port)))
            }
        }
    }

    fn passed(&mut self, start: &[u8]) {
        match self.by_client {
            true => self.exchange.command(start),
            false => {
                self.exchange.hear(start);
            }
        }
    }

    fn is_foreign(&mut self) {
        self.other.leave_alone();
        self.own.note_unread(self.id, true);
        self.own.sessions.settle(self.own.connections[self.id].session);
    }
}

impl Listener<'_> {
    fn asks(&mut self, line: &[u8], foreign_data: bool) -> Asks {
        let (here, hosts) = (self.here, &self.own.hosts);
        let connection = &self.own.connections[self.id];
        let ranges = &here.tables.vips[usize::from(connection.vip())].passive;
        let is_its_own = |(_, owner): &&(_, BackendId)| *owner == connection.backend;
        let context = Context {
            client: hosts.socket_address(connection.client().near()).ip(),
            vip: vip(connection, here).ip(),
            server: server(connection, here, hosts).ip(),
            aliases: &here.backend(connection.backend).aliases,
            open_ports: ranges.iter().find(is_its_own).map(|(ports, _)| ports),
            foreign_data,
        };
        match self.by_client {
            true => from_client(line, &context, self.exchange),
            false => from_server(line, &context, self.exchange),
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
    // Which of its bytes is urgent is no longer so, or it is one that a line could be read without.
    let is_line_with_it =
        session.streams[from].is_foreign() || !tcp.is_urgent_within(data.len()) || !is_signal(data);
    let may_be_urgent = is_same && !(seen.is_by_client() && is_line_with_it);
    let urgent = if may_be_urgent { Flags::default() } else { Flags::URG };
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
