//! Epochs of rows that the other gate of a pair tells: which of its links has told a row last.

use super::FlowId;

/// The tables of flows, as places in pairs of lists.
#[derive(Debug, Clone, Copy)]
pub enum Table {
    /// Transfers.
    Transfers,
    /// Connections.
    Connections,
}

/// The epochs of the links by which rows were told last; 0: by none.
#[derive(Debug)]
pub struct Epochs([Box<[u8]>; 2]);

impl Epochs {
    /// Epochs of tables with so many rows.
    pub fn new(rows: usize) -> Epochs {
        Epochs([0; 2].map(|zero| vec![zero; rows].into()))
    }

    /// Notes that a row was told in this epoch.
    pub fn note(&mut self, table: Table, id: FlowId, epoch: u8) {
        self.0[table as usize][id as usize] = epoch;
    }

    /// Whether the row was told last in this epoch.
    pub fn is_of(&self, table: Table, id: FlowId, epoch: u8) -> bool {
        self.0[table as usize][id as usize] == epoch
    }
}
