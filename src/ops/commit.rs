//! `create_commit`: applies operations in the order given and publishes one commit, or nothing.
//!
//! Content is read, hashed and stored first, without any lock. Then, holding the publish lock, the operations
//! are applied to the newest tree of the branch: when others committed meanwhile, to theirs. A caller that
//! pinned a parent gets a conflict instead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::edit::TreeEditor;
use super::error::OpsError;
use super::local::{self, Found, LocalFile, Walk};
use super::{Actor, Repository};
use crate::snapshot::{SnapshotError, resolve};
use crate::store::StoreError;
use crate::store::attributes::Attributes;
use crate::store::catalog::Catalog;
use crate::store::id::ObjectId;
use crate::store::ingest::Bytes;
use crate::store::object::Kind;
use crate::store::object::Mode;
use crate::store::object::Signature;
use crate::store::object::{Commit, message};
use crate::store::path::RepoPath;
use crate::store::publish::{Change, Published, move_ref};
use crate::store::refname::RefName;
use crate::store::transaction::Transaction;
use crate::store::vault::View;

/// The file whose `filter=lfs` lines decide what is an LFS pointer besides large files.
const GITATTRIBUTES: &str = ".gitattributes";
/// Longest `.gitattributes` that is read, as in Git.
const MAX_ATTRIBUTES: u64 = 100 << 20;

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
    /// Copies a file or a folder, as it is after the operations before.
    Copy {
        /// What to copy.
        source: RepoPath,
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
}

/// What is going on while a commit is made.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// So many files with so many bytes will be read.
    Found {
        /// Number of files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// This file is being read.
    File(&'a Path),
    /// So many more bytes were read.
    Read(u64),
    /// Everything is read; the commit is being published.
    Publishing,
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
    /// Number of the transaction, when there is one.
    pub transaction: Option<u64>,
    /// Files read.
    pub files: u64,
    /// Bytes of the files read.
    pub logical_bytes: u64,
    /// How many of those the vault did not have.
    pub new_bytes: u64,
    /// How many it had.
    pub shared_bytes: u64,
    /// Bytes the vault grew by, without the log.
    pub stored_bytes: u64,
    /// Local folders that were left out.
    pub skipped: Vec<PathBuf>,
}

/// An operation whose content is stored.
#[derive(Debug)]
enum Edit {
    Put(RepoPath, Mode, ObjectId),
    Delete(RepoPath),
    Copy(RepoPath, RepoPath),
}

/// One file to be stored.
enum Item {
    Local(Found),
    Bytes(RepoPath, Vec<u8>),
}

impl Item {
    fn path(&self) -> &RepoPath {
        match self {
            Self::Local(found) => &found.path,
            Self::Bytes(path, _) => path,
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Local(found) => found.size,
            Self::Bytes(_, bytes) => bytes.len() as u64,
        }
    }
}

/// Sums of what was read.
#[derive(Debug, Default)]
struct Totals {
    files: u64,
    logical: u64,
    new: u64,
}

impl Repository {
    /// Applies `operations` in order and commits the result.
    ///
    /// # Errors
    /// [`OpsError::Conflict`] when the branch is not at the pinned parent, [`OpsError::PathConflict`] when the
    /// result would not fit one file system, [`SnapshotError::EntryNotFound`] when something to delete or copy
    /// is not there, [`OpsError::Local`] for local files that cannot be committed. Nothing is committed then.
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
        let view = self.vault().refresh()?;
        let branch = branch_name(&view, options.revision.as_deref())?;
        let (head, parent) = head_and_parent(&view, &branch, options)?;
        check_parent(&branch, parent, head)?;
        let mut transaction = self.vault().begin(actor.context("commit"))?;
        let mut totals = Totals::default();
        let plan = Plan::new(operations, self.root(), progress)?;
        let attributes = plan.attributes(&view.catalog, view.catalog.commit(head)?.tree)?;
        let threshold = self.vault().settings().large_file_threshold;
        let is_pointer = |path: &RepoPath, size: u64| size >= threshold || attributes.is_lfs(path.as_str());
        let edits = plan.store(&mut transaction, &is_pointer, &mut totals, progress)?;
        progress(Progress::Publishing);
        let work = Work { branch, parent, options, actor, edits };
        let (oid, published) = work.publish(&mut transaction)?;
        Ok(CommitOutcome {
            oid,
            branch: work.branch.short().to_owned(),
            commit_message: options.message.clone(),
            commit_description: options.description.clone().unwrap_or_default(),
            committed: published.is_some(),
            transaction: published.as_ref().map(|published| published.seq),
            files: totals.files,
            logical_bytes: totals.logical,
            new_bytes: totals.new,
            shared_bytes: totals.logical - totals.new,
            stored_bytes: published.map_or(0, |published| published.stored_bytes),
            skipped: plan.skipped,
        })
    }
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
    let head = view.target(branch).ok_or_else(|| OpsError::BranchNotFound(branch.short().to_owned()))?;
    let parent =
        options.parent_commit.as_deref().map(|revision| resolve::commit(view, revision)).transpose()?;
    Ok((head, parent))
}

fn check_parent(branch: &RefName, parent: Option<ObjectId>, head: ObjectId) -> Result<(), OpsError> {
    match parent {
        Some(expected) if expected != head => {
            Err(OpsError::Conflict { branch: branch.short().to_owned(), expected, found: head })
        }
        _ => Ok(()),
    }
}

/// Operations with every local folder walked.
struct Plan {
    steps: Vec<Step>,
    skipped: Vec<PathBuf>,
}

enum Step {
    Add(Vec<Item>),
    Delete(RepoPath),
    Copy(RepoPath, RepoPath),
}

impl Plan {
    fn new(
        operations: &[CommitOperation],
        vault: Option<&Path>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, OpsError> {
        let mut plan = Self { steps: Vec::new(), skipped: Vec::new() };
        for operation in operations {
            let step = match operation {
                CommitOperation::Add { path_in_repo, source } => {
                    Step::Add(plan.expand(path_in_repo.as_ref(), source, vault)?)
                }
                CommitOperation::Delete { path_in_repo } => Step::Delete(path_in_repo.clone()),
                CommitOperation::Copy { source, path_in_repo } => {
                    Step::Copy(source.clone(), path_in_repo.clone())
                }
            };
            plan.steps.push(step);
        }
        let (mut files, mut bytes) = (0, 0);
        plan.items().for_each(|item| (files, bytes) = (files + 1, bytes + item.size()));
        progress(Progress::Found { files, bytes });
        Ok(plan)
    }

    fn expand(
        &mut self,
        path: Option<&RepoPath>,
        source: &AddSource,
        vault: Option<&Path>,
    ) -> Result<Vec<Item>, OpsError> {
        match source {
            AddSource::Bytes(bytes) => {
                let path = path
                    .ok_or_else(|| OpsError::Invalid("a file needs a path in the repository".to_owned()))?;
                Ok(vec![Item::Bytes(path.clone(), bytes.clone())])
            }
            AddSource::Local(local) => {
                let mut walk = Walk::default();
                walk.add(local, path, vault)?;
                self.skipped.extend(walk.skipped);
                Ok(walk.found.into_iter().map(Item::Local).collect())
            }
        }
    }

    fn items(&self) -> impl Iterator<Item = &Item> {
        self.steps.iter().flat_map(|step| match step {
            Step::Add(items) => items.as_slice(),
            Step::Delete(_) | Step::Copy(..) => &[],
        })
    }

    /// The attributes that hold for what is added: those being added, else those of the tree.
    fn attributes(&self, catalog: &Catalog, tree: ObjectId) -> Result<Attributes, OpsError> {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut folders: Vec<String> = self.items().flat_map(|item| folders_of(item.path())).collect();
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            if let Some(content) = committed_attributes(catalog, tree, &folder)? {
                files.insert(folder, content);
            }
        }
        for item in self.items().filter(|item| item.path().name() == GITATTRIBUTES) {
            let folder = item.path().parent().map_or_else(String::new, |parent| parent.to_string());
            files.insert(folder, read_attributes(item)?);
        }
        let mut attributes = Attributes::default();
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by_key(|(folder, _)| {
            (folder.matches('/').count() + usize::from(!folder.is_empty()), folder.clone())
        });
        files.iter().for_each(|(folder, content)| attributes.push(folder, content));
        Ok(attributes)
    }

    fn store(
        &self,
        transaction: &mut Transaction<'_>,
        is_pointer: &dyn Fn(&RepoPath, u64) -> bool,
        totals: &mut Totals,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Vec<Edit>, OpsError> {
        let mut edits = Vec::new();
        for step in &self.steps {
            match step {
                Step::Delete(path) => edits.push(Edit::Delete(path.clone())),
                Step::Copy(from, to) => edits.push(Edit::Copy(from.clone(), to.clone())),
                Step::Add(items) => {
                    for item in items {
                        edits.push(store_item(item, transaction, is_pointer, totals, progress)?);
                    }
                }
            }
        }
        Ok(edits)
    }
}

/// Every folder above a path, the root (empty) first.
fn folders_of(path: &RepoPath) -> Vec<String> {
    let mut folders = vec![String::new()];
    let mut parent = path.parent();
    while let Some(folder) = parent {
        parent = folder.parent();
        folders.push(folder.to_string());
    }
    folders
}

fn committed_attributes(
    catalog: &Catalog,
    tree: ObjectId,
    folder: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut at = tree;
    for name in folder.split('/').filter(|name| !name.is_empty()) {
        match catalog.tree(at)?.find(name.as_bytes()) {
            Some(entry) if entry.mode == Mode::Directory => at = entry.id,
            _ => return Ok(None),
        }
    }
    let found = catalog.tree(at)?.find(GITATTRIBUTES.as_bytes()).map(|entry| (entry.mode, entry.id));
    let Some((Mode::File | Mode::Executable, id)) = found else { return Ok(None) };
    let record = catalog.file(catalog.blob(id)?.0)?;
    if record.size > MAX_ATTRIBUTES {
        return Ok(None);
    }
    catalog.read_all(&record).map(Some)
}

fn read_attributes(item: &Item) -> Result<Vec<u8>, OpsError> {
    match item {
        Item::Bytes(_, bytes) => Ok(bytes.clone()),
        Item::Local(found) if found.size <= MAX_ATTRIBUTES && found.mode != Mode::Symlink => {
            std::fs::read(&found.local)
                .map_err(|source| OpsError::LocalIo { path: found.local.clone(), source })
        }
        Item::Local(_) => Ok(Vec::new()),
    }
}

fn store_item(
    item: &Item,
    transaction: &mut Transaction<'_>,
    is_pointer: &dyn Fn(&RepoPath, u64) -> bool,
    totals: &mut Totals,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Edit, OpsError> {
    let path = item.path();
    let pointer = is_pointer(path, item.size());
    let (mode, stored) = match item {
        Item::Bytes(_, bytes) => {
            let mut content = Bytes::new(path.as_str(), bytes);
            (
                Mode::File,
                transaction.add_content(&mut content, pointer, &mut |n| progress(Progress::Read(n)))?,
            )
        }
        Item::Local(found) if found.mode == Mode::Symlink => {
            let target = local::read_link(&found.local)?;
            let mut content = Bytes::new(path.as_str(), &target);
            (Mode::Symlink, transaction.add_content(&mut content, false, &mut |_| ())?)
        }
        Item::Local(found) => {
            progress(Progress::File(&found.local));
            let mut file = LocalFile::open(&found.local)?;
            (found.mode, transaction.add_content(&mut file, pointer, &mut |n| progress(Progress::Read(n)))?)
        }
    };
    totals.files += 1;
    totals.logical += stored.size;
    totals.new += stored.new_bytes;
    Ok(Edit::Put(path.clone(), mode, stored.blob))
}

/// What is published, as often as it takes.
struct Work<'a> {
    branch: RefName,
    parent: Option<ObjectId>,
    options: &'a CommitOptions,
    actor: &'a Actor,
    edits: Vec<Edit>,
}

impl Work<'_> {
    /// Publishes on the newest head. Where locks do not work another writer can still come between: then on
    /// theirs.
    fn publish(&self, transaction: &mut Transaction<'_>) -> Result<(ObjectId, Option<Published>), OpsError> {
        loop {
            match self.attempt(transaction) {
                Err(OpsError::Store(StoreError::Overtaken(_))) => transaction.forget_objects(),
                done => return done,
            }
        }
    }

    fn attempt(&self, transaction: &mut Transaction<'_>) -> Result<(ObjectId, Option<Published>), OpsError> {
        let view = transaction.lock()?;
        let head = view.target(&self.branch);
        let head = head.ok_or_else(|| OpsError::BranchNotFound(self.branch.short().to_owned()))?;
        check_parent(&self.branch, self.parent, head)?;
        let old_tree = view.catalog.commit(head)?.tree;
        let mut editor = TreeEditor::new(&view.catalog, old_tree)?;
        self.edits.iter().try_for_each(|edit| edit.apply(&mut editor, &view.catalog))?;
        let tree = editor.store(transaction)?;
        if tree == old_tree && !self.options.allow_empty {
            return Ok(transaction.confirm().map(|()| (head, None))?);
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
        let refs =
            vec![move_ref(self.branch.clone(), Some(head), Some(id), &format!("commit: {}", commit.title()))];
        let published = transaction.publish(Change { refs, default_branch: None })?;
        Ok((id, Some(published)))
    }
}

impl Edit {
    fn apply(&self, editor: &mut TreeEditor, catalog: &Catalog) -> Result<(), OpsError> {
        let missing = |path: &RepoPath| {
            OpsError::Snapshot(SnapshotError::EntryNotFound {
                path: path.to_string(),
                revision: "the branch as it is at this step".to_owned(),
            })
        };
        match self {
            Self::Put(path, mode, id) => editor.put_file(catalog, path, *mode, *id),
            Self::Delete(path) if editor.delete(catalog, path)? => Ok(()),
            Self::Delete(path) => Err(missing(path)),
            Self::Copy(from, to) => {
                let subtree = editor.get(catalog, from)?.ok_or_else(|| missing(from))?;
                editor.put_subtree(catalog, to, subtree)
            }
        }
    }
}
