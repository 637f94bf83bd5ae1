//! A merge of three trees: what becomes of every path that either side changed.
//!
//! Follows Git's `merge-ort`: differences of both sides to the base, renames on both sides, then path by path. Costs
//! what changed. Reads trees and, for renames, files; writes nothing, and knows no commits.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::entry::{BASE, Circumstances, ConflictType, OURS, Stages, THEIRS, decide};
use super::overlay::Overlay;
use super::renames;
use crate::ops::error::OpsError;
use crate::snapshot::SnapshotError;
use crate::snapshot::tree_diff::{Change, Leaf, tree_diff};
use crate::store::id::ObjectId;

/// A path that either side changed.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// What base, ours and theirs have there; renames move these about.
    pub(super) stages: Stages,
    /// The same before renames.
    pub(super) original: Stages,
    /// Whether a rename took it away for good.
    pub(super) moved: bool,
    /// The conflict that a rename gave it: number of the group of paths that have it together.
    pub(super) group: Option<usize>,
    /// What it was called before, on the side that did not rename it.
    pub(super) old_path: Option<Vec<u8>>,
    /// How many sides renamed something to here.
    pub(super) arrivals: u8,
}

impl Entry {
    /// The side whose file is taken as it is, because the other one did not change it or has the same.
    fn follow(&self) -> Option<usize> {
        match self.original {
            [base, ours, _] if base.is_some() && base == ours => Some(THEIRS),
            [base, _, theirs] if base.is_some() && base == theirs => Some(OURS),
            [_, ours, theirs] if ours.is_some() && ours == theirs => Some(OURS),
            _ => None,
        }
    }
}

/// Paths in order, as bytes.
pub(super) type Entries = BTreeMap<Vec<u8>, Entry>;

/// A conflict: the paths that have it together. A file, symlink or nothing at each settles it.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Conflict {
    pub(super) kind: ConflictType,
    /// The path it goes by.
    pub(super) path: Vec<u8>,
    /// The other path it is about, if any.
    pub(super) related: Option<Vec<u8>>,
    /// All paths that are settled together, with what each side has there.
    pub(super) paths: Vec<(Vec<u8>, Stages)>,
    /// What base, ours and theirs have, for reports.
    pub(super) stages: Stages,
}

/// What a merge makes of the paths that either side changed.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// What is there after the merge; with conflicts, what Git leaves there.
    pub(super) results: BTreeMap<Vec<u8>, Option<Leaf>>,
    /// What ours had at those paths.
    pub(super) ours: BTreeMap<Vec<u8>, Option<Leaf>>,
    pub(super) conflicts: Vec<Conflict>,
    /// Whether there were too many candidates to look for all renames.
    pub(super) limited: bool,
}

impl Merged {
    /// The first path below a folder that has something.
    pub(super) fn first_below(&self, folder: &[u8]) -> Option<&[u8]> {
        first_below(&self.results, folder)
    }

    /// Whether ours had something below a folder.
    fn had_below(&self, folder: &[u8]) -> bool {
        first_below(&self.ours, folder).is_some()
    }

    /// What differs from ours.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&[u8], Option<Leaf>)> {
        let differs = |path: &[u8], leaf: Option<Leaf>| self.ours.get(path).copied().flatten() != leaf;
        self.results.iter().map(|(path, leaf)| (&path[..], *leaf)).filter(move |(p, l)| differs(p, *l))
    }
}

fn first_below<'m>(files: &'m BTreeMap<Vec<u8>, Option<Leaf>>, folder: &[u8]) -> Option<&'m [u8]> {
    let start = [folder, b"/"].concat();
    let after = (Bound::Included(&start[..]), Bound::Unbounded);
    let mut below = files.range::<[u8], _>(after).take_while(|(path, _)| path.starts_with(&start));
    below.find(|(_, leaf)| leaf.is_some()).map(|(path, _)| &path[..])
}

/// Merges `ours` and `theirs`, which both come from `base` (`None`: from nothing). `inner`: to make a common ancestor
/// of several, where conflicts are no concern.
pub(super) fn merge_trees(
    trees: &Overlay<'_>,
    base: Option<ObjectId>,
    ours: ObjectId,
    theirs: ObjectId,
    inner: bool,
) -> Result<Merged, OpsError> {
    let changes = [difference(trees, base, ours)?, difference(trees, base, theirs)?];
    let mut entries = collect(&changes);
    let mut merged = Merged::default();
    for (path, entry) in &entries {
        merged.ours.insert(path.clone(), entry.original[OURS]);
    }
    let [ours_changes, theirs_changes] = changes;
    let found = [
        renames::find(trees, &entries, ours_changes, OURS, ours)?,
        renames::find(trees, &entries, theirs_changes, THEIRS, theirs)?,
    ];
    merged.limited = found.iter().any(|found| found.limited);
    let groups = renames::apply(&mut entries, &found, inner);
    settle(entries, groups, &mut merged, inner);
    Ok(merged)
}

fn difference(
    trees: &Overlay<'_>,
    old: Option<ObjectId>,
    new: ObjectId,
) -> Result<Vec<Change>, SnapshotError> {
    let mut changes = Vec::new();
    tree_diff::<SnapshotError>(trees, b"", old, Some(new), &mut |change| {
        changes.push(change);
        Ok(true)
    })?;
    Ok(changes)
}

fn collect(changes: &[Vec<Change>; 2]) -> Entries {
    let mut entries = Entries::new();
    for (side, changes) in [OURS, THEIRS].into_iter().zip(changes) {
        for change in changes {
            let entry = entries
                .entry(change.path.clone())
                .or_insert_with(|| Entry { stages: [change.old; 3], ..Entry::default() });
            entry.stages[side] = change.new;
        }
    }
    entries.values_mut().for_each(|entry| entry.original = entry.stages);
    entries
}

/// Decides path by path, what lies in a folder before what has the folder's name.
fn settle(mut entries: Entries, mut groups: Vec<Conflict>, merged: &mut Merged, inner: bool) {
    while let Some((path, entry)) = entries.pop_last() {
        if entry.moved {
            merged.results.entry(path).or_insert(None);
            continue;
        }
        let below = merged.first_below(&path).map(<[u8]>::to_vec);
        let renamed = entry.group.map(|group| groups[group].kind);
        let known = Circumstances { follow: entry.follow(), renamed, in_the_way: below.is_some(), inner };
        let outcome = decide(&entry.stages, known);
        match outcome.conflict {
            Some(_) if entry.group.is_some() && below.is_none() => {
                let group = entry.group.unwrap_or_default();
                groups[group].paths.push((path.clone(), entry.stages));
            }
            Some(kind) => {
                let related = below.clone().or_else(|| entry.old_path.clone());
                let kind = if kind == ConflictType::AddAdd { collided(entry.arrivals) } else { kind };
                merged.conflicts.push(Conflict {
                    kind,
                    path: path.clone(),
                    related,
                    paths: vec![(path.clone(), entry.stages)],
                    stages: entry.stages,
                });
            }
            None => {}
        }
        if below.is_some() && outcome.leaf.is_some() && inner {
            // Nobody looks at it but a merge that has this one for its base.
            let aside: &[u8] = if merged.had_below(&path) {
                b"~Temporary merge branch 2"
            } else {
                b"~Temporary merge branch 1"
            };
            merged.results.insert([&path[..], aside].concat(), outcome.leaf);
            merged.results.insert(path, None);
        } else if below.is_some() {
            merged.results.insert(path, None);
        } else {
            merged.results.insert(path, outcome.leaf);
        }
    }
    groups.retain(|group| !group.paths.is_empty());
    merged.conflicts.append(&mut groups);
    merged.conflicts.sort_by(|a, b| a.path.cmp(&b.path));
}

const fn collided(arrivals: u8) -> ConflictType {
    match arrivals {
        0 => ConflictType::AddAdd,
        1 => ConflictType::RenameAdd,
        _ => ConflictType::RenameRename,
    }
}

/// Whether a source matters: whether base, ours and theirs all differ there.
pub(super) fn is_relevant(entries: &Entries, path: &[u8]) -> bool {
    entries.get(path).is_some_and(|entry| entry.original[BASE].is_some() && entry.follow().is_none())
}
