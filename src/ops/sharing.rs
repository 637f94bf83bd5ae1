//! `dedup`: how much two revisions, folders or files store together.
//!
//! Counted chunk by chunk over the index, so nothing is read: two checkpoints of any size are compared in the time it
//! takes to look at their chunks' rows. It must not know how chunks came to be shared.

use std::sync::Arc;

use serde::Serialize;

use super::Repository;
use super::error::OpsError;
use crate::snapshot::Snapshot;
use crate::snapshot::resolve::split_path;
use crate::store::id::ObjectId;
use crate::store::index::ChunkRow;
use crate::store::mark::{Marker, Marks, Missing};
use crate::store::vault::View;

/// One of the two that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharingSide {
    /// As it was asked for.
    pub name: String,
    /// Its Git object: of a revision its commit, of a path its tree or blob.
    pub oid: ObjectId,
    /// Bytes of its different contents.
    pub logical_size: u64,
    /// Bytes stored for them.
    pub stored_size: u64,
    /// Of these, what the other one does not have.
    pub unique_size: u64,
}

/// What two revisions or paths store together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sharing {
    /// The first.
    pub left: SharingSide,
    /// The second.
    pub right: SharingSide,
    /// Bytes stored once that both need.
    pub shared_size: u64,
}

impl Repository {
    /// Compares what is stored for two revisions, or for two paths named `REV:PATH` as in Git.
    ///
    /// # Errors
    /// [`OpsError::Snapshot`] when a revision or a path is not there.
    pub fn sharing(&self, left: &str, right: &str) -> Result<Sharing, OpsError> {
        let view = self.vault().view();
        let (left_id, left_marks) = self.marked(&view, left)?;
        let (right_id, right_marks) = self.marked(&view, right)?;
        let shared_size = stored_in_both(&view, &left_marks.marks, &right_marks.marks)?;
        let side = |name: &str, oid, marker: &Marker<'_>| SharingSide {
            name: name.to_owned(),
            oid,
            logical_size: marker.tally.logical,
            stored_size: marker.tally.content,
            unique_size: marker.tally.content - shared_size,
        };
        Ok(Sharing {
            left: side(left, left_id, &left_marks),
            right: side(right, right_id, &right_marks),
            shared_size,
        })
    }

    fn marked<'v>(&self, view: &'v Arc<View>, target: &str) -> Result<(ObjectId, Marker<'v>), OpsError> {
        let (revision, path) = split_path(target);
        let revision = if revision.is_empty() { "HEAD" } else { revision };
        let snapshot = Snapshot::open(Arc::clone(view), revision, self.cache())?;
        let (oid, root) = match path {
            None => (snapshot.id(), snapshot.commit().tree),
            Some(path) => snapshot.entry(path).map(|entry| (entry.id, entry.id))?,
        };
        let mut marker = Marker::new(&view.catalog);
        marker.mark(root, Missing::Refuse)?;
        Ok((oid, marker))
    }
}

fn stored_in_both(view: &View, left: &[Marks], right: &[Marks]) -> Result<u64, OpsError> {
    let mut stored = 0;
    for ((index, left), right) in view.catalog.indexes().iter().zip(left).zip(right) {
        for chunk in 0..index.count::<ChunkRow>() {
            if left.chunks.has(chunk) && right.chunks.has(chunk) {
                stored += u64::from(index.row::<ChunkRow>(chunk)?.stored_len);
            }
        }
    }
    Ok(stored)
}
