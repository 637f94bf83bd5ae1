//! A difference as plain data: the seed product's `CommitChangeInfo` and `CommitDetailInfo`, with what it left out.
//!
//! Field names are those of `hubvault`'s first API; fields it did not have come after.

use serde::Serialize;

use super::{ChangeKind, Comparison, Content, DiffOptions, FileDiff, FileVersion, TensorDiff, patch};
use crate::ops::history::describe;
use crate::ops::models::GitCommitInfo;
use crate::ops::{ObjectId, OpsError, Repository};
use crate::snapshot::Sha256;

/// Texts longer than this, in bytes, have no patch in a [`CommitDetailInfo`].
pub const MAX_DETAIL_TEXT: u64 = 256 << 10;

/// A file of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitFileVersionInfo {
    /// Path from the root.
    pub path: String,
    /// Length of the content in bytes.
    pub size: u64,
    /// Git id of the blob (for large files: of the LFS pointer).
    pub oid: ObjectId,
    /// The same.
    pub blob_id: ObjectId,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Git's mode, six digits.
    pub mode: &'static str,
    /// Whether it is an LFS pointer in Git.
    pub lfs: bool,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommitChangeInfo {
    /// The path it has, or had.
    pub path: String,
    /// `added`, `deleted`, `modified` or `renamed`.
    pub change_type: &'static str,
    /// What was there.
    pub old_file: Option<CommitFileVersionInfo>,
    /// What is there.
    pub new_file: Option<CommitFileVersionInfo>,
    /// Whether it has no lines to compare: binary, large, or of tensors.
    pub is_binary: bool,
    /// The patch, as `git diff` prints it; absent for what has no lines, or too many.
    pub unified_diff: Option<String>,
    /// For a rename, how many hundredths are as they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similarity: Option<u8>,
    /// Lines added; absent for what has no lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additions: Option<usize>,
    /// Lines removed; absent for what has no lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletions: Option<usize>,
    /// Bytes of the new version in stored chunks of the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_bytes: Option<u64>,
    /// What changed in a safetensors file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensors: Option<TensorDiff>,
}

/// A commit and what it changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommitDetailInfo {
    /// The commit.
    pub commit: GitCommitInfo,
    /// Ids of its parents.
    pub parent_commit_ids: Vec<ObjectId>,
    /// The parent it is compared with: the first; none for a first commit.
    pub compare_parent_commit_id: Option<ObjectId>,
    /// What differs from that.
    pub changes: Vec<CommitChangeInfo>,
}

/// The seed's word for what happened to a file.
const fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Modified | ChangeKind::TypeChanged => "modified",
        ChangeKind::Renamed { .. } => "renamed",
    }
}

impl From<&FileVersion> for CommitFileVersionInfo {
    fn from(version: &FileVersion) -> Self {
        let FileVersion { path, mode, oid, size, sha256, lfs } = version;
        let (oid, path, mode) = (*oid, path.clone(), mode.octal());
        Self { path, size: *size, oid, blob_id: oid, sha256: *sha256, mode, lfs: *lfs }
    }
}

impl CommitChangeInfo {
    /// A file's difference with its patch, unless a side has more than `max_text` bytes.
    pub fn new(diff: &FileDiff, context: usize, max_text: u64) -> Self {
        let counts = diff.line_counts();
        let is_short = [&diff.old, &diff.new].into_iter().flatten().all(|version| version.size <= max_text);
        Self {
            path: diff.path().to_owned(),
            change_type: word(diff.kind),
            old_file: diff.old.as_ref().map(Into::into),
            new_file: diff.new.as_ref().map(Into::into),
            is_binary: counts.is_none(),
            unified_diff: (counts.is_some() && is_short).then(|| patch::to_text(diff, context)),
            similarity: if let ChangeKind::Renamed { similarity } = diff.kind {
                Some(similarity)
            } else {
                None
            },
            additions: counts.map(|(added, _)| added),
            deletions: counts.map(|(_, removed)| removed),
            shared_bytes: if let Content::Opaque { shared } = diff.content { shared } else { None },
            tensors: if let Content::Tensors(tensors) = &diff.content { Some(tensors.clone()) } else { None },
        }
    }
}

impl Repository {
    /// A commit and what it changed against its first parent, with `context` lines around each change.
    pub fn get_commit_detail(
        &self,
        revision: &str,
        options: DiffOptions,
        context: usize,
    ) -> Result<CommitDetailInfo, OpsError> {
        let id = self.snapshot(Some(revision))?.id();
        let comparison: Comparison = self.compare_to_parent(id, options)?;
        let (old, new) = comparison.revisions();
        let (commit, parents) = (describe(id, new.commit()), new.commit().parents.clone());
        let compare_parent_commit_id = old.map(crate::snapshot::Snapshot::id);
        let mut changes = Vec::new();
        for change in comparison.changes()? {
            changes.push(CommitChangeInfo::new(&comparison.file(&change)?, context, MAX_DETAIL_TEXT));
        }
        Ok(CommitDetailInfo { commit, parent_commit_ids: parents, compare_parent_commit_id, changes })
    }
}
