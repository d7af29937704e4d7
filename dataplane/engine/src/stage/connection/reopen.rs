//! A new connection between the ends of an old one: a machine that lost its power boots again, and counts its ports from the
//! start. Its server may have forgotten the old connection when this worker has not.

use super::packet::ConnectionPacket;
use crate::context::Env;
use crate::flow::FlowId;
use crate::flow::connection::{Turn, flag};
use crate::flow::state::ConnectionState;
use crate::state::WorkerState;
use wire::tcp::{Flags, SeqNumber};

/// Notes that the opener of an open connection opens it again, and begins it anew once the other side agrees. A server that
/// knows the old one still answers with the sequence number that it expects (RFC 5961 §4), and nothing changes.
pub fn begins_again<A: Copy>(
    packet: &ConnectionPacket<A>,
    id: FlowId,
    env: &Env,
    state: &mut WorkerState,
) {
    let connection = &mut state.connections[id];
    let Some(tcp) = packet.tcp.filter(|tcp| tcp.flags().has(Flags::SYN)) else { return };
    if !matches!(connection.state, ConnectionState::Open | ConnectionState::Closing)
        || !connection.answers_seen()
        || connection.has(flag::AFFINITY)
    {
        return;
    }
    let by_opener = packet.is_by_client() != connection.has(flag::BY_SERVER);
    if by_opener && packet.opens() {
        connection.turn = Turn::OpenedAgain;
        connection.again = tcp.sequence().after(1).0;
        return;
    }
    let agrees = !by_opener
        && tcp.flags().has(Flags::ACK)
        && connection.turn == Turn::OpenedAgain
        && tcp.acknowledgement() == SeqNumber(connection.again);
    if agrees {
        state.begin_again(id, env);
    }
}
