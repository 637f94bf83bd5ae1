//! Renames of a merge: found on each side, then followed, so that a change meets the file it was made to.
//!
//! Follows `process_renames` of Git's `merge-ort`. A rename moves what the other side has at the old path to the new
//! one; where that is not possible, the paths become one conflict. Whole folders that were renamed carry nothing
//! along: what the other side adds to the old folder stays there (Git's `merge.directoryRenames=false`).

use std::cell::RefCell;
use std::collections::HashMap;

use super::entry::{BASE, ConflictType, OURS, THEIRS, merge_leaves, same_type};
use super::overlay::Overlay;
use super::threeway::{Conflict, Entries, is_relevant};
use crate::ops::error::OpsError;
use crate::snapshot::SnapshotError;
use crate::snapshot::rename::{ChangeKind, Relevance, RenameOptions, find_relevant_renames};
use crate::snapshot::tree_diff::{Change, Trees as _};
use crate::store::id::ObjectId;
use crate::store::object::Mode;

/// A file that one side renamed.
#[derive(Debug, Clone)]
pub(super) struct Rename {
    from: Vec<u8>,
    to: Vec<u8>,
    side: usize,
}

/// The renames of one side.
#[derive(Debug, Default)]
pub(super) struct Found {
    renames: Vec<Rename>,
    pub(super) limited: bool,
}

/// Looks for the renames of one side that matter: those of files which the other side did not leave as they were.
pub(super) fn find(
    trees: &Overlay<'_>,
    entries: &Entries,
    changes: Vec<Change>,
    side: usize,
    tree: ObjectId,
) -> Result<Found, OpsError> {
    let is_source = |path: &[u8]| is_relevant(entries, path);
    if !changes.iter().any(|change| change.new.is_none() && is_source(&change.path)) {
        return Ok(Found::default());
    }
    // Asked for the folders of renamed files, which are mostly the same few.
    let known = RefCell::new(HashMap::new());
    let folder_gone = |folder: &[u8]| {
        *known.borrow_mut().entry(folder.to_vec()).or_insert_with(|| {
            // What cannot be read here is met again where it matters.
            !folder.is_empty() && matches!(is_folder(trees, tree, folder), Ok(false))
        })
    };
    let relevance = Relevance { is_source: Some(&is_source), folder_gone: Some(&folder_gone) };
    let found = find_relevant_renames(trees.catalog, changes, &RenameOptions::MERGE, &relevance)?;
    let is_rename = |kind| matches!(kind, ChangeKind::Renamed { .. });
    let renames = found.changes.into_iter().filter(|change| is_rename(change.kind)).filter_map(|change| {
        let (from, to) = (change.old?.path, change.new?.path);
        Some(Rename { from, to, side })
    });
    Ok(Found { renames: renames.collect(), limited: found.limited })
}

fn is_folder(trees: &Overlay<'_>, mut at: ObjectId, path: &[u8]) -> Result<bool, SnapshotError> {
    for name in path.split(|&byte| byte == b'/') {
        match trees.tree(at)?.find(name) {
            Some(entry) if entry.mode == Mode::Directory => at = entry.id,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Follows the renames of both sides; answers the conflicts they make. Paths of a conflict are added when they are
/// decided upon.
pub(super) fn apply(entries: &mut Entries, found: &[Found; 2], inner: bool) -> Vec<Conflict> {
    let mut all: Vec<&Rename> = found.iter().flat_map(|found| &found.renames).collect();
    all.sort_by(|a, b| a.from.cmp(&b.from));
    for rename in &all {
        if let Some(entry) = entries.get_mut(&rename.to) {
            entry.arrivals += 1;
        }
    }
    let mut following = Following { entries, conflicts: Vec::new(), inner };
    let mut left = &all[..];
    while let [rename, rest @ ..] = left {
        left = rest;
        match rest {
            [other, rest @ ..] if other.from == rename.from => {
                left = rest;
                following.both(rename, other);
            }
            _ => following.one(rename),
        }
    }
    following.conflicts
}

/// Renames being followed.
struct Following<'e> {
    entries: &'e mut Entries,
    conflicts: Vec<Conflict>,
    inner: bool,
}

impl Following<'_> {
    /// Both sides renamed one file: to one name, or to two.
    fn both(&mut self, ours: &Rename, theirs: &Rename) {
        let stages = |entries: &Entries, path: &[u8]| entries.get(path).map(|e| e.stages).unwrap_or_default();
        let base = stages(self.entries, &ours.from)[BASE];
        if ours.to == theirs.to {
            self.change(&ours.to, |entry| entry.stages[BASE] = base);
            self.change(&ours.from, |entry| entry.moved = true);
            return;
        }
        let ours_leaf = stages(self.entries, &ours.to)[OURS];
        let theirs_leaf = stages(self.entries, &theirs.to)[THEIRS];
        if let (Some(a), Some(b)) = (ours_leaf, theirs_leaf) {
            let (merged, clean) = merge_leaves(base, a, b, self.inner);
            // What was merged goes to both names; what could not be merged stays as each side has it.
            if clean || self.inner {
                self.change(&ours.to, |entry| entry.stages[OURS] = merged);
                self.change(&theirs.to, |entry| entry.stages[THEIRS] = merged);
            }
        }
        let related = Some(theirs.to.clone());
        let stages = [base, ours_leaf, theirs_leaf];
        let group = self.conflict(ConflictType::RenameRename, &ours.to, related, stages);
        for path in [&ours.from, &ours.to, &theirs.to] {
            self.change(path, |entry| {
                entry.group = Some(group);
                entry.old_path = Some(ours.from.clone());
            });
        }
    }

    /// One side renamed a file.
    fn one(&mut self, rename: &Rename) {
        let other = OURS + THEIRS - rename.side;
        let (Some(old), Some(new)) = (self.entries.get(&rename.from), self.entries.get(&rename.to)) else {
            return;
        };
        if old.moved {
            return;
        }
        let (old, new) = (old.stages, new.stages);
        let (theirs, target) = (old[other], new[rename.side]);
        let is_deleted = theirs.is_none();
        let type_changed = matches!((theirs, target), (Some(a), Some(b)) if !same_type(a, b));
        // A symlink took the old name: then the file at the new name is the other part of a rename on both sides.
        let collides = new[other].is_some() && !type_changed;
        let from = || Some(rename.from.clone());
        if is_deleted {
            if !collides {
                self.change(&rename.to, |entry| entry.stages[BASE] = old[BASE]);
            }
            let group = self.conflict(
                ConflictType::RenameDelete,
                &rename.to,
                from(),
                [old[BASE], new[OURS], new[THEIRS]],
            );
            self.change(&rename.to, |entry| entry.group = Some(group));
        } else if collides {
            if let (Some(a), Some(b)) = (target, theirs) {
                let (a, b) = if rename.side == OURS { (a, b) } else { (b, a) };
                let (merged, clean) = merge_leaves(old[BASE], a, b, self.inner);
                if clean || self.inner {
                    self.change(&rename.to, |entry| entry.stages[rename.side] = merged);
                }
                if !clean && !self.inner {
                    let kind = ConflictType::RenameAdd;
                    let group = self.conflict(kind, &rename.to, from(), [old[BASE], new[OURS], new[THEIRS]]);
                    self.change(&rename.to, |entry| entry.group = Some(group));
                }
            }
        } else {
            self.change(&rename.to, |entry| {
                entry.stages[BASE] = old[BASE];
                if !type_changed {
                    entry.stages[other] = theirs;
                }
            });
        }
        self.change(&rename.to, |entry| entry.old_path = from());
        self.change(
            &rename.from,
            |entry| if type_changed { entry.stages[BASE] = None } else { entry.moved = true },
        );
    }

    fn change(&mut self, path: &[u8], change: impl FnOnce(&mut super::threeway::Entry)) {
        if let Some(entry) = self.entries.get_mut(path) {
            change(entry);
        }
    }

    fn conflict(
        &mut self,
        kind: ConflictType,
        path: &[u8],
        related: Option<Vec<u8>>,
        stages: super::entry::Stages,
    ) -> usize {
        self.conflicts.push(Conflict { kind, path: path.to_vec(), related, paths: Vec::new(), stages });
        self.conflicts.len() - 1
    }
}
