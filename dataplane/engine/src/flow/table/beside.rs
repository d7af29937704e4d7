//! A transfer that waits beside another one of the same endpoint: anybody can ask in a client's name, so the one that goes
//! on keeps its keys until the client has spoken in the other.

use super::*;
use crate::flow::forerunner::Forerunner;

impl Table {
    /// Enters a transfer as [`Table::insert`] does, beside one that has one of its keys, and has none beside it yet. That one
    /// is found by the key as long as it is there, and [`Table::newcomer`] leads on; then [`Table::succeed`].
    pub fn insert_beside(
        &mut self,
        elder: FlowId,
        flow: &Flow,
        earlier: Earlier,
        request: &[u8],
        deadline: Tick,
    ) -> Result<FlowId, Full> {
        let id = self.make((flow, earlier, request), deadline, Table::succeed)?;
        self.details[id as usize].elder = elder;
        self.details[elder as usize].newcomer = id;
        // Where servers are not seen, nothing but what clients say tells which of both it is of.
        let is_ambiguous = !flow.answers_seen();
        self[elder].progress.set_ambiguous(is_ambiguous);
        Ok(id)
    }

    /// Has the row found by those of its keys that no other one has.
    pub fn succeed(&mut self, id: FlowId) -> Result<(), Full> {
        let client = Some((KeyKind::Client, self[id].client_key()));
        let server = self[id].server_key().map(|key| (KeyKind::Server, key));
        for (kind, key) in client.into_iter().chain(server) {
            if self.find(kind, key).is_none() && !self.index.insert(self.hash(kind, key), id) {
                self.leave_index(id);
                return Err(Full);
            }
        }
        Ok(())
    }

    /// The transfer that waits beside this one.
    #[inline]
    pub fn newcomer(&self, id: FlowId) -> Option<FlowId> {
        Some(self.details[id as usize].newcomer).filter(|&newcomer| newcomer != NO_FLOW)
    }

    /// The transfer that this one waits beside.
    #[inline]
    pub fn elder(&self, id: FlowId) -> Option<FlowId> {
        Some(self.details[id as usize].elder).filter(|&elder| elder != NO_FLOW)
    }

    /// What a flow leaves behind for the next one of its endpoint.
    pub fn forerunner(&self, id: FlowId) -> Forerunner {
        Forerunner::new(&self[id], self.detail(id))
    }
}
