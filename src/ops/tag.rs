//! Tags: listed, created and deleted. A tag is a name that stays; with a message it is an object of its own.

use super::error::OpsError;
use super::models::{GitRefInfo, RefMove};
use super::refs::NewRef;
use super::{Actor, Repository};
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::object::{Kind, Tag, message};
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
            let commit = resolve::commit(view, revision.unwrap_or("HEAD"))?;
            let Some(text) = tag_message else { return Ok(commit) };
            let tag = Tag {
                target: commit,
                target_kind: Kind::Commit,
                name: tag.as_bytes().to_vec(),
                tagger: Some(actor.signature.clone()),
                message: message(text, None),
            };
            Ok(transaction.add_object(Kind::Tag, &tag.encode())?)
        };
        let message = format!("tag: {tag}");
        self.create_ref(&NewRef { name, message, command: "tag", exist_ok, target: &target }, actor)
    }

    /// Deletes a tag.
    ///
    /// # Errors
    /// [`OpsError::TagNotFound`].
    pub fn delete_tag(&self, tag: &str, actor: &Actor) -> Result<RefMove, OpsError> {
        self.move_existing(&RefName::tag(tag)?, ("tag", "tag: deleted"), actor, &|_, _| Ok(None))
    }
}
