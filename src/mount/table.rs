//! The nodes a kernel knows, by number; each is known from its first lookup until it is forgotten.
//!
//! After a walk these are all there are, so a node is a few bytes and its neighbours lie beside it: what tells it from
//! others is not kept, only the beginning of a hash of it. Two that ask for one number (one pair in billions, or
//! somebody's ill will) get two. Knows no vault, no names and no kernel.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;

/// Number of the root, as every adapter expects.
pub(super) const ROOT: u64 = 1;

type Check = [u8; 7];

/// The beginning of a hash of what tells a node from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// The number it asks for.
    number: u64,
    check: Check,
}

impl Key {
    pub(super) fn of(hash: &[u8; 32]) -> Self {
        let (number, rest) = hash.split_first_chunk().expect("32 bytes are more than 8");
        let number = u64::from_le_bytes(*number);
        let check = *rest.first_chunk().expect("24 bytes are left");
        Self { number: if number <= ROOT { after(number) } else { number }, check }
    }
}

/// Nodes by number. `T` is what is known of one, beside the folder it was last found in.
#[derive(Debug)]
pub(super) struct Table<T>(RwLock<Known<T>>);

#[derive(Debug)]
struct Known<T> {
    slots: Vec<Slot<T>>,
    /// Slots that are not in use.
    free: Vec<u32>,
    /// Places of slots, by number.
    places: HashTable<u32>,
}

#[derive(Debug)]
pub(super) struct Slot<T> {
    number: u64,
    parent: u64,
    lookups: u32,
    check: Check,
    /// `None` only where the slot is free.
    what: Option<T>,
}

impl<T> Known<T> {
    fn place(&self, number: u64) -> Option<u32> {
        self.places.find(number, |&at| self.slots[at as usize].number == number).copied()
    }

    /// The number of a key, and its place if it is known.
    fn find(&self, key: Key) -> (u64, Option<u32>) {
        let mut number = key.number;
        loop {
            match self.place(number) {
                Some(at) if self.slots[at as usize].check != key.check => number = after(number),
                known => return (number, known),
            }
        }
    }

    fn insert(&mut self, slot: Slot<T>) {
        let number = slot.number;
        let at = if let Some(at) = self.free.pop() {
            self.slots[at as usize] = slot;
            at
        } else {
            self.slots.push(slot);
            u32::try_from(self.slots.len() - 1).expect("a kernel knows less than 2^32 nodes")
        };
        let slots = &self.slots;
        self.places.insert_unique(number, at, |&at| slots[at as usize].number);
    }
}

impl<T: Clone> Table<T> {
    /// Only the root.
    pub(super) fn new(root: T) -> Self {
        let mut known = Known { slots: Vec::new(), free: Vec::new(), places: HashTable::new() };
        known.insert(Slot { number: ROOT, parent: ROOT, lookups: 1, check: [0; 7], what: Some(root) });
        Self(RwLock::new(known))
    }

    /// No code panics while holding the lock, so a poisoned one is still sound.
    fn read(&self) -> RwLockReadGuard<'_, Known<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node with this number, if it is known, and the number of its folder; the root's is its own.
    pub(super) fn get(&self, number: u64) -> Option<(u64, T)> {
        let known = self.read();
        let slot = &known.slots[known.place(number)? as usize];
        Some((slot.parent, slot.what.clone()?))
    }

    /// The number of a key, without counting a lookup.
    pub(super) fn number(&self, key: Key) -> u64 {
        self.read().find(key).0
    }

    /// Counts a lookup and answers the number; a node that is known becomes `what`, which is it as it was found last.
    pub(super) fn look_up(&self, key: Key, parent: u64, what: T) -> u64 {
        let mut known = self.write();
        let (number, place) = known.find(key);
        let Some(at) = place else {
            known.insert(Slot { number, parent, lookups: 1, check: key.check, what: Some(what) });
            return number;
        };
        let slot = &mut known.slots[at as usize];
        slot.lookups = slot.lookups.saturating_add(1);
        slot.parent = parent;
        let before = slot.what.replace(what);
        drop(known); // giving up what was known may take a while
        drop(before);
        number
    }

    /// Takes back lookups; a node without any is no longer known.
    pub(super) fn forget(&self, number: u64, lookups: u64) {
        let mut known = self.write();
        let Some(at) = known.place(number).filter(|_| number != ROOT) else { return };
        let slot = &mut known.slots[at as usize];
        slot.lookups = u32::try_from(lookups).map_or(0, |lookups| slot.lookups.saturating_sub(lookups));
        if slot.lookups > 0 {
            return;
        }
        let gone = slot.what.take();
        if let Ok(place) = known.places.find_entry(number, |&known| known == at) {
            place.remove();
        }
        known.free.push(at);
        drop(known);
        drop(gone);
    }
}

fn after(number: u64) -> u64 {
    number.wrapping_add(1).max(ROOT + 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn key(number: u64, check: u8) -> Key {
        Key { number, check: [check; 7] }
    }

    #[test]
    fn a_node_is_known_until_every_lookup_is_taken_back_and_then_nothing_of_it_is_kept() {
        let table = Table::new(Arc::new(0));
        let what = Arc::new(1);
        let number = table.look_up(key(7, 1), ROOT, Arc::clone(&what));
        assert_eq!(table.look_up(key(7, 1), ROOT, Arc::clone(&what)), number);
        assert_eq!(table.number(key(7, 1)), number);
        table.forget(number, 1);
        assert_eq!(table.get(number), Some((ROOT, Arc::clone(&what))));
        table.forget(number, 1);
        assert_eq!(table.get(number), None);
        assert_eq!(Arc::strong_count(&what), 1);
        table.forget(ROOT, 100);
        assert!(table.get(ROOT).is_some());
    }

    #[test]
    fn a_number_that_is_taken_is_passed_over() {
        let table = Table::new("root");
        assert_eq!(table.look_up(key(7, 1), ROOT, "a"), 7);
        assert_eq!(table.look_up(key(7, 2), ROOT, "b"), 8);
        assert_eq!((table.number(key(7, 2)), table.number(key(7, 3))), (8, 9));
        assert_eq!(table.get(8), Some((ROOT, "b")));
    }

    #[test]
    fn a_known_node_is_what_it_was_found_as_last() {
        let table = Table::new("root");
        let number = table.look_up(key(9, 1), 5, "before");
        assert_eq!(table.look_up(key(9, 1), 6, "now"), number);
        assert_eq!(table.get(number), Some((6, "now")));
    }

    #[test]
    fn what_is_forgotten_makes_room() {
        let table = Table::new(0);
        let numbers: Vec<u64> = (0..100).map(|n| table.look_up(key(100 + n, 1), ROOT, n)).collect();
        numbers.iter().for_each(|&number| table.forget(number, 1));
        for n in 100..200 {
            let number = table.look_up(key(1000 + n, 1), ROOT, n);
            assert_eq!(table.get(number), Some((ROOT, n)));
        }
        assert!(numbers.iter().all(|&number| table.get(number).is_none()));
        assert_eq!(table.read().slots.len(), 101);
    }

    #[test]
    fn no_hash_asks_for_the_number_of_the_root() {
        for first in [0, 1, 2] {
            let mut hash = [9; 32];
            hash[..8].copy_from_slice(&u64::to_le_bytes(first));
            assert!(Key::of(&hash).number > ROOT);
        }
    }
}
