//! Weighted round robin. The order is computed once per snapshot; workers only step along it.

use super::member::Member;
use crate::types::id::BackendId;

/// The order of turns: each backend as often as its weight, spread evenly (nginx's smooth weighted round robin). Empty
/// if all weights are zero.
pub fn order(members: &[Member]) -> Vec<BackendId> {
    let divisor = members.iter().fold(0, |common, member| gcd(common, member.weight)).max(1);
    let share = |member: &Member| i64::from(member.weight / divisor);
    let total: i64 = members.iter().map(share).sum();
    let mut credit = vec![0i64; members.len()];
    (0..total)
        .map(|_| {
            for (credit, member) in credit.iter_mut().zip(members) {
                *credit += share(member);
            }
            // The first of the highest credits: equal weights keep the configuration's order.
            let turn = (0..credit.len()).rev().max_by_key(|&i| credit[i]).unwrap_or_default();
            credit[turn] -= total;
            members[turn].id
        })
        .collect()
}

fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A worker's position in a group.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    place: usize,
    /// Number of turns so far.
    turns: u64,
}

impl Cursor {
    /// A cursor at the `n`th position: workers start at different positions, so that they do not all begin with the
    /// same backend.
    pub fn starting_at(n: usize) -> Cursor {
        Cursor { place: n, turns: (n as u64) << 32 }
    }

    /// The next accepted backend of the order; `accepts` also gets the number of the turn. `None`: none is accepted.
    pub fn next(
        &mut self,
        order: &[BackendId],
        accepts: impl Fn(BackendId, u64) -> bool,
    ) -> Option<BackendId> {
        for _ in 0..order.len() {
            let backend = order[self.place % order.len()];
            self.place = (self.place + 1) % order.len();
            self.turns = self.turns.wrapping_add(1);
            if accepts(backend, self.turns) {
                return Some(backend);
            }
        }
        None
    }

    /// All items once with their positions, from the current one on.
    pub fn round<T>(self, all: &[T]) -> impl Iterator<Item = (usize, &T)> {
        let first = self.place % all.len().max(1);
        let (before, after) = all.split_at(first);
        (first..).zip(after).chain((0..).zip(before))
    }

    /// Makes the turn behind `place` the next one.
    pub fn pass(&mut self, place: usize) {
        self.place = place + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(weights: &[(u16, u16)]) -> Vec<u16> {
        let address = std::net::IpAddr::from([10, 0, 0, 1]);
        let members =
            weights.iter().map(|&(id, weight)| Member { id: BackendId(id), address, weight });
        super::order(&members.collect::<Vec<_>>()).into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn equal_weights_take_turns_in_order() {
        assert_eq!(order(&[(7, 5), (8, 5), (9, 5)]), [7, 8, 9]);
    }

    #[test]
    fn a_heavy_backend_is_spread_between_the_others() {
        assert_eq!(order(&[(0, 5), (1, 1), (2, 1)]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn weight_zero_gets_nothing() {
        assert_eq!(order(&[(0, 0), (1, 2)]), [1]);
        assert_eq!(order(&[(0, 0)]), []);
        assert_eq!(order(&[]), []);
    }

    #[test]
    fn a_cursor_skips_what_cannot_be_used() {
        let mut cursor = Cursor::starting_at(1);
        let order = [0, 1, 2].map(BackendId);
        assert_eq!(cursor.next(&order, |_, _| true), Some(BackendId(1)));
        assert_eq!(cursor.next(&order, |b, _| b != BackendId(2)), Some(BackendId(0)));
        assert_eq!(cursor.next(&order, |_, _| false), None);
        assert_eq!(cursor.next(&[], |_, _| true), None);
    }

    #[test]
    fn a_round_begins_where_the_cursor_stands() {
        let mut cursor = Cursor::starting_at(7);
        let round = |cursor: Cursor| cursor.round(&['a', 'b', 'c']).collect::<Vec<_>>();
        assert_eq!(round(cursor), [(1, &'b'), (2, &'c'), (0, &'a')]);
        cursor.pass(2);
        assert_eq!(round(cursor)[0], (0, &'a'));
        assert_eq!(cursor.round(&[0; 0]).count(), 0);
    }
}
