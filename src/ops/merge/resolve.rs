//! Finishing a merge that has conflicts: somebody says, path by path, what is to be there.
//!
//! Exists so that the result is a commit with both parents, made in one step, from choices that all fit: one that no
//! conflict asked for is an error. Knows conflicts and choices; not how content was stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::entry::{ConflictType, OURS, Stages, THEIRS};
use super::overlay::{Clash, Overlay};
use super::threeway::{Conflict, Merged};
use crate::ops::error::OpsError;
use crate::snapshot::SnapshotError;
use crate::snapshot::tree_diff::{Leaf, Trees as _, tree_diff};
use crate::store::id::ObjectId;
use crate::store::object::{Mode, Tree};
use crate::store::path::RepoPath;

/// What is to be at a path that has a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// What the branch has that is merged into: a file, or nothing.
    Ours,
    /// What the merged revision has.
    Theirs,
    /// Nothing.
    Delete,
    /// A local file.
    Local(PathBuf),
    /// A file with this content.
    Bytes(Vec<u8>),
}

/// Whose side settles the conflicts that nobody said anything about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Favor {
    /// The branch that is merged into.
    Ours,
    /// What is merged.
    Theirs,
}

/// A resolution whose content is stored.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) enum Choice {
    Side(Favor),
    Nothing,
    File(Leaf),
}

/// All choices, by path.
#[derive(Debug, Default)]
pub(in crate::ops) struct Choices {
    pub(in crate::ops) paths: BTreeMap<Vec<u8>, Choice>,
    pub(in crate::ops) favor: Option<Favor>,
}

impl Choices {
    /// That no conflict asked for these.
    pub(in crate::ops) fn unneeded(&self, used: &BTreeSet<Vec<u8>>) -> Result<(), OpsError> {
        let unneeded: Vec<_> = self
            .paths
            .keys()
            .filter(|path| !used.contains(*path))
            .map(|path| format!("`{}`", String::from_utf8_lossy(path)))
            .collect();
        if unneeded.is_empty() {
            return Ok(());
        }
        Err(OpsError::Invalid(format!(
            "there is no conflict at {}, so nothing is to be settled there; nothing was committed: leave it out, and \
             commit other changes by themselves",
            unneeded.join(", ")
        )))
    }
}

impl Choice {
    fn leaf(self, stages: &Stages, is_named: bool) -> Option<Leaf> {
        match self {
            Self::Side(Favor::Ours) => stages[OURS],
            Self::Side(Favor::Theirs) => stages[THEIRS],
            Self::Nothing => None,
            Self::File(leaf) => Some(leaf).filter(|_| is_named),
        }
    }
}

/// The tree of a merge, with every new one in it.
#[derive(Debug)]
pub(in crate::ops) struct Settled {
    pub(in crate::ops) tree: ObjectId,
    pub(in crate::ops) new_trees: Vec<Tree>,
}

/// Applies choices to a merge into the tree `ours`; answers its tree, or every conflict if one is left.
///
/// # Errors
/// [`OpsError::Invalid`] for choices that no conflict asked for.
pub(super) fn settle(
    trees: &Overlay<'_>,
    ours: ObjectId,
    mut merged: Merged,
    choices: &Choices,
) -> Result<Result<Settled, Vec<Conflict>>, OpsError> {
    let mut used = BTreeSet::new();
    let (folders, files): (Vec<_>, Vec<_>) = std::mem::take(&mut merged.conflicts)
        .into_iter()
        .partition(|conflict| conflict.kind == ConflictType::FileDirectory);
    // A file that takes a folder's place takes it from everything below, so those come last.
    let mut left: Vec<Conflict> = Vec::new();
    for conflict in files.into_iter().chain(folders) {
        if !choose(&mut merged, &conflict, choices, &mut used) {
            left.push(conflict);
        }
    }
    if left.is_empty() {
        left = structural(&merged);
    }
    let settled = fit(trees, ours, &mut merged, choices, &mut used, left.is_empty())?;
    match settled {
        Ok(settled) if left.is_empty() => {
            choices.unneeded(&used)?;
            Ok(Ok(settled))
        }
        clashes => {
            left.extend(clashes.err().unwrap_or_default());
            left.sort_by(|a, b| a.path.cmp(&b.path));
            choices.unneeded(&used)?;
            Ok(Err(left))
        }
    }
}

/// Settles one conflict if a choice names one of its paths, or a side is favoured.
fn choose(merged: &mut Merged, conflict: &Conflict, choices: &Choices, used: &mut BTreeSet<Vec<u8>>) -> bool {
    let named = conflict.paths.iter().map(|(path, _)| path).filter(|path| choices.paths.contains_key(*path));
    let named: Vec<_> = named.cloned().collect();
    let first = named.first().and_then(|path| choices.paths.get(path)).copied();
    let Some(fallback) = first.or(choices.favor.map(Choice::Side)) else { return false };
    used.extend(named);
    for (path, stages) in &conflict.paths {
        let own = choices.paths.get(path).copied();
        let leaf = own.unwrap_or(fallback).leaf(stages, own.is_some());
        if leaf.is_some() && conflict.kind == ConflictType::FileDirectory {
            let start = [&path[..], b"/"].concat();
            let below = merged.results.range_mut(start.clone()..).take_while(|(p, _)| p.starts_with(&start));
            below.for_each(|(_, leaf)| *leaf = None);
        }
        merged.results.insert(path.clone(), leaf);
    }
    true
}

/// Files that are where other files need a folder: choices can lead there.
fn structural(merged: &Merged) -> Vec<Conflict> {
    let present = merged.results.iter().filter(|(_, leaf)| leaf.is_some());
    let clashes = present.filter_map(|(path, leaf)| {
        let below = merged.first_below(path)?.to_vec();
        let stages = [None, merged.ours.get(path).copied().flatten(), *leaf];
        Some(conflict(ConflictType::FileDirectory, path.clone(), below, stages))
    });
    clashes.collect()
}

fn conflict(kind: ConflictType, path: Vec<u8>, related: Vec<u8>, stages: Stages) -> Conflict {
    Conflict { kind, paths: vec![(path.clone(), stages)], path, related: Some(related), stages }
}

/// Makes the tree. Names that clash are conflicts too, and can be settled like others.
fn fit(
    trees: &Overlay<'_>,
    ours: ObjectId,
    merged: &mut Merged,
    choices: &Choices,
    used: &mut BTreeSet<Vec<u8>>,
    wanted: bool,
) -> Result<Result<Settled, Vec<Conflict>>, OpsError> {
    loop {
        let changes: Vec<_> = merged.changes().collect();
        let (mut new_trees, mut clashes) = (Vec::new(), Vec::new());
        let mut keep = |tree: &Tree| {
            if wanted {
                new_trees.push(tree.clone());
            }
            Ok(tree.id())
        };
        let tree = trees.write(ours, &changes, &mut keep, &mut clashes)?;
        // Two new names clash with each other: said once.
        let pairs: BTreeSet<_> = clashes.iter().cloned().collect();
        clashes.retain(|(a, b)| a < b || !pairs.contains(&(b.clone(), a.clone())));
        if clashes.is_empty() {
            return Ok(Ok(Settled { tree, new_trees }));
        }
        let mut left = Vec::new();
        for clash in clashes {
            if !unclash(trees, ours, merged, choices, used, &clash)? {
                let stages = first_leaf(merged, &clash.0);
                left.push(conflict(ConflictType::CaseFold, stages.0, clash.1, stages.1));
            }
        }
        if !left.is_empty() {
            return Ok(Err(left));
        }
    }
}

/// The first file at or below a new name, and what it is.
fn first_leaf(merged: &Merged, name: &[u8]) -> (Vec<u8>, Stages) {
    let path = match merged.results.get(name).copied().flatten() {
        Some(_) => name.to_vec(),
        None => merged.first_below(name).unwrap_or(name).to_vec(),
    };
    let leaf = merged.results.get(&path).copied().flatten();
    (path, [None, None, leaf])
}

/// Settles a clash of two names: the new one goes, or the one in its way. `false` when that is not to be settled: nobody
/// chose, or the choice takes nothing away (both names are new on one side), and asking again would never end.
fn unclash(
    trees: &Overlay<'_>,
    ours: ObjectId,
    merged: &mut Merged,
    choices: &Choices,
    used: &mut BTreeSet<Vec<u8>>,
    (new, other): &Clash,
) -> Result<bool, OpsError> {
    let below = [&new[..], b"/"].concat();
    let named = choices.paths.iter().filter(|(path, _)| *path == new || path.starts_with(&below));
    let named: Vec<_> = named.map(|(path, choice)| (path.clone(), *choice)).collect();
    let first = named.first().map(|(_, choice)| *choice);
    let Some(choice) = first.or(choices.favor.map(Choice::Side)) else { return Ok(false) };
    used.extend(named.into_iter().map(|(path, _)| path));
    match choice {
        Choice::Side(Favor::Ours) | Choice::Nothing => {
            let gone = |path: &Vec<u8>| path == new || path.starts_with(&below);
            let results = merged.results.iter_mut().filter(|(path, leaf)| gone(path) && leaf.is_some());
            Ok(results.map(|(_, leaf)| *leaf = None).count() > 0)
        }
        Choice::Side(Favor::Theirs) | Choice::File(_) => {
            let removed = remove(trees, ours, merged, other)?;
            if let Choice::File(leaf) = choice {
                merged.results.insert(new.clone(), Some(leaf));
            }
            Ok(removed)
        }
    }
}

/// Takes away a file or a whole folder of ours; answers whether it was there.
fn remove(trees: &Overlay<'_>, ours: ObjectId, merged: &mut Merged, path: &[u8]) -> Result<bool, OpsError> {
    let mut at = (Mode::Directory, ours);
    for name in path.split(|&byte| byte == b'/') {
        if at.0 != Mode::Directory {
            return Ok(false);
        }
        match trees.tree(at.1)?.find(name) {
            Some(entry) => at = (entry.mode, entry.id),
            None => return Ok(false),
        }
    }
    if at.0 != Mode::Directory {
        merged.ours.insert(path.to_vec(), Some(Leaf { mode: at.0, id: at.1 }));
        merged.results.insert(path.to_vec(), None);
        return Ok(true);
    }
    tree_diff::<SnapshotError>(trees, path, Some(at.1), None, &mut |change| {
        merged.ours.insert(change.path.clone(), change.old);
        merged.results.insert(change.path, None);
        Ok(true)
    })?;
    Ok(true)
}

/// The choices as they can be looked up, without content yet.
pub(in crate::ops) fn without_content(path: &RepoPath, resolution: &Resolution) -> Option<(Vec<u8>, Choice)> {
    let choice = match resolution {
        Resolution::Ours => Choice::Side(Favor::Ours),
        Resolution::Theirs => Choice::Side(Favor::Theirs),
        Resolution::Delete => Choice::Nothing,
        Resolution::Local(_) | Resolution::Bytes(_) => return None,
    };
    Some((path.as_str().as_bytes().to_vec(), choice))
}
