//! `list_repo_tree`, `list_repo_files` and `get_paths_info`: what a revision holds, entry by entry.
//!
//! A listing is an iterator that reads a folder when it comes to it; memory is that of the folders on the way. A
//! size is a lookup: no content is read.

use super::Repository;
use super::error::OpsError;
use super::models::{BlobLfsInfo, RepoEntry, RepoFile, RepoFolder};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::store::object::{Mode, TreeEntry};
use crate::store::path::{MAX_DEPTH, PathError};

impl Repository {
    /// The entries of the folder `path_in_repo` (`None`: the root), with everything below when `recursive`; folders
    /// come before what is in them, in Git's order.
    ///
    /// # Errors
    /// [`SnapshotError::EntryNotFound`] when nothing is there, [`SnapshotError::NotADirectory`] for a file.
    pub fn list_repo_tree(
        &self,
        path_in_repo: Option<&str>,
        recursive: bool,
        revision: Option<&str>,
    ) -> Result<RepoTree, OpsError> {
        Ok(list_repo_tree(&self.snapshot(revision)?, path_in_repo.unwrap_or_default(), recursive)?)
    }

    /// Paths of all files of a revision, in Git's order.
    pub fn list_repo_files(&self, revision: Option<&str>) -> Result<Vec<String>, OpsError> {
        let snapshot = self.snapshot(revision)?;
        let mut paths = Vec::new();
        snapshot.walk(snapshot.commit().tree, b"", &mut |path, entry| {
            if entry.mode != Mode::Directory {
                paths.push(String::from_utf8_lossy(path).into_owned());
            }
            Ok(true)
        })?;
        Ok(paths)
    }

    /// What is at each of these paths, in the order asked for; paths where nothing is are left out.
    ///
    /// # Errors
    /// [`OpsError::Path`] for a text that can name nothing in a vault.
    pub fn get_paths_info<P: AsRef<str>>(
        &self,
        paths: impl IntoIterator<Item = P>,
        revision: Option<&str>,
    ) -> Result<Vec<RepoEntry>, OpsError> {
        let snapshot = self.snapshot(revision)?;
        let mut found = Vec::new();
        for path in paths {
            let path = super::RepoPath::new(path.as_ref())?;
            if let Some(entry) = snapshot.try_entry(path.as_str())? {
                found.push(describe(&snapshot, path.as_str().to_owned(), &entry)?);
            }
        }
        Ok(found)
    }
}

/// The entries of the folder at `path` (empty: the root) of a snapshot; see [`Repository::list_repo_tree`].
pub fn list_repo_tree(snapshot: &Snapshot, path: &str, recursive: bool) -> Result<RepoTree, SnapshotError> {
    let top = snapshot.entry(path)?;
    if top.mode != Mode::Directory {
        return Err(SnapshotError::NotADirectory {
            path: path.to_owned(),
            revision: snapshot.revision().to_owned(),
        });
    }
    let folder = (path.trim_matches('/').to_owned(), snapshot.list(top.id)?.into_iter());
    Ok(RepoTree { snapshot: snapshot.clone(), pending: vec![folder], recursive })
}

/// A tree listing; see [`Repository::list_repo_tree`]. Nothing follows an error.
#[derive(Debug)]
pub struct RepoTree {
    snapshot: Snapshot,
    /// Folders on the way, each with what is left of it.
    pending: Vec<(String, std::vec::IntoIter<TreeEntry>)>,
    recursive: bool,
}

impl RepoTree {
    fn step(&mut self, folder: &str, entry: &TreeEntry) -> Result<RepoEntry, SnapshotError> {
        let name = String::from_utf8_lossy(&entry.name);
        let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
        if entry.mode == Mode::Directory && self.recursive {
            // No commit of ours is deeper: a chain of a million folders is an attack on memory.
            if self.pending.len() > MAX_DEPTH {
                return Err(PathError::TooDeep { start: path.chars().take(40).collect() }.into());
            }
            self.pending.push((path.clone(), self.snapshot.list(entry.id)?.into_iter()));
        }
        describe(&self.snapshot, path, entry)
    }
}

impl Iterator for RepoTree {
    type Item = Result<RepoEntry, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (folder, entries) = self.pending.last_mut()?;
            let Some(entry) = entries.next() else {
                self.pending.pop();
                continue;
            };
            let folder = folder.clone();
            return Some(self.step(&folder, &entry).inspect_err(|_| self.pending.clear()));
        }
    }
}

/// What is known of an entry at `path` of a snapshot.
pub fn describe(snapshot: &Snapshot, path: String, entry: &TreeEntry) -> Result<RepoEntry, SnapshotError> {
    let mode = format!("{:0>6}", entry.mode.octal());
    if entry.mode == Mode::Directory {
        let folder = RepoFolder { path, tree_id: entry.id, size: 0, mode, last_commit: None };
        return Ok(RepoEntry::Folder(folder));
    }
    let info = snapshot.info(entry)?;
    let lfs = info.pointer_size.map(|pointer_size| BlobLfsInfo {
        sha256: info.sha256,
        size: info.size,
        pointer_size,
    });
    Ok(RepoEntry::File(RepoFile {
        path,
        size: info.size,
        blob_id: entry.id,
        mode,
        sha256: info.sha256,
        lfs,
        last_commit: None,
    }))
}
