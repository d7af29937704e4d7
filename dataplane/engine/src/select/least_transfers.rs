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
    let load = |member: &Member| {
        let with_this = counters.backends[usize::from(member.id)].now() + 1;
        (with_this, u64::from(member.weight))
    };
    let least = cursor
        .round(members)
        .map(|(place, member)| (place, member.id, load(member)))
        .filter(|&(_, backend, _)| candidates.has(backend))
        // Fractions, compared without dividing. The first of equals.
        .min_by(|(_, _, a), (_, _, b)| (a.0 * b.1).cmp(&(b.0 * a.1)));
    let (place, backend, _) = least.filter(|&(_, backend, _)| candidates.take(backend))?;
    cursor.pass(place);
    Some(backend)
}
