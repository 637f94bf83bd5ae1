//! What can go wrong with a use case. Each variant has a stable code ([`OpsError::code`]) that `--json`, exit
//! codes and other languages mirror.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::snapshot::SnapshotError;
use crate::store::StoreError;
use crate::store::id::ObjectId;
use crate::store::path::PathError;
use crate::store::refname::RefNameError;

/// A failure of a use case.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpsError {
    /// The branch is not where the caller said it is.
    #[error(
        "{branch} is at {found}, not at the given parent {expected}; nothing was committed: look at what \
         happened (`hv log {branch}`) and commit again"
    )]
    Conflict {
        /// The branch.
        branch: String,
        /// The parent that was pinned.
        expected: ObjectId,
        /// Where the branch is.
        found: ObjectId,
    },
    /// A file and a folder, or two names that some systems cannot tell apart, would be in one place.
    #[error("`{path}` cannot be added: {detail}")]
    PathConflict {
        /// The path in the repository.
        path: String,
        /// What is in the way and what to do.
        detail: String,
    },
    /// A ref with that name exists.
    #[error("{name} already exists, at {at}")]
    RefExists {
        /// The full name.
        name: String,
        /// Where it points.
        at: ObjectId,
    },
    /// The branch does not exist.
    #[error("branch `{0}` not found; `hv branch` lists them, `hv branch NAME` creates one")]
    BranchNotFound(String),
    /// A local file cannot be committed.
    #[error("`{}`: {detail}", path.display())]
    Local {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        detail: String,
    },
    /// A local file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    LocalIo {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A file or folder outside the vault cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    LocalWrite {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The vault has no place for a copy.
    #[error(
        "cannot keep a copy in `{}`: {source}; name a folder outside the vault to download to (`--local-dir`)",
        path.display()
    )]
    NoCache {
        /// The vault's cache.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// No file of a folder is to be uploaded.
    #[error("nothing in `{}` is to be uploaded: {detail}", path.display())]
    NothingMatched {
        /// The folder.
        path: PathBuf,
        /// Why nothing.
        detail: String,
    },
    /// An argument makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A path in the repository that is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A ref name that is none.
    #[error(transparent)]
    RefName(#[from] RefNameError),
    /// Reading a revision failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpsError {
    /// A stable one-word code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::PathConflict { .. } => "path-conflict",
            Self::RefExists { .. } => "ref-exists",
            Self::BranchNotFound(_) => "revision-not-found",
            Self::Local { .. } | Self::LocalIo { .. } | Self::LocalWrite { .. } | Self::NoCache { .. } => {
                "local-file"
            }
            Self::NothingMatched { .. } => "nothing-matched",
            Self::Invalid(_) => "invalid-argument",
            Self::Path(_) => "unsupported-path",
            Self::RefName(_) => "invalid-ref-name",
            Self::Snapshot(error) => snapshot_code(error),
            Self::Store(error) => store_code(error),
        }
    }
}

fn snapshot_code(error: &SnapshotError) -> &'static str {
    match error {
        SnapshotError::RevisionNotFound { .. } => "revision-not-found",
        SnapshotError::AmbiguousRevision { .. } => "ambiguous-revision",
        SnapshotError::EntryNotFound { .. } => "entry-not-found",
        SnapshotError::IsADirectory { .. } => "is-a-directory",
        SnapshotError::NotADirectory { .. } => "not-a-directory",
        SnapshotError::Path(_) => "unsupported-path",
        SnapshotError::Read { source, .. } | SnapshotError::Store(source) => store_code(source),
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::NotAVault | StoreError::Unfinished => "not-a-vault",
        StoreError::Damaged { .. }
        | StoreError::BadObject { .. }
        | StoreError::MissingObject(_)
        | StoreError::MissingContent(_)
        | StoreError::WrongKind { .. } => "damaged",
        StoreError::UnsupportedVersion { .. } => "unsupported-version",
        StoreError::RefMoved { .. } | StoreError::Overtaken(_) => "conflict",
        StoreError::RefConflict { .. } => "ref-conflict",
        StoreError::Collision(_) => "id-collision",
        StoreError::Source { .. } | StoreError::SourceChanged(_) | StoreError::PointerAsContent(_) => {
            "local-file"
        }
        StoreError::Unconfirmed { .. } => "unconfirmed",
        StoreError::ObjectTooLarge(_) => "too-large",
        StoreError::Io { .. } => "io",
    }
}
