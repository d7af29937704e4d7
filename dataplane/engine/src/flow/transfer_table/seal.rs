//! Seals of rows, which tell a restarted process that a row is whole.

use super::*;

impl TransferTable {
    /// Whether the row is intact: neither torn, nor with ids of another process.
    pub fn is_sealed(&self, id: FlowId) -> bool {
        let request = &self.detail(id).request;
        let is_its_own = |bytes: &[u8]| self.seed.fingerprint(bytes) == self[id].fingerprint;
        request.seal == self.seal_of(id) && request.whole().is_none_or(is_its_own)
    }

    pub(super) fn seal(&mut self, id: FlowId) {
        self.details[id as usize].request.seal = self.seal_of(id);
    }

    /// The seal: a hash of fields that stay the same while the transfer is with one server.
    fn seal_of(&self, id: FlowId) -> u32 {
        let flow = &self[id];
        let server = flow.server_key().unwrap_or(Key::NONE);
        let rest = u64::from(flow.fingerprint) << 16 | u64::from(flow.backend.0);
        self.seed.seal(flow.client_key(), server, rest)
    }
}
