//! The state that an earlier process has left, restored before packets flow.

use control::active_config::ActiveConfig;
use control::config::Written;
use control::saved_state::{Compatibility, SavedState};
use engine::flow::store;
use std::hash::{BuildHasher, RandomState};

/// Reads the previous process's state, and numbers the configuration accordingly.
pub fn restore(written: Written, workers: u16) -> Result<(SavedState, ActiveConfig), String> {
    let config = &written.config;
    let socket = config.control.socket.clone();
    let compatibility = Compatibility::new(config, workers, store::layout());
    let saved_state = SavedState::open(&socket, compatibility, random());
    match ActiveConfig::first(written.clone(), &saved_state.registry) {
        Ok(active) => Ok((saved_state, active)),
        Err(full) => {
            log::warn!("the transfers of before do not go on: {full}");
            let saved_state = saved_state.discard(&socket, random());
            let first = ActiveConfig::first(written, &saved_state.registry);
            first.map(|active| (saved_state, active)).map_err(|full| full.to_string())
        }
    }
}

/// Random numbers that nobody outside can predict.
fn random() -> [u64; 3] {
    let state = RandomState::new();
    [0, 1, 2].map(|n| state.hash_one(n))
}
