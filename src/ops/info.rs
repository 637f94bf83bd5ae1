//! `repo_info` and the small questions around it: is there a vault, a revision, a file?

use std::path::Path;

use super::Repository;
use super::error::OpsError;
use super::history::iso;
use super::models::RepoInfo;
use crate::snapshot::SnapshotError;
use crate::store::StoreError;
use crate::store::frame;
use crate::store::object::Mode;

impl Repository {
    /// What the vault is, and where `revision` (default: the default branch) is.
    pub fn repo_info(&self, revision: Option<&str>) -> Result<RepoInfo, OpsError> {
        let view = self.vault().view();
        let snapshot = self.snapshot(revision)?;
        Ok(RepoInfo {
            repo_path: self.root().map(|root| root.display().to_string()),
            format_version: frame::VERSION,
            default_branch: view.default_branch()?.short().to_owned(),
            head: snapshot.id(),
            last_modified: iso(snapshot.commit().committer.time().seconds),
            refs: view.state.refs.keys().map(ToString::to_string).collect(),
        })
    }

    /// Whether there is a vault in the folder `root`. A damaged one is an error: it is there.
    pub fn repo_exists(root: &Path) -> Result<bool, OpsError> {
        match Self::open(root) {
            Ok(_) => Ok(true),
            Err(OpsError::Store(StoreError::NotAVault)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether `revision` names a commit.
    pub fn revision_exists(&self, revision: &str) -> Result<bool, OpsError> {
        match self.snapshot(Some(revision)) {
            Ok(_) => Ok(true),
            Err(SnapshotError::RevisionNotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a file (or symlink) is at `filename` in `revision` (default: the default branch).
    pub fn file_exists(&self, filename: &str, revision: Option<&str>) -> Result<bool, OpsError> {
        let entry = self.snapshot(revision)?.try_entry(filename)?;
        Ok(entry.is_some_and(|entry| entry.mode != Mode::Directory))
    }
}
