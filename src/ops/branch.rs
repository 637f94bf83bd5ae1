//! Branches: listed and created. A branch is a name that moves with its commits.

use super::error::OpsError;
use super::models::GitRefInfo;
use super::refs::NewRef;
use super::{Actor, Repository};
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::refname::RefName;

impl Repository {
    /// Every branch, by name.
    pub fn list_branches(&self) -> Result<Vec<GitRefInfo>, OpsError> {
        self.list_refs(RefName::is_branch)
    }

    /// Short name of the default branch: what `HEAD` is.
    pub fn default_branch(&self) -> Result<String, OpsError> {
        Ok(self.vault().view().default_branch()?.short().to_owned())
    }

    /// Creates a branch at `revision` (default: the default branch); answers the commit it is at.
    ///
    /// # Errors
    /// [`OpsError::RefExists`] when there is one already, unless `exist_ok`.
    pub fn create_branch(
        &self,
        branch: &str,
        revision: Option<&str>,
        exist_ok: bool,
        actor: &Actor,
    ) -> Result<ObjectId, OpsError> {
        let name = RefName::branch(branch)?;
        let start = revision.unwrap_or("HEAD");
        let at = resolve::commit(&*self.vault().refresh()?, start)?;
        let message = format!("branch: Created from {start}");
        self.create_ref(&NewRef { name, message, command: "branch", exist_ok, target: &|_| Ok(at) }, actor)
    }
}
