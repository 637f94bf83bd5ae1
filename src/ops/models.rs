//! What use cases answer, named and serialised as the Hub's JSON names it.
//!
//! Field names follow the Hub's HTTP API (`docs/compatibility` of `huggingface_hub`), so that a server and
//! other languages can pass these through unchanged. Plain data; nothing here reads or decides.

use serde::Serialize;

use crate::store::id::{ObjectId, Sha256};
use crate::store::refname::RefName;

/// A branch or tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GitRefInfo {
    /// Short name.
    pub name: String,
    /// Full name.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// The commit it leads to.
    pub target_commit: ObjectId,
}

/// Every branch and tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GitRefs {
    /// Branches by name.
    pub branches: Vec<GitRefInfo>,
    /// Refs of converted data sets: always empty in a vault.
    pub converts: Vec<GitRefInfo>,
    /// Tags by name.
    pub tags: Vec<GitRefInfo>,
    /// Pull requests, of which a vault has none; absent unless they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_requests: Option<Vec<GitRefInfo>>,
}

/// A branch or tag that was moved, made or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefMove {
    /// Short name.
    pub name: String,
    /// Full name.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Where it was; `None` when it is new.
    pub old: Option<ObjectId>,
    /// Where it is; `None` when it is gone.
    pub new: Option<ObjectId>,
    /// Number of the transaction; `None` when there was nothing to do.
    pub transaction: Option<u64>,
}

impl RefMove {
    pub(super) fn new(
        name: &RefName,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
        transaction: Option<u64>,
    ) -> Self {
        Self { name: name.short().to_owned(), git_ref: name.to_string(), old, new, transaction }
    }
}

/// A commit in a history listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitCommitInfo {
    /// Its id.
    pub id: ObjectId,
    /// First paragraph of the message, on one line.
    pub title: String,
    /// The rest of the message.
    pub message: String,
    /// When it was authored: ISO 8601 in UTC.
    pub date: String,
    /// Who authored it.
    pub authors: Vec<CommitAuthor>,
    /// Ids of its parents.
    pub parents: Vec<ObjectId>,
}

/// An author of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitAuthor {
    /// The name, as the Hub calls it.
    pub user: String,
    /// The e-mail address.
    pub email: String,
}

/// An entry of a tree listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TreeItem {
    /// `file` or `directory`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Path from the root.
    pub path: String,
    /// Length of the content in bytes; 0 for directories.
    pub size: u64,
    /// Git id: of the blob (for large files: of the LFS pointer) or of the tree.
    pub oid: ObjectId,
    /// Git's mode, six digits.
    pub mode: String,
    /// SHA-256 of the content; absent for directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Present for files that are LFS pointers in Git.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lfs: Option<BlobLfsInfo>,
}

/// What the LFS pointer of a large file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobLfsInfo {
    /// SHA-256 of the content.
    pub oid: Sha256,
    /// Length of the content in bytes.
    pub size: u64,
    /// Length of the pointer in bytes.
    pub pointer_size: u64,
}
