//! Which numbers transfers and connections still hold: control asks before it lets go of what was removed.

use super::{GLANCE, Own};
use crate::flow::hosts::Host;
use crate::tables::{BackendId, Tables, VipId};

/// The question, and what was found so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// By [`crate::tables::BackendId`].
    pub backends: Vec<bool>,
    /// By [`crate::tables::VipId`].
    pub vips: Vec<bool>,
    /// By [`crate::tables::SnatId`].
    pub snat: Vec<bool>,
    /// Whether all transfers were looked at.
    pub is_whole: bool,
    /// How far the worker has looked.
    cursor: usize,
}

impl Uses {
    /// The question for what is in this snapshot.
    pub fn of(tables: &Tables) -> Uses {
        Uses {
            backends: vec![false; tables.backends.len()],
            vips: vec![false; tables.vips.len()],
            snat: vec![false; tables.snat.len()],
            is_whole: false,
            cursor: 0,
        }
    }

    /// Adds what another worker found.
    pub fn add(&mut self, other: &Uses) {
        let both = [
            (&mut self.backends, &other.backends),
            (&mut self.vips, &other.vips),
            (&mut self.snat, &other.snat),
        ];
        for (own, other) in both {
            own.iter_mut().zip(other).for_each(|(own, other)| *own |= other);
        }
    }
}

impl Own {
    /// Goes on looking for uses; answers true when all transfers have been looked at.
    pub fn note_uses(&self, uses: &mut Uses) -> bool {
        let upto = (uses.cursor + GLANCE).min(self.flows.capacity());
        for id in self.flows.scan(uses.cursor..upto) {
            let flow = &self.flows[id];
            self.note_use(uses, flow.backend, flow.vip(), flow.seen_as().host);
        }
        for id in self.connections.scan(uses.cursor..upto) {
            let connection = &self.connections[id];
            let seen_as = connection.seen_as().host;
            self.note_use(uses, connection.backend, connection.vip(), seen_as);
        }
        uses.cursor = upto;
        uses.is_whole = upto == self.flows.capacity();
        uses.is_whole
    }

    fn note_use(&self, uses: &mut Uses, backend: BackendId, vip: VipId, seen_as: Host) {
        // One of a rule has no backend, and so a number that nobody asks for.
        note(&mut uses.backends, backend.into());
        note(&mut uses.vips, vip.into());
        let snat = self.snat.iter().position(|&host| host == seen_as);
        snat.into_iter().for_each(|id| note(&mut uses.snat, id));
    }
}

fn note(used: &mut [bool], number: usize) {
    if let Some(used) = used.get_mut(number) {
        *used = true;
    }
}
