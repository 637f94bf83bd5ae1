//! The common ancestor of a merge: one commit's tree, or what several best ones give when they are merged in turn.
//!
//! Follows Git's `merge_ort_internal`: criss-cross merges have several bases; the oldest is merged with the next, and
//! so on, each time on the base of those two. Conflicts in there leave what was before. Nothing is stored.

use super::overlay::Overlay;
use super::threeway::merge_trees;
use crate::ops::error::OpsError;
use crate::snapshot::graph::merge_bases_of;
use crate::store::id::ObjectId;

/// Merges of ancestors that one merge may need. Real histories need a few; a made-up one could ask for any number.
const MAX_MERGES: usize = 500;

/// The tree of the common ancestor of what has these `bases`, newest first; `None` when there are none.
pub(super) fn base_tree(trees: &Overlay<'_>, bases: &[ObjectId]) -> Result<Option<ObjectId>, OpsError> {
    merged_base(trees, bases, &mut 0, 0)
}

fn merged_base(
    trees: &Overlay<'_>,
    bases: &[ObjectId],
    merges: &mut usize,
    depth: usize,
) -> Result<Option<ObjectId>, OpsError> {
    let mut oldest_first = bases.iter().rev().copied();
    let Some(first) = oldest_first.next() else { return Ok(None) };
    let mut tree = trees.catalog.commit(first)?.tree;
    let mut merged = vec![first];
    for next in oldest_first {
        *merges += 1;
        if *merges > MAX_MERGES || depth > 100 {
            return Err(OpsError::Invalid(format!(
                "the two histories have merged each other so often that finding their common ancestor takes over \
                 {MAX_MERGES} merges; commit the wanted files instead"
            )));
        }
        let inner = merge_bases_of(trees.catalog, &merged, next)?;
        let base = merged_base(trees, &inner, merges, depth + 1)?;
        let theirs = trees.catalog.commit(next)?.tree;
        let result = merge_trees(trees, base, tree, theirs, true)?;
        let changes: Vec<_> = result.changes().collect();
        tree = trees.keep(tree, &changes)?;
        merged.push(next);
    }
    Ok(Some(tree))
}
