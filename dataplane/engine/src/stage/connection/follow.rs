//! What a segment changes in what is known of its connection: enough to know open, closing and dead (RFC 9293
//! §3.3.2). Numbers are those that the client sees.

use crate::flow::connection::{Connection, Half, flag};
use crate::flow::view::Stage;
use crate::reason::Reason;
use wire::tcp::{Flags, Tcp};

/// Bytes that a side may be ahead of what was seen of it: more than any window that is in use. Whoever guesses at
/// numbers does not move them.
const FURTHEST: u32 = 1 << 24;

/// One side has come so far with this segment, of so many bytes of data.
#[inline]
pub fn advance(half: &mut Half, tcp: &Tcp, len: u32) {
    raise(&mut half.next, tcp.sequence().wrapping_add(len));
    raise(&mut half.acked, tcp.acknowledgement());
}

#[inline]
fn raise(known: &mut u32, number: u32) {
    if (1..FURTHEST).contains(&number.wrapping_sub(*known)) {
        *known = number;
    }
}

/// Takes a segment into account, or refuses it; answers where the connection stands from now on.
///
/// # Errors
///
/// It is a reset from outside the window: whoever sent it does not know the connection (RFC 5961 §3).
pub fn follow(
    connection: &mut Connection,
    by_client: bool,
    tcp: &Tcp,
    len: u32,
) -> Result<Stage, Reason> {
    let flags = tcp.flags();
    if flags.has(Flags::RST) {
        return reset(connection, by_client, tcp);
    }
    let by_opener = by_client != connection.has(flag::BY_SERVER);
    let control = u32::from(flags.has(Flags::SYN)) + u32::from(flags.has(Flags::FIN));
    let half = &mut connection.halves[usize::from(!by_client)];
    if flags.has(Flags::SYN) {
        *half = Half { next: tcp.sequence(), acked: tcp.acknowledgement() };
        connection.flags |= if by_opener { 0 } else { flag::ANSWERED };
    }
    if !flags.has(Flags::SYN) && half.acked == 0 {
        half.acked = tcp.acknowledgement();
    }
    advance(half, tcp, len + control);
    if flags.has(Flags::FIN) {
        connection.flags |= if by_client { flag::CLIENT_DONE } else { flag::SERVER_DONE };
    }
    Ok(stage(connection, by_client, flags))
}

/// Where it stands after a segment that is no reset.
fn stage(connection: &Connection, by_client: bool, flags: Flags) -> Stage {
    let is_done = [flag::CLIENT_DONE, flag::SERVER_DONE].map(|done| connection.has(done));
    let by_opener = by_client != connection.has(flag::BY_SERVER);
    // Where we don't see answers, the opener's second word tells that there was one.
    let is_answered = connection.has(flag::ANSWERED) || !connection.answers_seen();
    match (connection.stage, is_done) {
        (Stage::Closed, _) | (_, [true, true]) => Stage::Closed,
        (_, [true, _] | [_, true]) => Stage::Closing,
        (Stage::Expected | Stage::HalfOpen, _) => {
            let opens = by_opener && is_answered && !flags.has(Flags::SYN);
            let is_answer = !by_opener && !connection.answers_seen();
            if opens || is_answer { Stage::Open } else { Stage::HalfOpen }
        }
        (stage @ (Stage::Open | Stage::Closing), _) => stage,
    }
}

/// A reset ends the connection if its number is exactly what the other side expects, or its sender would send next.
/// One between these two goes on, for the other side to judge.
fn reset(connection: &Connection, by_client: bool, tcp: &Tcp) -> Result<Stage, Reason> {
    let [client, server] = connection.halves;
    let (sender, receiver) = if by_client { (client, server) } else { (server, client) };
    let by_opener = by_client != connection.has(flag::BY_SERVER);
    if connection.stage == Stage::HalfOpen && !by_opener && !connection.has(flag::ANSWERED) {
        // Nobody listens: there is no number yet but the opener's own.
        let is_answer = tcp.flags().has(Flags::ACK) && tcp.acknowledgement() == receiver.next;
        return if is_answer { Ok(Stage::Closed) } else { Err(Reason::BadReset) };
    }
    let sequence = tcp.sequence();
    let expected = if receiver.acked == 0 { sender.next } else { receiver.acked };
    if sequence == expected || sequence == sender.next {
        return Ok(Stage::Closed);
    }
    let in_flight = sender.next.wrapping_sub(expected);
    let is_within = sequence.wrapping_sub(expected) <= in_flight && in_flight < FURTHEST;
    if is_within { Ok(connection.stage) } else { Err(Reason::BadReset) }
}
