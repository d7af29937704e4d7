//! The backend with the fewest transfers for its weight. A worker counts its own alone: each has a share of
//! the clients, as good as drawn by lot, so what is even in each is even in all, and nobody has to ask the others.

use super::candidates::Candidates;
use super::rota::Member;
use super::round_robin::Cursor;
use crate::count::Counters;
use crate::tables::BackendId;

/// The backend that has the fewest with this transfer; of equals, each in turn.
pub fn next(
    members: &[Member],
    candidates: &Candidates,
    cursor: &mut Cursor,
    counters: &Counters,
) -> Option<BackendId> {
    // Another worker may take the last place in between: that one is out then.
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
        let with_this = counters.backends[usize::from(member.id)].now() + 1;
        (with_this, u64::from(member.weight) * u64::from(candidates.share(member.id)))
    };
    let all = cursor.round(members).filter(|(_, member)| candidates.has(member.id));
    let loads = all.map(|(place, member)| (place, member.id, load(member)));
    // Fractions, compared without dividing. The first of equals.
    let least = loads.min_by(|(_, _, a), (_, _, b)| (a.0 * b.1).cmp(&(b.0 * a.1)));
    least.map(|(place, backend, _)| (place, backend))
}
