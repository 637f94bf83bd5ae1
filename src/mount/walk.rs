//! Who lists one folder after the other, as `find` does, has the sizes of the next ones looked up together.
//!
//! Rows of files are ordered by hashes: those of one folder are spread over all of the tables, and looking a folder's up
//! reads a block for nearly each. For many folders at once the tables are gone through once. Knows the order of listings;
//! not what a size is.

use std::sync::{Mutex, PoisonError};

use crate::snapshot::{Mode, Tree, TreeEntry};

/// Entries looked up together: first, and at most.
const FIRST: usize = 4096;
const MOST: usize = 32 << 10;
/// Listings of one neighbour after the other that make a walk.
const STEADY: u32 = 2;
/// How far from where it is expected a folder is searched among its neighbours.
const NEAR: usize = 64;

/// The listing before this one.
#[derive(Debug, Default)]
pub(super) struct Walk(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    parent: u64,
    at: usize,
    /// Listings in a row that went on to a neighbour.
    steady: u32,
    /// What the next part has room for.
    entries: usize,
}

/// What is to be looked up together: folders from place `at` of their parent on, with about so many entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    at: usize,
    forward: bool,
    /// Entries of the folders together.
    pub(super) entries: usize,
}

impl Ahead {
    /// The folders, with their places, in the order in which they will be listed.
    pub(super) fn folders<'t>(
        &self,
        parent: &'t Tree,
    ) -> Box<dyn Iterator<Item = (usize, &'t TreeEntry)> + 't> {
        let is_folder = |(_, entry): &(usize, &TreeEntry)| entry.mode == Mode::Directory;
        let all = parent.entries().iter().enumerate();
        if self.forward {
            Box::new(all.skip(self.at).filter(is_folder))
        } else {
            Box::new(all.take(self.at + 1).rev().filter(is_folder))
        }
    }
}

impl Walk {
    /// Counts the listing of the folder of `parent` that `is` it, unless its sizes are known already. Answers what
    /// comes next, if that can be told.
    pub(super) fn count(&self, parent: u64, tree: &Tree, is: impl Fn(&TreeEntry) -> bool) -> Option<Ahead> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (last.parent == parent).then_some(last.at);
        let at = position(tree.entries(), before.unwrap_or(0), is);
        let (Some(at), Some(before)) = (at, before) else {
            *last = Last { parent: at.map_or(0, |_| parent), at: at.unwrap_or(0), steady: 0, entries: FIRST };
            return None;
        };
        last.at = at;
        last.steady += 1;
        if last.steady < STEADY {
            return None;
        }
        let entries = last.entries;
        last.entries = (entries * 4).min(MOST);
        Some(Ahead { at, forward: at > before, entries })
    }

    /// Notes up to which place of its parent folders were looked up: the walk goes on behind it.
    pub(super) fn went_to(&self, parent: u64, at: usize) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.parent == parent {
            last.at = at;
        }
    }
}

/// Where the wanted one is: near `expected`, or at an end, where walks begin.
fn position(entries: &[TreeEntry], expected: usize, is: impl Fn(&TreeEntry) -> bool) -> Option<usize> {
    let near = expected.saturating_sub(NEAR)..(expected + NEAR).min(entries.len());
    let ends = (0..NEAR.min(entries.len())).chain(entries.len().saturating_sub(NEAR)..entries.len());
    near.chain(ends).find(|&at| is(&entries[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::ObjectId;

    fn parent(count: usize) -> Tree {
        let entry = |n: usize| TreeEntry {
            name: format!("{n:04}").into_bytes(),
            mode: if n % 10 == 9 { Mode::File } else { Mode::Directory },
            id: ObjectId::from_bytes([1; 20]),
        };
        Tree::from_entries((0..count).map(entry).collect()).unwrap()
    }

    /// Lists folders in this order, each with 1000 entries; answers how many were looked up ahead, part by part.
    fn list(tree: &Tree, order: impl Iterator<Item = usize>) -> Vec<usize> {
        let (walk, mut known, mut parts) = (Walk::default(), std::collections::HashSet::new(), Vec::new());
        for at in order.filter(|&at| tree.entries()[at].mode == Mode::Directory) {
            if !known.insert(at) {
                continue;
            }
            let name = &tree.entries()[at].name;
            let Some(ahead) = walk.count(7, tree, |entry| entry.name == *name) else { continue };
            let places: Vec<usize> =
                ahead.folders(tree).map(|(at, _)| at).take(ahead.entries / 1000).collect();
            assert_eq!(places.first(), Some(&at));
            walk.went_to(7, *places.last().unwrap());
            parts.push(places.len());
            known.extend(places);
        }
        parts
    }

    #[test]
    fn a_walk_in_either_direction_is_looked_up_ahead_in_parts_that_grow() {
        let tree = parent(200);
        let forward = list(&tree, 0..200);
        assert_eq!(forward[..4], [4, 16, 32, 32]);
        assert_eq!(forward.iter().sum::<usize>() + 2, 180, "each once");
        assert_eq!(list(&tree, (0..200).rev()), forward);
    }

    #[test]
    fn who_lists_a_folder_or_two_has_nothing_looked_up_ahead() {
        let tree = parent(5000);
        assert!(list(&tree, 10..12).is_empty());
        let apart = (0..40).map(|n| n * 2_477 % 5000);
        assert!(list(&tree, apart).len() < 3);
        assert_eq!(Walk::default().count(7, &tree, |_| false), None);
    }
}
