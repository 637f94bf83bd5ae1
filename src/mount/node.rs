//! Node numbers: a hash of the path, so the same file has the same number in every mount, and two files with
//! equal content have two.
//!
//! A number is known from its first lookup until the kernel has forgotten it. Two paths with one hash (one in
//! billions) are told apart by giving the later one the next free number. Knows tree entries, no kernel.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{PoisonError, RwLock};

use crate::snapshot::TreeEntry;

/// Number of the root, as every adapter expects.
const ROOT: u64 = 1;

/// A known node.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Number of the folder it is in.
    pub(super) parent: u64,
    /// What it is.
    pub(super) entry: TreeEntry,
    lookups: u64,
}

/// Nodes the kernel knows.
#[derive(Debug)]
pub(super) struct Nodes(RwLock<HashMap<u64, Node>>);

impl Nodes {
    /// Only the root.
    pub(super) fn new(root: TreeEntry) -> Self {
        Self(RwLock::new(HashMap::from([(ROOT, Node { parent: ROOT, entry: root, lookups: 1 })])))
    }

    /// The node with this number, if it is known.
    pub(super) fn get(&self, number: u64) -> Option<Node> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// The number of what is called `name` in the folder `parent`, without counting a lookup.
    pub(super) fn number(&self, parent: u64, name: &[u8]) -> u64 {
        let nodes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut number = hash(parent, name);
        while nodes.get(&number).is_some_and(|node| node.parent != parent || node.entry.name != name) {
            number = after(number);
        }
        number
    }

    /// Counts a lookup of an entry of the folder `parent`; answers its number.
    pub(super) fn look_up(&self, parent: u64, entry: &TreeEntry) -> u64 {
        let mut nodes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut number = hash(parent, &entry.name);
        loop {
            match nodes.entry(number) {
                Entry::Vacant(free) => {
                    free.insert(Node { parent, entry: entry.clone(), lookups: 1 });
                    return number;
                }
                Entry::Occupied(mut known)
                    if known.get().parent == parent && known.get().entry.name == entry.name =>
                {
                    known.get_mut().lookups += 1;
                    return number;
                }
                Entry::Occupied(_) => number = after(number),
            }
        }
    }

    /// Takes back lookups; a node without any is no longer known.
    pub(super) fn forget(&self, number: u64, lookups: u64) {
        let mut nodes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if number != ROOT
            && let Entry::Occupied(mut known) = nodes.entry(number)
        {
            known.get_mut().lookups = known.get().lookups.saturating_sub(lookups);
            if known.get().lookups == 0 {
                known.remove();
            }
        }
    }
}

fn hash(parent: u64, name: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&parent.to_le_bytes()).update(name);
    let number = u64::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("BLAKE3 is 32 bytes"));
    if number <= ROOT { after(number) } else { number }
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
        let (one, two) = (Nodes::new(entry("")), Nodes::new(entry("")));
        let a = one.look_up(ROOT, &entry("a"));
        assert_eq!(a, two.number(ROOT, b"a"));
        assert_ne!(a, one.look_up(ROOT, &entry("b")));
        assert_ne!(a, one.look_up(a, &entry("a")));
    }

    #[test]
    fn a_node_is_known_until_every_lookup_is_taken_back() {
        let nodes = Nodes::new(entry(""));
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
        let nodes = Nodes::new(entry(""));
        let taken = hash(ROOT, b"a");
        nodes.0.write().unwrap().insert(taken, Node { parent: 99, entry: entry("other"), lookups: 1 });
        let a = nodes.look_up(ROOT, &entry("a"));
        assert_eq!(a, taken + 1);
        assert_eq!(nodes.number(ROOT, b"a"), a);
    }
}
