//! Branches: listed, created, renamed, deleted, and which one is the default. A branch is a name that moves with its
//! commits.

use super::error::OpsError;
use super::models::{GitRefInfo, RefMove};
use super::refs::{NewRef, not_there};
use super::{Actor, Repository};
use crate::snapshot::{graph, resolve};
use crate::store::id::ObjectId;
use crate::store::publish::{Change, move_ref};
use crate::store::refname::RefName;
use crate::store::transaction::Transaction;
use crate::store::vault::View;

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
        let message = format!("branch: Created from {start}");
        let target = |_: &mut Transaction<'_>, view: &View| Ok(resolve::commit(view, start)?);
        self.create_ref(&NewRef { name, message, command: "branch", exist_ok, target: &target }, actor)
    }

    /// Makes the branch `new` of the branch `old`; the default branch stays the default under its new name.
    ///
    /// # Errors
    /// [`OpsError::BranchNotFound`], and [`OpsError::RefExists`] when there is a branch `new`.
    pub fn rename_branch(&self, old: &str, new: &str, actor: &Actor) -> Result<RefMove, OpsError> {
        let (from, to) = (RefName::branch(old)?, RefName::branch(new)?);
        let message = format!("Branch: renamed {from} to {to}");
        self.transact(actor, "branch", |transaction, view| {
            let at = view.target(&from).ok_or_else(|| not_there(&from))?;
            if let Some(at) = view.target(&to) {
                return Err(OpsError::RefExists { name: to.to_string(), at });
            }
            let mut refs = vec![
                move_ref(from.clone(), Some(at), None, &message),
                move_ref(to.clone(), None, Some(at), &message),
            ];
            refs.sort_by(|a, b| a.name.cmp(&b.name));
            let default_branch = (*view.default_branch()? == from).then(|| to.clone());
            let published = transaction.publish(Change { refs, default_branch, ..Change::default() })?;
            Ok(RefMove::new(&to, None, Some(at), Some(published.seq)))
        })
    }

    /// Moves a branch to `revision`, or creates it there.
    pub fn force_branch(
        &self,
        branch: &str,
        revision: Option<&str>,
        actor: &Actor,
    ) -> Result<RefMove, OpsError> {
        let name = RefName::branch(branch)?;
        let start = revision.unwrap_or("HEAD");
        self.transact(actor, "branch", |transaction, view| {
            let (old, new) = (view.target(&name), resolve::commit(view, start)?);
            if old == Some(new) {
                return Ok(transaction.confirm().map(|()| RefMove::new(&name, old, Some(new), None))?);
            }
            let what = if old.is_some() { "Reset to" } else { "Created from" };
            let why = format!("branch: {what} {start}");
            let published = transaction.publish(Change::moving(name.clone(), old, Some(new), &why))?;
            Ok(RefMove::new(&name, old, Some(new), Some(published.seq)))
        })
    }

    /// Deletes a branch. Unless `force`, only when the default branch has all its commits, as `git branch -d`.
    ///
    /// # Errors
    /// [`OpsError::DefaultBranch`] for the default branch, [`OpsError::NotMerged`], [`OpsError::BranchNotFound`].
    pub fn delete_branch(&self, branch: &str, force: bool, actor: &Actor) -> Result<RefMove, OpsError> {
        let name = RefName::branch(branch)?;
        self.move_existing(&name, ("branch", "branch: deleted"), actor, &|view, at| {
            let default = view.default_branch()?;
            if *default == name {
                return Err(OpsError::DefaultBranch(branch.to_owned()));
            }
            if !force && !graph::is_ancestor(&view.catalog, at, resolve::commit(view, default.as_str())?)? {
                let (branch, default) = (branch.to_owned(), default.short().to_owned());
                return Err(OpsError::NotMerged { branch, at, default });
            }
            Ok(None)
        })
    }

    /// Makes `branch` the default branch; answers the number of the transaction, if one was needed.
    ///
    /// # Errors
    /// [`OpsError::BranchNotFound`].
    pub fn set_default_branch(&self, branch: &str, actor: &Actor) -> Result<Option<u64>, OpsError> {
        let name = RefName::branch(branch)?;
        self.transact(actor, "branch", |transaction, view| {
            view.target(&name).ok_or_else(|| not_there(&name))?;
            if *view.default_branch()? == name {
                return Ok(transaction.confirm().map(|()| None)?);
            }
            let change = Change { default_branch: Some(name.clone()), ..Change::default() };
            Ok(Some(transaction.publish(change)?.seq))
        })
    }
}
