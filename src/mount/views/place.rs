//! What a node can be in a view, and by what it is told apart from every other.
//!
//! A number stands for one path *with one content*: a file that was changed has another number, so nothing a kernel
//! keeps of a number ever becomes wrong, and what is open stays what it was. A file that a commit left alone keeps its
//! number, and with it the kernel's pages. A folder of a revision has one number per commit.

use std::sync::Arc;
use std::time::SystemTime;

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

/// Something in a revision.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) revision: Arc<Revision>,
    pub(super) entry: TreeEntry,
    /// Its path in the revision; only of folders.
    pub(super) path: Vec<u8>,
    pub(super) modified: SystemTime,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Place {
    Folder(Folder),
    Note,
    Link(Vec<u8>),
    /// The top folder of a revision.
    Revision(Arc<Revision>),
    Inside(Inside),
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    /// Number of the folder it was last found in.
    pub(super) parent: u64,
    /// Stands for its path.
    pub(super) path: PathId,
    pub(super) place: Place,
    /// Whether its name will always mean this node.
    pub(super) settled: bool,
}

/// Stands for a path below the mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathId([u8; 32]);

/// Stands for a path with one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity([u8; 32]);

impl PathId {
    /// The mount point's.
    pub(super) const ROOT: Self = Self([0; 32]);

    /// The path of what is called `name` in the folder with this one.
    pub(super) fn child(self, name: &[u8]) -> Self {
        Self(*blake3::Hasher::new().update(&self.0).update(name).finalize().as_bytes())
    }

    fn with(self, what: u8, content: &[u8]) -> Identity {
        Identity(*blake3::Hasher::new().update(&self.0).update(&[what]).update(content).finalize().as_bytes())
    }

    /// One of our own folders, or the note, at this path.
    pub(super) fn made_up(self) -> Identity {
        self.with(0, b"")
    }

    /// A link of ours.
    pub(super) fn link(self, target: &[u8]) -> Identity {
        self.with(1, target)
    }

    /// The top folder of a commit.
    pub(super) fn revision(self, commit: ObjectId) -> Identity {
        self.with(2, commit.as_bytes())
    }

    /// An entry of a commit.
    pub(super) fn inside(self, commit: ObjectId, entry: &TreeEntry) -> Identity {
        match entry.mode {
            Mode::Directory => self.with(2, commit.as_bytes()),
            Mode::File => self.with(3, entry.id.as_bytes()),
            Mode::Executable => self.with(4, entry.id.as_bytes()),
            Mode::Symlink => self.with(5, entry.id.as_bytes()),
        }
    }
}

impl Identity {
    /// The number it asks for.
    pub(super) fn number(self) -> u64 {
        let (number, _) = self.0.split_first_chunk().expect("32 bytes are more than 8");
        u64::from_le_bytes(*number)
    }
}

impl Node {
    /// A node at the mount point itself.
    pub(super) fn root(place: Place) -> Self {
        Self { parent: super::table::ROOT, path: PathId::ROOT, place, settled: true }
    }
}
