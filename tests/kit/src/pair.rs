//! Two gates of a pair: one holds all addresses, and tells the other one its flows.

use crate::engine_harness::EngineHarness;
use crate::topology::{FLOWS, Via};
use engine::snapshot::Snapshot;
use engine::state::sync::export::SyncExport;
use engine::state::sync::import::{SyncImport, SyncRefusal};
use engine::state::sync::purge::SyncPurge;
use engine::state::sync::{AddressSet, Gains, REFRESH};
use engine::types::id::{SnatId, VipId};
use engine::types::mode::Mode;
use engine::types::tick::Tick;

/// The pair. Each gate has its own clock, seed and ports.
pub struct Pair {
    /// The gates; the first one holds the addresses.
    pub gates: [EngineHarness; 2],
    exports: [SyncExport; 2],
    epoch: u8,
}

/// Rows refused, by reason.
pub type Refused = [u32; SyncRefusal::ALL.len()];

/// Ticks that a flow must have lasted in [`Pair::new`].
pub const MIN_AGE: u32 = 5;

impl Pair {
    /// Two gates of the same configuration.
    pub fn new(world: impl Fn() -> Snapshot) -> Pair {
        let first = EngineHarness::with(world(), FLOWS);
        let mut second = EngineHarness::of_another_gate(world(), FLOWS);
        hold(&mut second, false);
        let exports = [(); 2].map(|()| SyncExport::new(FLOWS as usize, 0));
        Pair { gates: [first, second], exports, epoch: 1 }
    }

    /// Lets ticks pass at both gates.
    pub fn wait(&mut self, ticks: u32) {
        self.gates.iter_mut().for_each(|gate| gate.wait(ticks));
    }

    /// The rows that this gate tells in one round.
    pub fn rows(&mut self, from: usize) -> SyncImport {
        let (gate, export) = (&self.gates[from], &mut self.exports[from]);
        export.begin(MIN_AGE, gate.now);
        whole(gate, export, self.epoch)
    }

    /// The number of rows that this gate tells again although nothing has happened for long, in rounds that follow each other
    /// at once.
    pub fn quiet(&mut self, from: usize) -> usize {
        // The first ones still count what may have happened since the last one.
        for _ in 0..REFRESH {
            self.tell(from);
        }
        (0..REFRESH).map(|_| self.tell(from).0).sum()
    }

    /// Has this gate tell all rows again.
    pub fn forget(&mut self, from: usize) {
        self.exports[from].forget();
    }

    /// A new link, on which this gate tells all rows; the other one ends what it does not tell. Returns how many.
    pub fn link_again(&mut self, from: usize) -> u32 {
        self.epoch += 1;
        self.forget(from);
        self.tell(from);
        let held = AddressSet::held(&self.gates[from].engine.snapshot);
        let mut purge = SyncPurge::new(self.epoch, held);
        let gate = &mut self.gates[1 - from];
        while !gate.engine.purge(&mut purge, gate.now) {}
        gate.wait(0);
        purge.ended
    }

    /// One round from this gate to the other one; returns the number of rows, and of those refused.
    ///
    /// # Panics
    ///
    /// The other gate's counters do not balance.
    pub fn tell(&mut self, from: usize) -> (usize, Refused) {
        let rows = self.rows(from);
        let count = rows.transfers.len() + rows.connections.len();
        (count, self.hear(1 - from, rows))
    }

    /// Has a gate take in these rows; returns how many it refused for each reason.
    pub fn hear(&mut self, at: usize, mut rows: SyncImport) -> Refused {
        let gate = &mut self.gates[at];
        while !gate.engine.import(&mut rows, gate.now) {}
        gate.wait(0);
        rows.refused
    }

    /// The first gate, which has lost its addresses, tells the rest to the second one, which got them at this time. Returns
    /// the number of rows, and of those refused.
    pub fn tell_rest(&mut self, gained: Tick) -> (usize, Refused) {
        let snapshot = &self.gates[0].engine.snapshot;
        let [vips, snat] = [snapshot.vips.len(), snapshot.snat.len()];
        let lost = AddressSet { vips: vec![true; vips], snat: vec![true; snat] };
        let gains = Gains { vips: vec![Some(gained); vips], snat: vec![Some(gained); snat] };
        self.tell_rest_of(lost, gains)
    }

    /// The first gate, which has lost these addresses, tells the rest to the second one, which has got those.
    pub fn tell_rest_of(&mut self, lost: AddressSet, gains: Gains) -> (usize, Refused) {
        let (gate, export) = (&self.gates[0], &mut self.exports[0]);
        export.begin_last(lost, gate.now);
        let rows = whole(gate, export, self.epoch).with(gains);
        let count = rows.transfers.len() + rows.connections.len();
        (count, self.hear(1, rows))
    }

    /// The second gate gets the addresses in the place of the first.
    pub fn fail_over(&mut self) {
        hold(&mut self.gates[0], false);
        hold(&mut self.gates[1], true);
    }
}

/// The rows of a whole round.
fn whole(gate: &EngineHarness, export: &mut SyncExport, epoch: u8) -> SyncImport {
    while !gate.engine.export(export, gate.now) || !export.is_whole() {}
    let transfers = export.transfers.drain(..).collect();
    SyncImport::new(transfers, export.connections.drain(..).collect(), epoch)
}

/// The kernel of a gate holds all its addresses, or none.
pub fn hold(gate: &mut EngineHarness, is_held: bool) {
    gate.change(|snapshot| set_held(snapshot, is_held));
}

/// A kernel holds all addresses of the topology, or none: pools have only those that it holds.
pub fn set_held(snapshot: &mut Snapshot, is_held: bool) {
    (0..snapshot.vips.len() as u16).for_each(|id| snapshot.set_live(VipId(id), is_held));
    (0..snapshot.snat.len() as u16).for_each(|id| snapshot.set_snat_live(SnatId(id), is_held));
    // Further services are added in the same order.
    for (service, via) in snapshot.services.iter_mut().zip(Via::ALL.into_iter().cycle()) {
        service.mode = match via.mode() {
            Mode::Snat(_) if !is_held => Mode::Snat(vec![]),
            mode => mode,
        };
    }
}
