//! Local files on their way into a vault: found, checked, read exactly once, and watched for change.
//!
//! The only place of the library that reads files outside the vault. A file that cannot be committed (a
//! socket, a device, a name that some platform cannot hold) is an error that names it; nothing is followed:
//! a symlink is committed as a symlink.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::OpsError;
use crate::store::ingest::Content;
use crate::store::object::Mode;
use crate::store::path::{PathError, RepoPath};

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
}

/// Everything below local files and folders.
#[derive(Debug, Default)]
pub struct Walk {
    /// Files and symlinks, each folder in name order.
    pub found: Vec<Found>,
    /// What was left out: `.git` folders.
    pub skipped: Vec<PathBuf>,
    /// Whether symlinks are taken even when they dangle or lead out of what is committed.
    pub keep_links: bool,
}

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
    ) -> Result<(), OpsError> {
        let metadata = fs::symlink_metadata(local).map_err(io_error(local))?;
        // A folder may be given through a symlink, as every command-line tool allows; inside it none is followed.
        let through_link = metadata.is_symlink() && local.is_dir() && path.is_none();
        if metadata.is_dir() || through_link {
            return self.add_folder(local, path, vault);
        }
        let path = path.ok_or_else(|| refuse(local, "a file needs a name in the repository: NAME=FILE"))?;
        self.add_file(local, path.clone(), &metadata, None)
    }

    /// Adds one file found in the committed folder `top`, if in any.
    fn add_file(
        &mut self,
        local: &Path,
        path: RepoPath,
        metadata: &Metadata,
        top: Option<&Path>,
    ) -> Result<(), OpsError> {
        let kind = metadata.file_type();
        let (mode, size) = if kind.is_symlink() {
            if !self.keep_links {
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
        self.found.push(Found { path, local: local.to_owned(), mode, size });
        Ok(())
    }

    fn add_folder(
        &mut self,
        top: &Path,
        path: Option<&RepoPath>,
        vault: Option<&Path>,
    ) -> Result<(), OpsError> {
        let mut pending = vec![(top.to_owned(), path.cloned())];
        while let Some((folder, path)) = pending.pop() {
            if vault.is_some() && folder.canonicalize().ok().as_deref() == vault {
                return Err(refuse(
                    &folder,
                    "is the vault itself; keep the vault outside of what is committed into it",
                ));
            }
            for name in sorted_names(&folder)? {
                let local = folder.join(&name);
                if name == ".git" {
                    self.skipped.push(local);
                    continue;
                }
                let name =
                    name.to_str().ok_or_else(|| refuse(&local, "has a name that is not UTF-8; rename it"))?;
                let target = join(path.as_ref(), name).map_err(|error| refuse(&local, error.to_string()))?;
                let metadata = fs::symlink_metadata(&local).map_err(io_error(&local))?;
                if metadata.is_dir() {
                    pending.push((local, Some(target)));
                } else {
                    self.add_file(&local, target, &metadata, Some(top))?;
                }
            }
        }
        // Path order: neighbours in a folder become neighbours in a pack, and are read forward later.
        self.found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(())
    }
}

/// Refuses a link that would be committed without what it stands for: the link of a download cache, say.
fn check_link(local: &Path, top: Option<&Path>) -> Result<(), OpsError> {
    let advice = "commit what it points to, or keep links as they are with --keep-links";
    let target = local.canonicalize();
    let inside = top.and_then(|top| top.canonicalize().ok());
    match (target, inside) {
        (Err(_), _) => Err(refuse(local, format!("is a symlink to nothing that is there; {advice}"))),
        (Ok(target), Some(top)) if target.starts_with(&top) => Ok(()),
        (Ok(target), _) => Err(refuse(
            local,
            format!("is a symlink to `{}`, which is not committed with it; {advice}", target.display()),
        )),
    }
}

fn sorted_names(folder: &Path) -> Result<Vec<std::ffi::OsString>, OpsError> {
    let entries = fs::read_dir(folder).map_err(io_error(folder))?;
    let mut names: Vec<_> = entries
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<Result<_, _>>()
        .map_err(io_error(folder))?;
    names.sort_unstable();
    Ok(names)
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

/// A local file being read into a vault.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    /// Opened again for samples, so that they do not move the place of `file`.
    path: PathBuf,
    name: String,
    opened: Metadata,
}

impl LocalFile {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Self, OpsError> {
        let found = fs::symlink_metadata(path).map_err(io_error(path))?;
        let file = File::open(path).map_err(io_error(path))?;
        let opened = file.metadata().map_err(io_error(path))?;
        if !opened.is_file() || fingerprint(&found) != fingerprint(&opened) {
            return Err(refuse(path, "was replaced while it was being opened; try again when it is at rest"));
        }
        Ok(Self { file, path: path.to_owned(), name: path.display().to_string(), opened })
    }
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
        use std::io::{Seek as _, SeekFrom};
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(len);
        file.take(len as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn is_unchanged(&mut self) -> io::Result<bool> {
        let before = fingerprint(&self.opened);
        let by_handle = self.file.metadata()?;
        let by_name = fs::symlink_metadata(&self.path)?;
        Ok(before == fingerprint(&by_handle) && before == fingerprint(&by_name))
    }
}
