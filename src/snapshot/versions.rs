//! What a view that outlives one commit asks of its vault: where refs point now, and commits that stay readable.
//!
//! A mount that follows a branch, or shows a whole vault, opens commits while it runs. It does so through
//! [`Versions`], because how refs move, and what keeps a collection from taking a commit that is being read, is not its
//! business. Implemented by `ops`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::{ObjectId, Snapshot, SnapshotError};
use crate::store::lease::HeldLease;

/// Where refs point, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs {
    /// Number of the newest transaction: two of the same number are equal.
    pub number: u64,
    /// Short name of the default branch.
    pub default_branch: String,
    /// When the newest commit of the default branch was made, in seconds since 1970; 0 when there is none.
    pub time: i64,
    /// Branches by short name.
    pub branches: BTreeMap<String, ObjectId>,
    /// Tags by short name; what a tag points at may be a tag, and need not lead to a commit.
    pub tags: BTreeMap<String, ObjectId>,
}

/// A commit that stays readable until this is dropped.
#[derive(Debug)]
pub struct Held {
    /// The commit, opened.
    pub snapshot: Snapshot,
    /// What keeps it; `None` on a vault that cannot be written.
    pub lease: Option<HeldLease>,
}

/// A vault as it goes on.
pub trait Versions: Send + Sync + Debug + 'static {
    /// Where refs point now. Asked very often: costs next to nothing while nothing was published.
    ///
    /// # Errors
    /// What reading the log can meet.
    fn refs(&self) -> Result<Arc<Refs>, SnapshotError>;

    /// The commit that `id`, a commit or a tag of one, leads to, and its time in seconds since 1970.
    ///
    /// # Errors
    /// [`SnapshotError::RevisionNotFound`] when there is no such object, or it leads to something else.
    fn commit(&self, id: ObjectId) -> Result<(ObjectId, i64), SnapshotError>;

    /// Opens a commit, to be called `name` in messages, and keeps it.
    ///
    /// # Errors
    /// When it is not there (any more), or damaged.
    fn hold(&self, commit: ObjectId, name: &str) -> Result<Held, SnapshotError>;

    /// Commits of all branches, newest first, at most `most`: seconds since 1970 and id.
    ///
    /// # Errors
    /// What reading history can meet.
    fn history(&self, most: usize) -> Result<Vec<(i64, ObjectId)>, SnapshotError>;

    /// Bytes kept in memory to be read again.
    fn cached_bytes(&self) -> usize;

    /// Whether any content may be a file by itself; `false` is certain.
    fn may_hold_whole_files(&self) -> bool;
}
