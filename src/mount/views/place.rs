//! What a node can be in a view, and by what it is told apart from every other.
//!
//! A number stands for one path *with one content*: a file that was changed has another number, so nothing a kernel
//! keeps of a number ever becomes wrong, and what is open stays what it was. A file that a commit left alone keeps its
//! number, and with it the kernel's pages. A folder of a revision has one number per commit.

use std::sync::Arc;
use std::time::SystemTime;

use super::super::table::Key;
use super::revisions::Revision;
use crate::snapshot::{Mode, ObjectId, TreeEntry};

/// A folder that we make up; what it lists may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folder {
    /// The top of a whole vault.
    Vault,
    /// The top of a branch that is followed: what is in it now.
    Branch(String),
    /// Branches or tags whose names begin with a prefix (empty, or ending in `/`).
    Refs(Kind, String),
    /// Commits by id.
    Commits,
    /// Days on which commits were made.
    Dates,
    /// The commits of one day.
    Day(String),
}

/// Which refs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Branch,
    Tag,
}

/// A folder of a revision.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) revision: Arc<Revision>,
    pub(super) entry: TreeEntry,
    /// Its path in the revision.
    pub(super) path: Vec<u8>,
    pub(super) modified: SystemTime,
}

/// A file or a link of a revision.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) revision: Arc<Revision>,
    pub(super) id: ObjectId,
    pub(super) mode: Mode,
    pub(super) modified: SystemTime,
    /// Whether its name will always mean this node.
    pub(super) settled: bool,
}

impl Leaf {
    /// As an entry, without its name.
    pub(super) fn entry(&self) -> TreeEntry {
        TreeEntry { name: Vec::new(), mode: self.mode, id: self.id }
    }
}

/// What a node is that is no [`Leaf`].
#[derive(Debug)]
pub(super) enum Place {
    Folder(Folder),
    Note,
    Link(Vec<u8>),
    /// The top folder of a revision.
    Revision(Arc<Revision>),
    Inside(Inside),
}

/// A node. Of leaves there may be millions: what is known of one lies in the table itself.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Leaf(Leaf),
    Other(Arc<Other>),
}

/// A node that is no leaf.
#[derive(Debug)]
pub(super) struct Other {
    /// Stands for its path.
    pub(super) path: PathId,
    pub(super) place: Place,
    /// Whether its name will always mean this node.
    pub(super) settled: bool,
}

/// Stands for a path below the mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathId([u8; 32]);

impl PathId {
    /// The mount point's.
    pub(super) const ROOT: Self = Self([0; 32]);

    /// The path of what is called `name` in the folder with this one.
    pub(super) fn child(self, name: &[u8]) -> Self {
        Self(*blake3::Hasher::new().update(&self.0).update(name).finalize().as_bytes())
    }

    /// This path with one content.
    fn with(self, what: u8, content: &[u8]) -> Key {
        let mut hasher = blake3::Hasher::new();
        Key::of(hasher.update(&self.0).update(&[what]).update(content).finalize().as_bytes())
    }

    /// One of our own folders, or the note, at this path.
    pub(super) fn made_up(self) -> Key {
        self.with(0, b"")
    }

    /// A link of ours.
    pub(super) fn link(self, target: &[u8]) -> Key {
        self.with(1, target)
    }

    /// The top folder of a commit.
    pub(super) fn revision(self, commit: ObjectId) -> Key {
        self.with(2, commit.as_bytes())
    }

    /// An entry of a commit.
    pub(super) fn inside(self, commit: ObjectId, entry: &TreeEntry) -> Key {
        match entry.mode {
            Mode::Directory => self.with(2, commit.as_bytes()),
            Mode::File => self.with(3, entry.id.as_bytes()),
            Mode::Executable => self.with(4, entry.id.as_bytes()),
            Mode::Symlink => self.with(5, entry.id.as_bytes()),
        }
    }
}

impl Node {
    /// A node that is no leaf.
    pub(super) fn other(path: PathId, place: Place, settled: bool) -> Self {
        Self::Other(Arc::new(Other { path, place, settled }))
    }

    /// Whether its name will always mean this node.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.settled,
            Self::Other(other) => other.settled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::table::Slot;
    use super::*;

    #[test]
    fn a_known_file_takes_little_memory() {
        assert!(size_of::<Slot<Node>>() <= 80);
    }
}
