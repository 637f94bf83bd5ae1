//! What branches and tags have in common: they are listed, and created where nothing has their name.

use super::error::OpsError;
use super::models::GitRefInfo;
use super::{Actor, Repository};
use crate::snapshot::resolve;
use crate::store::StoreError;
use crate::store::id::ObjectId;
use crate::store::publish::{Change, move_ref};
use crate::store::refname::RefName;
use crate::store::transaction::Transaction;

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
    /// What it points at; may add an object.
    pub(super) target: &'a dyn Fn(&mut Transaction<'_>) -> Result<ObjectId, StoreError>,
}

impl Repository {
    /// The refs that are `wanted`, by name.
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

    /// Creates a ref; answers what it points at.
    pub(super) fn create_ref(&self, new: &NewRef<'_>, actor: &Actor) -> Result<ObjectId, OpsError> {
        self.transact(actor, new.command, |transaction, view| {
            if let Some(at) = view.target(&new.name) {
                if new.exist_ok {
                    return Ok(transaction.confirm().map(|()| at)?);
                }
                return Err(OpsError::RefExists { name: new.name.to_string(), at });
            }
            let target = (new.target)(transaction)?;
            let refs = vec![move_ref(new.name.clone(), None, Some(target), &new.message)];
            transaction.publish(Change { refs, default_branch: None })?;
            Ok(target)
        })
    }
}
