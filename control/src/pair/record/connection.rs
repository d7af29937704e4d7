//! The record of a connection.

use super::field::{hop, value};
use engine::alg::ftp::rewriter::ToldStream;
use engine::flow::connection::{Half, SyncedConnection};
use engine::flow::ftp_session_table::SyncedSession;
use engine::types::id::{BackendId, VipId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use wire::tcp::SeqNumber;

/// The body of a connection's record.
#[derive(Serialize, Deserialize)]
pub struct ConnectionBody {
    protocol: u8,
    client: SocketAddr,
    vip: u16,
    vip_port: u16,
    seen_as: SocketAddr,
    server_port: u16,
    backend: u16,
    mac: [u8; 6],
    interface: u8,
    kind: u8,
    state: u8,
    flags: u8,
    marks: u8,
    halves: [[u32; 2]; 2],
    bytes: [u64; 2],
    age: u32,
    idle: u32,
    session: Option<SessionBody>,
}

/// A session of FTP: of the client's and the server's stream the next number, the growth, and whether it is opaque.
#[derive(Serialize, Deserialize)]
struct SessionBody {
    streams: [(u32, u32, bool); 2],
    has_logged_in: bool,
}

impl SessionBody {
    fn of(told: &SyncedSession) -> SessionBody {
        let stream = |told: ToldStream| (told.next.0, told.growth, told.is_opaque);
        SessionBody { streams: told.streams.map(stream), has_logged_in: told.has_logged_in }
    }

    fn session(&self) -> SyncedSession {
        let stream =
            |(next, growth, is_opaque)| ToldStream { next: SeqNumber(next), growth, is_opaque };
        SyncedSession { streams: self.streams.map(stream), has_logged_in: self.has_logged_in }
    }
}

impl ConnectionBody {
    /// The body for this connection.
    pub fn of(told: &SyncedConnection) -> ConnectionBody {
        ConnectionBody {
            protocol: told.protocol,
            client: told.client,
            vip: told.vip.0,
            vip_port: told.vip_port,
            seen_as: told.seen_as,
            server_port: told.server_port,
            backend: told.backend.0,
            mac: told.back.mac.0,
            interface: told.back.interface.0,
            kind: told.kind as u8,
            state: told.state as u8,
            flags: told.flags,
            marks: told.marks,
            halves: told.halves.map(|half| [half.next.0, half.acked.0]),
            bytes: told.bytes,
            age: told.age,
            idle: told.idle,
            session: told.session.as_ref().map(SessionBody::of),
        }
    }
}

/// Decodes a body; `None`: it is none of a connection.
pub fn decode(body: &[u8]) -> Option<SyncedConnection> {
    let (told, _) = postcard::take_from_bytes::<ConnectionBody>(body).ok()?;
    let half = |[next, acked]: [u32; 2]| Half { next: SeqNumber(next), acked: SeqNumber(acked) };
    Some(SyncedConnection {
        protocol: told.protocol,
        client: told.client,
        vip: VipId(told.vip),
        vip_port: told.vip_port,
        seen_as: told.seen_as,
        server_port: told.server_port,
        backend: BackendId(told.backend),
        back: hop(told.mac, told.interface),
        kind: value(&[told.kind])?,
        state: value(&[told.state])?,
        flags: told.flags,
        marks: told.marks,
        halves: told.halves.map(half),
        bytes: told.bytes,
        age: told.age,
        idle: told.idle,
        session: told.session.as_ref().map(SessionBody::session),
    })
}
