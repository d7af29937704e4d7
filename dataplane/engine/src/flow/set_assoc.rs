//! A fixed set-associative table: a hash selects one of many sets, and a set has four entries. In a full set, the entry
//! of the least worth is replaced, so that no flood of new keys needs more memory or a longer search.

/// Entries per set.
const WAYS: usize = 4;

/// One set: entries with their keys.
type Set<K, V> = [Option<(K, V)>; WAYS];

/// A set-associative table. All memory is allocated at the start.
#[derive(Debug)]
pub struct SetAssoc<K, V> {
    sets: Box<[Set<K, V>]>,
}

/// Reference to an entry, valid until the entry is removed or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef {
    set: usize,
    way: usize,
}

impl<K: Eq, V> SetAssoc<K, V> {
    /// An empty table for at least `entries` entries.
    pub fn new(entries: usize) -> SetAssoc<K, V> {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        SetAssoc { sets: (0..sets).map(|_| [const { None }; WAYS]).collect() }
    }

    /// The entry with this key, whose hash is `hash`.
    pub fn find(&self, hash: u64, key: &K) -> Option<EntryRef> {
        let set = self.set(hash);
        let has_key = |entry: &Option<(K, V)>| entry.as_ref().is_some_and(|(k, _)| k == key);
        let way = self.sets[set].iter().position(has_key)?;
        Some(EntryRef { set, way })
    }

    /// Enters a value under a key: in place of the value that the key has, else in a free entry, else in place of the
    /// value of the least worth.
    pub fn insert<W: Ord>(
        &mut self,
        hash: u64,
        key: K,
        value: V,
        worth: impl Fn(&V) -> W,
    ) -> EntryRef {
        let set = self.set(hash);
        let worth_of = |&way: &usize| self.sets[set][way].as_ref().map(|(_, value)| worth(value));
        let least = || (0..WAYS).min_by_key(worth_of).unwrap_or_default();
        let way = self.find(hash, &key).map_or_else(least, |entry| entry.way);
        self.sets[set][way] = Some((key, value));
        EntryRef { set, way }
    }

    /// Key and value of an entry.
    pub fn get(&self, EntryRef { set, way }: EntryRef) -> Option<(&K, &V)> {
        self.sets[set][way].as_ref().map(|(key, value)| (key, value))
    }

    /// The value of an entry, to be changed.
    pub fn get_mut(&mut self, EntryRef { set, way }: EntryRef) -> Option<&mut V> {
        self.sets[set][way].as_mut().map(|(_, value)| value)
    }

    /// Frees an entry.
    pub fn remove(&mut self, EntryRef { set, way }: EntryRef) {
        self.sets[set][way] = None;
    }

    fn set(&self, hash: u64) -> usize {
        hash as usize & (self.sets.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enters a value that is its own worth.
    fn enter(table: &mut SetAssoc<u8, u32>, key: u8, value: u32) -> EntryRef {
        table.insert(0, key, value, |&value| value)
    }

    fn value(table: &SetAssoc<u8, u32>, key: u8) -> Option<u32> {
        table.find(0, &key).and_then(|entry| table.get(entry)).map(|(_, &value)| value)
    }

    #[test]
    fn a_full_set_loses_its_least_value() {
        let mut table = SetAssoc::new(4);
        for (key, worth) in [(1, 7), (2, 3), (3, 9), (4, 4), (5, 5)] {
            enter(&mut table, key, worth);
        }
        let values = [1, 2, 3, 4, 5].map(|key| value(&table, key));
        assert_eq!(values, [Some(7), None, Some(9), Some(4), Some(5)]);
    }

    #[test]
    fn a_key_has_one_value() {
        let mut table = SetAssoc::new(4);
        let [first, second] = [8, 2].map(|worth| enter(&mut table, 1, worth));
        assert_eq!((first, value(&table, 1)), (second, Some(2)));
        assert_eq!(table.get_mut(first).copied(), Some(2));
        table.remove(first);
        assert_eq!((value(&table, 1), table.get(first)), (None, None));
    }

    #[test]
    fn a_free_entry_is_taken_before_one_without_worth() {
        let mut table = SetAssoc::new(4);
        for key in 1..=4 {
            enter(&mut table, key, 0);
        }
        assert!((1..=4).all(|key| value(&table, key).is_some()));
    }

    #[test]
    fn sets_do_not_share_entries() {
        let mut table = SetAssoc::new(64);
        for hash in 0..16 {
            for key in 0..4u8 {
                table.insert(hash, key, hash, |_| 0);
            }
        }
        assert!((0..16).all(|hash| (0..4).all(|key| table.find(hash, &key).is_some())));
        assert_eq!(table.find(16, &0), table.find(0, &0), "higher bits are not looked at");
    }
}
