//! Folders outside the vault's format that files are written to: a download's target, a detached view.
//!
//! Whoever else can write there may have planted links, so nothing is ever reached through one: a folder is opened by
//! name inside its open parent, and a link in its place is an error. Only the top is the user's to choose and may be
//! reached through links. Names are checked repository names, one at a time. Knows names and what is behind them; not
//! which files belong there.

use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};

use super::error::OpsError;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(super) use unix::Folder;
#[cfg(not(unix))]
mod checked;
#[cfg(not(unix))]
pub(super) use checked::Folder;

/// What is under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Link,
    Other,
}

/// What a file system says of a file and changes when the file changes. `ctime` is what no ordinary program can set
/// back; systems without one give no stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stamp {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) mtime: i64,
    pub(super) ctime: i64,
}

/// What is under a name, without following a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) executable: bool,
    pub(super) stamp: Option<Stamp>,
}

/// The error for what cannot be written under a name.
pub(super) fn writing(folder: &Folder, name: &str) -> impl FnOnce(io::Error) -> OpsError + use<> {
    let path = folder.path().join(name);
    move |source| OpsError::LocalWrite { path, source }
}

/// Deepest folder that is emptied; no repository path is deeper.
const MAX_DEPTH: usize = 300;

impl Folder {
    /// The folder `name`, made when nothing is there.
    pub(super) fn make(&self, name: &str) -> io::Result<Self> {
        match self.child(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.create_folder(name) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
                self.child(name)
            }
            opened => opened,
        }
    }

    /// Removes whatever is under a name; a folder with all that is in it. Nothing there is fine.
    pub(super) fn clear(&self, name: &str) -> io::Result<()> {
        self.clear_within(name, MAX_DEPTH)
    }

    fn clear_within(&self, name: &str, depth: usize) -> io::Result<()> {
        let removed = match self.look(name)? {
            None => return Ok(()),
            Some(found) if found.kind != Kind::Folder => self.remove(name),
            Some(_) => {
                let depth =
                    depth.checked_sub(1).ok_or_else(|| io::Error::other("folders are nested too deep"))?;
                let folder = self.child(name)?;
                folder.names()?.iter().try_for_each(|inside| folder.clear_within(inside, depth))?;
                self.remove_folder(name)
            }
        };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Removes the folder `name` if there is nothing in it but empty folders. `false` when there is.
    pub(super) fn remove_if_empty(&self, name: &str) -> io::Result<bool> {
        self.remove_empty_within(name, MAX_DEPTH)
    }

    fn remove_empty_within(&self, name: &str, depth: usize) -> io::Result<bool> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(false) };
        let folder = self.child(name)?;
        for inside in folder.names()? {
            let is_folder = folder.look(&inside)?.is_some_and(|found| found.kind == Kind::Folder);
            if !is_folder || !folder.remove_empty_within(&inside, depth)? {
                return Ok(false);
            }
        }
        drop(folder);
        self.remove_folder(name).map(|()| true)
    }

    /// Opens a regular file to read, refusing anything else.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        let file = self.open_any(name)?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "is not a regular file"))
        }
    }
}
