//! What a commit will read: operations with every local folder walked, then every file stored.
//!
//! This is the long part of a commit, and it needs no lock: nothing here looks at where a branch is now. Which
//! files are LFS pointers is decided here, by size and by `.gitattributes`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Progress;
use super::commit::{AddSource, CommitOperation};
use super::edits::{Edit, Files};
use super::error::OpsError;
use super::local::{self, Found, Links, Local, LocalFile, Walk};
use super::source::SharedReader;
use super::walked::{Spill, Walked, folders_of};
use crate::snapshot::{SnapshotError, resolve};
use crate::store::StoreError;
use crate::store::attributes::Attributes;
use crate::store::catalog::{Catalog, FileRecord};
use crate::store::id::ObjectId;
use crate::store::ingest::{Bytes, Content, Done, Sources, Storing, Told};
use crate::store::object::{Mode, TreeEntry};
use crate::store::path::RepoPath;
use crate::store::stat_cache::{Noted, StatCache};
use crate::store::transaction::Transaction;
use crate::store::vault::View;

/// The file whose `filter=lfs` lines decide what is an LFS pointer besides large files.
pub(super) const GITATTRIBUTES: &str = ".gitattributes";
/// Longest `.gitattributes`, all of them together. Git reads 100 MiB; a few kilobytes of vault can hold that, and its
/// patterns take many times as much memory.
const MAX_ATTRIBUTES: u64 = 1 << 20;

/// From so many local files or bytes on it is worth asking which of them were seen before.
const MANY_FILES: u64 = 64;
const MANY_BYTES: u64 = 1 << 20;

/// One file to be stored.
#[derive(Clone)]
enum Item {
    Local(Found),
    Bytes(RepoPath, Vec<u8>),
    Reader(RepoPath, SharedReader, u64),
}

impl Item {
    fn path(&self) -> &RepoPath {
        match self {
            Self::Local(found) => &found.path,
            Self::Bytes(path, _) | Self::Reader(path, ..) => path,
        }
    }

    fn size(&self) -> u64 {
        match self {
            Self::Local(found) => found.size,
            Self::Bytes(_, bytes) => bytes.len() as u64,
            Self::Reader(_, _, size) => *size,
        }
    }

    fn is_symlink(&self) -> bool {
        matches!(self, Self::Local(found) if found.mode == Mode::Symlink)
    }

    /// Where it goes, and what it is to Git.
    fn into_place(self) -> (RepoPath, Mode) {
        match self {
            Self::Local(found) => (found.path, found.mode),
            Self::Bytes(path, _) | Self::Reader(path, ..) => (path, Mode::File),
        }
    }
}

/// Sums of what was read.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) files: u64,
    pub(super) logical: u64,
    pub(super) new: u64,
    /// Files that were not read, because they had been seen.
    pub(super) unchanged: u64,
    /// Local files and what they are stored as, to be recognised the next time.
    pub(super) noted: Noted,
}

impl Totals {
    fn add(&mut self, Done { stored, fingerprint, seen }: &Done, cache: Option<&StatCache>) {
        self.files += 1;
        self.logical += stored.size;
        self.new += stored.new_bytes;
        self.unchanged += u64::from(*seen);
        if let (Some(cache), Some(file)) = (cache, fingerprint) {
            cache.note(&mut self.noted, file, stored.blob);
        }
    }
}

/// Operations with every local folder walked.
pub(super) struct Plan {
    steps: Vec<Step>,
    /// Local folders that were left out.
    pub(super) skipped: Vec<PathBuf>,
}

enum Step {
    Add(Item),
    AddFolder(Walked),
    /// What needs no content from outside.
    Edit(Edit),
}

impl Plan {
    /// Walks what is to be added.
    pub(super) fn new(
        operations: &[CommitOperation],
        transaction: &mut Transaction<'_>,
        vault: Option<&Path>,
        links: Links,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, OpsError> {
        let mut plan = Self { steps: Vec::new(), skipped: Vec::new() };
        let view = Arc::clone(transaction.base());
        for operation in operations {
            let step = match operation {
                CommitOperation::Add { path_in_repo, source } => {
                    plan.expand(path_in_repo.as_ref(), source, vault, links, &mut |files| {
                        transaction.spill(files)
                    })?
                }
                CommitOperation::Delete { path_in_repo } => Step::Edit(Edit::Delete(path_in_repo.clone())),
                CommitOperation::DeleteOnly { path_in_repo, folder } => {
                    Step::Edit(Edit::DeleteOnly(path_in_repo.clone(), *folder))
                }
                CommitOperation::DeleteMatching { folder, patterns } => {
                    Step::Edit(Edit::DeleteMatching(folder.clone(), patterns.clone()))
                }
                CommitOperation::Copy { source, src_revision: None, path_in_repo } => {
                    Step::Edit(Edit::Copy(source.clone(), path_in_repo.clone()))
                }
                CommitOperation::Copy { source, src_revision: Some(revision), path_in_repo } => {
                    let entry = entry_of(&view, revision, source)?;
                    Step::Edit(Edit::PutSubtree(path_in_repo.clone(), entry.mode, entry.id))
                }
            };
            plan.steps.push(step);
        }
        let (files, bytes) = plan.sum(|_| true);
        progress(Progress::Found { files, bytes });
        Ok(plan)
    }

    fn expand(
        &mut self,
        path: Option<&RepoPath>,
        source: &AddSource,
        vault: Option<&Path>,
        links: Links,
        spill: Spill<'_>,
    ) -> Result<Step, OpsError> {
        match source {
            AddSource::Bytes(bytes) => {
                Ok(Step::Add(Item::Bytes(path.ok_or_else(no_path)?.clone(), bytes.clone())))
            }
            AddSource::Reader(reader) => {
                let path = path.ok_or_else(no_path)?;
                let size = reader.size().map_err(unreadable(path))?;
                Ok(Step::Add(Item::Reader(path.clone(), reader.clone(), size)))
            }
            AddSource::Folder(folder) => {
                let mut walk = Walk {
                    links,
                    filter: folder.filter.clone(),
                    respect_ignore: folder.respect_ignore,
                    ..Walk::default()
                };
                let walked = walk.add_folder(&folder.path, path, vault, spill)?;
                self.skipped.extend(walk.skipped);
                if walked.is_empty() && !folder.may_be_empty {
                    let detail = if folder.filter.takes_all() {
                        "it holds no files"
                    } else {
                        "no file in it is chosen"
                    };
                    let detail = detail.to_owned();
                    return Err(OpsError::NothingMatched { path: folder.path.clone(), detail });
                }
                Ok(Step::AddFolder(walked))
            }
            AddSource::Local(local) => {
                let mut walk = Walk { links, ..Walk::default() };
                let found = walk.add(local, path, vault, spill)?;
                self.skipped.extend(walk.skipped);
                Ok(match found {
                    Local::File(found) => Step::Add(Item::Local(found)),
                    Local::Folder(walked) => Step::AddFolder(walked),
                })
            }
        }
    }

    /// Number and bytes of what is to be stored: of the files of folders, and of those others that `counts`.
    fn sum(&self, counts: impl Fn(&Item) -> bool) -> (u64, u64) {
        let sums = self.steps.iter().map(|step| match step {
            Step::Add(item) if counts(item) => (1, item.size()),
            Step::AddFolder(walked) => (walked.len() as u64, walked.bytes),
            Step::Add(_) | Step::Edit(_) => (0, 0),
        });
        sums.fold((0, 0), |sum, step| (sum.0 + step.0, sum.1 + step.1))
    }

    /// The attributes that hold for what is added: those being added, else those of the tree.
    pub(super) fn attributes(&self, catalog: &Catalog, tree: ObjectId) -> Result<Attributes, OpsError> {
        let mut folders = BTreeSet::new();
        let mut added: BTreeMap<String, Cow<'_, Item>> = BTreeMap::new();
        let folder_of = |path: &RepoPath| path.parent().map_or_else(String::new, |parent| parent.to_string());
        for step in &self.steps {
            match step {
                Step::Edit(_) => {}
                Step::Add(item) => {
                    folders.extend(folders_of(item.path()));
                    if item.path().name() == GITATTRIBUTES {
                        added.insert(folder_of(item.path()), Cow::Borrowed(item));
                    }
                }
                Step::AddFolder(walked) => {
                    folders.extend(walked.folders.iter().cloned());
                    let found = walked.attributes.iter().cloned().map(Item::Local);
                    added.extend(found.map(|item| (folder_of(item.path()), Cow::Owned(item))));
                }
            }
        }
        let mut room = Room(MAX_ATTRIBUTES);
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for folder in folders {
            if let Some(item) = added.get(&folder) {
                room.take(item.size(), &folder)?;
                files.insert(folder, read_attributes(item)?);
            } else if let Some(record) = committed_attributes(catalog, tree, &folder)? {
                room.take(record.size, &folder)?;
                files.insert(folder, catalog.read_all(&record)?);
            }
        }
        let mut attributes = Attributes::default();
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by_key(|(folder, _)| {
            (folder.matches('/').count() + usize::from(!folder.is_empty()), folder.clone())
        });
        files.iter().for_each(|(folder, content)| attributes.push(folder, content));
        Ok(attributes)
    }

    /// What is known of the local files, unless there are so few that reading them costs no more than asking.
    pub(super) fn stat_cache(&self, transaction: &Transaction<'_>) -> Option<StatCache> {
        let (files, bytes) = self.sum(|item| matches!(item, Item::Local(_)));
        let lookups = usize::try_from(files).unwrap_or(usize::MAX);
        if files >= MANY_FILES || bytes >= MANY_BYTES { transaction.stat_cache(lookups) } else { None }
    }

    /// Stores every file; answers what is to be done to the tree. `cache` is where files are noted, and whether those it
    /// recognises need not be read. What was found of them is given up on the way.
    pub(super) fn store(
        self,
        transaction: &mut Transaction<'_>,
        is_pointer: &(dyn Fn(&RepoPath, u64) -> bool + Sync),
        cache: Option<(&StatCache, bool)>,
        totals: &mut Totals,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Vec<Edit>, OpsError> {
        let seen = cache.filter(|(_, may_trust)| *may_trust).map(|(cache, _)| cache);
        let pending = Pending { is_pointer, seen };
        let mut steps = |step: Storing<'_, Item>| match step {
            Storing::Begins(Item::Local(found)) => progress(Progress::File(&found.local)),
            Storing::Begins(_) => {}
            Storing::Read(bytes) => progress(Progress::Read(bytes)),
        };
        let mut edits = Vec::new();
        for step in self.steps {
            let mut files = Files::default();
            let mut done = |transaction: &mut Transaction<'_>, item: Item, done: Done| {
                totals.add(&done, cache.map(|(cache, _)| cache));
                let (path, mode) = item.into_place();
                files.insert(path, (mode, done.stored.blob));
                transaction.spill(&mut totals.noted)?;
                Ok(transaction.spill(&mut files)?)
            };
            let mut told = Told { steps: &mut steps, done: &mut done };
            let into = match step {
                Step::Edit(edit) => {
                    edits.push(edit);
                    continue;
                }
                Step::Add(item) => {
                    let path = item.path().clone();
                    transaction.add_all(&pending, &mut std::iter::once(Ok(item)), &mut told)?;
                    Some(path)
                }
                Step::AddFolder(walked) => {
                    let mut found = walked.found()?.map(|found| found.map(Item::Local));
                    transaction.add_all(&pending, &mut found, &mut told)?;
                    drop(found);
                    walked.into
                }
            };
            edits.push(Edit::PutAll(into, files));
        }
        Ok(edits)
    }
}

/// What the store asks of files.
struct Pending<'a> {
    is_pointer: &'a (dyn Fn(&RepoPath, u64) -> bool + Sync),
    seen: Option<&'a StatCache>,
}

impl Sources for Pending<'_> {
    type File = Item;
    type Error = OpsError;

    fn size(&self, item: &Item) -> u64 {
        item.size()
    }

    fn is_pointer(&self, item: &Item) -> bool {
        !item.is_symlink() && (self.is_pointer)(item.path(), item.size())
    }

    fn seen(&self, item: &Item) -> Option<(ObjectId, u64)> {
        let Item::Local(found) = item else { return None };
        let seen = self.seen.filter(|_| found.mode != Mode::Symlink)?;
        let file = found.fingerprint?;
        seen.find(&file).map(|blob| (blob, file.size))
    }

    fn open<'f>(&'f self, item: &'f Item) -> Result<Box<dyn Content + 'f>, OpsError> {
        match item {
            Item::Bytes(path, bytes) => Ok(Box::new(Bytes::new(path.as_str(), bytes))),
            Item::Reader(path, reader, size) => {
                let content = reader.content(path.as_str()).map_err(unreadable(path))?;
                if content.size() != *size {
                    return Err(StoreError::SourceChanged(path.to_string()).into());
                }
                Ok(Box::new(content))
            }
            Item::Local(found) if item.is_symlink() => {
                Ok(Box::new(Bytes::owned(found.path.as_str(), local::read_link(&found.local)?)))
            }
            Item::Local(found) => Ok(Box::new(LocalFile::open_found(found)?)),
        }
    }
}

fn no_path() -> OpsError {
    OpsError::Invalid("a file needs a path in the repository".to_owned())
}

/// The failure of a reader whose content goes to `path`.
fn unreadable(path: &RepoPath) -> impl FnOnce(std::io::Error) -> StoreError {
    let name = path.to_string();
    move |source| StoreError::Source { name, source }
}

/// What is at `path` in a revision, which is looked up once, before anything is read.
fn entry_of(view: &View, revision: &str, path: &RepoPath) -> Result<TreeEntry, OpsError> {
    let commit = view.catalog.commit(resolve::commit(view, revision)?)?;
    let missing = || SnapshotError::EntryNotFound { path: path.to_string(), revision: revision.to_owned() };
    let mut at = TreeEntry { name: Vec::new(), mode: Mode::Directory, id: commit.tree };
    for name in path.components() {
        if at.mode != Mode::Directory {
            return Err(missing().into());
        }
        at = view.catalog.tree(at.id)?.find(name.as_bytes()).cloned().ok_or_else(missing)?;
    }
    Ok(at)
}

fn committed_attributes(
    catalog: &Catalog,
    tree: ObjectId,
    folder: &str,
) -> Result<Option<FileRecord>, StoreError> {
    let mut at = tree;
    for name in folder.split('/').filter(|name| !name.is_empty()) {
        match catalog.tree(at)?.find(name.as_bytes()) {
            Some(entry) if entry.mode == Mode::Directory => at = entry.id,
            _ => return Ok(None),
        }
    }
    let found = catalog.tree(at)?.find(GITATTRIBUTES.as_bytes()).map(|entry| (entry.mode, entry.id));
    let Some((Mode::File | Mode::Executable, id)) = found else { return Ok(None) };
    catalog.file(catalog.blob(id)?.0).map(Some)
}

/// Bytes of attributes that may still be read.
struct Room(u64);

impl Room {
    fn take(&mut self, size: u64, folder: &str) -> Result<(), OpsError> {
        let left = self.0.checked_sub(size);
        self.0 = left.ok_or_else(|| {
            let slash = if folder.is_empty() { "" } else { "/" };
            OpsError::Invalid(format!(
                "`{folder}{slash}{GITATTRIBUTES}` is too long: with those it adds to, more than {} MiB of rules say what \
                 is an LFS pointer; commit a shorter one in its place",
                MAX_ATTRIBUTES >> 20
            ))
        })?;
        Ok(())
    }
}

fn read_attributes(item: &Item) -> Result<Vec<u8>, OpsError> {
    match item {
        Item::Bytes(_, bytes) => Ok(bytes.clone()),
        Item::Reader(path, reader, size) => {
            let mut content = reader.content(path.as_str()).map_err(unreadable(path))?;
            let bytes = content.sample(0, usize::try_from(*size).unwrap_or(0));
            Ok(bytes.map_err(unreadable(path))?)
        }
        Item::Local(found) if found.mode != Mode::Symlink => {
            let mut file = LocalFile::open_found(found)?;
            let bytes = file.sample(0, usize::try_from(found.size).unwrap_or(0));
            bytes.map_err(|source| OpsError::LocalIo { path: found.local.clone(), source })
        }
        Item::Local(_) => Ok(Vec::new()),
    }
}
