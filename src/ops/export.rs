//! A revision laid out as a Hugging Face cache, for machines where nothing can be mounted: what `huggingface_hub` and
//! all that is built on it find there, they load without asking any server.
//!
//! Such a cache is a folder for each repository: `blobs/` holds each content once, under the name the Hub gives as its
//! `ETag`; `snapshots/COMMIT/` holds a symlink for each file; `refs/NAME` holds the id of a commit. Who looks for a
//! snapshot trusts that its folder is whole, so one appears in one step, after its blobs. This file knows that layout;
//! how files get into folders is in `detached` and `placing`.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use super::detached::{Detached, Place, lock};
use super::download::{Downloaded, Selection, follow};
use super::error::OpsError;
use super::folder::{Folder, writing};
use super::manifest::{Form, Manifest};
use super::patterns::PathFilter;
use super::placing::{Placer, Source, Target, Wanted, sha256};
use super::{Actor, Phase, Progress, Repository};
use crate::snapshot::{FileInfo, Snapshot, SnapshotError};
use crate::store::object::{Mode, TreeEntry};
use crate::store::path::RepoPath;
use crate::store::refname::RefName;

/// Where links are put together, and links of one that is there already are made, below what is remembered.
const FRESH: &str = "snapshot.new";
const LINKS: &str = "links";
/// Longest part of a repository's name, as on the Hub.
const MAX_NAME: usize = 96;

/// What kind of repository the cache is told it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RepoType {
    /// `models--...`
    #[default]
    Model,
    /// `datasets--...`
    Dataset,
    /// `spaces--...`
    Space,
}

/// Which revision to lay out, as which repository of which cache.
#[derive(Debug, Clone)]
pub struct HfCacheOptions {
    /// Revision to read.
    pub revision: String,
    /// The cache: the folder that holds the folders of repositories.
    pub cache_dir: PathBuf,
    /// `NAME` or `NAMESPACE/NAME`.
    pub repo_id: String,
    /// What it is.
    pub repo_type: RepoType,
    /// Names under which loaders find the commit; when there are none, the branch or tag that the revision is.
    pub refs: Vec<String>,
    /// Process to name in the lease that keeps the content from being collected meanwhile.
    pub pid: u32,
}

impl HfCacheOptions {
    /// Name of the repository's folder.
    fn folder(&self) -> Result<String, OpsError> {
        let id = &self.repo_id;
        let names: Vec<&str> = id.split('/').collect();
        let is_name = |name: &&str| {
            let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let at_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            name.chars().all(inside)
                && at_edge(name.chars().next())
                && at_edge(name.chars().last())
                && name.len() <= MAX_NAME
                && !name.contains("--")
                && !name.contains("..")
        };
        if names.len() > 2 || !names.iter().all(is_name) {
            return Err(OpsError::Invalid(format!(
                "`{id}` is no name of a repository: it is NAME or NAMESPACE/NAME, of letters, digits, `-`, `_` and `.`"
            )));
        }
        let kind = match self.repo_type {
            RepoType::Model => "models",
            RepoType::Dataset => "datasets",
            RepoType::Space => "spaces",
        };
        Ok(format!("{kind}--{}", names.join("--")))
    }
}

impl Repository {
    /// Lays a revision out in a Hugging Face cache, beside what is there; answers the folder of the snapshot. Blobs that
    /// are there are used when they hold what they should, and replaced otherwise. Counted are blobs.
    ///
    /// Symlinks of the revision are followed within it; those that lead elsewhere are left out, with a warning.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for a name that is none; [`OpsError::Local`] for a folder inside the vault or with something
    /// in the way; [`OpsError::LocalWrite`].
    pub fn export_hf_cache(
        &self,
        options: &HfCacheOptions,
        actor: &Actor,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Downloaded, OpsError> {
        let name = options.folder()?;
        let (snapshot, _lease) =
            self.leased_snapshot(Some(&options.revision), actor, "export a snapshot", options.pid)?;
        let refs = self.names_of(options)?;
        let layout = Layout { repository: self, cache: self.outside_folder(&options.cache_dir)?, name };
        let place = layout.place()?;
        let _lock = lock(&place.meta, "export.lock")?;
        for left in [FRESH, LINKS] {
            place.meta.clear(left).map_err(writing(&place.meta, left))?;
        }
        let files = Links { snapshot: &snapshot };
        let done = Detached::open(layout.place()?)?.update(
            &snapshot,
            &|visit| files.blobs(visit),
            false,
            progress,
        )?;
        progress(Progress::Phase(Phase::Publishing));
        let shown = layout.snapshot(&place, &files).and_then(|path| {
            refs.iter().try_for_each(|name| point(&place, name, &snapshot))?;
            Ok((path, files.left_out()?))
        });
        let (path, left_out) = match shown {
            Ok(shown) => shown,
            Err(error) => return Err(error.after(done.warnings)),
        };
        let mut downloaded = Downloaded::new(path, snapshot.id(), done);
        downloaded.warnings.extend(left_out);
        Ok(downloaded)
    }

    /// The names under which the commit is to be found.
    fn names_of(&self, options: &HfCacheOptions) -> Result<Vec<RepoPath>, OpsError> {
        let view = self.vault().view();
        let named = match options.revision.as_str() {
            "HEAD" | "@" => Some(view.default_branch()?.clone()),
            name => view.state.refs.keys().find(|r| r.short() == name || r.as_str() == name).cloned(),
        };
        let named: Vec<String> = match named {
            Some(name) if options.refs.is_empty() => vec![name.short().to_owned()],
            _ => options.refs.clone(),
        };
        // What the file system is given must be a name on all of them.
        named
            .iter()
            .map(|name| {
                RefName::branch(name)?;
                Ok(RepoPath::new(name)?)
            })
            .collect()
    }
}

fn in_the_way(folder: &Folder, name: &str, error: &io::Error) -> OpsError {
    let detail = format!("a folder of the cache is needed here ({error}); move what is in the way");
    OpsError::Local { path: folder.path().join(name), detail }
}

/// Name of a file's blob: what the Hub says as its `ETag`.
fn etag(entry: &TreeEntry, info: &FileInfo) -> String {
    if info.pointer_size.is_some() { info.sha256.to_string() } else { entry.id.to_string() }
}

/// What a path of the revision becomes.
enum Becomes {
    Blob(TreeEntry),
    /// The folder at this path.
    Folder(RepoPath),
    /// Nothing, for this reason.
    Nothing(String),
}

/// The files of a revision as blobs, and as links to them.
struct Links<'a> {
    snapshot: &'a Snapshot,
}

impl Links<'_> {
    fn walk(
        &self,
        visit: &mut dyn FnMut(RepoPath, Becomes) -> Result<bool, OpsError>,
    ) -> Result<(), OpsError> {
        let filter = PathFilter::default();
        let all = Selection { snapshot: self.snapshot, filter: &filter, only: &[], local: false };
        all.walk(&mut |path, entry| {
            let becomes = match entry.mode {
                Mode::Symlink => self.followed(&path)?,
                _ => Becomes::Blob(entry.clone()),
            };
            visit(path, becomes)
        })
    }

    fn followed(&self, path: &RepoPath) -> Result<Becomes, OpsError> {
        match follow(self.snapshot, path) {
            Ok((at, entry)) if entry.mode == Mode::Directory => Ok(Becomes::Folder(at)),
            Ok((_, entry)) => Ok(Becomes::Blob(entry)),
            Err(OpsError::Invalid(reason)) => Ok(Becomes::Nothing(reason)),
            Err(OpsError::Snapshot(
                error @ (SnapshotError::EntryNotFound { .. } | SnapshotError::NotADirectory { .. }),
            )) => Ok(Becomes::Nothing(format!("`{path}` is a symlink that leads nowhere: {error}"))),
            Err(error) => Err(error),
        }
    }

    /// Each blob once.
    fn blobs(&self, visit: &mut dyn FnMut(Wanted) -> Result<bool, OpsError>) -> Result<(), OpsError> {
        let mut seen = HashSet::new();
        self.walk(&mut |path, becomes| {
            let Becomes::Blob(entry) = becomes else { return Ok(true) };
            let (path, info) = if cfg!(unix) {
                if !seen.insert(entry.id) {
                    return Ok(true);
                }
                let info = self.snapshot.info(&entry)?;
                (RepoPath::new(&format!("blobs/{}", etag(&entry, &info)))?, info)
            } else {
                // Without links, the files themselves are in the snapshot's folder, as `huggingface_hub` does it there.
                let whole = format!("snapshots/{}/{path}", self.snapshot.id());
                (RepoPath::new(&whole)?, self.snapshot.info(&entry)?)
            };
            let (form, single) = (Form::File, true);
            let FileInfo { sha256, size, .. } = info;
            visit(Wanted { path, source: Source::Entry(entry), form, sha256, size, single })
        })
    }

    /// The links of the snapshot's folder.
    fn links(&self, visit: &mut dyn FnMut(Wanted) -> Result<bool, OpsError>) -> Result<(), OpsError> {
        self.walk(&mut |path, becomes| {
            let up = path.components().count() - 1;
            let text = match becomes {
                Becomes::Nothing(_) => return Ok(true),
                Becomes::Blob(entry) => {
                    let name = etag(&entry, &self.snapshot.info(&entry)?);
                    format!("{}blobs/{name}", "../".repeat(up + 2))
                }
                Becomes::Folder(at) => format!("{}{at}", "../".repeat(up)),
            };
            let text = text.into_bytes();
            let (form, sha256, size) = (Form::Symlink, sha256(&text), text.len() as u64);
            visit(Wanted { path, source: Source::Link(text), form, sha256, size, single: true })
        })
    }

    /// One warning for each symlink that has no place in the cache.
    fn left_out(&self) -> Result<Vec<String>, OpsError> {
        let mut found = Vec::new();
        self.walk(&mut |path, becomes| {
            match becomes {
                Becomes::Nothing(reason) => found.push(format!("`{path}` is left out: {reason}")),
                Becomes::Folder(_) if !cfg!(unix) => {
                    found.push(format!(
                        "`{path}` is left out: it is a symlink to a folder, and there are no links here"
                    ));
                }
                _ => {}
            }
            Ok(true)
        })?;
        Ok(found)
    }
}

/// A repository's folder in a cache.
struct Layout<'a> {
    repository: &'a Repository,
    cache: Folder,
    name: String,
}

impl Layout<'_> {
    /// Opens it; never through a link, however often.
    fn place(&self) -> Result<Place, OpsError> {
        let top = self.cache.make(&self.name).map_err(|error| in_the_way(&self.cache, &self.name, &error))?;
        self.repository.check_outside(top.path())?;
        self.repository.place_in(top)
    }

    /// The folder of a snapshot, whole from the moment it is there; one that is there already is completed.
    fn snapshot(&self, place: &Place, files: &Links<'_>) -> Result<PathBuf, OpsError> {
        let Place { top, meta, .. } = place;
        let name = files.snapshot.id().to_string();
        let all = top.make("snapshots").map_err(|error| in_the_way(top, "snapshots", &error))?;
        let path = all.path().join(&name);
        if !cfg!(unix) {
            return all.make(&name).map(|_| path).map_err(writing(&all, &name));
        }
        if all.look(&name).map_err(writing(&all, &name))?.is_some() {
            let folder = all.child(&name).map_err(|error| in_the_way(&all, &name, &error))?;
            self.link(files, folder, false)?;
            return Ok(path);
        }
        let fresh = meta.make(FRESH).map_err(writing(meta, FRESH))?;
        let shown = self
            .link(files, fresh, true)
            .and_then(|()| meta.move_to(FRESH, &all, &name).map_err(writing(&all, &name)));
        if shown.is_err() && meta.clear(FRESH).is_err() {
            tracing::debug!("the next export removes it");
        }
        shown.map(|()| path)
    }

    /// Puts the links into a folder.
    fn link(&self, files: &Links<'_>, top: Folder, disposable: bool) -> Result<(), OpsError> {
        let Place { meta, forbidden, interrupt, .. } = self.place()?;
        let tmp = meta.make(LINKS).map_err(writing(&meta, LINKS))?;
        let names = AtomicU64::new(0);
        let target = Target { top, meta, tmp, disposable, forbidden, names, journal: None };
        let nothing = Manifest::new();
        let mut placer = Placer::new(&target, files.snapshot, &nothing);
        let told = |_| Ok(interrupt.check()?);
        let placed = files.links(&mut |wanted| placer.place(&wanted, &told).map(|_| true));
        let cleared = target.meta.clear(LINKS).map_err(writing(&target.meta, LINKS));
        placed.and(cleared)
    }
}

/// Lets a name stand for the snapshot.
fn point(place: &Place, name: &RepoPath, snapshot: &Snapshot) -> Result<(), OpsError> {
    let Place { top, meta, .. } = place;
    let mut folder = top.make("refs").map_err(|error| in_the_way(top, "refs", &error))?;
    if let Some(above) = name.parent() {
        for part in above.components() {
            folder = folder.make(part).map_err(|error| in_the_way(&folder, part, &error))?;
        }
    }
    let failed = || writing(&folder, name.name());
    let mut file = meta.create(FRESH, false).map_err(failed())?;
    file.write_all(snapshot.id().to_string().as_bytes()).map_err(failed())?;
    drop(file);
    meta.move_to(FRESH, &folder, name.name()).map_err(failed())
}
