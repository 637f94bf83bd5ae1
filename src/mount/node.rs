//! Nodes of a revision: numbered by a hash of the path, so the same file has the same number in every mount, and two
//! files with equal content have two.
//!
//! A name is in its folder and not here. Knows tree entries, no kernel.

use super::table::{Key, Table};
use crate::snapshot::{Mode, ObjectId, TreeEntry};

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

/// Nodes the kernel knows.
#[derive(Debug)]
pub(super) struct Nodes(Table<(ObjectId, Mode)>);

impl Nodes {
    /// Only the root.
    pub(super) fn new(root: &TreeEntry) -> Self {
        Self(Table::new((root.id, root.mode)))
    }

    /// The node with this number, if it is known.
    pub(super) fn get(&self, number: u64) -> Option<Node> {
        self.0.get(number).map(|(parent, (id, mode))| Node { parent, id, mode })
    }

    /// The number of what is called `name` in the folder `parent`, without counting a lookup.
    pub(super) fn number(&self, parent: u64, name: &[u8]) -> u64 {
        self.0.number(key(parent, name))
    }

    /// Counts a lookup of an entry of the folder `parent`; answers its number.
    pub(super) fn look_up(&self, parent: u64, entry: &TreeEntry) -> u64 {
        self.0.look_up(key(parent, &entry.name), parent, (entry.id, entry.mode))
    }

    /// Takes back lookups; a node without any is no longer known.
    pub(super) fn forget(&self, number: u64, lookups: u64) {
        self.0.forget(number, lookups);
    }
}

/// What tells a path from all others.
fn key(parent: u64, name: &[u8]) -> Key {
    Key::of(blake3::Hasher::new().update(&parent.to_le_bytes()).update(name).finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::table::{ROOT, Slot};
    use super::*;

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
        assert_eq!(one.get(a), Some(Node { parent: ROOT, id: entry("a").id, mode: Mode::File }));
    }

    #[test]
    fn a_known_node_takes_little_memory() {
        assert!(size_of::<Slot<(ObjectId, Mode)>>() <= 48);
    }
}
