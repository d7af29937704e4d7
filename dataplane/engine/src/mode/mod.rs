//! Modes: how packets reach a service's backends and how answers return; one file per mode. A mode decides once per
//! transfer what the server sees as the client; packets then follow their flow.

mod dsr;
mod nat;
mod pools;
mod snat;

pub use pools::{Pools, Rules, SeenAs};

use crate::types::mode::Mode;

/// The rules of a mode.
pub fn rules(mode: &Mode) -> &dyn Rules {
    match mode {
        Mode::Dsr => &dsr::Dsr,
        Mode::Nat => &nat::Nat,
        Mode::Snat(pool) => pool,
    }
}
