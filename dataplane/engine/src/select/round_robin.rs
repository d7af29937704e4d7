//! Round robin with weights. The order is worked out once, when the tables are made; a worker then
//! only steps along it.

use crate::tables::BackendId;

/// The order in which to deal: each backend as often as its weight says, spread as evenly as can be
/// (the smooth weighted round robin that nginx made known). Empty when no weight is above zero.
pub fn rota(weights: &[(BackendId, u16)]) -> Vec<BackendId> {
    let divisor = weights.iter().fold(0, |common, &(_, weight)| gcd(common, weight)).max(1);
    let total: i64 = weights.iter().map(|&(_, weight)| i64::from(weight / divisor)).sum();
    let mut credit = vec![0i64; weights.len()];
    (0..total)
        .map(|_| {
            for (credit, &(_, weight)) in credit.iter_mut().zip(weights) {
                *credit += i64::from(weight / divisor);
            }
            // The first of the richest, so that equal weights keep the configuration's order.
            let turn = (0..credit.len()).rev().max_by_key(|&i| credit[i]).unwrap_or_default();
            credit[turn] -= total;
            weights[turn].0
        })
        .collect()
}

fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Where a worker stands in a service's rota.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor(usize);

impl Cursor {
    /// A start at the `n`th place: workers start apart, so that they don't all pick the same
    /// backend first.
    pub fn starting_at(n: usize) -> Cursor {
        Cursor(n)
    }

    /// The next backend of the rota that `usable` accepts; `None` when it accepts none of them.
    pub fn next(
        &mut self,
        rota: &[BackendId],
        usable: impl Fn(BackendId) -> bool,
    ) -> Option<BackendId> {
        for _ in 0..rota.len() {
            let backend = rota[self.0 % rota.len()];
            self.0 = (self.0 + 1) % rota.len();
            if usable(backend) {
                return Some(backend);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_take_turns_in_order() {
        assert_eq!(rota(&[(7, 5), (8, 5), (9, 5)]), [7, 8, 9]);
    }

    #[test]
    fn a_heavy_backend_is_spread_between_the_others() {
        assert_eq!(rota(&[(0, 5), (1, 1), (2, 1)]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn weight_zero_gets_nothing() {
        assert_eq!(rota(&[(0, 0), (1, 2)]), [1]);
        assert_eq!(rota(&[(0, 0)]), []);
        assert_eq!(rota(&[]), []);
    }

    #[test]
    fn a_cursor_skips_what_cannot_be_used() {
        let mut cursor = Cursor::starting_at(1);
        let rota = [0, 1, 2];
        assert_eq!(cursor.next(&rota, |_| true), Some(1));
        assert_eq!(cursor.next(&rota, |b| b != 2), Some(0));
        assert_eq!(cursor.next(&rota, |_| false), None);
        assert_eq!(cursor.next(&[], |_| true), None);
    }
}
