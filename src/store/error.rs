//! What can go wrong with bytes at rest, in words a user can act on.
//!
//! Every variant names the vault file, object or ref it is about. Layers above wrap these with the path and
//! revision that were asked for; only `cli` and `mount` turn them into exit codes or errno.

use std::io;

use thiserror::Error;

use super::id::{ObjectId, Sha256};
use super::object::{DecodeError, Kind};
use super::refname::RefName;

/// A failure of the store.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk refused.
    #[error("cannot {action} `{file}` in the vault: {source}")]
    Io {
        /// What was being done, as a verb: "read", "sync".
        action: &'static str,
        /// The file, relative to the vault.
        file: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A vault file is missing, or its bytes are not those that were written.
    #[error("vault file `{file}` is damaged: {detail}")]
    Damaged {
        /// The file, relative to the vault.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no `HUBVAULT` marker, so this is no vault.
    #[error("there is no vault here (no `HUBVAULT` file); create one with `hv init`")]
    NotAVault,
    /// The marker is there and the first transaction is not: `init` was interrupted.
    #[error("the vault was never finished; run `hv init` on it again")]
    Unfinished,
    /// Written by a later version of the program.
    #[error(
        "`{file}` has format version {found}, this program reads up to {supported}; use a newer hubvault"
    )]
    UnsupportedVersion {
        /// The file, relative to the vault.
        file: String,
        /// The version it says.
        found: u32,
        /// The newest this program reads.
        supported: u32,
    },
    /// Somebody asked for it; see [`Interrupt`](super::interrupt::Interrupt).
    #[error("interrupted before it was done")]
    Interrupted,
    /// Nothing in the vault has this id.
    #[error("object {0} is not in the vault")]
    MissingObject(ObjectId),
    /// No content with this hash is in the vault.
    #[error("content sha256:{0} is not in the vault")]
    MissingContent(Sha256),
    /// The object exists and is something else.
    #[error("object {id} is a {found}, not a {expected}")]
    WrongKind {
        /// The object asked for.
        id: ObjectId,
        /// What it was asked for as.
        expected: Kind,
        /// What it is.
        found: Kind,
    },
    /// The object's bytes are not a valid Git object.
    #[error("object {id}: {source}")]
    BadObject {
        /// The object.
        id: ObjectId,
        /// What is malformed.
        source: DecodeError,
    },
    /// Two different contents claim one Git id.
    #[error(
        "object id {0} already stands for other bytes (SHA-1 collision); refusing to store a second content"
    )]
    Collision(ObjectId),
    /// A tree of over 128 MiB, or a commit or tag of over 4 MiB.
    #[error(
        "object {0} is too large: split a folder of over a million names, shorten a message of over 4 MiB"
    )]
    ObjectTooLarge(ObjectId),
    /// A ref is not where the transaction expected it.
    #[error("{name} has moved: expected {}, found {}", show(*.expected), show(*.found))]
    RefMoved {
        /// The ref.
        name: RefName,
        /// Where the transaction was built on; `None`: it must not exist.
        expected: Option<ObjectId>,
        /// Where it is; `None`: it does not exist.
        found: Option<ObjectId>,
    },
    /// Another ref is in the way (`a` and `a/b` cannot both exist).
    #[error("cannot create {name}: {other} exists, and one name cannot be a folder of the other")]
    RefConflict {
        /// The ref that was to be created.
        name: RefName,
        /// The one that exists.
        other: RefName,
    },
    /// Somebody published the same transaction number first; the caller rebuilds on the new state.
    #[error("another writer published transaction {0} first; try again")]
    Overtaken(u64),
    /// Garbage was collected since the transaction began: what it relies on may be gone.
    #[error(
        "transaction {0} collected garbage while this one was being prepared, which may rely on what is gone; nothing was changed, try again"
    )]
    Collected(u64),
    /// The record was written and made visible, and the disk did not confirm that it will last.
    #[error(
        "transaction {seq} was written, but the disk did not confirm it: {source}; check with `hv log` before trying again"
    )]
    Unconfirmed {
        /// Number of the transaction.
        seq: u64,
        /// The operating system's answer to the last sync.
        source: io::Error,
    },
    /// Content that was being stored could not be read to its end.
    #[error("cannot read `{name}`: {source}")]
    Source {
        /// What was being read, as the caller named it.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// Content changed while it was being stored.
    #[error("`{0}` changed while it was being read; nothing was committed, try again when it is at rest")]
    SourceChanged(String),
    /// A small file that is itself an LFS pointer would later read as the content it points to.
    #[error(
        "`{0}` is a Git LFS pointer, not the file itself; fetch the real content (`git lfs pull`) and commit that"
    )]
    PointerAsContent(String),
}

fn show(id: Option<ObjectId>) -> String {
    id.map_or_else(|| "no such ref".to_owned(), |id| id.to_string())
}

impl StoreError {
    /// For `map_err`: the same I/O error with the vault file it is about.
    pub(crate) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { action, file, source }
    }

    /// As [`StoreError::io`] for reading: a file that is absent or ends early is damage, not a disk error.
    pub(crate) fn reading(file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Damaged { file, detail: "the file is missing".to_owned() },
            io::ErrorKind::UnexpectedEof => {
                Self::Damaged { file, detail: "the file is too short".to_owned() }
            }
            _ => Self::Io { action: "read", file, source },
        }
    }

    /// Whether the disk is full.
    pub fn is_out_of_space(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    pub(crate) fn damaged(file: &str, detail: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), detail: detail.into() }
    }
}
