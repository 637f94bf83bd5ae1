//! Local files on their way into a vault: found, checked, read exactly once, and watched for change.
//!
//! The only place of the library that reads files outside the vault. A file that cannot be committed (a
//! socket, a device, a name that some platform cannot hold) is an error that names it; nothing is followed:
//! a symlink is committed as a symlink, unless the caller wants what it leads to.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::error::OpsError;
use super::patterns::PathFilter;
use super::walked::{Spill, Walked};
use crate::store::StoreError;
use crate::store::ingest::Content;
use crate::store::object::Mode;
use crate::store::path::{PathError, RepoPath};
use crate::store::stat_cache::Fingerprint;

/// A local file or symlink and where it goes.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it goes in the repository.
    pub path: RepoPath,
    /// Where it is.
    pub local: PathBuf,
    /// What it is to Git.
    pub mode: Mode,
    /// Its length in bytes when it was found.
    pub size: u64,
    /// What told it from any other file then, where there is such a thing.
    pub fingerprint: Option<Fingerprint>,
}

/// What becomes of symlinks that are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// They stay links; those that would be committed without what they stand for are refused.
    #[default]
    Whole,
    /// They stay links, also those that dangle or lead out of what is committed.
    Keep,
    /// What they lead to is committed in their place, as a folder of a download cache needs it.
    Follow,
}

/// Looks for local files and symlinks.
#[derive(Debug, Default)]
pub struct Walk {
    /// What was left out: `.git`, and what downloads remember of themselves.
    pub skipped: Vec<PathBuf>,
    /// What becomes of symlinks.
    pub links: Links,
    /// Which files of a folder are taken, by their path in it.
    pub filter: PathFilter,
    /// Whether `.hvignore` and `.gitignore` files in a folder count, as Git reads them.
    pub respect_ignore: bool,
}

/// What was looked for: a file or symlink, or a folder.
#[derive(Debug)]
pub enum Local {
    /// One file.
    File(Found),
    /// What a folder holds.
    Folder(Walked),
}

/// Threads that look at folders.
const THREADS: usize = 4;
/// Says like `.gitignore`, besides it, what is left out.
const IGNORE_FILE: &str = ".hvignore";

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpsError {
    let path = path.to_owned();
    move |source| OpsError::LocalIo { path, source }
}

fn refuse(path: &Path, detail: impl Into<String>) -> OpsError {
    OpsError::Local { path: path.to_owned(), detail: detail.into() }
}

/// The repository path of something called `name` in `folder` (`None`: the root).
fn join(folder: Option<&RepoPath>, name: &str) -> Result<RepoPath, PathError> {
    RepoPath::new(&folder.map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}")))
}

impl Walk {
    /// Finds `local` (a file, a symlink, or a folder with all it holds), to go in at `path` (`None`: a folder's
    /// content goes to the root). `vault` is left out, with an error: a vault cannot hold itself.
    pub fn add(
        &mut self,
        local: &Path,
        path: Option<&RepoPath>,
        vault: Option<&Path>,
        spill: Spill<'_>,
    ) -> Result<Local, OpsError> {
        let metadata = fs::symlink_metadata(local).map_err(io_error(local))?;
        // A folder may be given through a symlink, as every command-line tool allows.
        let through_link =
            metadata.is_symlink() && local.is_dir() && (path.is_none() || self.links == Links::Follow);
        if metadata.is_dir() || through_link {
            return self.add_folder(local, path, vault, spill).map(Local::Folder);
        }
        let path = path.ok_or_else(|| refuse(local, "a file needs a name in the repository: NAME=FILE"))?;
        self.file(local, path.clone(), &metadata, None).map(Local::File)
    }

    /// One file found in the committed folder `top`, if in any.
    fn file(
        &self,
        local: &Path,
        path: RepoPath,
        metadata: &Metadata,
        top: Option<&Path>,
    ) -> Result<Found, OpsError> {
        let kind = metadata.file_type();
        if kind.is_symlink() && self.links == Links::Follow {
            let target = local.canonicalize().map_err(|error| leads_to_nothing(local, error, ""))?;
            let metadata = fs::symlink_metadata(&target).map_err(io_error(&target))?;
            return self.file(&target, path, &metadata, top);
        }
        let (mode, size) = if kind.is_symlink() {
            if self.links == Links::Whole {
                check_link(local, top)?;
            }
            (Mode::Symlink, 0)
        } else if kind.is_file() {
            (if is_executable(metadata) { Mode::Executable } else { Mode::File }, metadata.len())
        } else {
            return Err(refuse(
                local,
                "is not a file, a folder or a symlink (a socket, pipe or device cannot be committed)",
            ));
        };
        let fingerprint = kind.is_file().then(|| recognise(metadata)).flatten();
        Ok(Found { path, local: local.to_owned(), mode, size, fingerprint })
    }

    /// Finds the files of a folder, by several threads. The order in which they look does not show.
    pub fn add_folder(
        &mut self,
        top: &Path,
        path: Option<&RepoPath>,
        vault: Option<&Path>,
        spill: Spill<'_>,
    ) -> Result<Walked, OpsError> {
        if !fs::metadata(top).map_err(io_error(top))?.is_dir() {
            return Err(refuse(top, "is not a folder"));
        }
        let skipped = Arc::new(Mutex::new(Vec::new()));
        let skip = Arc::clone(&skipped);
        let mut builder = WalkBuilder::new(top);
        let follow = self.links == Links::Follow;
        builder.standard_filters(false).follow_links(follow).threads(THREADS).filter_entry(move |entry| {
            let left_out = entry.depth() > 0 && is_left_out(entry);
            if left_out {
                locked(&skip).push(entry.path().to_owned());
            }
            !left_out
        });
        if self.respect_ignore {
            builder.git_ignore(true).require_git(false).add_custom_ignore_filename(IGNORE_FILE);
        }
        let finds = Mutex::new(Ok((Walked::new(top, path, self.links), spill)));
        let this = &*self;
        builder.build_parallel().run(|| {
            let finds = &finds;
            Box::new(move |entry| {
                let found = match entry {
                    Ok(entry) => this.look_at(&entry, top, path, vault),
                    Err(error) => this.unless_unwanted(walk_error(error), top),
                };
                let mut finds = locked(finds);
                let added = match (found, finds.as_mut()) {
                    (Ok(Some(found)), Ok((walked, spill))) => walked.add(found, spill),
                    (Err(error), Ok(_)) => Err(error),
                    (Ok(None), _) | (_, Err(_)) => Ok(()),
                };
                if let Err(error) = added {
                    *finds = Err(error);
                }
                if finds.is_ok() { WalkState::Continue } else { WalkState::Quit }
            })
        });
        let (walked, _) = finds.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        self.skipped.append(&mut locked(&skipped));
        self.skipped.sort();
        Ok(walked)
    }

    /// The error about something in the folder `top`, but for a link that leads nowhere and that nobody wants.
    fn unless_unwanted(
        &self,
        (path, error): (PathBuf, OpsError),
        top: &Path,
    ) -> Result<Option<Found>, OpsError> {
        let is_loop = matches!(error, OpsError::Local { .. });
        let leads_nowhere = path.is_symlink() && (is_loop || fs::metadata(&path).is_err());
        if leads_nowhere && !self.filter.takes(&path_in(top, &path)) { Ok(None) } else { Err(error) }
    }

    /// What one thing in the folder `top` is, if it is a file that is wanted.
    fn look_at(
        &self,
        entry: &DirEntry,
        top: &Path,
        path: Option<&RepoPath>,
        vault: Option<&Path>,
    ) -> Result<Option<Found>, OpsError> {
        let local = entry.path();
        if entry.depth() == 0 || entry.file_type().is_some_and(|kind| kind.is_dir()) {
            if vault.is_some() && local.canonicalize().ok().as_deref() == vault {
                return Err(refuse(
                    local,
                    "is the vault itself; keep the vault outside of what is committed into it",
                ));
            }
            return Ok(None);
        }
        let inside = path_in(top, local);
        if !self.filter.takes(&inside) {
            return Ok(None);
        }
        if local.strip_prefix(top).unwrap_or(local).to_str().is_none() {
            return Err(refuse(local, "has a name that is not UTF-8; rename it"));
        }
        let target = join(path, &inside).map_err(|error| refuse(local, error.to_string()))?;
        let metadata = fs::symlink_metadata(local).map_err(io_error(local))?;
        self.file(local, target, &metadata, Some(top)).map(Some)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What no commit wants: Git's own folder, and what downloads remember in the folder they write to.
fn is_left_out(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let in_cache = || entry.path().parent().and_then(Path::file_name).is_some_and(|above| above == ".cache");
    name == ".git" || ((name == "huggingface" || name == "hubvault") && in_cache())
}

/// The path of `local` in the folder `top`, as filters know it.
fn path_in(top: &Path, local: &Path) -> String {
    let inside = local.strip_prefix(top).unwrap_or(local);
    let names: Vec<_> = inside.components().map(|name| name.as_os_str().to_string_lossy()).collect();
    names.join("/")
}

/// The error, and the path it is about.
fn walk_error(mut error: ignore::Error) -> (PathBuf, OpsError) {
    let mut path = PathBuf::new();
    loop {
        error = match error {
            ignore::Error::WithPath { path: at, err } => {
                path = at;
                *err
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => *err,
            ignore::Error::Loop { ancestor, child } => {
                let detail = format!("is a symlink to `{}`, a folder it is in itself", ancestor.display());
                let error = refuse(&child, detail);
                return (child, error);
            }
            error => {
                let text = error.to_string();
                let source = error.into_io_error().unwrap_or_else(|| io::Error::other(text));
                let error = if path.is_symlink() && fs::metadata(&path).is_err() {
                    leads_to_nothing(&path, source, "")
                } else {
                    io_error(&path)(source)
                };
                return (path, error);
            }
        }
    }
}

/// The error for a symlink whose target cannot be found; `more` is what to do when there is none.
fn leads_to_nothing(link: &Path, error: io::Error, more: &str) -> OpsError {
    match error.kind() {
        // As `/dev/stdin` leads to a pipe, which has no name.
        io::ErrorKind::NotFound if fs::metadata(link).is_ok() => refuse(
            link,
            "leads to a pipe or to something else that is no file and cannot be committed: write it to a file first",
        ),
        io::ErrorKind::NotFound => refuse(link, format!("is a symlink to nothing that is there{more}")),
        _ => io_error(link)(error),
    }
}

/// Refuses a link that would be committed without what it stands for: the link of a download cache, say.
fn check_link(local: &Path, top: Option<&Path>) -> Result<(), OpsError> {
    let advice = "commit what links lead to with --follow-links, or links as they are with --keep-links";
    let target = local.canonicalize();
    let inside = top.and_then(|top| top.canonicalize().ok());
    match (target, inside) {
        (Err(error), _) => Err(leads_to_nothing(local, error, &format!("; {advice}"))),
        (Ok(target), Some(top)) if target.starts_with(&top) => Ok(()),
        (Ok(target), _) => Err(refuse(
            local,
            format!("is a symlink to `{}`, which is not committed with it; {advice}", target.display()),
        )),
    }
}

#[cfg(unix)]
fn is_executable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

/// The target of a symlink as Git stores it.
pub fn read_link(local: &Path) -> Result<Vec<u8>, OpsError> {
    let target = fs::read_link(local).map_err(io_error(local))?;
    let target = target
        .to_str()
        .ok_or_else(|| refuse(local, "is a symlink whose target is not UTF-8; rename the target"))?;
    Ok(target.as_bytes().to_vec())
}

/// What must stay the same while a file is read.
#[cfg(unix)]
fn fingerprint(metadata: &Metadata) -> impl PartialEq + use<> {
    use std::os::unix::fs::MetadataExt as _;
    let m = metadata;
    (m.dev(), m.ino(), m.len(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec())
}

#[cfg(not(unix))]
fn fingerprint(metadata: &Metadata) -> impl PartialEq + use<> {
    (metadata.len(), metadata.modified().ok(), metadata.created().ok())
}

/// What tells a file from any other and from itself after a change, where the system says enough for that.
#[cfg(unix)]
fn recognise(metadata: &Metadata) -> Option<Fingerprint> {
    use std::os::unix::fs::MetadataExt as _;
    let time = |seconds: i64, nanos: i64| seconds.checked_mul(1_000_000_000)?.checked_add(nanos);
    let m = metadata;
    Some(Fingerprint {
        device: m.dev(),
        inode: m.ino(),
        size: m.len(),
        mtime: time(m.mtime(), m.mtime_nsec())?,
        ctime: time(m.ctime(), m.ctime_nsec())?,
    })
}

#[cfg(not(unix))]
fn recognise(_: &Metadata) -> Option<Fingerprint> {
    None
}

/// A local file being read into a vault.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    path: PathBuf,
    name: String,
    opened: Metadata,
}

impl LocalFile {
    /// Opens a regular file; never waits for whoever is at the other end of a pipe.
    pub fn open(path: &Path) -> Result<Self, OpsError> {
        let found = fs::symlink_metadata(path).map_err(io_error(path))?;
        let file = open_file(path).map_err(io_error(path))?;
        let opened = file.metadata().map_err(io_error(path))?;
        if !opened.is_file() || fingerprint(&found) != fingerprint(&opened) {
            return Err(refuse(path, "was replaced while it was being opened; try again when it is at rest"));
        }
        Ok(Self { file, path: path.to_owned(), name: path.display().to_string(), opened })
    }

    /// Opens what was found, and nothing that has taken its place since: not even by a link on the way to it.
    pub fn open_found(found: &Found) -> Result<Self, OpsError> {
        let file = Self::open(&found.local)?;
        if file.size() == found.size && file.fingerprint() == found.fingerprint {
            return Ok(file);
        }
        Err(StoreError::SourceChanged(file.name).into())
    }
}

#[cfg(unix)]
fn open_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open_file(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

/// Puts the place back: reading at a position moves it here.
#[cfg(windows)]
fn read_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::{Seek as _, SeekFrom};
    let place = file.stream_position()?;
    let n = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
    file.seek(SeekFrom::Start(place))?;
    Ok(n)
}

impl Content for LocalFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.opened.len()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }

    fn sample(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match read_at(&self.file, &mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.file)
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        recognise(&self.opened)
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        let before = fingerprint(&self.opened);
        let by_handle = self.file.metadata()?;
        let by_name = fs::symlink_metadata(&self.path)?;
        Ok(before == fingerprint(&by_handle) && before == fingerprint(&by_name))
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn found(folder: &Path) -> Found {
        let mut walk = Walk::default();
        let walked = walk.add_folder(folder, None, None, &mut |_| Ok(())).unwrap();
        walked.found().unwrap().next().unwrap().unwrap()
    }

    #[test]
    fn what_takes_the_place_of_a_file_is_not_read_in_its_stead() {
        let folder = tempfile::tempdir().unwrap();
        let (real, secret) = (folder.path().join("real"), folder.path().join("secret"));
        for (dir, content) in [(&real, "mine!"), (&secret, "other")] {
            fs::create_dir_all(dir.join("sub")).unwrap();
            fs::write(dir.join("sub/f"), content).unwrap();
        }
        let found = found(&real);
        assert!(LocalFile::open_found(&found).is_ok());
        // A folder on the way becomes a link to one that has a file of that name and size.
        fs::rename(real.join("sub"), real.join("was")).unwrap();
        std::os::unix::fs::symlink(secret.join("sub"), real.join("sub")).unwrap();
        let refused = LocalFile::open_found(&found).unwrap_err();
        assert!(matches!(refused, OpsError::Store(StoreError::SourceChanged(_))), "{refused:?}");
    }

    #[test]
    fn nobody_waits_for_the_other_end_of_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("f"), "").unwrap();
        let found = found(folder.path());
        fs::remove_file(&found.local).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(&found.local).status().unwrap();
        assert!(pipe.success());
        LocalFile::open_found(&found).unwrap_err();
    }
}
