//! Branches: listed and created. A branch is a name that moves with its commits.

use super::error::OpsError;
use super::models::GitRefInfo;
use super::{Actor, Repository};
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::publish::{Change, move_ref};
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

    pub(super) fn list_refs(&self, wanted: impl Fn(&RefName) -> bool) -> Result<Vec<GitRefInfo>, OpsError> {
        let view = self.vault().view();
        let refs = view.state.refs.iter().filter(|(name, _)| wanted(name));
        refs.map(|(name, &id)| {
            Ok(GitRefInfo {
                name: name.short().to_owned(),
                git_ref: name.to_string(),
                target_commit: resolve::commit(&view, &id.to_string())?,
            })
        })
        .collect()
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
        let at = resolve::commit(&*self.vault().refresh()?, revision.unwrap_or("HEAD"))?;
        let message = format!("branch: Created from {}", revision.unwrap_or("HEAD"));
        self.create_ref(name, at, &message, exist_ok, "branch", actor)
    }

    fn create_ref(
        &self,
        name: RefName,
        at: ObjectId,
        message: &str,
        exist_ok: bool,
        command: &str,
        actor: &Actor,
    ) -> Result<ObjectId, OpsError> {
        let mut transaction = self.vault().begin(actor.context(command))?;
        let view = transaction.lock()?;
        if let Some(found) = view.target(&name) {
            return if exist_ok {
                Ok(transaction.confirm().map(|()| found)?)
            } else {
                Err(OpsError::RefExists { name: name.to_string(), at: found })
            };
        }
        transaction
            .publish(Change { refs: vec![move_ref(name, None, Some(at), message)], default_branch: None })?;
        Ok(at)
    }
}
