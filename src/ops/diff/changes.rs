//! Which files differ: the walk over two trees, limited to paths, with deleted and added files paired as renames.

use super::{Comparison, DiffOptions};
use crate::ops::OpsError;
use crate::snapshot::tree_diff::{Change, Leaf, tree_diff};
use crate::snapshot::{Mode, ObjectId, Snapshot, TreeEntry};
use crate::store::path::RepoPath;

/// What happened to a file, with the letters of `git diff --name-status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// `A`: it is new.
    Added,
    /// `D`: it is gone.
    Deleted,
    /// `M`: its content or its executable bit changed.
    Modified,
    /// `T`: a file became a symlink, or the other way round.
    TypeChanged,
    /// `R`: it was moved.
    Renamed {
        /// How much of it is as it was, in hundredths.
        similarity: u8,
    },
}

/// A file on one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Path from the root, as stored.
    pub raw_path: Vec<u8>,
    /// What is there.
    pub leaf: Leaf,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// What happened.
    pub kind: ChangeKind,
    /// What was there.
    pub old: Option<Side>,
    /// What is there.
    pub new: Option<Side>,
}

impl ChangeKind {
    /// The Hub's word for it, as in the seed's `CommitChangeInfo.change_type`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Deleted => "deleted",
            Self::Modified | Self::TypeChanged => "modified",
            Self::Renamed { .. } => "renamed",
        }
    }

    /// Git's letter, for renames with the similarity.
    pub fn letter(self) -> String {
        match self {
            Self::Added => "A".to_owned(),
            Self::Deleted => "D".to_owned(),
            Self::Modified => "M".to_owned(),
            Self::TypeChanged => "T".to_owned(),
            Self::Renamed { similarity } => format!("R{similarity:03}"),
        }
    }
}

impl Side {
    /// The path as text; bytes that are not UTF-8 are replaced.
    pub fn path(&self) -> String {
        String::from_utf8_lossy(&self.raw_path).into_owned()
    }

    pub(super) fn entry(&self) -> TreeEntry {
        let name = self.raw_path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        TreeEntry { name: name.to_vec(), mode: self.leaf.mode, id: self.leaf.id }
    }
}

impl FileChange {
    fn plain(change: Change) -> Self {
        let side = |leaf: Option<Leaf>| leaf.map(|leaf| Side { raw_path: change.path.clone(), leaf });
        let kind = match (change.old, change.new) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            (Some(old), Some(new)) if (old.mode == Mode::Symlink) != (new.mode == Mode::Symlink) => {
                ChangeKind::TypeChanged
            }
            _ => ChangeKind::Modified,
        };
        Self { kind, old: side(change.old), new: side(change.new) }
    }
}

impl Comparison {
    /// Every file that differs, in Git's order of paths; a renamed one where it is now.
    pub fn changes(&self) -> Result<Vec<FileChange>, OpsError> {
        let mut changes = Vec::new();
        self.each_plain(&mut |change| {
            changes.push(change);
            Ok(true)
        })?;
        Ok(changes.into_iter().map(FileChange::plain).collect())
    }

    /// Whether anything differs.
    pub fn is_empty(&self) -> Result<bool, OpsError> {
        self.each_plain(&mut |_| Ok(false))
    }

    fn each_plain(&self, visit: &mut dyn FnMut(Change) -> Result<bool, OpsError>) -> Result<bool, OpsError> {
        let tree = |snapshot: &Snapshot| snapshot.commit().tree;
        let (old, new) = (self.old.as_ref().map(tree), Some(tree(&self.new)));
        for path in limits(&self.options) {
            if !within(&self.new, path, old, new, visit)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The paths that limit a comparison, none inside another, in Git's order; one that is empty for everything.
fn limits(options: &DiffOptions) -> Vec<&str> {
    if options.paths.is_empty() {
        return vec![""];
    }
    let mut paths: Vec<&RepoPath> = options.paths.iter().collect();
    paths.sort_by_key(|path| format!("{path}/"));
    paths.dedup_by(|next, kept| next.starts_with(kept));
    paths.into_iter().map(RepoPath::as_str).collect()
}

/// What differs at or below `path`: only the folders on the way to it are read.
fn within(
    snapshot: &Snapshot,
    path: &str,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
    visit: &mut dyn FnMut(Change) -> Result<bool, OpsError>,
) -> Result<bool, OpsError> {
    let root = |id: Option<ObjectId>| id.map(|id| TreeEntry { name: Vec::new(), mode: Mode::Directory, id });
    let (mut old, mut new) = (root(old), root(new));
    for name in path.split('/').filter(|name| !name.is_empty()) {
        if old.as_ref().map(|entry| (entry.mode, entry.id))
            == new.as_ref().map(|entry| (entry.mode, entry.id))
        {
            return Ok(true);
        }
        let below = |entry: Option<TreeEntry>| match entry {
            Some(entry) if entry.mode == Mode::Directory => snapshot.child(entry.id, name.as_bytes()),
            _ => Ok(None),
        };
        (old, new) = (below(old)?, below(new)?);
    }
    let leaf = |entry: &Option<TreeEntry>| {
        entry.as_ref().filter(|e| e.mode != Mode::Directory).map(|e| Leaf { mode: e.mode, id: e.id })
    };
    let folder =
        |entry: &Option<TreeEntry>| entry.as_ref().filter(|e| e.mode == Mode::Directory).map(|e| e.id);
    let (old_leaf, new_leaf) = (leaf(&old), leaf(&new));
    if old_leaf != new_leaf
        && !visit(Change { path: path.as_bytes().to_vec(), old: old_leaf, new: new_leaf })?
    {
        return Ok(false);
    }
    let (old, new) = (folder(&old), folder(&new));
    if old == new {
        return Ok(true);
    }
    tree_diff(snapshot.catalog(), path.as_bytes(), old, new, visit)
}
