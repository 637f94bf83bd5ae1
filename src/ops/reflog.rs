//! `list_repo_reflog`: every change of a branch or tag, newest first, also of one that is gone.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::Repository;
use super::error::OpsError;
use super::history::iso;
use crate::snapshot::{SnapshotError, reflog};
use crate::store::id::ObjectId;
use crate::store::object::Timestamp;
use crate::store::refname::RefName;
use crate::store::vault::View;

/// A change of a ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReflogEntry {
    /// When; as JSON ISO 8601 in UTC.
    #[serde(serialize_with = "as_iso")]
    pub timestamp: Timestamp,
    /// Full name of the ref.
    pub ref_name: String,
    /// Where it was; `None` when it was new.
    pub old_head: Option<ObjectId>,
    /// Where it went; `None` when it was deleted.
    pub new_head: Option<ObjectId>,
    /// Why, as `git reflog` shows it.
    pub message: String,
    /// Of the transaction's record: `blake3:` and 64 digits.
    pub checksum: String,
    /// Number of the transaction.
    pub transaction: u64,
    /// Who did it, as `Name <email>`.
    pub actor: String,
}

pub(super) fn as_iso<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&iso(time.seconds))
}

/// The changes of a ref, newest first, read from the log as they are asked for.
#[derive(Debug)]
pub struct Reflog(reflog::Reflog<Arc<View>>);

impl Reflog {
    /// The ref.
    pub fn name(&self) -> &RefName {
        self.0.name()
    }
}

impl Iterator for Reflog {
    type Item = Result<ReflogEntry, OpsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.0.next()?;
        Some(entry.map_err(OpsError::from).map(|entry| ReflogEntry {
            timestamp: entry.time,
            ref_name: self.name().to_string(),
            old_head: entry.old,
            new_head: entry.new,
            message: entry.message,
            checksum: format!("blake3:{}", entry.checksum),
            transaction: entry.seq,
            actor: entry.actor,
        }))
    }
}

impl Repository {
    /// The changes of a branch or tag (a short or full name; `HEAD` is the default branch), newest first, also of
    /// one that was deleted. No commit is read: `gc` takes nothing from it.
    ///
    /// # Errors
    /// [`OpsError::TwoRefs`] for the short name of a branch and a tag; not found when nothing ever had the name.
    pub fn reflog(&self, ref_name: &str) -> Result<Reflog, OpsError> {
        let view = self.vault().view();
        let name = reflog::find(&view, ref_name).map_err(|error| match error {
            SnapshotError::AmbiguousRevision { .. } => OpsError::TwoRefs(ref_name.to_owned()),
            error => error.into(),
        })?;
        Ok(Reflog(reflog::reflog(view, name)))
    }

    /// The same as a list of at most `limit` entries.
    pub fn list_repo_reflog(
        &self,
        ref_name: &str,
        limit: Option<usize>,
    ) -> Result<Vec<ReflogEntry>, OpsError> {
        self.reflog(ref_name)?.take(limit.unwrap_or(usize::MAX)).collect()
    }
}
