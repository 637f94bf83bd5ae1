//! What differs between two trees, path by path.
//!
//! Everything that compares revisions stands on this walk: merging, `diff`, the history of a path. Folders with one
//! id on both sides are never read, so the cost is that of what changed, not of what is there. It knows trees; not
//! what a rename is, nor what a difference means.

use super::budget::Budget;
use super::error::SnapshotError;
use crate::store::StoreError;
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::{Mode, Tree, TreeEntry};
use crate::store::path::{MAX_DEPTH, PathError};

/// A file or symlink on one side: never a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// What it is.
    pub mode: Mode,
    /// The blob it stands for.
    pub id: ObjectId,
}

/// A path that differs. At least one side is there, and they are not equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Path from the root, as stored.
    pub path: Vec<u8>,
    /// What was there.
    pub old: Option<Leaf>,
    /// What is there.
    pub new: Option<Leaf>,
}

impl Change {
    /// The path as text; bytes that are not UTF-8 are replaced.
    pub fn path(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// Where folders are read from: a [`Catalog`], or one with trees beside it that are not stored.
pub trait Trees {
    /// The tree with this id.
    fn tree(&self, id: ObjectId) -> Result<Tree, StoreError>;
}

impl Trees for Catalog {
    fn tree(&self, id: ObjectId) -> Result<Tree, StoreError> {
        Self::tree(self, id)
    }
}

/// Visits every file that differs between the trees `old` and `new` (`None`: nothing at all), in Git's order of
/// paths. Paths start with `prefix`. Stops early when `visit` answers `false`, and answers whether it got to the end.
///
/// # Errors
/// What reading a tree can meet, [`PathError::TooDeep`], and [`SnapshotError::TooManyPaths`]: whoever visits collects.
pub fn tree_diff<E: From<SnapshotError>>(
    trees: &dyn Trees,
    prefix: &[u8],
    old: Option<ObjectId>,
    new: Option<ObjectId>,
    visit: &mut dyn FnMut(Change) -> Result<bool, E>,
) -> Result<bool, E> {
    tree_diff_within(&mut Budget::default(), trees, prefix, [old, new], visit)
}

/// As [`tree_diff`]; files and folders that differ are taken from `budget`.
fn tree_diff_within<E: From<SnapshotError>>(
    budget: &mut Budget,
    trees: &dyn Trees,
    prefix: &[u8],
    [old, new]: [Option<ObjectId>; 2],
    visit: &mut dyn FnMut(Change) -> Result<bool, E>,
) -> Result<bool, E> {
    let mut pending = vec![Pair::read(trees, prefix.to_vec(), old, new)?];
    while let Some(pair) = pending.last_mut() {
        let Some((old, new)) = pair.next() else {
            pending.pop();
            continue;
        };
        if old.as_ref().map(identity) == new.as_ref().map(identity) {
            continue;
        }
        let name = old.as_ref().or(new.as_ref()).map(|entry| &entry.name[..]).unwrap_or_default();
        let path = join(&pair.path, name);
        budget.take(&path)?;
        let folder =
            |side: &Option<TreeEntry>| side.as_ref().filter(|e| e.mode == Mode::Directory).map(|e| e.id);
        let leaf = |side: &Option<TreeEntry>| {
            side.as_ref().filter(|e| e.mode != Mode::Directory).map(|e| Leaf { mode: e.mode, id: e.id })
        };
        let (old_leaf, new_leaf) = (leaf(&old), leaf(&new));
        if (old_leaf.is_some() || new_leaf.is_some())
            && !visit(Change { path: path.clone(), old: old_leaf, new: new_leaf })?
        {
            return Ok(false);
        }
        let (old, new) = (folder(&old), folder(&new));
        if old.is_some() || new.is_some() {
            if pending.len() > MAX_DEPTH {
                let start = String::from_utf8_lossy(&path).chars().take(40).collect();
                return Err(SnapshotError::from(PathError::TooDeep { start }).into());
            }
            pending.push(Pair::read(trees, path, old, new)?);
        }
    }
    Ok(true)
}

fn identity(entry: &TreeEntry) -> (Mode, ObjectId) {
    (entry.mode, entry.id)
}

/// The path of `name` in a folder.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    path.extend_from_slice(folder);
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// One folder on both sides.
struct Pair {
    path: Vec<u8>,
    old: std::iter::Peekable<std::vec::IntoIter<TreeEntry>>,
    new: std::iter::Peekable<std::vec::IntoIter<TreeEntry>>,
}

impl Pair {
    fn read(
        trees: &dyn Trees,
        path: Vec<u8>,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
    ) -> Result<Self, SnapshotError> {
        let entries = |side: Option<ObjectId>| -> Result<_, SnapshotError> {
            let tree =
                if old == new { Tree::empty() } else { side.map_or(Ok(Tree::empty()), |id| trees.tree(id))? };
            Ok(tree.into_entries().into_iter().peekable())
        };
        Ok(Self { path, old: entries(old)?, new: entries(new)? })
    }

    /// The next name, with what each side has under it. A file and a folder of one name come one after the other:
    /// in Git's order other names may lie between them.
    fn next(&mut self) -> Option<(Option<TreeEntry>, Option<TreeEntry>)> {
        let order = match (self.old.peek(), self.new.peek()) {
            (None, None) => return None,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.git_cmp(new),
        };
        Some(match order {
            std::cmp::Ordering::Less => (self.old.next(), None),
            std::cmp::Ordering::Greater => (None, self.new.next()),
            std::cmp::Ordering::Equal => (self.old.next(), self.new.next()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    impl Trees for BTreeMap<ObjectId, Tree> {
        fn tree(&self, id: ObjectId) -> Result<Tree, StoreError> {
            self.get(&id).cloned().ok_or(StoreError::MissingObject(id))
        }
    }

    /// A tree of two folders that are one, and so on down to a file or an empty folder: 2^depth paths, `depth` trees.
    fn bomb(trees: &mut BTreeMap<ObjectId, Tree>, depth: u32, leaf: Option<ObjectId>) -> ObjectId {
        let entry = |name: &[u8], mode, id| TreeEntry { name: name.to_vec(), mode, id };
        let mut keep = |entries| {
            let tree = Tree::from_entries(entries).unwrap();
            let id = tree.id();
            trees.insert(id, tree);
            id
        };
        let mut at = keep(leaf.map(|id| entry(b"f", Mode::File, id)).into_iter().collect());
        for _ in 0..depth {
            at = keep(vec![entry(b"a", Mode::Directory, at), entry(b"b", Mode::Directory, at)]);
        }
        at
    }

    #[test]
    fn folders_that_share_a_subtree_end_at_the_budget() {
        let trees = &mut BTreeMap::new();
        let file = Some(Tree::empty().id());
        for (old, new) in [(None, file), (file, None), (None, None)] {
            let (small, large) = (bomb(trees, 3, old), bomb(trees, 40, new));
            for (old, new) in [(Some(small), Some(large)), (Some(large), None), (None, Some(large))] {
                let mut seen = 0_u64;
                let ended = tree_diff_within::<SnapshotError>(
                    &mut Budget::of(1000),
                    trees,
                    b"",
                    [old, new],
                    &mut |_| {
                        seen += 1;
                        Ok(true)
                    },
                );
                assert!(matches!(ended, Err(SnapshotError::TooManyPaths)), "{ended:?}");
                assert!(seen <= 1000);
            }
        }
        // What is within the budget is all there.
        let (old, new, mut seen) = (bomb(trees, 6, None), bomb(trees, 6, file), 0);
        let whole = tree_diff_within::<SnapshotError>(
            &mut Budget::of(1000),
            trees,
            b"",
            [Some(old), Some(new)],
            &mut |_| {
                seen += 1;
                Ok(true)
            },
        );
        assert!(whole.unwrap());
        assert_eq!(seen, 64);
    }
}
