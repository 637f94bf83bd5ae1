//! One committed revision, read-only.
//!
//! A [`Snapshot`] resolves its revision once and never changes; it is cheap to clone and may be used from many
//! threads. Folders are read when they are listed, bytes when they are asked for. It knows how a path becomes
//! bytes; not how branches move, what a lock is, or that kernels exist.

pub mod budget;
pub mod cache;
pub mod compare;
pub mod error;
pub mod file;
pub mod graph;
mod info;
pub mod last_change;
mod pace;
pub mod reflog;
pub mod rename;
pub mod resolve;
mod similarity;
pub mod tree_diff;
pub mod versions;

use std::sync::Arc;

pub use cache::ChunkCache;
pub use error::SnapshotError;
pub use file::FileReader;
pub use info::{FileInfo, Infos};

pub use crate::store::StoreError;
use crate::store::catalog::Catalog;
pub use crate::store::id::{ObjectId, Sha256};
pub use crate::store::object::Commit;
pub use crate::store::object::{Mode, Tree, TreeEntry};
use crate::store::path::{MAX_DEPTH, PathError};
use crate::store::vault::View;

/// A committed revision of a vault.
#[derive(Debug, Clone)]
pub struct Snapshot {
    view: Arc<View>,
    cache: Arc<ChunkCache>,
    revision: Arc<str>,
    id: ObjectId,
    commit: Arc<Commit>,
}

impl Snapshot {
    /// Resolves `revision` in `view`. `cache` may be shared by any number of snapshots.
    pub fn open(view: Arc<View>, revision: &str, cache: Arc<ChunkCache>) -> Result<Self, SnapshotError> {
        let id = resolve::commit(&view, revision)?;
        Self::open_at(view, id, revision, cache)
    }

    /// The commit `id` of `view`, to be called `revision`.
    pub fn open_at(
        view: Arc<View>,
        id: ObjectId,
        revision: &str,
        cache: Arc<ChunkCache>,
    ) -> Result<Self, SnapshotError> {
        let commit = Arc::new(view.catalog.commit(id)?);
        Ok(Self { view, cache, revision: revision.into(), id, commit })
    }

    /// Id of the commit.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// The commit.
    pub fn commit(&self) -> &Commit {
        &self.commit
    }

    /// Another commit of the same vault.
    pub fn commit_of(&self, id: ObjectId) -> Result<Commit, SnapshotError> {
        Ok(self.view.catalog.commit(id)?)
    }

    /// The revision as it was asked for.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Bytes of decoded chunks held now, by all who share the cache.
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Everything the state of the vault it was opened in holds.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.view.catalog
    }

    /// The root folder, as an entry without a name.
    pub fn root(&self) -> TreeEntry {
        TreeEntry { name: Vec::new(), mode: Mode::Directory, id: self.commit.tree }
    }

    /// A folder; only that folder is read.
    pub fn tree(&self, folder: ObjectId) -> Result<Tree, SnapshotError> {
        Ok(self.view.catalog.tree(folder)?)
    }

    /// Entries of a folder in Git's order.
    pub fn list(&self, folder: ObjectId) -> Result<Vec<TreeEntry>, SnapshotError> {
        Ok(self.tree(folder)?.into_entries())
    }

    /// The entry called `name` in a folder.
    pub fn child(&self, folder: ObjectId, name: &[u8]) -> Result<Option<TreeEntry>, SnapshotError> {
        Ok(self.tree(folder)?.find(name).cloned())
    }

    /// The entry at `path` (`/`-separated; empty for the root).
    pub fn try_entry(&self, path: &str) -> Result<Option<TreeEntry>, SnapshotError> {
        let mut at = self.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            if at.mode != Mode::Directory {
                return Ok(None);
            }
            match self.child(at.id, name.as_bytes())? {
                Some(entry) => at = entry,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The entry at `path`.
    ///
    /// # Errors
    /// [`SnapshotError::EntryNotFound`].
    pub fn entry(&self, path: &str) -> Result<TreeEntry, SnapshotError> {
        self.try_entry(path)?.ok_or_else(|| SnapshotError::EntryNotFound {
            path: path.to_owned(),
            revision: self.revision.to_string(),
        })
    }

    /// The folder at `path`.
    ///
    /// # Errors
    /// [`SnapshotError::EntryNotFound`]; [`SnapshotError::NotADirectory`] when something else is there.
    pub fn folder(&self, path: &str) -> Result<TreeEntry, SnapshotError> {
        let entry = self.entry(path)?;
        if entry.mode == Mode::Directory {
            return Ok(entry);
        }
        Err(SnapshotError::NotADirectory { path: path.to_owned(), revision: self.revision.to_string() })
    }

    /// Opens a file (or a symlink's target text) for reading; `path` names it in errors.
    pub fn open_file(&self, entry: &TreeEntry, path: &str) -> Result<FileReader, SnapshotError> {
        if entry.mode == Mode::Directory {
            return Err(SnapshotError::IsADirectory {
                path: path.to_owned(),
                revision: self.revision.to_string(),
            });
        }
        let (sha256, _) = self.view.catalog.blob(entry.id)?;
        let record = self.view.catalog.file(sha256)?;
        let label = format!("{path}@{}", self.revision);
        Ok(FileReader::new(Arc::clone(&self.view), Arc::clone(&self.cache), record, label))
    }

    /// Whether the vault may hold content that is a file by itself ([`FileReader::whole_file`]); `false` is certain.
    pub fn may_hold_whole_files(&self) -> Result<bool, SnapshotError> {
        Ok(self.view.catalog.may_hold_whole_files()?)
    }

    /// The target of a symlink, as stored.
    pub fn read_link(&self, entry: &TreeEntry) -> Result<Vec<u8>, SnapshotError> {
        let file = self.open_file(entry, &String::from_utf8_lossy(&entry.name))?;
        // Longer than any system follows; a bound on what a hostile vault can make us allocate.
        let mut target = vec![0; usize::try_from(file.size().min(64 << 10)).unwrap_or(0)];
        file.read_at(0, &mut target)?;
        Ok(target)
    }

    /// Opens the file at `path`.
    pub fn open_path(&self, path: &str) -> Result<FileReader, SnapshotError> {
        self.open_file(&self.entry(path)?, path)
    }

    /// Visits everything below a folder, folders before what is in them, in Git's order; paths are relative to
    /// the root and start with `prefix`. Stops early when `visit` answers `false`.
    pub fn walk(
        &self,
        folder: ObjectId,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &TreeEntry) -> Result<bool, SnapshotError>,
    ) -> Result<bool, SnapshotError> {
        let mut pending = vec![(prefix.to_vec(), self.list(folder)?.into_iter())];
        while let Some((parent, entries)) = pending.last_mut() {
            let Some(entry) = entries.next() else {
                pending.pop();
                continue;
            };
            let mut path = parent.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&entry.name);
            if !visit(&path, &entry)? {
                return Ok(false);
            }
            if entry.mode == Mode::Directory {
                // No commit of ours is deeper: a chain of a million folders is an attack on memory.
                if pending.len() > MAX_DEPTH {
                    let start = String::from_utf8_lossy(&path).chars().take(40).collect();
                    return Err(PathError::TooDeep { start }.into());
                }
                let children = self.list(entry.id)?.into_iter();
                pending.push((path, children));
            }
        }
        Ok(true)
    }
}
