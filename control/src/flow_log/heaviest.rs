//! The heaviest keys of a stream, in bounded memory: when there is no room, all keys lose the median weight, and those with
//! none left are forgotten (the purge of Misra and Gries' summary, by halves, so that it costs little on average).

use std::collections::HashMap;
use std::hash::Hash;

/// The heaviest keys, each with what its user notes about it.
#[derive(Debug)]
pub struct Heaviest<K, V> {
    entries: HashMap<K, Entry<V>>,
    room: usize,
    missed: u64,
}

#[derive(Debug)]
struct Entry<V> {
    /// The weight since the key was entered, less what purges took.
    left: u64,
    notes: V,
}

impl<K: Eq + Hash, V: Default> Heaviest<K, V> {
    /// Has room for so many keys.
    pub fn with_room(room: usize) -> Heaviest<K, V> {
        Heaviest { entries: HashMap::with_capacity(room), room, missed: 0 }
    }

    /// Adds weight to a key; returns the notes about it. Without weight, no key is entered.
    pub fn add(&mut self, key: K, weight: u64) -> Option<&mut V> {
        if !self.entries.contains_key(&key) {
            if weight == 0 {
                return None;
            }
            if self.entries.len() == self.room {
                self.purge();
            }
        }
        let fresh = || Entry { left: 0, notes: V::default() };
        let entry = self.entries.entry(key).or_insert_with(fresh);
        entry.left += weight;
        Some(&mut entry.notes)
    }

    /// The keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.notes))
    }

    /// The most weight that any key may have had beyond what is known of it.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn purge(&mut self) {
        let mut weights: Vec<u64> = self.entries.values().map(|entry| entry.left).collect();
        let middle = weights.len() / 2;
        let (_, &mut median, _) = weights.select_nth_unstable(middle);
        self.entries.retain(|_, entry| {
            entry.left = entry.left.saturating_sub(median);
            entry.left > 0
        });
        self.missed += median;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 64;

    fn counted(keys: impl Iterator<Item = u64>) -> Heaviest<u64, u64> {
        let mut heaviest = Heaviest::with_room(ROOM);
        for key in keys {
            *heaviest.add(key, 1).expect("an entry") += 1;
        }
        heaviest
    }

    fn count(heaviest: &Heaviest<u64, u64>, key: u64) -> Option<u64> {
        heaviest.iter().find(|(known, _)| **known == key).map(|(_, count)| *count)
    }

    #[test]
    fn as_long_as_there_is_room_counts_are_exact() {
        let heaviest = counted((0..ROOM as u64).flat_map(|key| (0..=key).map(move |_| key)));
        assert_eq!((heaviest.iter().count(), heaviest.missed()), (ROOM, 0));
        assert!(heaviest.iter().all(|(key, count)| *count == key + 1));
    }

    /// Each source asks once, and between them two ask more often than the bound for what is missed.
    #[test]
    fn a_flood_of_others_does_not_hide_the_heaviest() {
        let rounds = 10_000;
        let heaviest = counted((0..rounds).flat_map(|round| [7_000_000 + round, 1, round % 2 * 2]));
        assert!(heaviest.iter().count() <= ROOM);
        let total = 3 * rounds;
        assert!(heaviest.missed() <= 2 * total / ROOM as u64, "{}", heaviest.missed());
        let known = count(&heaviest, 1).expect("it is among them");
        assert!((rounds - heaviest.missed()..=rounds).contains(&known), "{known}");
        assert!(count(&heaviest, 2).is_some());
    }

    #[test]
    fn one_key_may_have_all_the_weight() {
        let mut heaviest = Heaviest::<u64, ()>::with_room(2);
        for key in 0..100 {
            heaviest.add(key, 5);
            heaviest.add(1000, u64::from(u32::MAX));
        }
        assert!(heaviest.iter().any(|(key, _)| *key == 1000));
        assert!(heaviest.iter().count() <= 2);
    }

    #[test]
    fn what_weighs_nothing_is_not_entered() {
        let mut heaviest = Heaviest::<u64, u64>::with_room(ROOM);
        assert_eq!(heaviest.add(1, 0), None);
        heaviest.add(1, 1);
        assert_eq!(heaviest.add(1, 0), Some(&mut 0));
    }
}
