//! `cherry_pick` and `revert`: what one commit changed, done again on a branch, or undone there.
//!
//! Both are merges with a chosen base: a cherry-pick merges the commit as if it came from the branch and its parent
//! were the common ancestor; a revert swaps the two. Messages are those of Git's `sequencer.c`. All or nothing, and
//! conflicts are settled as in a merge.

use std::cell::Cell;

use serde::Serialize;

use super::error::OpsError;
use super::merge::{Choices, Landed, Landing, MergeConflict, Overlay, Step, describe, merge_onto};
use super::models::GitCommitInfo;
use super::{Actor, Repository, history};
use crate::snapshot::resolve;
use crate::store::id::ObjectId;
use crate::store::object::{Commit, Tree};
use crate::store::vault::View;

/// How to cherry-pick or revert.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// Which branch is changed, and how conflicts are settled; without a message it is Git's.
    pub landing: Landing,
    /// For a merge commit: which of its parents, from 1, its change is seen from.
    pub mainline: Option<usize>,
    /// Say in the message of a cherry-pick where it comes from.
    pub record_origin: bool,
    /// Commit even when nothing changes.
    pub allow_empty: bool,
}

/// What a cherry-pick or a revert came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayStatus {
    /// There is a new commit.
    Committed,
    /// The branch already is as it would be.
    NothingToChange,
    /// Nothing was done: there are conflicts.
    Conflict,
}

/// What a cherry-pick or a revert did. A dry run answers the same, and did nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayResult {
    /// What it came to.
    pub status: ReplayStatus,
    /// Short name of the branch.
    pub target_revision: String,
    /// The commit as it was asked for.
    pub source_revision: String,
    /// The commit whose change was done again or undone.
    pub source_head: ObjectId,
    /// Where the branch was.
    pub target_head_before: ObjectId,
    /// Where the branch is.
    pub head_after: ObjectId,
    /// The new commit.
    pub commit: Option<GitCommitInfo>,
    /// What does not fit, by path.
    pub conflicts: Vec<MergeConflict>,
    /// Whether there is a new commit.
    pub created_commit: bool,
    /// Whether too many files came and went to compare them all, so that some renames may have been missed.
    pub renames_limited: bool,
    /// Whether nothing was written on purpose.
    pub dry_run: bool,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    CherryPick,
    Revert,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::CherryPick => "cherry-pick",
            Self::Revert => "revert",
        }
    }
}

impl Repository {
    /// Does on a branch what the commit `revision` did to its parent. Author, author date and message stay.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for a merge commit without a mainline, for a mainline that is none, and for resolutions
    /// that no conflict asks for; [`OpsError::Conflict`] when the branch is not at the pinned parent.
    pub fn cherry_pick(
        &self,
        revision: &str,
        options: &ReplayOptions,
        actor: &Actor,
    ) -> Result<ReplayResult, OpsError> {
        self.replay(Verb::CherryPick, revision, options, actor)
    }

    /// Undoes on a branch what the commit `revision` did to its parent.
    ///
    /// # Errors
    /// As [`Repository::cherry_pick`].
    pub fn revert(
        &self,
        revision: &str,
        options: &ReplayOptions,
        actor: &Actor,
    ) -> Result<ReplayResult, OpsError> {
        self.replay(Verb::Revert, revision, options, actor)
    }

    fn replay(
        &self,
        verb: Verb,
        revision: &str,
        options: &ReplayOptions,
        actor: &Actor,
    ) -> Result<ReplayResult, OpsError> {
        let replay =
            Replay { verb, revision, options, actor, found: Cell::new(None), limited: Cell::new(false) };
        let landed = self.land(&options.landing, verb.as_str(), actor, &|view, _, head, choices| {
            replay.plan(view, head, choices)
        })?;
        Ok(replay.result(&landed))
    }
}

struct Replay<'a> {
    verb: Verb,
    revision: &'a str,
    options: &'a ReplayOptions,
    actor: &'a Actor,
    found: Cell<Option<ObjectId>>,
    /// Whether some renames may have been missed.
    limited: Cell<bool>,
}

impl Replay<'_> {
    fn plan(&self, view: &View, head: ObjectId, choices: &Choices) -> Result<Step, OpsError> {
        let catalog = &view.catalog;
        let id = resolve::commit(view, self.revision)?;
        self.found.set(Some(id));
        let commit = catalog.commit(id)?;
        let parent = self.parent(&commit)?;
        let before = parent.map_or(Ok(Tree::empty().id()), |parent| Ok(catalog.commit(parent)?.tree));
        let before = before.map_err(OpsError::Store)?;
        let (base, theirs) = match self.verb {
            Verb::CherryPick => (before, commit.tree),
            Verb::Revert => (commit.tree, before),
        };
        let ours = catalog.commit(head)?.tree;
        let (settled, limited) = merge_onto(&Overlay::new(catalog), Some(base), ours, theirs, choices)?;
        self.limited.set(limited);
        let settled = match settled {
            Ok(settled) => settled,
            Err(conflicts) => return Ok(Step::Conflicts(conflicts)),
        };
        if settled.tree == ours && !self.options.allow_empty {
            return Ok(Step::Nothing);
        }
        let message = match &self.options.landing.commit_message {
            Some(text) => crate::store::object::message(text, None),
            None if self.verb == Verb::Revert => revert_message(id, &commit, parent),
            None if self.options.record_origin => with_origin(&commit.message, id),
            None => commit.message.clone(),
        };
        let is_pick = self.verb == Verb::CherryPick;
        // The author's name and the message may be in that encoding.
        let keeps =
            |name: &[u8]| is_pick && name == b"encoding" && self.options.landing.commit_message.is_none();
        let committer = self.actor.signature.clone();
        let made = Commit {
            tree: settled.tree,
            parents: vec![head],
            author: if is_pick { commit.author.clone() } else { committer.clone() },
            committer,
            extra_headers: commit.extra_headers.into_iter().filter(|(name, _)| keeps(name)).collect(),
            message,
        };
        let reflog = format!("{}: {}", self.verb.as_str(), made.title());
        Ok(Step::Commit { settled, commit: Box::new(made), reflog })
    }

    /// The parent that the commit's change is seen from; `None` for a first commit.
    fn parent(&self, commit: &Commit) -> Result<Option<ObjectId>, OpsError> {
        let (count, verb) = (commit.parents.len(), self.verb.as_str());
        match self.options.mainline {
            None if count > 1 => Err(OpsError::Invalid(format!(
                "`{}` is a merge: say with `-m` which of its {count} parents its change is seen from to {verb} it \
                 (`-m 1` is the branch it was merged into)",
                self.revision
            ))),
            None | Some(1) if count <= 1 => Ok(commit.parents.first().copied()),
            None => Ok(None),
            Some(number) => commit.parents.get(number.wrapping_sub(1)).copied().map(Some).ok_or_else(|| {
                OpsError::Invalid(format!(
                    "`{}` has {count} parent(s), so `-m {number}` is none",
                    self.revision
                ))
            }),
        }
    }

    fn result(&self, landed: &Landed) -> ReplayResult {
        let after = landed.after;
        let (status, commit, conflicts) = match &landed.step {
            Step::Conflicts(found) => (ReplayStatus::Conflict, None, found.iter().map(describe).collect()),
            Step::Commit { commit, .. } => {
                (ReplayStatus::Committed, Some(history::describe(after, commit)), Vec::new())
            }
            Step::Nothing | Step::Move { .. } => (ReplayStatus::NothingToChange, None, Vec::new()),
        };
        ReplayResult {
            status,
            target_revision: landed.branch.short().to_owned(),
            source_revision: self.revision.to_owned(),
            source_head: self.found.get().unwrap_or(landed.before),
            target_head_before: landed.before,
            head_after: after,
            created_commit: commit.is_some() && !self.options.landing.dry_run,
            commit,
            conflicts,
            renames_limited: self.limited.get(),
            dry_run: self.options.landing.dry_run,
        }
    }
}

/// The first line of a message that is not blank.
fn subject(message: &[u8]) -> &[u8] {
    let mut lines = message.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

/// `Revert "title"`, and what it undoes. Undoing a revert is called `Reapply`.
fn revert_message(id: ObjectId, commit: &Commit, parent: Option<ObjectId>) -> Vec<u8> {
    let subject = subject(&commit.message);
    let mut message = match subject.strip_prefix(b"Revert \"") {
        Some(original) if !original.starts_with(b"Revert \"") => [b"Reapply \"", original].concat(),
        _ => [b"Revert \"", subject, b"\""].concat(),
    };
    message.extend_from_slice(format!("\n\nThis reverts commit {id}").as_bytes());
    if commit.parents.len() > 1
        && let Some(parent) = parent
    {
        message.extend_from_slice(format!(", reversing\nchanges made to {parent}").as_bytes());
    }
    message.extend_from_slice(b".\n");
    message
}

/// The message with `(cherry picked from commit …)`, in the last paragraph if that is one of such lines.
fn with_origin(message: &[u8], id: ObjectId) -> Vec<u8> {
    let mut text = message.to_vec();
    if text.last().is_some_and(|&byte| byte != b'\n') {
        text.push(b'\n');
    }
    if !ends_in_trailers(&text) {
        text.push(b'\n');
    }
    text.extend_from_slice(format!("(cherry picked from commit {id})\n").as_bytes());
    text
}

/// Whether the last paragraph is not the first and holds only lines like `Signed-off-by: A <a@x>`.
fn ends_in_trailers(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message);
    let paragraphs: Vec<&str> = text.trim_end().split("\n\n").collect();
    let is_trailer = |line: &str| {
        let token = line.split_once(':').map(|(token, _)| token);
        line.starts_with("(cherry picked from commit ")
            || token.is_some_and(|token| {
                !token.is_empty() && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            })
    };
    match paragraphs.as_slice() {
        [_, .., last] => last.lines().all(is_trailer),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reverted_revert_is_reapplied() {
        let who = crate::store::object::Signature::decode(b"A <a@x> 1 +0000").unwrap();
        let commit = |message: &str, parents: usize| Commit {
            tree: Tree::empty().id(),
            parents: vec![ObjectId::from_bytes([1; 20]); parents],
            author: who.clone(),
            committer: who.clone(),
            extra_headers: Vec::new(),
            message: message.as_bytes().to_vec(),
        };
        let (id, parent) = (ObjectId::from_bytes([2; 20]), ObjectId::from_bytes([1; 20]));
        let text = |message: &str, parents| {
            String::from_utf8(revert_message(id, &commit(message, parents), Some(parent))).unwrap()
        };
        let said = format!("This reverts commit {id}");
        assert_eq!(text("Title\n\nBody\n", 1), format!("Revert \"Title\"\n\n{said}.\n"));
        assert_eq!(text("Revert \"Title\"\n", 1), format!("Reapply \"Title\"\n\n{said}.\n"));
        let twice = "Revert \"Revert \"Title\"\"\n";
        assert_eq!(text(twice, 1), format!("Revert \"Revert \"Revert \"Title\"\"\"\n\n{said}.\n"));
        let merge = format!("Revert \"Merge\"\n\n{said}, reversing\nchanges made to {parent}.\n");
        assert_eq!(text("Merge\n", 2), merge);
    }

    #[test]
    fn origins_join_the_trailers() {
        let id = ObjectId::from_bytes([0xab; 20]);
        let line = format!("(cherry picked from commit {id})\n");
        let text = |message: &str| String::from_utf8(with_origin(message.as_bytes(), id)).unwrap();
        assert_eq!(text("Title\n"), format!("Title\n\n{line}"));
        assert_eq!(text("Title: x\n"), format!("Title: x\n\n{line}"));
        let signed = "Title\n\nSigned-off-by: A <a@x>\n";
        assert_eq!(text(signed), format!("{signed}{line}"));
        assert_eq!(text("Title\n\nSome text\n"), format!("Title\n\nSome text\n\n{line}"));
    }
}
