//! `merge`: the history of another revision becomes part of a branch.
//!
//! A three-way merge of whole files with renames followed, as Git's `ort` strategy does it when no file is merged line
//! by line: a merge is clean exactly when Git's is, with the same tree. All or nothing: with a conflict nothing is
//! written at all, and the same call with a resolution for each conflict makes the commit with both parents.

mod base;
mod entry;
mod land;
mod overlay;
mod renames;
mod resolve;
mod threeway;
mod words;

use std::cell::Cell;

use serde::Serialize;

pub use self::entry::ConflictType;
pub(super) use self::land::{Landed, Landing, Step, describe};
pub(super) use self::resolve::{Choices, Settled};
pub use self::resolve::{Favor, Resolution};

use self::overlay::Overlay;
use self::threeway::Conflict;
use super::error::OpsError;
use super::models::GitCommitInfo;
use super::{Actor, Repository, history};
use crate::snapshot::{graph, resolve as revisions};
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::{Commit, Signature, message};
use crate::store::path::RepoPath;
use crate::store::refname::RefName;
use crate::store::vault::View;

/// Whether a merge may, must or must not move the branch along without a commit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FastForward {
    /// When that is possible.
    #[default]
    Auto,
    /// Anything else is an error.
    Only,
    /// Make a merge commit all the same.
    Never,
}

/// How to merge.
#[derive(Debug, Clone, Default)]
pub struct MergeOptions {
    /// Branch to merge into, by its short or full name; the default branch when `None`.
    pub target_revision: Option<String>,
    /// The branch must be at this commit.
    pub parent_commit: Option<String>,
    /// First line of the message; `Merge SOURCE into TARGET` when `None`.
    pub commit_message: Option<String>,
    /// The rest of the message.
    pub commit_description: Option<String>,
    /// Author, when it is not who commits.
    pub author: Option<Signature>,
    /// Whether to make a commit where moving the branch would do.
    pub fast_forward: FastForward,
    /// Merge histories that have no commit in common, as if they came from an empty one.
    pub allow_unrelated: bool,
    /// How conflicts are settled, by path. One that no conflict asks for is an error.
    pub resolutions: Vec<(RepoPath, Resolution)>,
    /// Whose side settles the others.
    pub favor: Option<Favor>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// What a merge came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MergeStatus {
    /// There is a commit with both parents.
    Merged,
    /// The branch was moved to the source.
    FastForward,
    /// The branch has everything already.
    AlreadyUpToDate,
    /// Nothing was done: there are conflicts.
    Conflict,
}

/// A path that two sides changed in ways that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergeConflict {
    /// The path.
    pub path: String,
    /// What is wrong.
    pub conflict_type: ConflictType,
    /// The same in a sentence.
    pub message: String,
    /// Blob of the common ancestor, if it has the file.
    pub base_oid: Option<ObjectId>,
    /// Blob of the branch that is merged into (ours).
    pub target_oid: Option<ObjectId>,
    /// Blob of what is merged (theirs).
    pub source_oid: Option<ObjectId>,
    /// The other path it is about: an old name, another new name, or what is in the way.
    pub related_path: Option<String>,
    /// Every path that is settled with it: a resolution may name any of these.
    pub paths: Vec<String>,
}

/// What a merge did. A dry run answers the same, and did nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergeResult {
    /// What it came to.
    pub status: MergeStatus,
    /// Short name of the branch.
    pub target_revision: String,
    /// The source as it was asked for.
    pub source_revision: String,
    /// The newest best common ancestor; `None` for unrelated histories.
    pub base_commit: Option<ObjectId>,
    /// Where the branch was.
    pub target_head_before: ObjectId,
    /// The commit that is merged.
    pub source_head: ObjectId,
    /// Where the branch is.
    pub head_after: ObjectId,
    /// The tree of that commit; of the commit that would be made, for a dry run; `None` when there are conflicts.
    pub tree: Option<ObjectId>,
    /// The new commit.
    pub commit: Option<GitCommitInfo>,
    /// What does not fit, by path; empty unless the status is a conflict.
    pub conflicts: Vec<MergeConflict>,
    /// Whether the branch was moved without a new commit.
    pub fast_forward: bool,
    /// Whether there is a new commit.
    pub created_commit: bool,
    /// Whether nothing was written on purpose.
    pub dry_run: bool,
}

impl Repository {
    /// Merges `source_revision` into a branch.
    ///
    /// # Errors
    /// [`OpsError::Conflict`] when the branch is not at the pinned parent; [`OpsError::NotFastForward`],
    /// [`OpsError::UnrelatedHistories`]; [`OpsError::Invalid`] for a target that is no branch and for resolutions that
    /// no conflict asks for. Conflicts between the two sides are no error but a [`MergeStatus`].
    pub fn merge(
        &self,
        source_revision: &str,
        options: &MergeOptions,
        actor: &Actor,
    ) -> Result<MergeResult, OpsError> {
        if options.commit_message.as_deref().is_some_and(|text| text.trim().is_empty()) {
            return Err(OpsError::Invalid(
                "the commit message is empty; give one, or none at all".to_owned(),
            ));
        }
        let landing = Landing {
            target: options.target_revision.as_deref(),
            parent: options.parent_commit.as_deref(),
            resolutions: &options.resolutions,
            favor: options.favor,
            dry_run: options.dry_run,
            command: "merge",
        };
        let merge = Merge { source: source_revision, options, actor, found: Cell::new(None) };
        let landed = self
            .land(&landing, actor, &|view, branch, head, choices| merge.plan(view, branch, head, choices))?;
        let view = self.vault().view();
        let tree = match (&landed.step, landed.after) {
            (Step::Conflicts(_), _) => None,
            (Step::Commit { settled, .. }, _) => Some(settled.tree),
            (_, after) => Some(view.catalog.commit(after)?.tree),
        };
        Ok(merge.result(&landed, tree))
    }

    /// Every best common ancestor of two revisions, newest first.
    ///
    /// # Errors
    /// A revision that is not found, and what reading commits can meet.
    pub fn merge_bases(&self, one: &str, two: &str) -> Result<Vec<ObjectId>, OpsError> {
        let view = self.vault().view();
        let (one, two) = (revisions::commit(&view, one)?, revisions::commit(&view, two)?);
        Ok(graph::merge_bases(&view.catalog, one, two)?)
    }

    /// Whether the history of `descendant` has `ancestor` in it; a commit has itself.
    ///
    /// # Errors
    /// A revision that is not found, and what reading commits can meet.
    pub fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, OpsError> {
        let view = self.vault().view();
        let (one, two) = (revisions::commit(&view, ancestor)?, revisions::commit(&view, descendant)?);
        Ok(graph::is_ancestor(&view.catalog, one, two)?)
    }
}

/// Merges the tree `theirs` into `ours`, both from `base`; answers the tree, or every conflict if one is left.
pub(super) fn merge_onto(
    catalog: &Catalog,
    base: Option<ObjectId>,
    ours: ObjectId,
    theirs: ObjectId,
    choices: &Choices,
) -> Result<Result<Settled, Vec<Conflict>>, OpsError> {
    onto(&Overlay::new(catalog), base, ours, theirs, choices)
}

fn onto(
    trees: &Overlay<'_>,
    base: Option<ObjectId>,
    ours: ObjectId,
    theirs: ObjectId,
    choices: &Choices,
) -> Result<Result<Settled, Vec<Conflict>>, OpsError> {
    let merged = threeway::merge_trees(trees, base, ours, theirs, false)?;
    if merged.limited {
        tracing::warn!(
            "too many files were renamed and changed to compare them all; some renames may be missed"
        );
    }
    resolve::settle(trees, ours, merged, choices)
}

/// One merge.
struct Merge<'a> {
    source: &'a str,
    options: &'a MergeOptions,
    actor: &'a Actor,
    /// The commit that is merged, and the newest best common ancestor.
    found: Cell<Option<(ObjectId, Option<ObjectId>)>>,
}

impl Merge<'_> {
    fn plan(
        &self,
        view: &View,
        branch: &RefName,
        head: ObjectId,
        choices: &Choices,
    ) -> Result<Step, OpsError> {
        let catalog = &view.catalog;
        let source = revisions::commit(view, self.source)?;
        let bases = graph::merge_bases(catalog, head, source)?;
        self.found.set(Some((source, bases.first().copied())));
        let unused = || choices.unneeded(&std::collections::BTreeSet::new());
        if bases.contains(&source) {
            return unused().map(|()| Step::Nothing);
        }
        let is_behind = bases.contains(&head);
        match self.options.fast_forward {
            FastForward::Auto | FastForward::Only if is_behind => {
                let reflog = format!("merge {}: Fast-forward", self.source);
                return unused().map(|()| Step::Move { to: source, reflog });
            }
            FastForward::Only => {
                return Err(OpsError::NotFastForward {
                    branch: branch.short().to_owned(),
                    source_revision: self.source.to_owned(),
                });
            }
            FastForward::Auto | FastForward::Never => {}
        }
        if bases.is_empty() && !self.options.allow_unrelated {
            return Err(OpsError::UnrelatedHistories {
                branch: branch.short().to_owned(),
                source_revision: self.source.to_owned(),
            });
        }
        let trees = Overlay::new(catalog);
        let base = base::base_tree(&trees, &bases)?;
        let (ours, theirs) = (catalog.commit(head)?.tree, catalog.commit(source)?.tree);
        let settled = match onto(&trees, base, ours, theirs, choices)? {
            Ok(settled) => settled,
            Err(conflicts) => return Ok(Step::Conflicts(conflicts)),
        };
        let title = match &self.options.commit_message {
            Some(title) => title.clone(),
            None => format!("Merge {} into {}", self.source, branch.short()),
        };
        let commit = Commit {
            tree: settled.tree,
            parents: vec![head, source],
            author: self.options.author.clone().unwrap_or_else(|| self.actor.signature.clone()),
            committer: self.actor.signature.clone(),
            extra_headers: Vec::new(),
            message: message(&title, self.options.commit_description.as_deref()),
        };
        let reflog = format!("merge {}: Merge made by the 'ort' strategy.", self.source);
        Ok(Step::Commit { settled, commit: Box::new(commit), reflog })
    }

    fn result(&self, landed: &Landed, tree: Option<ObjectId>) -> MergeResult {
        let (source_head, base_commit) = self.found.get().unwrap_or((landed.before, None));
        let after = landed.after;
        let (status, commit, conflicts) = match &landed.step {
            Step::Nothing => (MergeStatus::AlreadyUpToDate, None, Vec::new()),
            Step::Conflicts(found) => (MergeStatus::Conflict, None, found.iter().map(describe).collect()),
            Step::Move { .. } => (MergeStatus::FastForward, None, Vec::new()),
            Step::Commit { commit, .. } => {
                (MergeStatus::Merged, Some(history::describe(after, commit)), Vec::new())
            }
        };
        MergeResult {
            status,
            target_revision: landed.branch.short().to_owned(),
            source_revision: self.source.to_owned(),
            base_commit,
            target_head_before: landed.before,
            source_head,
            head_after: after,
            tree,
            created_commit: commit.is_some() && !self.options.dry_run,
            commit,
            conflicts,
            fast_forward: status == MergeStatus::FastForward,
            dry_run: self.options.dry_run,
        }
    }
}
