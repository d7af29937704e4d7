//! Which numbers transfers and connections still hold: control asks before it lets go of what was removed.

use super::{GLANCE, WorkerState};
use crate::flow::endpoint::HostId;
use crate::snapshot::Snapshot;
use crate::types::id::{BackendId, VipId};

/// The question, and what was found so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct References {
    /// By [`crate::types::id::BackendId`].
    pub backends: Vec<bool>,
    /// By [`crate::types::id::VipId`].
    pub vips: Vec<bool>,
    /// By [`crate::types::id::SnatId`].
    pub snat: Vec<bool>,
    /// Whether all transfers were looked at.
    pub is_whole: bool,
    /// How far the worker has looked.
    cursor: usize,
}

impl References {
    /// The question for what is in this snapshot.
    pub fn of(snapshot: &Snapshot) -> References {
        References {
            backends: vec![false; snapshot.backends.len()],
            vips: vec![false; snapshot.vips.len()],
            snat: vec![false; snapshot.snat.len()],
            is_whole: false,
            cursor: 0,
        }
    }

    /// Adds what another worker found.
    pub fn add(&mut self, other: &References) {
        let both = [
            (&mut self.backends, &other.backends),
            (&mut self.vips, &other.vips),
            (&mut self.snat, &other.snat),
        ];
        for (ours, other) in both {
            ours.iter_mut().zip(other).for_each(|(ours, other)| *ours |= other);
        }
    }
}

impl WorkerState {
    /// Goes on looking for uses; answers true when all transfers have been looked at.
    pub fn note_references(&self, uses: &mut References) -> bool {
        let upto = (uses.cursor + GLANCE).min(self.transfers.capacity());
        for id in self.transfers.scan(uses.cursor..upto) {
            let flow = &self.transfers[id];
            self.note_use(uses, flow.backend, flow.vip(), flow.seen_as().host);
        }
        for id in self.connections.scan(uses.cursor..upto) {
            let connection = &self.connections[id];
            let seen_as = connection.seen_as().host;
            self.note_use(uses, connection.backend, connection.vip(), seen_as);
        }
        uses.cursor = upto;
        uses.is_whole = upto == self.transfers.capacity();
        uses.is_whole
    }

    fn note_use(&self, uses: &mut References, backend: BackendId, vip: VipId, seen_as: HostId) {
        // One of a rule has no backend, and so a number that nobody asks for.
        note(&mut uses.backends, backend.into());
        note(&mut uses.vips, vip.into());
        let snat = self.snat.hosts.iter().position(|&host| host == seen_as);
        snat.into_iter().for_each(|id| note(&mut uses.snat, id));
    }
}

fn note(used: &mut [bool], number: usize) {
    if let Some(used) = used.get_mut(number) {
        *used = true;
    }
}
