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
pub use self::land::Landing;
pub(super) use self::land::{Landed, Step, describe};
pub(super) use self::overlay::Overlay;
pub(super) use self::resolve::{Choices, Settled};
pub use self::resolve::{Favor, Resolution};

use self::threeway::Conflict;
use super::error::OpsError;
use super::models::GitCommitInfo;
use super::{Actor, Repository, history};
use crate::snapshot::{graph, resolve as revisions};
use crate::store::id::ObjectId;
use crate::store::object::{Commit, Signature, message};
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
    /// Which branch is merged into, and how conflicts are settled; without a message it is `Merge SOURCE into TARGET`.
    pub landing: Landing,
    /// The rest of the message.
    pub commit_description: Option<String>,
    /// Author, when it is not who commits.
    pub author: Option<Signature>,
    /// Whether to make a commit where moving the branch would do.
    pub fast_forward: FastForward,
    /// Merge histories that have no commit in common, as if they came from an empty one.
    pub allow_unrelated: bool,
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
#[expect(clippy::struct_excessive_bools, reason = "the seed's field names, which say some things twice")]
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
    /// Whether too many files came and went to compare them all, so that some renames may have been missed.
    pub renames_limited: bool,
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
        let merge = Merge {
            source: source_revision,
            options,
            actor,
            found: Cell::new(None),
            limited: Cell::new(false),
        };
        let landed = self.land(&options.landing, "merge", actor, &|view, branch, head, choices| {
            merge.plan(view, branch, head, choices)
        })?;
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

/// Merges the tree `theirs` into `ours`, both from `base`; answers the tree, or every conflict if one is left, and
/// whether some renames may have been missed.
pub(super) fn merge_onto(
    trees: &Overlay<'_>,
    base: Option<ObjectId>,
    ours: ObjectId,
    theirs: ObjectId,
    choices: &Choices,
) -> Result<(Result<Settled, Vec<Conflict>>, bool), OpsError> {
    let merged = threeway::merge_trees(trees, base, ours, theirs, false)?;
    let limited = merged.limited;
    Ok((resolve::settle(trees, ours, merged, choices)?, limited))
}

/// One merge.
struct Merge<'a> {
    source: &'a str,
    options: &'a MergeOptions,
    actor: &'a Actor,
    /// The commit that is merged, and the newest best common ancestor.
    found: Cell<Option<(ObjectId, Option<ObjectId>)>>,
    /// Whether some renames may have been missed.
    limited: Cell<bool>,
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
        if self.is_fast_forward(branch, head, &bases)? {
            let reflog = format!("merge {}: Fast-forward", self.source);
            return unused().map(|()| Step::Move { to: source, reflog });
        }
        let trees = Overlay::new(catalog);
        let base = base::base_tree(&trees, &bases)?;
        let (ours, theirs) = (catalog.commit(head)?.tree, catalog.commit(source)?.tree);
        let (settled, limited) = merge_onto(&trees, base, ours, theirs, choices)?;
        self.limited.set(limited);
        let settled = match settled {
            Ok(settled) => settled,
            Err(conflicts) => return Ok(Step::Conflicts(conflicts)),
        };
        let title = match &self.options.landing.commit_message {
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

    /// Whether the branch need only be moved; an error where that or a common ancestor is missing and asked for.
    fn is_fast_forward(
        &self,
        branch: &RefName,
        head: ObjectId,
        bases: &[ObjectId],
    ) -> Result<bool, OpsError> {
        let (branch, source_revision) = (branch.short().to_owned(), self.source.to_owned());
        match self.options.fast_forward {
            FastForward::Auto | FastForward::Only if bases.contains(&head) => Ok(true),
            FastForward::Only => Err(OpsError::NotFastForward { branch, source_revision }),
            _ if bases.is_empty() && !self.options.allow_unrelated => {
                Err(OpsError::UnrelatedHistories { branch, source_revision })
            }
            FastForward::Auto | FastForward::Never => Ok(false),
        }
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
            created_commit: commit.is_some() && !self.options.landing.dry_run,
            commit,
            conflicts,
            fast_forward: status == MergeStatus::FastForward,
            renames_limited: self.limited.get(),
            dry_run: self.options.landing.dry_run,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::ops::replay::ReplayOptions;
    use crate::ops::{AddSource, CommitOperation, CommitOptions, InitOptions, Timestamp};
    use crate::store::media::memory::MemoryMedia;
    use crate::store::object::{Kind, Mode, Tree, TreeEntry};
    use crate::store::path::RepoPath;
    use crate::store::publish::{Change, move_ref};

    fn actor(step: u8) -> Actor {
        let time = Timestamp { seconds: 1_700_000_000 + i64::from(step), offset_minutes: 0 };
        Actor { signature: Signature::new("A", "a@x", time).unwrap(), nonce: [step; 16] }
    }

    fn vault() -> Repository {
        Repository::init_on(Arc::new(MemoryMedia::new()), &InitOptions::default(), &actor(0)).unwrap().0
    }

    fn put(repository: &Repository, step: u8, branch: &str, path: &str, content: &str) -> ObjectId {
        let operation = CommitOperation::Add {
            path_in_repo: Some(RepoPath::new(path).unwrap()),
            source: AddSource::Bytes(content.into()),
        };
        let options = CommitOptions {
            message: "m".to_owned(),
            revision: Some(branch.to_owned()),
            ..CommitOptions::default()
        };
        repository.create_commit(&[operation], &options, &actor(step), &mut |_| ()).unwrap().oid
    }

    /// A folder that is the same on both sides is not even stored here: whoever reads it fails.
    #[test]
    fn what_is_equal_on_both_sides_is_not_read() {
        let repository = vault();
        let files: Vec<ObjectId> = (1..4)
            .map(|step| {
                put(&repository, step, "main", "f", &format!("{step}"));
                repository.rev_parse("HEAD:f").unwrap()
            })
            .collect();
        let context = actor(9).context("test");
        let mut transaction = repository.vault().begin(context).unwrap();
        let folder = |name: &str, id| TreeEntry { name: name.into(), mode: Mode::Directory, id };
        let mut commit = |a: ObjectId, b: ObjectId, parents: Vec<ObjectId>| {
            let mut inner = |id| {
                let file = TreeEntry { name: b"f".into(), mode: Mode::File, id };
                let nowhere = folder("nowhere", ObjectId::from_bytes([8; 20]));
                let tree = Tree::from_entries(vec![file, nowhere]).unwrap();
                transaction.add_object(Kind::Tree, &tree.encode()).unwrap()
            };
            let (a, b) = (inner(a), inner(b));
            let equal = folder("equal", ObjectId::from_bytes([9; 20]));
            let root = Tree::from_entries(vec![folder("a", a), folder("b", b), equal]).unwrap();
            let commit = Commit {
                tree: transaction.add_object(Kind::Tree, &root.encode()).unwrap(),
                parents,
                author: actor(9).signature,
                committer: actor(9).signature,
                extra_headers: Vec::new(),
                message: b"m".to_vec(),
            };
            transaction.add_object(Kind::Commit, &commit.encode()).unwrap()
        };
        let base = commit(files[0], files[0], Vec::new());
        let (ours, theirs) = (commit(files[1], files[0], vec![base]), commit(files[0], files[2], vec![base]));
        let branch = |name: &str, id| move_ref(RefName::branch(name).unwrap(), None, Some(id), "test");
        let refs = vec![branch("ours", ours), branch("theirs", theirs)];
        transaction.publish(Change { refs, ..Change::default() }).unwrap();
        drop(transaction);
        let landing = Landing { target_revision: Some("ours".to_owned()), ..Landing::default() };
        let options = MergeOptions { landing: landing.clone(), ..MergeOptions::default() };
        assert_eq!(repository.merge("theirs", &options, &actor(10)).unwrap().status, MergeStatus::Merged);
        assert_eq!(repository.rev_parse("ours:a/f").unwrap(), files[1]);
        assert_eq!(repository.rev_parse("ours:b/f").unwrap(), files[2]);
        let replay = ReplayOptions { landing, ..ReplayOptions::default() };
        repository.revert(&ours.to_string(), &replay, &actor(11)).unwrap();
        assert_eq!(repository.rev_parse("ours:a/f").unwrap(), files[0]);
    }

    #[test]
    fn a_branch_that_moves_meanwhile_is_merged_into_where_it_is_then() {
        let repository = vault();
        let base = put(&repository, 1, "main", "f", "1");
        repository.create_branch("side", None, false, &actor(2)).unwrap();
        let theirs = put(&repository, 3, "side", "g", "1");
        let options = MergeOptions::default();
        let landing =
            |parent: Option<&str>| Landing { parent_commit: parent.map(str::to_owned), ..Landing::default() };
        let who = actor(5);
        let merge = Merge {
            source: "side",
            options: &options,
            actor: &who,
            found: Cell::new(None),
            limited: Cell::new(false),
        };
        let calls = Cell::new(0_u8);
        let pinned = base.to_string();
        for parent in [Some(&*pinned), None] {
            let plan = |view: &View, branch: &RefName, head: ObjectId, choices: &Choices| {
                let step = merge.plan(view, branch, head, choices);
                calls.set(calls.get() + 1);
                if calls.get() < 3 {
                    put(&repository, 20 + calls.get(), "main", "h", &format!("{}", calls.get()));
                }
                step
            };
            let landed = repository.land(&landing(parent), "merge", &actor(30 + calls.get()), &plan);
            if parent.is_some() {
                assert!(matches!(landed, Err(OpsError::Conflict { .. })));
            } else {
                let landed = landed.unwrap();
                let commit = repository.snapshot(None).unwrap().commit().clone();
                assert_eq!(commit.parents, [landed.before, theirs]);
                assert_eq!(calls.get(), 3, "worked out once more");
                let paths = ["f", "g", "h"].map(|path| repository.rev_parse(&format!("HEAD:{path}")).is_ok());
                assert_eq!(paths, [true; 3]);
            }
        }
    }

    /// Two names that are one on some systems, both new on one side: no side settles that. Only a stranger's vault can
    /// hold such a tree.
    #[test]
    fn names_that_clash_on_one_side_stay_a_conflict_whoever_is_favoured() {
        let repository = vault();
        put(&repository, 1, "main", "f", "1");
        let base = repository.rev_parse("HEAD").unwrap();
        let id = repository.rev_parse("HEAD:f").unwrap();
        let file = |name: &str| TreeEntry { name: name.into(), mode: Mode::File, id };
        let tree = Tree::from_entries(vec![file("A"), file("a"), file("f")]).unwrap();
        let mut transaction = repository.vault().begin(actor(2).context("test")).unwrap();
        let commit = Commit {
            tree: transaction.add_object(Kind::Tree, &tree.encode()).unwrap(),
            parents: vec![base],
            author: actor(2).signature,
            committer: actor(2).signature,
            extra_headers: Vec::new(),
            message: b"m".to_vec(),
        };
        let theirs = transaction.add_object(Kind::Commit, &commit.encode()).unwrap();
        transaction
            .publish(Change::moving(RefName::branch("theirs").unwrap(), None, Some(theirs), "test"))
            .unwrap();
        drop(transaction);
        put(&repository, 3, "main", "g", "2");
        let by_path = vec![(RepoPath::new("A").unwrap(), Resolution::Theirs)];
        for (favor, resolutions) in [(Some(Favor::Theirs), Vec::new()), (None, by_path)] {
            let landing = Landing { resolutions, favor, ..Landing::default() };
            let options = MergeOptions { landing, ..MergeOptions::default() };
            let result = repository.merge("theirs", &options, &actor(4)).unwrap();
            assert_eq!(result.status, MergeStatus::Conflict);
            assert_eq!(result.conflicts[0].conflict_type, ConflictType::CaseFold);
        }
        let landing = Landing { favor: Some(Favor::Ours), ..Landing::default() };
        let options = MergeOptions { landing, ..MergeOptions::default() };
        assert_eq!(repository.merge("theirs", &options, &actor(5)).unwrap().status, MergeStatus::Merged);
    }

    #[test]
    fn histories_without_a_common_ancestor_need_a_word() {
        let repository = vault();
        let first = repository.rev_parse("HEAD").unwrap();
        put(&repository, 1, "main", "f", "1");
        let mut transaction = repository.vault().begin(actor(2).context("test")).unwrap();
        let commit = Commit {
            tree: repository.rev_parse("HEAD^{tree}").unwrap(),
            parents: Vec::new(),
            author: actor(2).signature,
            committer: actor(2).signature,
            extra_headers: Vec::new(),
            message: b"alone".to_vec(),
        };
        let id = transaction.add_object(Kind::Commit, &commit.encode()).unwrap();
        transaction
            .publish(Change::moving(RefName::branch("alone").unwrap(), None, Some(id), "test"))
            .unwrap();
        drop(transaction);
        let options = MergeOptions::default();
        let refused = repository.merge("alone", &options, &actor(3)).unwrap_err();
        assert_eq!(refused.code(), "unrelated-histories");
        let options = MergeOptions { allow_unrelated: true, ..options };
        let result = repository.merge("alone", &options, &actor(4)).unwrap();
        assert_eq!((result.status, result.base_commit), (MergeStatus::Merged, None));
        assert!(repository.is_ancestor(&id.to_string(), "HEAD").unwrap());
        assert_eq!(repository.merge_bases("HEAD", &first.to_string()).unwrap(), [first]);
    }
}
