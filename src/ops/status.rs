//! `status`: what a vault is, where it stands, and whether anything is wrong with it at first sight.

use serde::Serialize;

use super::Repository;
use super::error::OpsError;
use crate::store::id::ObjectId;
use crate::store::lease::{self, Lease};
use crate::store::log::scan::Warning;
use crate::store::pack::Compression;

/// The state of a vault in a few lines.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The folder it is in.
    pub vault: Option<String>,
    /// Short name of the default branch.
    pub default_branch: String,
    /// The commit it is at.
    pub head: ObjectId,
    /// Title of that commit.
    pub head_title: String,
    /// Number of branches.
    pub branches: usize,
    /// Number of tags.
    pub tags: usize,
    /// Number of the newest transaction.
    pub transaction: u64,
    /// Files of at least this many bytes are LFS pointers in Git's eyes.
    pub large_file_threshold: u64,
    /// How hard content is compressed when nothing else is said.
    pub compression: Compression,
    /// Mounts and long reads that are going on.
    pub leases: Vec<Lease>,
    /// What was passed over when the vault was opened.
    pub warnings: Vec<String>,
}

impl Repository {
    /// The state of the vault.
    pub fn status(&self) -> Result<Status, OpsError> {
        let view = self.vault().view();
        let snapshot = self.snapshot(None)?;
        Ok(Status {
            vault: self.root().map(|root| root.display().to_string()),
            default_branch: view.default_branch()?.short().to_owned(),
            head: snapshot.id(),
            head_title: snapshot.commit().title(),
            branches: view.state.refs.keys().filter(|name| name.is_branch()).count(),
            tags: view.state.refs.keys().filter(|name| name.is_tag()).count(),
            transaction: view.state.tip.map_or(0, |tip| tip.seq),
            compression: view.state.compression,
            large_file_threshold: self.vault().settings().large_file_threshold,
            leases: lease::live(self.vault().media())?,
            warnings: view.warnings.iter().map(describe).collect(),
        })
    }
}

/// A warning as one line.
pub fn describe(warning: &Warning) -> String {
    format!("{}: {}", warning.file, warning.detail)
}
