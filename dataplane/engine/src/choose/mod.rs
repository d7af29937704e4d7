//! Selection of a backend for a request, at one moment: candidates, then the scheduler's choice.

pub mod candidates;
mod choice;
pub mod least_transfers;
mod state;

pub use choice::{Selection, SelectionRequest};
pub use state::{State, cursors};
