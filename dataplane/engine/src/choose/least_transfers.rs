//! Least transfers: the backend with the fewest transfers for its weight. Each worker counts only its own transfers.
//! Clients are spread over workers as if at random, so that a balance within each worker is one over all, without any
//! shared counter.

use super::candidates::Candidates;
use crate::counters::Counters;
use crate::scheduler::member::Member;
use crate::scheduler::round_robin::Cursor;
use crate::types::id::BackendId;

/// The backend with the fewest transfers for its weight, this one included; equal backends take turns.
pub fn next(
    members: &[Member],
    candidates: &Candidates,
    cursor: &mut Cursor,
    counters: &Counters,
) -> Option<BackendId> {
    // Another worker may take the last free transfer in between: then that backend is out.
    for _ in 0..members.len() {
        let (place, backend) = least(members, candidates, *cursor, counters)?;
        if candidates.take(backend) {
            cursor.pass(place);
            return Some(backend);
        }
    }
    None
}

fn least(
    members: &[Member],
    candidates: &Candidates,
    cursor: Cursor,
    counters: &Counters,
) -> Option<(usize, BackendId)> {
    let load = |member: &Member| {
        let with_this = counters.backend(member.id).now() + 1;
        (with_this, u64::from(member.weight) * u64::from(candidates.share(member.id)))
    };
    let all = cursor.round(members).filter(|(_, member)| candidates.has(member.id));
    let loads = all.map(|(place, member)| (place, member.id, load(member)));
    // Fractions are compared by multiplication; the first of equals wins.
    let least = loads.min_by(|(_, _, a), (_, _, b)| (a.0 * b.1).cmp(&(b.0 * a.1)));
    least.map(|(place, backend, _)| (place, backend))
}
