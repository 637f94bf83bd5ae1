//! What differs between two trees, path by path.
//!
//! Everything that compares revisions stands on this walk: merging, `diff`, the history of a path. Folders with one
//! id on both sides are never read, so the cost is that of what changed, not of what is there. It knows trees; not
//! what a rename is, nor what a difference means.

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
/// What reading a tree can meet, and [`PathError::TooDeep`].
pub fn tree_diff<E: From<SnapshotError>>(
    trees: &dyn Trees,
    prefix: &[u8],
    old: Option<ObjectId>,
    new: Option<ObjectId>,
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
