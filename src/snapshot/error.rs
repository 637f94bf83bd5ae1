//! What can go wrong when a revision is read, with the revision and the path that were asked for.

use thiserror::Error;

use crate::store::StoreError;
use crate::store::path::PathError;

/// A failure to read a revision.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Nothing in the vault answers to the name.
    #[error("revision `{revision}` not found: {detail}")]
    RevisionNotFound {
        /// As it was asked for.
        revision: String,
        /// Why not, and where to look.
        detail: String,
    },
    /// More than one thing answers to the name.
    #[error("revision `{revision}` is ambiguous: {detail}")]
    AmbiguousRevision {
        /// As it was asked for.
        revision: String,
        /// What it could mean.
        detail: String,
    },
    /// The revision has nothing at that path.
    #[error("`{path}` is not in {revision}")]
    EntryNotFound {
        /// As it was asked for.
        path: String,
        /// The revision.
        revision: String,
    },
    /// A folder was asked for as a file.
    #[error("`{path}` in {revision} is a folder, not a file")]
    IsADirectory {
        /// As it was asked for.
        path: String,
        /// The revision.
        revision: String,
    },
    /// A file was asked for as a folder.
    #[error("`{path}` in {revision} is not a folder")]
    NotADirectory {
        /// As it was asked for.
        path: String,
        /// The revision.
        revision: String,
    },
    /// More paths than are held at a time: see [`MAX_PATHS`](super::budget::MAX_PATHS).
    #[error(
        "these are more than {} paths (or {} MiB of names), more than are worked with at a time; nothing was changed: \
         ask for a part, by naming files and folders",
        super::budget::MAX_PATHS,
        super::budget::MAX_PATH_BYTES_HELD >> 20
    )]
    TooManyPaths,
    /// The path is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The bytes of one file could not be had.
    #[error("cannot read `{file}`: {source}")]
    Read {
        /// Path and revision, as `path@revision`.
        file: String,
        /// Why not.
        source: StoreError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Nothing answers to a name.
pub(super) fn not_found(revision: &str, detail: &str) -> SnapshotError {
    SnapshotError::RevisionNotFound { revision: revision.to_owned(), detail: detail.to_owned() }
}
