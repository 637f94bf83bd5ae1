//! Tags: listed, created and deleted. A tag is a name that stays; with a message it is an object of its own.

use super::error::OpsError;
use super::models::{GitRefInfo, RefMove};
use super::refs::NewRef;
use super::{Actor, Repository};
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::object::{Kind, Tag, message};
use crate::store::publish::Change;
use crate::store::refname::RefName;
use crate::store::transaction::Transaction;
use crate::store::vault::View;

impl Repository {
    /// Every tag, by name.
    pub fn list_tags(&self) -> Result<Vec<GitRefInfo>, OpsError> {
        self.list_refs(RefName::is_tag)
    }

    /// Creates a tag at `revision` (default: the default branch), annotated when there is a message; answers
    /// what the ref points at: the commit, or the tag object.
    ///
    /// # Errors
    /// [`OpsError::RefExists`] when there is one already, unless `exist_ok`.
    pub fn create_tag(
        &self,
        tag: &str,
        tag_message: Option<&str>,
        revision: Option<&str>,
        exist_ok: bool,
        actor: &Actor,
    ) -> Result<ObjectId, OpsError> {
        let name = RefName::tag(tag)?;
        let target = |transaction: &mut Transaction<'_>, view: &View| {
            tag_target(transaction, view, (tag, tag_message, revision), actor)
        };
        let message = format!("tag: {tag}");
        self.create_ref(&NewRef { name, message, command: "tag", exist_ok, target: &target }, actor)
    }

    /// Moves a tag to `revision` (default: the default branch), or creates it there, as [`Repository::create_tag`] does.
    pub fn force_tag(
        &self,
        tag: &str,
        tag_message: Option<&str>,
        revision: Option<&str>,
        actor: &Actor,
    ) -> Result<RefMove, OpsError> {
        let name = RefName::tag(tag)?;
        self.transact(actor, "tag", |transaction, view| {
            let old = view.target(&name);
            let new = tag_target(transaction, view, (tag, tag_message, revision), actor)?;
            if old == Some(new) {
                return Ok(transaction.confirm().map(|()| RefMove::new(&name, old, Some(new), None))?);
            }
            let change = Change::moving(name.clone(), old, Some(new), &format!("tag: {tag}"));
            let published = transaction.publish(change)?;
            Ok(RefMove::new(&name, old, Some(new), Some(published.seq)))
        })
    }

    /// Deletes a tag.
    ///
    /// # Errors
    /// [`OpsError::TagNotFound`].
    pub fn delete_tag(&self, tag: &str, actor: &Actor) -> Result<RefMove, OpsError> {
        self.move_existing(&RefName::tag(tag)?, ("tag", "tag: deleted"), actor, &|_, _| Ok(None))
    }
}

/// What a tag points at: the commit of a revision, or, when there is a message, a new object that says so.
fn tag_target(
    transaction: &mut Transaction<'_>,
    view: &View,
    (tag, text, revision): (&str, Option<&str>, Option<&str>),
    actor: &Actor,
) -> Result<ObjectId, OpsError> {
    let commit = resolve::commit(view, revision.unwrap_or("HEAD"))?;
    let Some(text) = text else { return Ok(commit) };
    let tag = Tag {
        target: commit,
        target_kind: Kind::Commit,
        name: tag.as_bytes().to_vec(),
        tagger: Some(actor.signature.clone()),
        message: message(text, None),
    };
    Ok(transaction.add_object(Kind::Tag, &tag.encode())?)
}
