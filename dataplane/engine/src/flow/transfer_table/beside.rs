//! Transfers that wait beside another one of the same endpoint. A request may be spoofed, so the running transfer keeps
//! its keys until the client has used the new one.

use super::*;
use crate::flow::forerunner::Forerunner;

impl TransferTable {
    /// Enters a transfer like [`TransferTable::insert`], beside one that has one of its keys and nothing beside it yet.
    /// The key leads to the running transfer, and [`TransferTable::newcomer`] from there; [`TransferTable::succeed`]
    /// hands the key over.
    pub fn insert_beside(
        &mut self,
        elder: FlowId,
        flow: &Transfer,
        earlier: Earlier,
        request: &[u8],
        deadline: Tick,
    ) -> Result<FlowId, Full> {
        let id = self.make((flow, earlier, request), deadline, TransferTable::succeed)?;
        self.details[id as usize].elder = elder;
        self.details[elder as usize].newcomer = id;
        // In `dsr`, only the client's packets tell which transfer they belong to.
        let is_ambiguous = !flow.answers_seen();
        self[elder].progress.set_ambiguous(is_ambiguous);
        Ok(id)
    }

    /// Indexes the row under those of its keys that no other transfer has.
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

    /// The flow as forerunner of its endpoint's next transfer.
    pub fn forerunner(&self, id: FlowId) -> Forerunner {
        Forerunner::new(&self[id], self.detail(id))
    }
}
