//! Node numbers: a hash of the path, so the same file has the same number in every mount, and two files with
//! equal content have two.
//!
//! A number is known from its first lookup until the kernel has forgotten it. Two paths with one hash (one in
//! billions) are told apart by giving the later one the next free number. Knows tree entries, no kernel.

use std::sync::{PoisonError, RwLock};

use hashbrown::HashTable;

use crate::snapshot::{Mode, ObjectId, TreeEntry};

/// Number of the root, as every adapter expects.
const ROOT: u64 = 1;

/// A known node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    /// Number of the folder it is in.
    pub(super) parent: u64,
    /// What it stands for.
    pub(super) id: ObjectId,
    /// What it is.
    pub(super) mode: Mode,
}

impl Node {
    /// As an entry, without its name.
    pub(super) fn entry(&self) -> TreeEntry {
        TreeEntry { name: Vec::new(), mode: self.mode, id: self.id }
    }
}

/// Nodes the kernel knows. After a walk these are all there are: a name is in its folder and not here, and what is
/// here lies side by side.
#[derive(Debug)]
pub(super) struct Nodes(RwLock<Known>);

#[derive(Debug)]
struct Known {
    slots: Vec<Slot>,
    /// Slots that are not in use.
    free: Vec<u32>,
    /// Places of slots, by number.
    places: HashTable<u32>,
}

type Check = [u8; 7];

#[derive(Debug)]
struct Slot {
    number: u64,
    parent: u64,
    id: ObjectId,
    lookups: u32,
    mode: Mode,
    /// Stands for the name: other bytes of the hash that the number is from.
    check: Check,
}

impl Known {
    fn place(&self, number: u64) -> Option<u32> {
        self.places.find(number, |&at| self.slots[at as usize].number == number).copied()
    }

    fn slot(&self, number: u64) -> Option<&Slot> {
        self.place(number).map(|at| &self.slots[at as usize])
    }

    /// The number of a path, and whether it is known.
    fn find(&self, parent: u64, name: &[u8]) -> (u64, Check, Option<u32>) {
        let (mut number, check) = hash(parent, name);
        loop {
            match self.place(number) {
                Some(at) if !self.slots[at as usize].is(parent, check) => number = after(number),
                known => return (number, check, known),
            }
        }
    }

    fn insert(&mut self, slot: Slot) {
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

impl Slot {
    fn first(number: u64, check: Check, node: Node) -> Self {
        Self { number, parent: node.parent, id: node.id, lookups: 1, mode: node.mode, check }
    }

    fn node(&self) -> Node {
        Node { parent: self.parent, id: self.id, mode: self.mode }
    }

    fn is(&self, parent: u64, check: Check) -> bool {
        self.parent == parent && self.check == check
    }
}

impl Nodes {
    /// Only the root.
    pub(super) fn new(root: &TreeEntry) -> Self {
        let node = Node { parent: ROOT, id: root.id, mode: root.mode };
        let mut known = Known { slots: Vec::new(), free: Vec::new(), places: HashTable::new() };
        known.insert(Slot::first(ROOT, [0; 7], node));
        Self(RwLock::new(known))
    }

    /// The node with this number, if it is known.
    pub(super) fn get(&self, number: u64) -> Option<Node> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).slot(number).map(Slot::node)
    }

    /// The number of what is called `name` in the folder `parent`, without counting a lookup.
    pub(super) fn number(&self, parent: u64, name: &[u8]) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).find(parent, name).0
    }

    /// Counts a lookup of an entry of the folder `parent`; answers its number.
    pub(super) fn look_up(&self, parent: u64, entry: &TreeEntry) -> u64 {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (number, check, place) = known.find(parent, &entry.name);
        if let Some(at) = place {
            known.slots[at as usize].lookups = known.slots[at as usize].lookups.saturating_add(1);
        } else {
            let node = Node { parent, id: entry.id, mode: entry.mode };
            known.insert(Slot::first(number, check, node));
        }
        number
    }

    /// Takes back lookups; a node without any is no longer known.
    pub(super) fn forget(&self, number: u64, lookups: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = known.place(number).filter(|_| number != ROOT) else { return };
        let slot = &mut known.slots[at as usize];
        slot.lookups = u32::try_from(lookups).map_or(0, |lookups| slot.lookups.saturating_sub(lookups));
        if slot.lookups == 0 {
            if let Ok(place) = known.places.find_entry(number, |&known| known == at) {
                place.remove();
            }
            known.free.push(at);
        }
    }
}

/// A number for a path, and what tells it from another path with the same number.
fn hash(parent: u64, name: &[u8]) -> (u64, Check) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&parent.to_le_bytes()).update(name);
    let hash = hasher.finalize();
    let (number, rest) = hash.as_bytes().split_first_chunk().expect("BLAKE3 is 32 bytes");
    let number = u64::from_le_bytes(*number);
    let check = *rest.first_chunk().expect("24 bytes are left");
    (if number <= ROOT { after(number) } else { number }, check)
}

fn after(number: u64) -> u64 {
    number.wrapping_add(1).max(ROOT + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Mode, ObjectId};

    fn entry(name: &str) -> TreeEntry {
        TreeEntry { name: name.into(), mode: Mode::File, id: ObjectId::from_bytes([1; 20]) }
    }

    #[test]
    fn numbers_are_the_same_in_every_mount_and_differ_for_equal_content() {
        let (one, two) = (Nodes::new(&entry("")), Nodes::new(&entry("")));
        let a = one.look_up(ROOT, &entry("a"));
        assert_eq!(a, two.number(ROOT, b"a"));
        assert_ne!(a, one.look_up(ROOT, &entry("b")));
        assert_ne!(a, one.look_up(a, &entry("a")));
    }

    #[test]
    fn a_node_is_known_until_every_lookup_is_taken_back() {
        let nodes = Nodes::new(&entry(""));
        let a = nodes.look_up(ROOT, &entry("a"));
        nodes.look_up(ROOT, &entry("a"));
        nodes.forget(a, 1);
        assert!(nodes.get(a).is_some());
        nodes.forget(a, 1);
        assert!(nodes.get(a).is_none());
        nodes.forget(ROOT, 100);
        assert!(nodes.get(ROOT).is_some());
    }

    #[test]
    fn a_number_that_is_taken_by_another_path_is_passed_over() {
        let nodes = Nodes::new(&entry(""));
        let (taken, check) = hash(ROOT, b"a");
        let node = Node { parent: 99, id: entry("other").id, mode: Mode::File };
        nodes.0.write().unwrap().insert(Slot::first(taken, check, node));
        let a = nodes.look_up(ROOT, &entry("a"));
        assert_eq!(a, taken + 1);
        assert_eq!(nodes.number(ROOT, b"a"), a);
    }

    #[test]
    fn what_is_forgotten_makes_room() {
        let nodes = Nodes::new(&entry(""));
        let numbers: Vec<u64> = (0..100).map(|n| nodes.look_up(ROOT, &entry(&n.to_string()))).collect();
        numbers.iter().for_each(|&number| nodes.forget(number, 1));
        for n in 100..200 {
            let number = nodes.look_up(ROOT, &entry(&n.to_string()));
            assert_eq!(nodes.get(number).unwrap().parent, ROOT);
        }
        assert!(numbers.iter().all(|&number| nodes.get(number).is_none()));
        assert_eq!(nodes.0.read().unwrap().slots.len(), 101);
    }

    #[test]
    fn a_known_node_takes_little_memory() {
        assert!(size_of::<Slot>() <= 48);
    }
}
