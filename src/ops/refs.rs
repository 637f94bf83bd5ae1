//! What branches and tags have in common: they are listed, created where nothing has their name, moved and deleted.

use std::sync::Arc;

use super::error::OpsError;
use super::models::{GitRefInfo, GitRefs, RefMove};
use super::{Actor, Repository};
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::publish::Change;
use crate::store::refname::RefName;
use crate::store::transaction::Transaction;
use crate::store::vault::View;

/// A ref to be created.
pub(super) struct NewRef<'a> {
    /// Its full name.
    pub(super) name: RefName,
    /// Why, as the reflog shows it.
    pub(super) message: String,
    /// What was asked for, in one word.
    pub(super) command: &'static str,
    /// Whether one that is there already will do.
    pub(super) exist_ok: bool,
    /// What it points at, in the state that nobody collects from while the transaction lasts; may add an object.
    pub(super) target: &'a dyn Fn(&mut Transaction<'_>, &View) -> Result<ObjectId, OpsError>,
}

impl Repository {
    /// Every branch and tag. Pull requests are absent unless they are to be included; a vault has none.
    pub fn list_repo_refs(&self, include_pull_requests: bool) -> Result<GitRefs, OpsError> {
        Ok(GitRefs {
            branches: self.list_branches()?,
            converts: Vec::new(),
            tags: self.list_tags()?,
            pull_requests: include_pull_requests.then(Vec::new),
        })
    }

    /// The refs that are `wanted`, by name.
    pub(super) fn list_refs(&self, wanted: impl Fn(&RefName) -> bool) -> Result<Vec<GitRefInfo>, OpsError> {
        let view = self.vault().view();
        let refs = view.state.refs.iter().filter(|(name, _)| wanted(name));
        refs.map(|(name, &id)| {
            Ok(GitRefInfo {
                name: name.short().to_owned(),
                git_ref: name.to_string(),
                target_commit: resolve::peeled(&view, id)?,
            })
        })
        .collect()
    }

    /// Creates a ref; answers what it points at.
    pub(super) fn create_ref(&self, new: &NewRef<'_>, actor: &Actor) -> Result<ObjectId, OpsError> {
        self.transact(actor, new.command, |transaction, view| {
            if let Some(at) = view.target(&new.name) {
                if new.exist_ok {
                    return Ok(transaction.confirm().map(|()| at)?);
                }
                return Err(OpsError::RefExists { name: new.name.to_string(), at });
            }
            let target = (new.target)(transaction, view)?;
            transaction.publish(Change::moving(new.name.clone(), None, Some(target), &new.message))?;
            Ok(target)
        })
    }

    /// Moves a ref that exists to where `to` says (it is told where the ref is; `None` deletes it). `why` is what
    /// was asked for in one word, and the reflog's message. A ref that is there already is left alone.
    pub(super) fn move_existing(
        &self,
        name: &RefName,
        why: (&'static str, &str),
        actor: &Actor,
        to: &dyn Fn(&Arc<View>, ObjectId) -> Result<Option<ObjectId>, OpsError>,
    ) -> Result<RefMove, OpsError> {
        let (command, message) = why;
        self.transact(actor, command, |transaction, view| {
            let old = view.target(name).ok_or_else(|| not_there(name))?;
            let new = to(view, old)?;
            let moved = |transaction| RefMove::new(name, Some(old), new, transaction);
            if new == Some(old) {
                return Ok(transaction.confirm().map(|()| moved(None))?);
            }
            let published = transaction.publish(Change::moving(name.clone(), Some(old), new, message))?;
            Ok(moved(Some(published.seq)))
        })
    }
}

/// The branch that a short or full name means.
///
/// # Errors
/// [`OpsError::NotABranch`] for another ref and for an id, [`OpsError::RefName`] for what is no name.
pub(super) fn branch_named(name: &str) -> Result<RefName, OpsError> {
    let short = name.strip_prefix("refs/heads/").unwrap_or(name);
    if short.starts_with("refs/") || short.parse::<ObjectId>().is_ok() {
        return Err(OpsError::NotABranch(name.to_owned()));
    }
    Ok(RefName::branch(short)?)
}

/// The same; the default branch when there is no name.
pub(super) fn target_branch(view: &View, name: Option<&str>) -> Result<RefName, OpsError> {
    name.map_or_else(|| Ok(view.default_branch()?.clone()), branch_named)
}

/// The commit a branch is at.
pub(super) fn head(view: &View, branch: &RefName) -> Result<ObjectId, OpsError> {
    view.target(branch).ok_or_else(|| not_there(branch))
}

/// The error for a ref that is not there.
pub(super) fn not_there(name: &RefName) -> OpsError {
    let short = name.short().to_owned();
    if name.is_tag() { OpsError::TagNotFound(short) } else { OpsError::BranchNotFound(short) }
}
