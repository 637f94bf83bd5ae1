//! `hf_hub_download` and `snapshot_download`: a file or a revision as private copies that end with the path in the
//! repository.
//!
//! Without a folder of the caller's they are kept in the vault's `cache/`, keyed by content: one file that does not
//! change is one copy, whichever revisions it is asked for in. Copies are never hard links, neither to the vault nor to
//! each other: who edits one must not change another. This file knows where views are kept and which files they hold;
//! writing them is in `detached`.

use std::path::{Component, Path, PathBuf};

use super::detached::{Detached, Done, Place};
use super::error::OpsError;
use super::folder::Folder;
use super::manifest::Form;
use super::patterns::PathFilter;
use super::placing::{Source, Wanted};
use super::{Actor, Progress, Repository};
use crate::snapshot::budget::Budget;
use crate::snapshot::{FileInfo, Snapshot, SnapshotError};
use crate::store::id::ObjectId;
use crate::store::object::{Mode, TreeEntry};
use crate::store::path::{PathError, RepoPath, collision_key};

/// The folder in a `local_dir` that remembers what was written there.
pub const LOCAL_CACHE: [&str; 2] = [".cache", "hubvault"];
/// Most symlinks followed on the way to a file, as on Linux.
const MAX_LINKS: usize = 40;

/// What to download and where to.
#[derive(Debug, Clone, Default)]
pub struct DownloadOptions {
    /// Revision to read; the default branch when `None`.
    pub revision: Option<String>,
    /// Folder to write to, instead of the vault's cache.
    pub local_dir: Option<PathBuf>,
    /// Process to name in the lease that keeps the content from being collected meanwhile.
    pub pid: u32,
}

/// What a download gave.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Downloaded {
    /// The file, or the folder of a snapshot.
    pub path: PathBuf,
    /// Id of the commit it is of.
    pub oid: ObjectId,
    /// Files that had to be written.
    pub written: u64,
    /// Files that were there already.
    pub unchanged: u64,
    /// Files removed because they are not in the revision any more.
    pub removed: u64,
    /// Length of all files in bytes.
    pub bytes: u64,
    /// What was found wrong and done about it.
    pub warnings: Vec<String>,
}

impl Downloaded {
    pub(super) fn new(path: PathBuf, oid: ObjectId, done: Done) -> Self {
        let Done { written, unchanged, removed, bytes, warnings } = done;
        Self { path, oid, written, unchanged, removed, bytes, warnings }
    }
}

impl Repository {
    /// One file as a private copy. A symlink is followed within the revision: the copy holds what it leads to.
    ///
    /// # Errors
    /// [`SnapshotError::EntryNotFound`], [`SnapshotError::IsADirectory`]; [`OpsError::Local`] for a `local_dir` inside
    /// the vault or with something in the way; [`OpsError::LocalWrite`].
    pub fn hf_hub_download(
        &self,
        filename: &str,
        options: &DownloadOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Downloaded, OpsError> {
        let path = RepoPath::new(filename)?;
        let purpose = format!("download {path}");
        let (snapshot, _lease) =
            self.leased_snapshot(options.revision.as_deref(), actor, &purpose, options.pid)?;
        let (_, source) = follow(&snapshot, &path)?;
        if source.mode == Mode::Directory {
            let revision = snapshot.revision().to_owned();
            return Err(SnapshotError::IsADirectory { path: path.to_string(), revision }.into());
        }
        let wanted = want(path, &snapshot, source, true)?;
        if options.local_dir.is_some()
            && let Some(reason) = reserved(&wanted.path)
        {
            return Err(OpsError::Invalid(reason));
        }
        let executable = if wanted.form == Form::Executable { "-x" } else { "" };
        let place = self.place(options, "files", &format!("{}{executable}", wanted.sha256))?;
        let local = place.top.path().join(wanted.path.components().collect::<PathBuf>());
        let files = |visit: &mut dyn FnMut(Wanted) -> Result<bool, OpsError>| visit(wanted.clone()).map(drop);
        let done = Detached::open(place)?.update(&snapshot, &files, false, progress)?;
        Ok(Downloaded::new(local, snapshot.id(), done))
    }

    /// The files of a revision that `filter` takes, as private copies in one folder. `only` are the files and folders
    /// to look at; none means all. A `local_dir` keeps what else is in it; when all is asked for, it loses what an
    /// earlier snapshot wrote there and this one does not hold, unless it was changed since.
    ///
    /// # Errors
    /// As [`Repository::hf_hub_download`]; [`SnapshotError::EntryNotFound`] when one of `only` is not there.
    pub fn snapshot_download(
        &self,
        filter: &PathFilter,
        only: &[RepoPath],
        options: &DownloadOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Downloaded, OpsError> {
        let revision = options.revision.as_deref();
        let (snapshot, _lease) = self.leased_snapshot(revision, actor, "download a snapshot", options.pid)?;
        only.iter().try_for_each(|path| snapshot.entry(path.as_str()).map(drop))?;
        let local = options.local_dir.is_some();
        let selection = Selection { snapshot: &snapshot, filter, only, local };
        let place = self.place(options, "snapshots", &selection.key())?;
        let local = place.top.path().to_owned();
        // Files that were asked for by name come beside what earlier calls wrote, not instead of it.
        let exact = only.is_empty() || options.local_dir.is_none();
        let mut done =
            Detached::open(place)?.update(&snapshot, &|visit| selection.each(visit), exact, progress)?;
        match selection.left_out() {
            Ok(left_out) => done.warnings.extend(left_out),
            Err(error) => return Err(error.after(done.warnings)),
        }
        Ok(Downloaded::new(local, snapshot.id(), done))
    }

    /// Where a view is kept: in the caller's folder, or under `kind` and `key` in the vault's cache.
    fn place(&self, options: &DownloadOptions, kind: &str, key: &str) -> Result<Place, OpsError> {
        if let Some(local) = &options.local_dir {
            return self.local_place(local);
        }
        let root = self.root().ok_or_else(|| {
            OpsError::Invalid("this vault is not in a folder: give a folder to download to".to_owned())
        })?;
        let inside = |folder: &Folder, names: &[&str]| -> std::io::Result<Folder> {
            let mut at = folder.make(names[0])?;
            for name in &names[1..] {
                at = at.make(name)?;
            }
            Ok(at)
        };
        let made = Folder::top(root).and_then(|root| {
            let cache = root.make("cache")?;
            Ok((inside(&cache, &[kind, key])?, inside(&cache, &["views", &format!("{kind}-{key}")])?))
        });
        let (top, meta) = made.map_err(|source| OpsError::NoCache { path: root.join("cache"), source })?;
        let interrupt = self.vault().interrupt().clone();
        Ok(Place { top, meta, disposable: true, forbidden: None, interrupt })
    }

    fn local_place(&self, local: &Path) -> Result<Place, OpsError> {
        let top = self.outside_folder(local)?;
        self.place_in(top)
    }

    /// Opens a folder outside the vault, making it when it is not there.
    pub(super) fn outside_folder(&self, local: &Path) -> Result<Folder, OpsError> {
        // Asked before anything is made, and again when all of it is there.
        self.check_outside(local)?;
        let top =
            Folder::top(local).map_err(|source| OpsError::LocalWrite { path: local.to_owned(), source })?;
        self.check_outside(local)?;
        Ok(top)
    }

    /// The place of files that are put into `top`, beside what else is there.
    pub(super) fn place_in(&self, top: Folder) -> Result<Place, OpsError> {
        let local = top.path().to_owned();
        let failed = |source| OpsError::LocalWrite { path: local.clone(), source };
        let forbidden = self.root().map(Folder::top).transpose().map_err(failed)?;
        let make = |parent: &Folder, name: &str| {
            parent.make(name).map_err(|error| {
                let detail = format!(
                    "a folder for what is remembered of downloads is needed here ({error}); move what is in the way"
                );
                OpsError::Local { path: parent.path().join(name), detail }
            })
        };
        let [outer, inner] = LOCAL_CACHE;
        let meta = make(&make(&top, outer)?, inner)?;
        keep_out_of_git(&meta).map_err(failed)?;
        let interrupt = self.vault().interrupt().clone();
        Ok(Place { top, meta, disposable: false, forbidden, interrupt })
    }

    /// Refuses a folder inside the vault, through whatever links it is named.
    pub(super) fn check_outside(&self, local: &Path) -> Result<(), OpsError> {
        let Some(root) = self.root() else { return Ok(()) };
        let mut there = None;
        for folder in local.ancestors() {
            let named = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            if let Ok(found) = named.canonicalize() {
                there = Some(found);
                let rest = local.strip_prefix(folder).unwrap_or(local);
                // Where that leads is not known before the folders are made.
                if rest.components().any(|name| name == Component::ParentDir) {
                    let detail = "goes up from a folder that is not there; write it without `..`".to_owned();
                    return Err(OpsError::Local { path: local.to_owned(), detail });
                }
                break;
            }
        }
        if there.is_some_and(|there| there.starts_with(root)) {
            let detail = "is inside the vault; choose a folder outside of it".to_owned();
            return Err(OpsError::Local { path: local.to_owned(), detail });
        }
        Ok(())
    }
}

/// What is remembered of downloads is nobody's to commit to a Git repository around it.
fn keep_out_of_git(meta: &Folder) -> std::io::Result<()> {
    match meta.create(".gitignore", false) {
        Ok(mut file) => std::io::Write::write_all(&mut file, b"*\n"),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Why a path cannot be written into a `local_dir`: the place of what is remembered there.
fn reserved(path: &RepoPath) -> Option<String> {
    let mut names = path.components().map(collision_key);
    let first = names.next()?;
    let second = names.next();
    let taken = first == LOCAL_CACHE[0] && second.is_none_or(|second| second == LOCAL_CACHE[1]);
    taken.then(|| {
        format!(
            "`{path}` is where a download folder keeps what it remembers, and is not written there; \
             read it with `hv cat` or download without a folder"
        )
    })
}

fn want(path: RepoPath, snapshot: &Snapshot, source: TreeEntry, single: bool) -> Result<Wanted, OpsError> {
    let FileInfo { sha256, size, .. } = snapshot.info(&source)?;
    let form = match source.mode {
        Mode::Executable => Form::Executable,
        // Making links needs a right on Windows that few have: there a link is a file that says where it leads.
        Mode::Symlink if cfg!(unix) => Form::Symlink,
        _ => Form::File,
    };
    Ok(Wanted { path, source: Source::Entry(source), form, sha256, size, single })
}

/// The file or folder at `path`, through symlinks that stay in the revision, and where it is.
pub(super) fn follow(snapshot: &Snapshot, path: &RepoPath) -> Result<(RepoPath, TreeEntry), OpsError> {
    let mut at = path.clone();
    for _ in 0..MAX_LINKS {
        let entry = snapshot.entry(at.as_str())?;
        if entry.mode != Mode::Symlink {
            return Ok((at, entry));
        }
        let target = String::from_utf8_lossy(&snapshot.read_link(&entry)?).into_owned();
        at = beside(&at, &target).ok_or_else(|| {
            OpsError::Invalid(format!(
                "`{path}` is a symlink to `{target}`, which is not in the revision; \
                 `hv snapshot` gives the link itself"
            ))
        })?;
    }
    Err(OpsError::Invalid(format!("`{path}` is a symlink that leads nowhere but to symlinks")))
}

/// The path that a link at `link` with this target leads to; `None` when that is not in the repository.
fn beside(link: &RepoPath, target: &str) -> Option<RepoPath> {
    let mut names: Vec<&str> = link.components().collect();
    names.pop();
    if target.starts_with('/') {
        return None;
    }
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    RepoPath::new(&names.join("/")).ok()
}

/// The files of a snapshot that are wanted.
pub(super) struct Selection<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) filter: &'a PathFilter,
    pub(super) only: &'a [RepoPath],
    pub(super) local: bool,
}

impl Selection<'_> {
    /// Equal for equal trees and equal choices.
    fn key(&self) -> String {
        let choice = serde_json::to_vec(&(self.filter, self.only)).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.snapshot.commit().tree.to_string().as_bytes()).update(&choice);
        hasher.finalize().to_hex()[..32].to_owned()
    }

    fn each(&self, visit: &mut dyn FnMut(Wanted) -> Result<bool, OpsError>) -> Result<(), OpsError> {
        self.walk(&mut |path, entry| {
            if self.local && reserved(&path).is_some() {
                return Ok(true);
            }
            let named = self.local && !self.only.is_empty();
            visit(want(path, self.snapshot, entry.clone(), named)?)
        })
    }

    /// One warning for each file that has no place in a `local_dir`.
    fn left_out(&self) -> Result<Vec<String>, OpsError> {
        let mut found = Vec::new();
        if self.local && self.snapshot.try_entry(LOCAL_CACHE[0])?.is_some() {
            self.walk(&mut |path, _| {
                found.extend(reserved(&path));
                Ok(true)
            })?;
        }
        Ok(found)
    }

    /// Hands each file to a visitor that answers whether to go on.
    pub(super) fn walk(
        &self,
        visit: &mut dyn FnMut(RepoPath, &TreeEntry) -> Result<bool, OpsError>,
    ) -> Result<(), OpsError> {
        self.walk_within(&mut Budget::default(), visit)
    }

    /// The walk; every path on it is taken from `budget`, as those that are not wanted take time too.
    fn walk_within(
        &self,
        budget: &mut Budget,
        visit: &mut dyn FnMut(RepoPath, &TreeEntry) -> Result<bool, OpsError>,
    ) -> Result<(), OpsError> {
        let mut failed = None;
        let mut one = |path: &[u8], entry: &TreeEntry| {
            budget.take(path)?;
            if entry.mode == Mode::Directory {
                return Ok(true);
            }
            let path = checked(path)?;
            if !self.filter.takes(path.as_str()) {
                return Ok(true);
            }
            visit(path, entry).or_else(|error| {
                failed = Some(error);
                Ok(false)
            })
        };
        for top in self.tops() {
            let entry = self.snapshot.entry(top)?;
            let goes_on = match entry.mode {
                Mode::Directory => self.snapshot.walk(entry.id, top.as_bytes(), &mut one)?,
                _ => one(top.as_bytes(), &entry)?,
            };
            if !goes_on {
                break;
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The files and folders to look at, none inside another; the empty path for all.
    fn tops(&self) -> Vec<&str> {
        if self.only.is_empty() {
            return vec![""];
        }
        let mut tops: Vec<&RepoPath> = self.only.iter().collect();
        tops.sort_by_key(|path| format!("{path}/"));
        tops.dedup_by(|next, kept| next.starts_with(kept));
        tops.into_iter().map(RepoPath::as_str).collect()
    }
}

/// The path of a tree, which may be a stranger's, as one that can be written anywhere.
fn checked(path: &[u8]) -> Result<RepoPath, SnapshotError> {
    let text = String::from_utf8_lossy(path);
    let checked = RepoPath::new(&text)?;
    if checked.as_str().as_bytes() == path { Ok(checked) } else { Err(PathError::Empty.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{AddSource, CommitOperation, CommitOptions, InitOptions, Signature, Timestamp};
    use crate::store::media::memory::MemoryMedia;
    use std::sync::Arc;

    #[test]
    fn a_snapshot_walks_no_more_paths_than_its_budget_and_only_the_folders_asked_for() {
        let signature = Signature::new("A", "a@x", Timestamp { seconds: 1, offset_minutes: 0 }).unwrap();
        let actor = |step| Actor { signature: signature.clone(), nonce: [step; 16] };
        let (repository, _) =
            Repository::init_on(Arc::new(MemoryMedia::new()), &InitOptions::default(), &actor(0)).unwrap();
        let add = |path: &str| CommitOperation::Add {
            path_in_repo: Some(RepoPath::new(path).unwrap()),
            source: AddSource::Bytes(path.as_bytes().to_vec()),
        };
        let operations = ["a", "big/1", "big/2", "big/3", "big/4", "small/1", "small/2"].map(add);
        let options = CommitOptions { message: "m".to_owned(), ..CommitOptions::default() };
        repository.create_commit(&operations, &options, &actor(1), &mut |_| ()).unwrap();
        let snapshot = repository.snapshot(None).unwrap();
        let filter = PathFilter::default();
        let walked = |only: &[&str], paths| {
            let only: Vec<_> = only.iter().map(|path| RepoPath::new(path).unwrap()).collect();
            let selection = Selection { snapshot: &snapshot, filter: &filter, only: &only, local: false };
            let mut found = Vec::new();
            let mut visit = |path: RepoPath, _: &TreeEntry| {
                found.push(path.to_string());
                Ok(true)
            };
            selection.walk_within(&mut Budget::of(paths), &mut visit).map(|()| found)
        };
        let error = walked(&[], 5).unwrap_err();
        assert_eq!(error.code(), "too-large", "{error}");
        assert!(walked(&[], 20).unwrap().len() >= 7);
        assert_eq!(walked(&["small", "a", "small/1"], 5).unwrap(), ["a", "small/1", "small/2"]);
        assert_eq!(walked(&["big"], 3).unwrap_err().code(), "too-large");
    }
}
