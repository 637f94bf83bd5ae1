//! `list_repo_tree`, `list_repo_files` and `get_paths_info`: what a revision holds, entry by entry.
//!
//! A listing is an iterator that reads a folder when it comes to it; memory is that of the folders on the way. A
//! size is a lookup: no content is read.

use super::Repository;
use super::error::OpsError;
use super::models::{BlobLfsInfo, RepoEntry, RepoFile, RepoFolder};
use crate::snapshot::budget::Budget;
use crate::snapshot::{FileInfo, Infos, Snapshot, SnapshotError};
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
        let (mut paths, mut budget) = (Vec::new(), Budget::default());
        snapshot.walk(snapshot.commit().tree, b"", &mut |path, entry| {
            budget.take(path)?;
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
    Ok(RepoTree { infos: list_infos(snapshot, path, recursive)? })
}

/// The same entries as the trees have them, with what a lookup tells of each file.
pub fn list_infos(snapshot: &Snapshot, path: &str, recursive: bool) -> Result<RepoInfos, SnapshotError> {
    let (named, infos) = (Vec::new().into_iter(), Infos::default());
    Ok(RepoInfos { names: list_names(snapshot, path, recursive)?, named, infos, failed: None, together: 64 })
}

/// The same entries as the trees have them, with their paths: without the lookup of each file's size.
pub fn list_names(snapshot: &Snapshot, path: &str, recursive: bool) -> Result<RepoNames, SnapshotError> {
    let top = snapshot.entry(path)?;
    if top.mode != Mode::Directory {
        return Err(SnapshotError::NotADirectory {
            path: path.to_owned(),
            revision: snapshot.revision().to_owned(),
        });
    }
    let folder = (path.trim_matches('/').to_owned(), snapshot.list(top.id)?.into_iter());
    Ok(RepoNames { snapshot: snapshot.clone(), pending: vec![folder], recursive })
}

/// Most entries whose sizes are looked up together (some 8 MB): of that many of a large tree, each is next to the one
/// before in the tables. The first few are fewer, so that they come at once.
const TOGETHER: usize = 32 << 10;

/// A tree listing; see [`Repository::list_repo_tree`]. Nothing follows an error.
#[derive(Debug)]
pub struct RepoTree {
    infos: RepoInfos,
}

impl Iterator for RepoTree {
    type Item = Result<RepoEntry, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.infos.next()?;
        Some(found.map(|(path, entry, info)| described(path, &entry, info)))
    }
}

/// A tree listing as the trees have it; see [`list_infos`]. Nothing follows an error.
#[derive(Debug)]
pub struct RepoInfos {
    names: RepoNames,
    /// What was looked up and not yet asked for,
    named: std::vec::IntoIter<(String, TreeEntry)>,
    /// what is known of the files among it,
    infos: Infos,
    /// and what stopped it.
    failed: Option<SnapshotError>,
    /// How many to look up next time.
    together: usize,
}

impl RepoInfos {
    fn look_up(&mut self) {
        let mut named = Vec::with_capacity(self.together);
        for found in self.names.by_ref().take(self.together) {
            match found {
                Ok(found) => named.push(found),
                Err(error) => self.failed = Some(error),
            }
        }
        self.together = (self.together * 2).min(TOGETHER);
        self.infos = self.names.snapshot.infos(files(&named));
        self.named = named.into_iter();
    }

    /// Nothing more comes.
    fn end(&mut self) {
        self.names.pending.clear();
        self.named = Vec::new().into_iter();
        self.failed = None;
    }
}

fn files(named: &[(String, TreeEntry)]) -> impl Iterator<Item = &TreeEntry> {
    named.iter().map(|(_, entry)| entry).filter(|entry| entry.mode != Mode::Directory)
}

impl Iterator for RepoInfos {
    type Item = Result<(String, TreeEntry, Option<FileInfo>), SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.named.len() == 0 && self.failed.is_none() {
            self.look_up();
        }
        let Some((path, entry)) = self.named.next() else { return self.failed.take().map(Err) };
        let info = if entry.mode == Mode::Directory { None } else { self.infos.next() };
        match info.transpose() {
            Ok(info) => Some(Ok((path, entry, info))),
            Err(error) => {
                self.end();
                Some(Err(error))
            }
        }
    }
}

/// A tree listing without sizes; see [`list_names`]. Nothing follows an error.
#[derive(Debug)]
pub struct RepoNames {
    snapshot: Snapshot,
    /// Folders on the way, each with what is left of it.
    pending: Vec<(String, std::vec::IntoIter<TreeEntry>)>,
    recursive: bool,
}

impl RepoNames {
    fn enter(&mut self, path: &str, entry: &TreeEntry) -> Result<(), SnapshotError> {
        if entry.mode == Mode::Directory && self.recursive {
            // No commit of ours is deeper: a chain of a million folders is an attack on memory.
            if self.pending.len() > MAX_DEPTH {
                return Err(PathError::TooDeep { start: path.chars().take(40).collect() }.into());
            }
            self.pending.push((path.to_owned(), self.snapshot.list(entry.id)?.into_iter()));
        }
        Ok(())
    }
}

impl Iterator for RepoNames {
    type Item = Result<(String, TreeEntry), SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (folder, entries) = self.pending.last_mut()?;
            let Some(entry) = entries.next() else {
                self.pending.pop();
                continue;
            };
            let name = String::from_utf8_lossy(&entry.name);
            let path =
                if folder.is_empty() { name.into_owned() } else { [folder.as_str(), "/", &name].concat() };
            let entered = self.enter(&path, &entry).inspect_err(|_| self.pending.clear());
            return Some(entered.map(|()| (path, entry)));
        }
    }
}

/// What is known of an entry at `path` of a snapshot.
pub fn describe(snapshot: &Snapshot, path: String, entry: &TreeEntry) -> Result<RepoEntry, SnapshotError> {
    let info = if entry.mode == Mode::Directory { None } else { Some(snapshot.info(entry)?) };
    Ok(described(path, entry, info))
}

/// `info` is that of a file; folders have none.
fn described(path: String, entry: &TreeEntry, info: Option<FileInfo>) -> RepoEntry {
    let mode = entry.mode.six_digits().to_owned();
    let Some(info) = info else {
        return RepoEntry::Folder(RepoFolder { path, tree_id: entry.id, size: 0, mode, last_commit: None });
    };
    let lfs = info.pointer_size.map(|pointer_size| BlobLfsInfo {
        sha256: info.sha256,
        size: info.size,
        pointer_size,
    });
    RepoEntry::File(RepoFile {
        path,
        size: info.size,
        blob_id: entry.id,
        mode,
        sha256: info.sha256,
        lfs,
        last_commit: None,
    })
}
