//! Which files differ: the walk over two trees, limited to paths, with deleted and added files paired as renames.

use super::{Comparison, DiffOptions};
use crate::ops::OpsError;
use crate::snapshot::rename::{FileChange, MAX_SCORE, RenameOptions, find_renames};
use crate::snapshot::tree_diff::{Change, Leaf, tree_diff};
use crate::snapshot::{Mode, ObjectId, Snapshot, TreeEntry};
use crate::store::path::RepoPath;

impl Comparison {
    /// Every file that differs, in Git's order of paths; a renamed one where it is now. Where there were too many
    /// candidates, renames of changed files are not looked for, as in Git (`diff.renameLimit`).
    pub fn changes(&self) -> Result<Vec<FileChange>, OpsError> {
        let mut changes = Vec::new();
        self.each_plain(&mut |change| {
            changes.push(change);
            Ok(true)
        })?;
        if !self.options.renames {
            return Ok(changes.into_iter().map(Into::into).collect());
        }
        let minimum = u32::from(MAX_SCORE) * u32::from(self.options.similarity.min(100)) / 100;
        let options =
            RenameOptions { minimum: u16::try_from(minimum).unwrap_or(MAX_SCORE), ..RenameOptions::DIFF };
        let found = find_renames(self.new.catalog(), changes, &options)?;
        if found.limited {
            tracing::warn!(
                "too many files moved to compare all with each other: some renames may be shown as two"
            );
        }
        Ok(found.changes)
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
