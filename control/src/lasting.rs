//! What outlives a snapshot: each hands it on to the next.

use engine::select::maglev::Maglevs;

/// All of it.
#[derive(Debug, Default)]
pub struct Lasting {
    /// Tables for hashes, while their backends stay the same.
    pub maglevs: Maglevs,
}
