//! Memory that outlives the process, mapped for the workers.

use control::saved_state::{Former, PAGE, SavedState, counters as saved_counters};
use dpdk::mapped_file;
use engine::counters::saved::drop_interrupted;
use engine::counters::{Counters, Room};
use engine::flow::hash::Seed;
use engine::flow::rehome::{NewHomes, Which};
use engine::flow::store::Store;
use engine::state::WorkerState;

/// Each worker's memory of flows, in which those of an earlier process lie; and how many of these were lost on the way
/// from other workers or tables of another size.
pub fn stores(saved_state: &mut SavedState, workers: usize, max_flows: u32) -> (Vec<Store>, usize) {
    let mut stores = mapped(saved_state, workers, max_flows);
    stores.resize_with(workers, || WorkerState::store(max_flows));
    let former = saved_state.former.take();
    let lost = former.map_or(0, |former| rehome(former, &mut stores, Seed(saved_state.seed)));
    (stores, lost)
}

/// Moves the flows of an earlier process to these workers. Returns how many were lost.
fn rehome(mut former: Former, stores: &mut [Store], seed: Seed) -> usize {
    let max_flows = former.max_flows;
    let mut homes = NewHomes::new(stores, seed);
    let mut lost = 0;
    'parts: for which in Which::ALL {
        for part in former.parts() {
            match part {
                Ok(part) => {
                    let part = &part[..WorkerState::size(max_flows)];
                    lost += homes.take_in(&WorkerState::saved_store(part, max_flows), which);
                }
                Err(error) => {
                    log::warn!("some transfers of before do not go on: {error}");
                    break 'parts;
                }
            }
        }
    }
    lost
}

/// Each worker's part of the saved memory; none, if it cannot be mapped.
fn mapped(saved_state: &mut SavedState, workers: usize, max_flows: u32) -> Vec<Store> {
    let Some(file) = saved_state.memory.take() else { return vec![] };
    let memory = match mapped_file::map(file) {
        Ok(memory) => memory.get_mut(PAGE..).unwrap_or_default(),
        Err(error) => {
            log::warn!("transfers will not outlive this process: {error}");
            saved_state.is_persistent = false;
            return vec![];
        }
    };
    let size = WorkerState::size(max_flows);
    let parts = memory.chunks_exact_mut(size.next_multiple_of(PAGE)).take(workers);
    parts.map(|part| WorkerState::mapped_store(&mut part[..size], max_flows)).collect()
}

/// Each worker's counters in memory that outlives the process; none, if it cannot be had.
pub fn counters(saved_state: &SavedState, room: Room) -> Vec<Counters> {
    let memory = match saved_state.counters(room).map(mapped_file::map) {
        Some(Ok(memory)) => memory.get_mut(PAGE..).unwrap_or_default(),
        Some(Err(error)) => {
            log::warn!("counters will not outlive this process: {error}");
            return vec![];
        }
        None => return vec![],
    };
    let parts = memory.chunks_exact_mut(saved_counters::part(room));
    let counters: Vec<_> =
        parts.map(|part| Counters::mapped(&mut part[..room.size()], room)).collect();
    drop_interrupted(&counters);
    counters
}
