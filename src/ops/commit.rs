//! `create_commit`: applies operations in the order given and publishes one commit, or nothing.
//!
//! Content is read, hashed and stored first, without any lock. Then, holding the publish lock, the operations
//! are applied to the newest tree of the branch: when others committed meanwhile, to theirs. A caller that
//! pinned a parent gets a conflict instead.

use std::path::PathBuf;
use std::sync::Arc;

use super::edit::TreeEditor;
use super::edits::Edit;
use super::error::OpsError;
use super::local::Links;
use super::patterns::Pattern;
use super::plan::{Plan, Totals};
use super::refs::head;
use super::source::{FolderSource, SharedReader};
use super::transact::attempt;
use super::{Actor, Phase, Progress, Repository};
use crate::snapshot::tree_diff::tree_diff;
use crate::snapshot::{SnapshotError, resolve};
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::object::{Commit, Kind, Signature, message};
use crate::store::pack::Compression;
use crate::store::path::RepoPath;
use crate::store::publish::{Change, Published};
use crate::store::refname::RefName;
use crate::store::transaction::Transaction;
use crate::store::vault::View;

/// One change to a tree.
#[derive(Debug, Clone)]
pub enum CommitOperation {
    /// Adds or replaces a file, or adds all that is in a local folder.
    Add {
        /// Where it goes; `None` puts a folder's content at the root.
        path_in_repo: Option<RepoPath>,
        /// What it is.
        source: AddSource,
    },
    /// Removes a file or a folder.
    Delete {
        /// What to remove.
        path_in_repo: RepoPath,
    },
    /// Removes a file or a folder if it is what it is said to be; anything else is not found.
    DeleteOnly {
        /// What to remove.
        path_in_repo: RepoPath,
        /// Whether it must be a folder, or must be none.
        folder: bool,
    },
    /// Removes the files that match, by their path in a folder. `.gitattributes` files stay: they say what the other
    /// files are. That nothing matches is fine.
    DeleteMatching {
        /// The folder; `None` is the root.
        folder: Option<RepoPath>,
        /// What to remove.
        patterns: Vec<Pattern>,
    },
    /// Copies a file or a folder.
    Copy {
        /// What to copy.
        source: RepoPath,
        /// The revision to copy from; `None` is the branch as it is after the operations before.
        src_revision: Option<String>,
        /// Where to.
        path_in_repo: RepoPath,
    },
}

/// What to add.
#[derive(Debug, Clone)]
pub enum AddSource {
    /// A local file, symlink or folder.
    Local(PathBuf),
    /// A file with this content.
    Bytes(Vec<u8>),
    /// A file with the content of a reader, from its beginning.
    Reader(SharedReader),
    /// Some files of a local folder.
    Folder(FolderSource),
}

/// How to commit.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// First line of the message.
    pub message: String,
    /// The rest of the message.
    pub description: Option<String>,
    /// Branch to commit to, by its short or full name; the default branch when `None`.
    pub revision: Option<String>,
    /// The branch must be at this commit.
    pub parent_commit: Option<String>,
    /// Author, when it is not who commits.
    pub author: Option<Signature>,
    /// Commit even when nothing changes.
    pub allow_empty: bool,
    /// What becomes of symlinks.
    pub links: Links,
    /// Read every file, also those that were stored before and have not changed since, and what the vault has of them:
    /// what is damaged there is stored again, for every version that shares it.
    pub rehash: bool,
    /// How hard new content is compressed, when not as the vault's setting says; what the vault has already stays as it
    /// is.
    pub compression: Option<Compression>,
}

/// What a commit did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CommitOutcome {
    /// Id of the commit; of the branch's head when nothing changed.
    pub oid: ObjectId,
    /// Short name of the branch.
    pub branch: String,
    /// First line of the message.
    pub commit_message: String,
    /// The rest of the message.
    pub commit_description: String,
    /// Whether there is a new commit: `false` when nothing changed.
    pub committed: bool,
    /// Number of the transaction, when there is one: also when nothing changed, but content that the vault did not have was
    /// stored.
    pub transaction: Option<u64>,
    /// Files added.
    pub files: u64,
    /// How many of them had not changed since they were last stored, and were not read.
    pub unchanged_files: u64,
    /// Bytes of the files added.
    pub logical_bytes: u64,
    /// How many of those the vault did not have.
    pub new_bytes: u64,
    /// How many it had.
    pub shared_bytes: u64,
    /// Bytes the vault grew by, without the log.
    pub stored_bytes: u64,
    /// What differs between the commit and its parent; `None` when that is too much to look at, or nothing new.
    pub changed: Option<Changed>,
    /// Local folders that were left out.
    pub skipped: Vec<PathBuf>,
}

/// How many files a commit added, changed and deleted, as `git diff --no-renames` counts them.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Changed {
    /// Files its parent has not.
    pub added: u64,
    /// Files with other content, or of another type, in its parent.
    pub modified: u64,
    /// Files only its parent has.
    pub deleted: u64,
    /// The first of them, in Git's order: each with its letter (`A`, `M`, `D`).
    #[serde(skip)]
    pub first: Vec<(char, String)>,
}

impl Changed {
    /// Most of [`Changed::first`].
    pub const FIRST: usize = 10;

    /// Compares the trees `old` and `new`.
    fn between(catalog: &Catalog, old: ObjectId, new: ObjectId) -> Result<Self, SnapshotError> {
        let mut changed = Self::default();
        tree_diff(catalog, b"", Some(old), Some(new), &mut |change| {
            let (letter, count) = match (change.old, change.new) {
                (None, _) => ('A', &mut changed.added),
                (_, None) => ('D', &mut changed.deleted),
                _ => ('M', &mut changed.modified),
            };
            *count += 1;
            if changed.first.len() < Self::FIRST {
                changed.first.push((letter, change.path()));
            }
            Ok::<_, SnapshotError>(true)
        })?;
        Ok(changed)
    }

    /// All of them.
    pub fn files(&self) -> u64 {
        self.added + self.modified + self.deleted
    }
}

impl Repository {
    /// Applies `operations` in order and commits the result.
    ///
    /// # Errors
    /// [`OpsError::NoOperations`] when there are none, unless `allow_empty`;
    /// [`OpsError::Conflict`] when the branch is not at the pinned parent, [`OpsError::PathConflict`] when the
    /// result would not fit one file system, [`EntryNotFound`](crate::SnapshotError::EntryNotFound) when something to
    /// delete or copy is not there, [`OpsError::Local`] for local files that cannot be committed. Nothing is committed
    /// then.
    pub fn create_commit(
        &self,
        operations: &[CommitOperation],
        options: &CommitOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<CommitOutcome, OpsError> {
        if options.message.trim().is_empty() {
            return Err(OpsError::Invalid("the commit message is empty; give one with `-m`".to_owned()));
        }
        if operations.is_empty() && !options.allow_empty {
            return Err(OpsError::NoOperations);
        }
        let mut transaction = self.vault().begin(actor.context("commit"))?;
        let view = Arc::clone(transaction.base());
        let branch = branch_name(&view, options.revision.as_deref())?;
        let (head, parent) = head_and_parent(&view, &branch, options)?;
        check_parent(&branch, parent, head)?;
        let mut totals = Totals::default();
        let mut plan = Plan::new(operations, &mut transaction, self.root(), options.links, progress)?;
        let attributes = plan.attributes(&view.catalog, view.catalog.commit(head)?.tree)?;
        let threshold = self.vault().settings().large_file_threshold;
        let is_pointer = |path: &RepoPath, size: u64| size >= threshold || attributes.is_lfs(path.as_str());
        if let Some(compression) = options.compression {
            transaction.set_compression(compression);
        }
        if options.rehash {
            transaction.distrust();
        }
        let cache = plan.stat_cache(&transaction);
        let cache = cache.as_ref().map(|cache| (cache, !options.rehash));
        let skipped = std::mem::take(&mut plan.skipped);
        let edits = plan.store(&mut transaction, &is_pointer, cache, &mut totals, progress)?;
        transaction.mend()?;
        progress(Progress::Phase(Phase::Publishing));
        let work = Work { branch, parent, options, actor, edits };
        let (oid, committed, published) =
            attempt(&mut transaction, |transaction, view| work.publish(transaction, view))?;
        let Work { branch, edits, .. } = work;
        drop(edits);
        if let Some((cache, _)) = cache {
            transaction.note_files(cache, &totals.noted);
        }
        // Of a million files, what is looked at to count the changes need not lie beside what stored them.
        drop((transaction, std::mem::take(&mut totals.noted)));
        Ok(CommitOutcome {
            oid,
            branch: branch.short().to_owned(),
            commit_message: options.message.clone(),
            commit_description: options.description.clone().unwrap_or_default(),
            committed,
            transaction: published.as_ref().map(|published| published.seq),
            files: totals.files,
            unchanged_files: totals.unchanged,
            logical_bytes: totals.logical,
            new_bytes: totals.new,
            shared_bytes: totals.logical - totals.new,
            stored_bytes: published.as_ref().map_or(0, |published| published.stored_bytes),
            changed: published
                .filter(|_| committed)
                .and_then(|published| changed_by(&published.view.catalog, oid)),
            skipped,
        })
    }
}

/// What the commit `id` changed. It is made already: what cannot be told is no reason to say that it failed.
fn changed_by(catalog: &Catalog, id: ObjectId) -> Option<Changed> {
    let commit = catalog.commit(id).ok()?;
    let parent = catalog.commit(*commit.parents.first()?).ok()?;
    Changed::between(catalog, parent.tree, commit.tree).ok()
}

fn branch_name(view: &View, revision: Option<&str>) -> Result<RefName, OpsError> {
    let Some(name) = revision else { return Ok(view.default_branch()?.clone()) };
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    Ok(RefName::branch(name)?)
}

fn head_and_parent(
    view: &View,
    branch: &RefName,
    options: &CommitOptions,
) -> Result<(ObjectId, Option<ObjectId>), OpsError> {
    let head = head(view, branch)?;
    let parent =
        options.parent_commit.as_deref().map(|revision| resolve::commit(view, revision)).transpose()?;
    Ok((head, parent))
}

/// Refuses when the branch is not at the commit that was pinned.
pub(super) fn check_parent(
    branch: &RefName,
    parent: Option<ObjectId>,
    head: ObjectId,
) -> Result<(), OpsError> {
    match parent {
        Some(expected) if expected != head => {
            Err(OpsError::Conflict { branch: branch.short().to_owned(), expected, found: head })
        }
        _ => Ok(()),
    }
}

/// What is published.
struct Work<'a> {
    branch: RefName,
    parent: Option<ObjectId>,
    options: &'a CommitOptions,
    actor: &'a Actor,
    edits: Vec<Edit>,
}

impl Work<'_> {
    /// Publishes on the head that the branch has in `view`. Answers the branch's head, whether it is a new commit, and what
    /// was published.
    fn publish(
        &self,
        transaction: &mut Transaction<'_>,
        view: &View,
    ) -> Result<(ObjectId, bool, Option<Published>), OpsError> {
        let head = head(view, &self.branch)?;
        check_parent(&self.branch, self.parent, head)?;
        let old_tree = view.catalog.commit(head)?.tree;
        let mut editor = TreeEditor::new(&view.catalog, old_tree)?;
        for (at, edit) in (1..).zip(&self.edits) {
            edit.apply(&self.edits[at..], &mut editor, &view.catalog, transaction)?;
        }
        let tree = editor.store(transaction)?;
        drop(editor);
        if tree == old_tree && !self.options.allow_empty {
            if transaction.brings_content() {
                // The same files, some of which the vault had lost: now it has them again.
                return Ok((head, false, Some(transaction.publish(Change::default())?)));
            }
            return Ok(transaction.confirm().map(|()| (head, false, None))?);
        }
        let commit = Commit {
            tree,
            parents: vec![head],
            author: self.options.author.clone().unwrap_or_else(|| self.actor.signature.clone()),
            committer: self.actor.signature.clone(),
            extra_headers: Vec::new(),
            message: message(&self.options.message, self.options.description.as_deref()),
        };
        let id = transaction.add_object(Kind::Commit, &commit.encode())?;
        let why = format!("commit: {}", commit.title());
        let change = Change::moving(self.branch.clone(), Some(head), Some(id), &why);
        let published = transaction.publish(change)?;
        Ok((id, true, Some(published)))
    }
}
