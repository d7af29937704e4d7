//! What is known of one transfer. Plain data, indices and no pointers: readable from its bytes.
//! What forwarding reads is one cache line, [`Flow`]; the rest lies apart in [`Detail`].

use super::key::Key;
use super::view::{FILE_NAME, Kind, State};
use crate::alg::tftp::Progress;
use crate::tables::{BackendId, InterfaceId, ServiceId, VipId};
use crate::tick::Tick;
use std::net::{Ipv4Addr, SocketAddrV4};
use wire::ethernet::Mac;
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// The hot part.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Flow {
    /// Bytes of DATA seen.
    pub bytes: u64,
    client: Endpoint,
    seen_as: Endpoint,
    answers_from: u32,
    /// When its last packet passed.
    pub last_packet: Tick,
    /// When the server's last packet passed that the client may not have heard.
    pub answered: Tick,
    /// DATA packets seen.
    pub blocks: u32,
    /// The VIP that the client talks to.
    pub vip: VipId,
    /// Its service.
    pub service: ServiceId,
    /// The server that serves it.
    pub backend: BackendId,
    tid: u16,
    /// TIDs of the transfers that this endpoint had before with the same server, 0 for none: their
    /// server processes may still be talking.
    pub old_tids: [u16; 2],
    /// What TFTP has to remember.
    pub progress: Progress,
    /// The station that the client's packets come from.
    pub client_mac: Mac,
    /// The interface that they come in by.
    pub client_interface: InterfaceId,
    /// Where it stands.
    pub state: State,
    /// Which way the file goes.
    pub kind: Kind,
    /// In `Closing`: whether both sides know that it is over.
    pub ended_well: bool,
}

/// An endpoint, without the padding of `SocketAddrV4`.
#[derive(Debug, Clone, Copy, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C, packed(2))]
struct Endpoint {
    address: u32,
    port: u16,
}

/// The cold part.
#[derive(Debug, Clone, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Detail {
    /// When its request came.
    pub begun: Tick,
    /// Of the request, to know it again.
    pub fingerprint: u32,
    file: [u8; FILE_NAME],
    file_len: u32,
}

/// What a request settles.
#[derive(Debug, Clone, Copy)]
pub struct Parties {
    /// The client's endpoint.
    pub client: SocketAddrV4,
    /// The endpoint that the server sees as the client.
    pub seen_as: SocketAddrV4,
    /// The VIP that the client talks to.
    pub vip: VipId,
    /// The service asked for.
    pub service: ServiceId,
    /// The server chosen.
    pub backend: BackendId,
    /// Its address, if its answers come through us.
    pub answers_from: Option<Ipv4Addr>,
}

impl Flow {
    /// A transfer that has just been asked for.
    pub fn requested(parties: Parties, kind: Kind, now: Tick) -> Flow {
        Flow {
            client: parties.client.into(),
            seen_as: parties.seen_as.into(),
            answers_from: parties.answers_from.map_or(0, Ipv4Addr::to_bits),
            last_packet: now,
            vip: parties.vip,
            service: parties.service,
            backend: parties.backend,
            kind,
            ..Flow::FREE
        }
    }

    /// What stands where no transfer is: no client has port 0.
    pub const FREE: Flow = Flow {
        bytes: 0,
        client: Endpoint::NOBODY,
        seen_as: Endpoint::NOBODY,
        answers_from: 0,
        last_packet: Tick(0),
        answered: Tick(0),
        blocks: 0,
        vip: 0,
        service: 0,
        backend: 0,
        tid: 0,
        old_tids: [0; 2],
        progress: Progress::NEW,
        client_mac: Mac([0; 6]),
        client_interface: 0,
        state: State::Requested,
        kind: Kind::Read,
        ended_well: false,
    };

    /// Whether this is a transfer.
    pub fn is_in_use(&self) -> bool {
        self.client.port != 0
    }

    /// The client's endpoint.
    pub fn client(&self) -> SocketAddrV4 {
        self.client.into()
    }

    /// The endpoint that the server sees as the client.
    pub fn seen_as(&self) -> SocketAddrV4 {
        self.seen_as.into()
    }

    /// The server's port, once learned.
    pub fn tid(&self) -> Option<u16> {
        Some(self.tid).filter(|&tid| tid != 0)
    }

    /// An earlier transfer made way for this one. If its server sees both as one endpoint, its TID
    /// could be taken for the new one.
    pub fn remember(&mut self, before: &Flow) {
        let same_server = self.backend == before.backend
            || (self.answers_from == before.answers_from && self.answers_from != 0);
        if same_server && self.seen_as() == before.seen_as() {
            self.old_tids = match before.tid() {
                Some(tid) => [tid, before.old_tids[0]],
                None => before.old_tids,
            };
        }
    }

    /// The server has answered from this port.
    pub fn learn(&mut self, tid: u16, now: Tick) {
        self.tid = tid;
        self.answered = now;
        self.state = State::Established;
    }

    /// The server's port is to be learned again.
    pub fn forget_tid(&mut self) {
        self.tid = 0;
    }

    /// What the client's packets are found by.
    pub fn client_key(&self) -> Key {
        Key::client_side(self.client(), self.vip)
    }

    /// What the server's packets are found by; `None` when they don't come through us.
    pub fn server_key(&self) -> Option<Key> {
        let backend = Ipv4Addr::from_bits(self.answers_from);
        (!backend.is_unspecified()).then(|| Key::server_side(self.seen_as(), backend))
    }
}

impl Detail {
    /// Of a request for `file` that came `now`.
    pub fn new(file: &[u8], fingerprint: u32, now: Tick) -> Detail {
        let kept = &file[file.len().saturating_sub(FILE_NAME)..];
        let mut detail =
            Detail { begun: now, fingerprint, file: [0; FILE_NAME], file_len: kept.len() as u32 };
        detail.file[..kept.len()].copy_from_slice(kept);
        detail
    }

    /// The file's name, or its end.
    pub fn file(&self) -> &[u8] {
        &self.file[..self.file_len as usize]
    }
}

impl Endpoint {
    const NOBODY: Endpoint = Endpoint { address: 0, port: 0 };
}

impl From<SocketAddrV4> for Endpoint {
    fn from(endpoint: SocketAddrV4) -> Endpoint {
        Endpoint { address: endpoint.ip().to_bits(), port: endpoint.port() }
    }
}

impl From<Endpoint> for SocketAddrV4 {
    fn from(endpoint: Endpoint) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from_bits(endpoint.address), endpoint.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hot_part_is_a_cache_line() {
        assert_eq!(size_of::<Flow>(), 64);
    }

    #[test]
    fn of_a_long_name_the_end_is_kept() {
        let name: Vec<u8> = (0..100).collect();
        assert_eq!(Detail::new(&name, 0, Tick(0)).file(), &name[36..]);
        assert_eq!(Detail::new(b"a", 0, Tick(0)).file(), b"a");
    }
}
