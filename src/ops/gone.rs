//! What a collection takes away, in the user's terms: commits, and files by path and revision.
//!
//! A content goes when its record is not marked. Each is told of once, at the first commit that turns up with it;
//! folders that are needed are not gone through, so this costs what is dead, not what there is.

use std::collections::HashSet;

use serde::Serialize;

use super::gc::GoneCommit;
use super::join;
use crate::store::catalog::Catalog;
use crate::store::error::StoreError;
use crate::store::id::{ObjectId, Sha256};
use crate::store::index::{ObjectRow, Stored};
use crate::store::mark::{Marks, locate_file, locate_object};
use crate::store::object::{Kind, Mode};
use crate::store::path::MAX_DEPTH;

/// A file whose content goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GoneFile {
    /// Its path.
    pub path: String,
    /// A commit that has it there.
    pub commit: ObjectId,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub size: u64,
}

/// What goes; the lists have at most as many entries as were asked for.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) commits: Vec<GoneCommit>,
    pub(super) commit_count: u64,
    pub(super) files: Vec<GoneFile>,
    pub(super) file_count: u64,
}

/// Lists what is not marked.
pub(super) fn list(catalog: &Catalog, marks: &[Marks], limit: usize) -> Result<Gone, StoreError> {
    let mut dead = Vec::new();
    for (at, index) in catalog.indexes().iter().enumerate() {
        for ordinal in 0..index.count::<ObjectRow>() {
            let row: ObjectRow = index.row(ordinal)?;
            let is_commit = matches!(row.stored, Stored::Body { kind: Kind::Commit, .. });
            if is_commit
                && !marks[at].objects.has(ordinal)
                && locate_object(catalog, row.id)?
                    .is_some_and(|(holder, at_row, _)| (holder, at_row) == (at, ordinal))
            {
                let commit = catalog.commit(row.id)?;
                dead.push((commit.committer.time().seconds, row.id));
            }
        }
    }
    dead.sort_unstable_by(|a, b| b.cmp(a));
    let mut gone = Gone { commit_count: dead.len() as u64, ..Gone::default() };
    let mut seen = HashSet::new();
    for (time, id) in dead {
        let commit = catalog.commit(id)?;
        if gone.commits.len() < limit {
            gone.commits.push(GoneCommit { oid: id, title: commit.title(), time });
        }
        files(catalog, marks, id, commit.tree, limit, &mut seen, &mut gone)?;
    }
    Ok(gone)
}

fn files(
    catalog: &Catalog,
    marks: &[Marks],
    commit: ObjectId,
    root: ObjectId,
    limit: usize,
    seen: &mut HashSet<ObjectId>,
    gone: &mut Gone,
) -> Result<(), StoreError> {
    let mut pending = vec![(root, String::new())];
    while let Some((id, path)) = pending.pop() {
        let Some((at, ordinal, _)) = locate_object(catalog, id)? else { continue };
        if marks[at].objects.has(ordinal) || !seen.insert(id) || path.matches('/').count() >= MAX_DEPTH {
            continue;
        }
        for entry in catalog.tree(id)?.entries() {
            let name = String::from_utf8_lossy(&entry.name);
            let path = join(&path, &name);
            if entry.mode == Mode::Directory {
                pending.push((entry.id, path));
                continue;
            }
            let Some((at, ordinal, row)) = locate_object(catalog, entry.id)? else { continue };
            let (Stored::Blob(sha256) | Stored::Pointer(sha256)) = row.stored else { continue };
            if marks[at].objects.has(ordinal) || !seen.insert(entry.id) {
                continue;
            }
            let Some((at, ordinal, row)) = locate_file(catalog, sha256)? else { continue };
            if marks[at].files.has(ordinal) {
                continue;
            }
            gone.file_count += 1;
            if gone.files.len() < limit {
                gone.files.push(GoneFile { path, commit, sha256, size: row.size });
            }
        }
    }
    Ok(())
}
