//! The same two ends, and another connection: a machine that lost its power boots again, and counts its ports from the
//! start. Its server may have forgotten the old connection when we have not.

use super::seen::Seen;
use crate::alg::End;
use crate::flow::FlowId;
use crate::flow::connection::{Half, Turn, flag};
use crate::flow::view::Stage;
use crate::here::Here;
use crate::own::Own;
use wire::tcp::Flags;

/// Whoever opened a connection that runs opens it again: if the other side agrees, it begins anew. A server that knows
/// the old one still answers by what it waits for (RFC 5961 §4), and nothing changes.
pub fn begins_again<A: Copy>(seen: &Seen<A>, id: FlowId, here: &Here, own: &mut Own) {
    let connection = &mut own.connections[id];
    let Some(tcp) = seen.tcp.filter(|tcp| tcp.flags().has(Flags::SYN)) else { return };
    if !matches!(connection.stage, Stage::Open | Stage::Closing)
        || !connection.answers_seen()
        || connection.has(flag::BOND)
    {
        return;
    }
    let by_opener = seen.is_by_client() != connection.has(flag::BY_SERVER);
    if by_opener && seen.opens() {
        connection.turn = Turn::OpenedAgain;
        connection.again = tcp.sequence().wrapping_add(1);
        return;
    }
    let agrees = !by_opener
        && tcp.flags().has(Flags::ACK)
        && connection.turn == Turn::OpenedAgain
        && tcp.acknowledgement() == connection.again;
    if agrees {
        own.begin_again(id, here);
    }
}

impl Own {
    /// A connection is over, and the same row has another one between the same ends, which its opener has asked for.
    fn begin_again(&mut self, id: FlowId, here: &Here) {
        self.end_announced(id, here);
        let connection = &mut self.connections[id];
        self.sessions.leave(std::mem::take(&mut connection.session));
        let by_server = connection.has(flag::BY_SERVER);
        let mut halves = [Half::default(); 2];
        halves[usize::from(by_server)].next = connection.again;
        connection.halves = halves;
        connection.flags &= flag::BY_SERVER | flag::BY_CLIENT_TUPLE | flag::BY_SERVER_TUPLE;
        connection.turn = Turn::None;
        if connection.is_counted() {
            let transfers = self.counters.backend(connection.backend);
            transfers.ended.add(1);
            transfers.of(End::Replaced).add(1);
            transfers.started.add(1);
        }
        self.advance(id, Stage::HalfOpen, here);
    }
}
