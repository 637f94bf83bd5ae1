//! What can go wrong with a use case. Each variant has a stable code ([`OpsError::code`]) that `--json`, exit
//! codes and other languages mirror.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::squash::SquashReport;
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
    /// The branch has commits that the source does not have.
    #[error(
        "{branch} has commits that {source_revision} does not have, so it cannot just be moved there; nothing was \
         done: leave out `--ff-only` to make a merge commit"
    )]
    NotFastForward {
        /// The branch.
        branch: String,
        /// What was to be merged.
        source_revision: String,
    },
    /// Something that only a branch can be asked for was asked for something else.
    #[error("`{0}` is not a branch, and only a branch can be moved; `hv branch` lists them")]
    NotABranch(String),
    /// Two histories have no commit in common.
    #[error(
        "{branch} and {source_revision} have no commit in common; nothing was done: with \
         `--allow-unrelated-histories` they are merged as if both came from an empty folder"
    )]
    UnrelatedHistories {
        /// The branch.
        branch: String,
        /// What was to be merged.
        source_revision: String,
    },
    /// A ref with that name exists.
    #[error("{name} already exists, at {at}")]
    RefExists {
        /// The full name.
        name: String,
        /// Where it points.
        at: ObjectId,
    },
    /// A vault is there already.
    #[error("there is a vault in `{0}` already")]
    RepositoryExists(String),
    /// A commit of nothing was asked for.
    #[error("no operations were given, so there is nothing to commit")]
    NoOperations,
    /// The branch does not exist.
    #[error("branch `{0}` not found; `hv branch` lists them, `hv branch NAME` creates one")]
    BranchNotFound(String),
    /// The tag does not exist.
    #[error("tag `{0}` not found; `hv tag` lists them")]
    TagNotFound(String),
    /// A short name is a branch and a tag.
    #[error("`{0}` is a branch and a tag; say refs/heads/{0} or refs/tags/{0}")]
    TwoRefs(String),
    /// The default branch cannot go.
    #[error(
        "`{0}` is the default branch, which a vault cannot be without; make another one the default first \
         (`hv branch --default NAME`)"
    )]
    DefaultBranch(String),
    /// Deleting the branch would leave commits that the default branch does not have.
    #[error(
        "branch `{branch}` (at {at}) has commits that `{default}` does not have; merge it first, or delete it \
         all the same with `hv branch -D {branch}`"
    )]
    NotMerged {
        /// The branch.
        branch: String,
        /// Where it is.
        at: ObjectId,
        /// The default branch.
        default: String,
    },
    /// No transaction has this number.
    #[error("transaction {0} not found; `hv op log` lists them")]
    TransactionNotFound(u64),
    /// What a transaction moved was moved again since.
    #[error(
        "transaction {transaction} cannot be undone: {what} has moved since, last by transaction {later} \
         ({command}); nothing was changed: undo the later ones first (`hv undo {later}`)"
    )]
    UndoConflict {
        /// The transaction that was to be undone.
        transaction: u64,
        /// Full name of the ref, or `the default branch`.
        what: String,
        /// The newest transaction that moved it.
        later: u64,
        /// What that was, in one word.
        command: String,
    },
    /// A transaction cannot be undone.
    #[error("transaction {transaction} cannot be undone: {detail}")]
    CannotUndo {
        /// Its number.
        transaction: u64,
        /// Why not, and what to do.
        detail: String,
    },
    /// A commit is not on a branch's line of first parents.
    #[error("{revision} is not among the first parents of {branch}; `hv log {branch}` shows its history")]
    NotInHistory {
        /// The commit.
        revision: String,
        /// Short name of the branch.
        branch: String,
    },
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
    /// Garbage is not collected from a vault in which something that is needed is damaged or missing.
    #[error("nothing was removed, because the vault is not whole: {0}")]
    NotCollected(StoreError),
    /// Something failed when part of it was done already, of which there is something to say.
    #[error("{source}")]
    Midway {
        /// What is to be said besides.
        warnings: Vec<String>,
        /// Why the rest was not done.
        source: Box<Self>,
    },
    /// A branch was squashed, which stands; the collection that was to follow failed.
    #[error("{source}; {branch} is squashed all the same, by transaction {transaction}", branch = report.ref_name)]
    OnlySquashed {
        /// What was done.
        report: Box<SquashReport>,
        /// Number of the transaction.
        transaction: u64,
        /// Why garbage was not collected.
        source: Box<Self>,
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
    /// The same error, after what `warnings` say was done.
    pub(super) fn after(self, warnings: Vec<String>) -> Self {
        if warnings.is_empty() { self } else { Self::Midway { warnings, source: Box::new(self) } }
    }

    /// A stable one-word code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } | Self::UndoConflict { .. } | Self::NotInHistory { .. } => "conflict",
            Self::PathConflict { .. } => "path-conflict",
            Self::NotFastForward { .. } => "not-fast-forward",
            Self::UnrelatedHistories { .. } => "unrelated-histories",
            Self::RefExists { .. } => "ref-exists",
            Self::RepositoryExists(_) => "repository-exists",
            Self::NoOperations => "nothing-to-commit",
            Self::BranchNotFound(_) | Self::TagNotFound(_) => "revision-not-found",
            Self::TwoRefs(_) => "ref-conflict",
            Self::DefaultBranch(_) => "default-branch",
            Self::NotMerged { .. } => "not-merged",
            Self::TransactionNotFound(_) => "transaction-not-found",
            Self::CannotUndo { .. } => "cannot-undo",
            Self::Local { .. } | Self::LocalIo { .. } | Self::LocalWrite { .. } | Self::NoCache { .. } => {
                "local-file"
            }
            Self::NothingMatched { .. } => "nothing-matched",
            Self::Midway { source, .. } | Self::OnlySquashed { source, .. } => source.code(),
            Self::Invalid(_) => "invalid-argument",
            Self::Path(_) => "unsupported-path",
            Self::RefName(_) | Self::NotABranch(_) => "invalid-ref-name",
            Self::Snapshot(error) => snapshot_code(error),
            Self::Store(error) | Self::NotCollected(error) => store_code(error),
        }
    }

    /// The class of the Python package `hubvault` that this is: what a binding for Python raises.
    pub fn python_class(&self) -> &'static str {
        match self {
            Self::NotCollected(_) => return "VerificationError",
            Self::Midway { source, .. } | Self::OnlySquashed { source, .. } => return source.python_class(),
            _ => {}
        }
        match self.code() {
            "not-a-vault" => "RepositoryNotFoundError",
            "repository-exists" => "RepositoryAlreadyExistsError",
            "revision-not-found" | "ambiguous-revision" | "transaction-not-found" => "RevisionNotFoundError",
            "entry-not-found" | "is-a-directory" => "EntryNotFoundError",
            "conflict"
            | "path-conflict"
            | "ref-exists"
            | "ref-conflict"
            | "nothing-to-commit"
            | "nothing-matched"
            | "default-branch"
            | "not-merged"
            | "not-fast-forward"
            | "unrelated-histories"
            | "cannot-undo" => "ConflictError",
            "damaged" | "id-collision" | "unsupported-version" => "IntegrityError",
            "unsupported-path" | "invalid-ref-name" | "not-a-directory" => "UnsupportedPathError",
            "invalid-argument" | "local-file" => "ValueError",
            _ => "HubVaultError",
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
        SnapshotError::TooManyPaths => "too-large",
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
        StoreError::RefMoved { .. } | StoreError::Overtaken(_) | StoreError::Collected(_) => "conflict",
        StoreError::RefConflict { .. } => "ref-conflict",
        StoreError::Collision(_) => "id-collision",
        StoreError::Source { .. } | StoreError::SourceChanged(_) | StoreError::PointerAsContent(_) => {
            "local-file"
        }
        StoreError::Unconfirmed { .. } => "unconfirmed",
        StoreError::ObjectTooLarge(_) => "too-large",
        StoreError::Io { .. } => "io",
        StoreError::Interrupted => "interrupted",
    }
}
