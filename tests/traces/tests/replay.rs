//! Every capture through real workers: exactly the expected frames leave, byte for byte.

use engine::types::tick::PER_SECOND;
use kit::topology::FLOWS;
use kit::worker_set::WorkerSet;
use std::path::Path;
use traces::capture::{self, Moment};
use traces::rows::ROWS;
use worker::memory::MemoryPort;

#[test]
fn one_worker() {
    replay_all(1, |_| 0);
}

#[test]
fn two_workers_of_which_the_first_gets_all() {
    replay_all(2, |_| 0);
}

#[test]
fn two_workers_of_which_the_second_gets_all() {
    replay_all(2, |_| 1);
}

#[test]
fn two_workers_in_turn() {
    replay_all(2, |n| n % 2);
}

/// Replays all captures; `queue` chooses the queue of the nth frame.
fn replay_all(workers: u16, queue: fn(usize) -> usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = vec![];
    for row in &ROWS {
        for &via in row.modes {
            let scene = row.scene(via, workers);
            let path = folder.path().join(row.file(via));
            capture::write(&path, &scene.moments).expect("a capture");
            let mut set =
                WorkerSet::with(workers, row.snapshot(via), FLOWS, |_| MemoryPort::new(64));
            if let Some(fault) = replay(&path, &mut set, queue) {
                wrong.push(format!("{}: {fault}", row.file(via)));
            }
            assert!(set.left_to_kernel().is_empty(), "{}", row.file(via));
            let counted = set.counter_values();
            for (&name, &by) in scene.counts.iter().filter(|(name, by)| counted.at(name) != **by) {
                let was = counted.at(name);
                wrong.push(format!("{}: {name} is {was}, not {by}", row.file(via)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Replays a capture; returns the first unexpected frame.
fn replay(
    path: &Path,
    set: &mut WorkerSet<MemoryPort>,
    queue: fn(usize) -> usize,
) -> Option<String> {
    let moments = capture::read(path).expect("a capture");
    let start = set.now;
    for (n, packets) in moments.chunk_by(|_, next| !next.inbound).enumerate() {
        let [came, must_leave @ ..] = packets else { unreachable!("chunks are not empty") };
        let due = start.after(came.at.as_millis() as u32 * PER_SECOND / 1000);
        while set.now != due {
            set.wait(1);
        }
        set.arrive(queue(n), &came.frame[..]);
        for _ in 0..4 {
            set.turn();
        }
        let left = set.left();
        if !left.iter().eq(must_leave.iter().map(|moment| &moment.frame)) {
            return Some(format!("at \"{}\": {}", came.says, difference(&left, must_leave)));
        }
    }
    None
}

fn difference(left: &[Vec<u8>], must_leave: &[Moment]) -> String {
    let at = left.iter().zip(must_leave).find_map(|(was, moment)| {
        let at = was.iter().zip(&moment.frame).position(|(was, must)| was != must);
        let at = at.or((was.len() != moment.frame.len()).then_some(was.len()))?;
        let rest = |frame: &[u8]| frame.iter().skip(at).take(20).copied().collect::<Vec<u8>>();
        let (was, must) = (rest(was), rest(&moment.frame));
        Some(format!("\"{}\" is {was:02x?} from byte {at} on, not {must:02x?}", moment.says))
    });
    at.unwrap_or_else(|| format!("{} frames left, not {}", left.len(), must_leave.len()))
}
