//! Putting what a merge, a revert or a cherry-pick made onto a branch: worked out without any lock, published in one
//! transaction, worked out again only when the branch moved meanwhile.
//!
//! Exists once for all three, so that none of them writes anything before it knows that it will succeed. Knows
//! branches and transactions; what is to be done is the caller's.

use super::entry::{OURS, THEIRS};
use super::resolve::{Choice, Choices, Favor, Resolution, Settled, without_content};
use super::threeway::Conflict;
use super::{MergeConflict, entry::BASE};
use crate::ops::commit::{AddSource, CommitOperation, check_parent};
use crate::ops::edits::Edit;
use crate::ops::error::OpsError;
use crate::ops::local::Links;
use crate::ops::plan::{Plan, Totals};
use crate::ops::refs::{head, target_branch};
use crate::ops::transact::attempt;
use crate::ops::walked::unreadable;
use crate::ops::{Actor, Repository};
use crate::snapshot::resolve;
use crate::snapshot::tree_diff::Leaf;
use crate::store::id::ObjectId;
use crate::store::object::{Commit, Kind};
use crate::store::path::RepoPath;
use crate::store::publish::Change;
use crate::store::refname::RefName;
use crate::store::transaction::Transaction;
use crate::store::vault::View;

/// Where a merge, a cherry-pick or a revert goes, and how its conflicts are settled.
#[derive(Debug, Clone, Default)]
pub struct Landing {
    /// The branch to change, by its short or full name; the default branch when `None`.
    pub target_revision: Option<String>,
    /// The branch must be at this commit.
    pub parent_commit: Option<String>,
    /// The message, instead of the usual one.
    pub commit_message: Option<String>,
    /// How conflicts are settled, by path. One that no conflict asks for is an error.
    pub resolutions: Vec<(RepoPath, Resolution)>,
    /// Whose side settles the others.
    pub favor: Option<Favor>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// What is to be done to a branch.
pub(in crate::ops) enum Step {
    /// Nothing.
    Nothing,
    /// Nothing until these are settled.
    Conflicts(Vec<Conflict>),
    /// Move it to a commit that exists.
    Move { to: ObjectId, reflog: String },
    /// Move it to a new commit.
    Commit { settled: Settled, commit: Box<Commit>, reflog: String },
}

/// What was done to a branch.
pub(in crate::ops) struct Landed {
    pub(in crate::ops) branch: RefName,
    /// Where the branch was.
    pub(in crate::ops) before: ObjectId,
    /// Where it is; where it would be, if nothing was to be written.
    pub(in crate::ops) after: ObjectId,
    pub(in crate::ops) step: Step,
}

impl Repository {
    /// Has `plan` say what is to be done to the branch from where it is, and does it, called `command` in the log.
    pub(in crate::ops) fn land(
        &self,
        landing: &Landing,
        command: &'static str,
        actor: &Actor,
        plan: &dyn Fn(&View, &RefName, ObjectId, &Choices) -> Result<Step, OpsError>,
    ) -> Result<Landed, OpsError> {
        if landing.commit_message.as_deref().is_some_and(|text| text.trim().is_empty()) {
            let detail = "the commit message is empty; give one, or none at all";
            return Err(OpsError::Invalid(detail.to_owned()));
        }
        let view = self.vault().refresh()?;
        let branch = target_branch(&view, landing.target_revision.as_deref())?;
        let before = head(&view, &branch)?;
        let parent =
            landing.parent_commit.as_ref().map(|revision| resolve::commit(&view, revision)).transpose()?;
        check_parent(&branch, parent, before)?;
        let begin = || self.vault().begin(actor.context(command));
        let needs_content =
            landing.resolutions.iter().any(|(path, wanted)| without_content(path, wanted).is_none());
        let mut transaction = if needs_content { Some(begin()?) } else { None };
        let choices = self.choices(landing, transaction.as_mut(), &view, before)?;
        let step = plan(&view, &branch, before, &choices)?;
        let is_work = matches!(step, Step::Move { .. } | Step::Commit { .. });
        if landing.dry_run || !is_work {
            if matches!(step, Step::Nothing) {
                self.vault().confirm(&view)?;
            }
            return Ok(Landed { branch, before, after: known(&step, before), step });
        }
        let mut transaction = transaction.map_or_else(begin, Ok)?;
        let mut worked_out = Some((before, view.state.collected, step));
        attempt(&mut transaction, |transaction, view| {
            let before = head(view, &branch)?;
            check_parent(&branch, parent, before)?;
            let step = match worked_out.take() {
                // What a collection removed meanwhile must not be built on, so then it is worked out again.
                Some((at, collected, step)) if (at, collected) == (before, view.state.collected) => step,
                _ => plan(view, &branch, before, &choices)?,
            };
            let after = publish(transaction, &branch, before, &step)?;
            Ok(Landed { branch: branch.clone(), before, after, step })
        })
    }

    /// Stores the content of resolutions.
    fn choices(
        &self,
        landing: &Landing,
        transaction: Option<&mut Transaction<'_>>,
        view: &View,
        head: ObjectId,
    ) -> Result<Choices, OpsError> {
        let mut choices = Choices { favor: landing.favor, ..Choices::default() };
        let mut operations = Vec::new();
        for (path, wanted) in &landing.resolutions {
            let source = match (wanted, without_content(path, wanted)) {
                (_, Some((path, choice))) => {
                    add_choice(&mut choices, &path, choice)?;
                    continue;
                }
                (Resolution::Bytes(bytes), _) => AddSource::Bytes(bytes.clone()),
                (Resolution::Local(local), _) if local.is_dir() => {
                    let detail = "it is a folder, and a conflict is settled by a file".to_owned();
                    return Err(OpsError::Local { path: local.clone(), detail });
                }
                (Resolution::Local(local), _) => AddSource::Local(local.clone()),
                _ => continue,
            };
            operations.push(CommitOperation::Add { path_in_repo: Some(path.clone()), source });
        }
        let Some(transaction) = transaction else { return Ok(choices) };
        let plan = Plan::new(&operations, transaction, self.root(), Links::default(), &mut |_| ())?;
        let attributes = plan.attributes(&view.catalog, view.catalog.commit(head)?.tree)?;
        let threshold = self.vault().settings().large_file_threshold;
        let is_pointer = |path: &RepoPath, size: u64| size >= threshold || attributes.is_lfs(path.as_str());
        let edits = plan.store(transaction, &is_pointer, None, &mut Totals::default(), &mut |_| ())?;
        for edit in edits {
            let Edit::PutAll(_, files) = edit else { continue };
            for file in files.in_order().map_err(unreadable)? {
                let (path, file) = file.map_err(unreadable)?;
                let (mode, id) = *file;
                add_choice(&mut choices, path.as_str().as_bytes(), Choice::File(Leaf { mode, id }))?;
            }
        }
        Ok(choices)
    }
}

fn add_choice(choices: &mut Choices, path: &[u8], choice: Choice) -> Result<(), OpsError> {
    if choices.paths.insert(path.to_vec(), choice).is_none() {
        return Ok(());
    }
    let path = String::from_utf8_lossy(path);
    Err(OpsError::Invalid(format!("two different ways to settle `{path}` were given; give one")))
}

fn known(step: &Step, before: ObjectId) -> ObjectId {
    match step {
        Step::Nothing | Step::Conflicts(_) => before,
        Step::Move { to, .. } => *to,
        Step::Commit { commit, .. } => commit.id(),
    }
}

fn publish(
    transaction: &mut Transaction<'_>,
    branch: &RefName,
    before: ObjectId,
    step: &Step,
) -> Result<ObjectId, OpsError> {
    let (to, reflog) = match step {
        Step::Nothing => {
            transaction.confirm()?;
            return Ok(before);
        }
        Step::Conflicts(_) => return Ok(before),
        Step::Move { to, reflog } => (*to, reflog),
        Step::Commit { settled, commit, reflog } => {
            for tree in &settled.new_trees {
                transaction.add_object(Kind::Tree, &tree.encode())?;
            }
            (transaction.add_object(Kind::Commit, &commit.encode())?, reflog)
        }
    };
    transaction.publish(Change::moving(branch.clone(), Some(before), Some(to), reflog))?;
    Ok(to)
}

/// A conflict as reports have it.
pub(in crate::ops) fn describe(conflict: &Conflict) -> MergeConflict {
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let id = |side: usize| conflict.stages[side].map(|leaf| leaf.id);
    MergeConflict {
        path: text(&conflict.path),
        conflict_type: conflict.kind,
        message: super::words::message(conflict),
        base_oid: id(BASE),
        target_oid: id(OURS),
        source_oid: id(THEIRS),
        related_path: conflict.related.as_deref().map(text),
        paths: conflict.paths.iter().map(|(path, _)| text(path)).collect(),
    }
}
