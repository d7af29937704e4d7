//! Seals of rows, which tell a restarted process that a row is whole.

use super::*;

impl TransferTable {
    /// Whether the row is intact: neither torn, nor with ids of another process.
    pub fn is_sealed(&self, id: FlowId) -> bool {
        let request = &self.detail(id).request;
        let is_its_own = |bytes: &[u8]| self.seed.fingerprint(bytes) == self[id].fingerprint;
        request.seal == self[id].seal(self.seed) && request.whole().is_none_or(is_its_own)
    }

    pub(super) fn seal(&mut self, id: FlowId) {
        self.details[id as usize].request.seal = self[id].seal(self.seed);
    }
}
