//! `du` of revisions and folders: how much they show, how much is stored for them, and how much of that for them
//! alone.
//!
//! Bytes are unique to a revision when no other commit that a ref leads to has them: what deleting it would free,
//! once nothing holds it. Counted chunk by chunk, with a byte of memory for each chunk of the vault.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::error::OpsError;
use super::history::History;
use super::{Repository, join};
use crate::snapshot::{Mode, Snapshot, resolve};
use crate::store::error::StoreError;
use crate::store::id::ObjectId;
use crate::store::index::ChunkRow;
use crate::store::mark::{Marker, Marks, Missing};
use crate::store::vault::View;

/// What a revision takes up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevisionUsage {
    /// The revision as it was asked for, or the full name of a ref.
    pub revision: String,
    /// Its commit.
    pub commit: ObjectId,
    /// Number of its files, each path counted.
    pub file_count: u64,
    /// Their bytes.
    pub logical_size: u64,
    /// Bytes stored for them.
    pub stored_size: u64,
    /// Of these, what no other commit needs.
    pub unique_size: u64,
    /// Of these, what other commits need too.
    pub shared_size: u64,
}

/// What a path takes up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathUsage {
    /// The path.
    pub path: String,
    /// `file` or `directory`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Number of files at or below it.
    pub file_count: u64,
    /// Their bytes.
    pub logical_size: u64,
    /// Bytes stored for them; what two paths share counts for both.
    pub stored_size: u64,
}

impl Repository {
    /// What one revision (default: the default branch) takes up.
    pub fn revision_usage(&self, revision: Option<&str>) -> Result<RevisionUsage, OpsError> {
        let snapshot = self.snapshot(revision)?;
        let named = BTreeMap::from([(snapshot.revision().to_owned(), snapshot.id())]);
        let mut found = self.usage_of(&self.vault().view(), named)?;
        Ok(found.remove(0))
    }

    /// What every branch and tag takes up, by name.
    pub fn ref_usage(&self) -> Result<Vec<RevisionUsage>, OpsError> {
        let view = self.vault().view();
        let mut named = BTreeMap::new();
        for (name, &id) in &view.state.refs {
            named.insert(name.to_string(), resolve::peeled(&view, id)?);
        }
        self.usage_of(&view, named)
    }

    fn usage_of(
        &self,
        view: &Arc<View>,
        named: BTreeMap<String, ObjectId>,
    ) -> Result<Vec<RevisionUsage>, OpsError> {
        // A commit with two names is one revision.
        let mut tips: Vec<ObjectId> = named.values().copied().collect();
        tips.sort_unstable();
        tips.dedup();
        let mut others = Marker::new(&view.catalog);
        let mut history = History::empty(view);
        for &id in view.state.refs.values() {
            history.add(id)?;
            for step in &mut history {
                let (id, commit) = step?;
                if tips.binary_search(&id).is_err() {
                    others.mark(commit.tree, Missing::Refuse)?;
                }
            }
        }
        let mut users = Users::new(&others.marks, view);
        let mut found = Vec::new();
        for &tip in &tips {
            let mut marker = Marker::new(&view.catalog);
            marker.mark(view.catalog.commit(tip)?.tree, Missing::Refuse)?;
            users.add(&marker.marks);
        }
        for (revision, commit) in named {
            let snapshot = Snapshot::open(Arc::clone(view), &commit.to_string(), self.cache())?;
            let mut marker = Marker::new(&view.catalog);
            marker.mark(snapshot.commit().tree, Missing::Refuse)?;
            let (unique_size, shared_size) = users.split(view, &marker.marks)?;
            let (file_count, logical_size) = shown(&snapshot, snapshot.commit().tree)?;
            found.push(RevisionUsage {
                revision,
                commit,
                file_count,
                logical_size,
                stored_size: unique_size + shared_size,
                unique_size,
                shared_size,
            });
        }
        Ok(found)
    }

    /// What each entry of a folder of a revision takes up, in Git's order.
    pub fn path_usage(&self, revision: Option<&str>, folder: &str) -> Result<Vec<PathUsage>, OpsError> {
        let snapshot = self.snapshot(revision)?;
        let view = self.vault().view();
        let at = snapshot.entry(folder)?;
        let folder = folder.trim_matches('/');
        let (entries, parent) = if at.mode == Mode::Directory {
            (snapshot.list(at.id)?, folder)
        } else {
            (vec![at], folder.rsplit_once('/').map_or("", |(parent, _)| parent))
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = String::from_utf8_lossy(&entry.name);
            let mut marker = Marker::new(&view.catalog);
            marker.mark(entry.id, Missing::Refuse)?;
            let is_folder = entry.mode == Mode::Directory;
            let (file_count, logical_size) =
                if is_folder { shown(&snapshot, entry.id)? } else { (1, snapshot.info(&entry)?.size) };
            found.push(PathUsage {
                path: join(parent, &name),
                kind: if is_folder { "directory" } else { "file" },
                file_count,
                logical_size,
                stored_size: marker.tally.content,
            });
        }
        Ok(found)
    }
}

/// Number and bytes of the files below a folder, each path counted.
fn shown(snapshot: &Snapshot, folder: ObjectId) -> Result<(u64, u64), OpsError> {
    let (mut files, mut bytes) = (0, 0u64);
    snapshot.walk(folder, b"", &mut |_, entry| {
        if entry.mode != Mode::Directory {
            files += 1;
            bytes = bytes.saturating_add(snapshot.info(entry)?.size);
        }
        Ok(true)
    })?;
    Ok((files, bytes))
}

/// For each chunk, how many of the revisions need it: 0, 1, or more.
struct Users(Vec<Vec<u8>>);

impl Users {
    /// What `others` need counts as needed by many.
    fn new(others: &[Marks], view: &View) -> Self {
        let counts = view.catalog.indexes().iter().zip(others).map(|(index, marks)| {
            let needed = |chunk| if marks.chunks.has(chunk) { 2 } else { 0 };
            (0..index.count::<ChunkRow>()).map(needed).collect()
        });
        Self(counts.collect())
    }

    fn add(&mut self, marks: &[Marks]) {
        for (counts, marks) in self.0.iter_mut().zip(marks) {
            for (chunk, count) in (0..).zip(counts) {
                *count = count.saturating_add(u8::from(marks.chunks.has(chunk))).min(2);
            }
        }
    }

    /// Stored bytes of the marked chunks: of those that one revision needs, and of the others.
    fn split(&self, view: &View, marks: &[Marks]) -> Result<(u64, u64), StoreError> {
        let (mut unique, mut shared) = (0, 0);
        for ((index, counts), marks) in view.catalog.indexes().iter().zip(&self.0).zip(marks) {
            for (chunk, &count) in (0..).zip(counts) {
                if marks.chunks.has(chunk) {
                    let stored = u64::from(index.row::<ChunkRow>(chunk)?.stored_len);
                    if count == 1 { unique += stored } else { shared += stored }
                }
            }
        }
        Ok((unique, shared))
    }
}
