//! The record of a TFTP transfer.

use super::field::{bytes, hop, value};
use engine::flow::saved_request::SavedRequest;
use engine::flow::transfer::SyncedTransfer;
use engine::types::id::{BackendId, VipId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The body of a transfer's record.
#[derive(Serialize, Deserialize)]
pub struct TransferBody<'a> {
    client: SocketAddr,
    seen_as: SocketAddr,
    vip: u16,
    backend: u16,
    tid: u16,
    client_tid: u16,
    state: u8,
    operation: u8,
    failover: u8,
    progress: [u8; 6],
    blocks: u32,
    bytes: u64,
    timeout: u8,
    window: u8,
    alias: u8,
    mac: [u8; 6],
    interface: u8,
    age: u32,
    idle: u32,
    earlier: [u8; 8],
    terms: [u8; 8],
    moves: u16,
    is_whole: bool,
    request: &'a [u8],
}

impl TransferBody<'_> {
    /// The body for this transfer.
    pub fn of(told: &SyncedTransfer) -> TransferBody<'_> {
        TransferBody {
            client: told.client,
            seen_as: told.seen_as,
            vip: told.vip.0,
            backend: told.backend.0,
            tid: told.tid,
            client_tid: told.client_tid,
            state: told.state as u8,
            operation: told.operation as u8,
            failover: told.failover as u8,
            progress: bytes(&told.progress),
            blocks: told.blocks,
            bytes: told.bytes,
            timeout: told.timeout,
            window: told.window,
            alias: told.alias,
            mac: told.back.mac.0,
            interface: told.back.interface.0,
            age: told.age,
            idle: told.idle,
            earlier: bytes(&told.earlier),
            terms: bytes(&told.terms),
            moves: told.moves,
            is_whole: told.request.whole().is_some(),
            request: told.request.bytes(),
        }
    }
}

/// Decodes a body; `None`: it is none of a transfer.
pub fn decode(body: &[u8]) -> Option<SyncedTransfer> {
    let (told, _) = postcard::take_from_bytes::<TransferBody>(body).ok()?;
    Some(SyncedTransfer {
        client: told.client,
        seen_as: told.seen_as,
        vip: VipId(told.vip),
        backend: BackendId(told.backend),
        tid: told.tid,
        client_tid: told.client_tid,
        state: value(&[told.state])?,
        operation: value(&[told.operation])?,
        failover: value(&[told.failover])?,
        progress: value(&told.progress)?,
        blocks: told.blocks,
        bytes: told.bytes,
        timeout: told.timeout,
        window: told.window,
        alias: told.alias,
        back: hop(told.mac, told.interface),
        age: told.age,
        idle: told.idle,
        earlier: value(&told.earlier)?,
        terms: value(&told.terms)?,
        moves: told.moves,
        request: SavedRequest::told(told.request, told.is_whole),
    })
}
