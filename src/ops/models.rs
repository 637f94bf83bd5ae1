//! What use cases answer, named and serialised as the Hub's JSON names it.
//!
//! Fields are called as in `huggingface_hub`, and serialise under the names of the Hub's HTTP API, so that a server
//! and other languages can pass these through unchanged. Plain data; nothing here reads or decides.

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
    #[serde(rename = "id")]
    pub commit_id: ObjectId,
    /// First paragraph of the message, on one line.
    pub title: String,
    /// The rest of the message.
    pub message: String,
    /// When it was authored: ISO 8601 in UTC.
    #[serde(rename = "date")]
    pub created_at: String,
    /// Who authored it.
    pub authors: Vec<CommitAuthor>,
    /// Ids of its parents.
    pub parents: Vec<ObjectId>,
    /// Title and message as HTML, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<FormattedMessage>,
}

/// A commit's message as HTML: `&`, `<`, `>` and quotes escaped, line ends as `<br />`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FormattedMessage {
    /// The title.
    pub title: String,
    /// The rest.
    pub message: String,
}

/// An author of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitAuthor {
    /// The name, as the Hub calls it.
    pub user: String,
    /// The e-mail address.
    pub email: String,
}

/// A vault, seen at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepoInfo {
    /// The folder it is in, when it is in one.
    pub repo_path: Option<String>,
    /// Version of the format on disk.
    pub format_version: u32,
    /// Short name of the default branch.
    pub default_branch: String,
    /// The commit the revision leads to.
    #[serde(rename = "sha")]
    pub head: ObjectId,
    /// When that commit was made: ISO 8601 in UTC.
    #[serde(rename = "lastModified")]
    pub last_modified: String,
    /// Full names of all refs.
    pub refs: Vec<String>,
}

/// An entry of a tree listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum RepoEntry {
    /// A file or a symlink.
    #[serde(rename = "file")]
    File(RepoFile),
    /// A folder.
    #[serde(rename = "directory")]
    Folder(RepoFolder),
}

impl RepoEntry {
    /// Path from the root.
    pub fn path(&self) -> &str {
        match self {
            Self::File(file) => &file.path,
            Self::Folder(folder) => &folder.path,
        }
    }

    /// Git id: of the blob (for large files: of the LFS pointer) or of the tree.
    pub fn oid(&self) -> ObjectId {
        match self {
            Self::File(file) => file.blob_id,
            Self::Folder(folder) => folder.tree_id,
        }
    }

    /// Git's mode, six digits.
    pub fn mode(&self) -> &str {
        match self {
            Self::File(file) => &file.mode,
            Self::Folder(_) => "040000",
        }
    }

    /// The commit that last changed it, when that was asked for.
    pub fn last_commit(&self) -> Option<&LastCommitInfo> {
        match self {
            Self::File(file) => file.last_commit.as_ref(),
            Self::Folder(folder) => folder.last_commit.as_ref(),
        }
    }

    /// Length of the content in bytes; `None` for folders.
    pub fn size(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.size),
            Self::Folder(_) => None,
        }
    }
}

/// A file or a symlink of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepoFile {
    /// Path from the root.
    pub path: String,
    /// Length of the content in bytes.
    pub size: u64,
    /// Git id of the blob; for large files, of the LFS pointer.
    #[serde(rename = "oid")]
    pub blob_id: ObjectId,
    /// Git's mode, six digits.
    pub mode: String,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Present for files that are LFS pointers in Git.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lfs: Option<BlobLfsInfo>,
    /// The commit that last changed it, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<LastCommitInfo>,
}

impl RepoFile {
    /// What a download of it is tagged with: the SHA-256 of an LFS file, the blob id of any other, as on the Hub.
    pub fn etag(&self) -> String {
        self.lfs.map_or_else(|| self.blob_id.to_string(), |lfs| lfs.sha256.to_string())
    }
}

/// A folder of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepoFolder {
    /// Path from the root.
    pub path: String,
    /// Git id of the tree.
    #[serde(rename = "oid")]
    pub tree_id: ObjectId,
    /// Always 0: the Hub's listings have the field.
    pub size: u64,
    /// Git's mode, six digits.
    pub mode: String,
    /// The commit that last changed anything in it, when that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<LastCommitInfo>,
}

/// The commit that last changed a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastCommitInfo {
    /// Its id.
    #[serde(rename = "id")]
    pub oid: ObjectId,
    /// First paragraph of the message, on one line.
    pub title: String,
    /// When it was authored: ISO 8601 in UTC.
    pub date: String,
}

/// What the LFS pointer of a large file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobLfsInfo {
    /// SHA-256 of the content.
    #[serde(rename = "oid")]
    pub sha256: Sha256,
    /// Length of the content in bytes.
    pub size: u64,
    /// Length of the pointer in bytes.
    pub pointer_size: u64,
}
