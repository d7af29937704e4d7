//! The state of a TCP connection, as far as segments tell: enough to know open, closing and dead (RFC 9293 §3.3.2). Sequence
//! numbers are those that the client sees. A segment whose numbers are wrong goes on, for the other side to judge, but
//! changes nothing here, since its sender may not see the connection's packets (RFC 5961).

use crate::flow::connection::{Connection, Half, flag, mark};
use crate::flow::state::ConnectionState;
use crate::types::drop_reason::DropReason;
use wire::tcp::{Flags, SeqNumber, Tcp};

/// Bytes that a side may be ahead of what was seen of it: more than any window that is in use.
const FURTHEST: u32 = 1 << 24;

/// One side has come so far with this segment, of so many bytes of data. Answers whether it has come further.
#[inline(always)]
pub fn advance(halves: &mut [Half; 2], from: usize, tcp: &Tcp, len: u32) -> bool {
    let others = halves[1 - from].next;
    // Of a side that is not seen nothing is known.
    if others != Half::UNKNOWN && others.since(tcp.acknowledgement()) >= FURTHEST {
        return false;
    }
    let half = &mut halves[from];
    raise(&mut half.acked, tcp.acknowledgement());
    raise(&mut half.next, tcp.sequence().after(len))
}

#[inline]
fn raise(known: &mut SeqNumber, number: SeqNumber) -> bool {
    // What is not known yet is learned: the row may come from another gate.
    let is_further = *known == Half::UNKNOWN || (1..FURTHEST).contains(&number.since(*known));
    if is_further {
        *known = number;
    }
    is_further
}

/// Whether a side has sent all of this segment, of so many bytes of data, before: the other one has not acknowledged it.
pub fn is_repeated(halves: &[Half; 2], from: usize, tcp: &Tcp, len: u32) -> bool {
    let flags = tcp.flags();
    let signs = u32::from(flags.has(Flags::SYN)) + u32::from(flags.has(Flags::FIN));
    let (next, end) = (halves[from].next, tcp.sequence().after(len + signs));
    len + signs > 0 && next != Half::UNKNOWN && next.since(end) < FURTHEST && !flags.has(Flags::RST)
}

/// Takes a segment into account, or refuses it; answers where the connection stands from now on.
///
/// # Errors
///
/// A reset from outside the window: its sender does not know the connection (RFC 5961 §3).
pub fn follow(
    connection: &mut Connection,
    by_client: bool,
    tcp: &Tcp,
    len: u32,
) -> Result<ConnectionState, DropReason> {
    let flags = tcp.flags();
    if flags.has(Flags::RST) {
        return reset(connection, by_client, tcp);
    }
    let from = usize::from(!by_client);
    if flags.has(Flags::SYN) {
        if connection.state == ConnectionState::HalfOpen {
            begin(connection, from, tcp, len);
        }
        // Otherwise its receiver answers it by what it waits for.
        return Ok(next_state(connection, by_client, tcp));
    }
    // A receiver drops any other segment without ACK (RFC 9293 §3.10.7.4), and what comes before the handshake's end.
    let is_early =
        connection.state == ConnectionState::HalfOpen && !opens(connection, by_client, tcp);
    if !flags.has(Flags::ACK) || (is_early && connection.answers_seen()) {
        if is_early && flags.has(Flags::ACK) {
            hear_of_another(connection, from, tcp);
        }
        return Ok(connection.state);
    }
    let is_end = flags.has(Flags::FIN) && is_within(connection, from, tcp.sequence());
    let half = &mut connection.halves[from];
    if half.acked == Half::UNKNOWN {
        half.acked = tcp.acknowledgement();
    }
    advance(&mut connection.halves, from, tcp, len + u32::from(is_end));
    if is_end {
        connection.flags |= if by_client { flag::CLIENT_DONE } else { flag::SERVER_DONE };
    }
    Ok(next_state(connection, by_client, tcp))
}

/// Notes what a side acknowledges that has yet to answer a SYN: it has another connection with these ends, from before the
/// other side or the gate was started anew. The opener resets that one by this number (RFC 9293 §3.5.1).
fn hear_of_another(connection: &mut Connection, from: usize, tcp: &Tcp) {
    let by_opener = (from == 0) != connection.has(flag::BY_SERVER);
    if !by_opener && !connection.has(flag::ANSWERED) {
        connection.halves[from].acked = tcp.acknowledgement();
    }
}

/// A side says where it begins to count. Of several beginnings of its opener, the one that is answered holds: its
/// receiver takes no other.
fn begin(connection: &mut Connection, from: usize, syn: &Tcp, len: u32) {
    let by_opener = (from == 0) != connection.has(flag::BY_SERVER);
    if by_opener && connection.has(flag::ANSWERED) {
        return;
    }
    let next = syn.sequence().after(len + 1);
    connection.halves[from] = Half { next, acked: syn.acknowledgement() };
    connection.flags |= if by_opener { 0 } else { flag::ANSWERED };
    // Of a side that is not seen, nothing but this would ever be known.
    if !by_opener && syn.flags().has(Flags::ACK) && connection.answers_seen() {
        connection.halves[1 - from].next = syn.acknowledgement();
    }
}

/// Whether a segment that begins there is among those that its receiver can be waiting for.
fn is_within(connection: &Connection, from: usize, sequence: SeqNumber) -> bool {
    let [expected, next] = numbers(connection, from);
    if next == Half::UNKNOWN {
        // Its gate has told of the connection, and of no numbers: this segment does.
        return true;
    }
    let in_flight = next.since(expected);
    in_flight < FURTHEST && sequence.since(expected) <= in_flight
}

/// The number that a side's receiver expects, and the one behind all that the side has sent. Where one of the two is not
/// known, the other one tells.
fn numbers(connection: &Connection, from: usize) -> [SeqNumber; 2] {
    let (next, acked) = (connection.halves[from].next, connection.halves[1 - from].acked);
    match (next, acked) {
        (Half::UNKNOWN, acked) => [acked; 2],
        (next, Half::UNKNOWN) => [next; 2],
        (next, acked) => [acked, next],
    }
}

/// The state of the connection after a segment that is no reset.
fn next_state(connection: &mut Connection, by_client: bool, tcp: &Tcp) -> ConnectionState {
    // Anybody can say that it is done, in another's name.
    let is_unassured = connection.is_unassured() && !opens(connection, by_client, tcp);
    connection.mark(mark::UNASSURED, is_unassured);
    let is_done = [flag::CLIENT_DONE, flag::SERVER_DONE].map(|done| connection.has(done));
    match (connection.state, is_done) {
        (ConnectionState::Closed, _) | (_, [true, true]) => ConnectionState::Closed,
        (_, [true, _] | [_, true]) => ConnectionState::Closing,
        (ConnectionState::HalfOpen, _) if !is_unassured => ConnectionState::Open,
        (ConnectionState::Expected, _) => ConnectionState::HalfOpen,
        (
            state @ (ConnectionState::HalfOpen | ConnectionState::Open | ConnectionState::Closing),
            _,
        ) => state,
    }
}

/// Whether a segment opens a connection that is half open: whoever asked for it has heard the answer, and knows its
/// number.
pub fn opens(connection: &Connection, by_client: bool, tcp: &Tcp) -> bool {
    let by_opener = by_client != connection.has(flag::BY_SERVER);
    if tcp.flags().has(Flags::RST) {
        return false;
    }
    if !connection.answers_seen() {
        // The opener's second word tells that there was an answer, or the client's is one.
        return !by_opener || !tcp.flags().has(Flags::SYN);
    }
    let other = connection.halves[usize::from(by_client)];
    by_opener
        && connection.has(flag::ANSWERED)
        && tcp.flags().has(Flags::ACK)
        && !tcp.flags().has(Flags::SYN)
        && tcp.acknowledgement() == other.next
}

/// A reset ends the connection if its number is exactly the one that the other side waits for; a client's, if that has all
/// of its. One that has the number that its sender has come to may be right too, and the connection is not kept for long
/// then.
fn reset(
    connection: &Connection,
    by_client: bool,
    tcp: &Tcp,
) -> Result<ConnectionState, DropReason> {
    let from = usize::from(!by_client);
    let receiver = connection.halves[1 - from];
    let by_opener = by_client != connection.has(flag::BY_SERVER);
    if connection.state == ConnectionState::HalfOpen
        && !by_opener
        && !connection.has(flag::ANSWERED)
    {
        // Nobody listens: there is no number yet but the opener's own.
        let is_answer = tcp.flags().has(Flags::ACK) && tcp.acknowledgement() == receiver.next;
        return if is_answer { Ok(ConnectionState::Closed) } else { Err(DropReason::BadReset) };
    }
    let is_of_another = connection.state == ConnectionState::HalfOpen
        && by_opener
        && !connection.has(flag::ANSWERED)
        && receiver.acked != Half::UNKNOWN
        && tcp.sequence() == receiver.acked;
    if is_of_another {
        return Ok(connection.state);
    }
    // A server that waits for the handshake's end drops one that acknowledges anything but its beginning.
    let is_early = connection.state == ConnectionState::HalfOpen && connection.answers_seen();
    if is_early && tcp.flags().has(Flags::ACK) && tcp.acknowledgement() != receiver.next {
        return Err(DropReason::BadReset);
    }
    let sequence = tcp.sequence();
    let [expected, next] = numbers(connection, from);
    let is_expected = sequence == expected && next != Half::UNKNOWN;
    // With data on the way its receiver may wait for another one by then.
    if is_expected && (sequence == next || !by_client) {
        return Ok(ConnectionState::Closed);
    }
    if next == Half::UNKNOWN || !is_within(connection, from, sequence) {
        return Err(unbelieved(connection, by_client));
    }
    let is_likely = connection.state == ConnectionState::Open && (is_expected || sequence == next);
    Ok(if is_likely { ConnectionState::Closing } else { connection.state })
}

/// Why a reset is not believed: its sender does not know the connection, or no longer. Whoever closes a connection before
/// all has come resets it once for each segment that still comes.
pub fn unbelieved(connection: &Connection, by_client: bool) -> DropReason {
    let is_done = connection.has(if by_client { flag::CLIENT_DONE } else { flag::SERVER_DONE });
    if connection.is_over() || is_done { DropReason::LateReset } else { DropReason::BadReset }
}
