//! Folders as paths, each checked not to be a link when it is opened. Weaker than handles: who can swap a folder for a
//! link between the check and the use gets through; that needs the rights of the user who downloads.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::{Found, Kind};

/// A folder that was no link when it was opened.
#[derive(Debug)]
pub(in crate::ops) struct Folder {
    path: PathBuf,
}

fn found(metadata: &fs::Metadata) -> Found {
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_symlink() => Kind::Link,
        () if kind.is_dir() => Kind::Folder,
        () if kind.is_file() => Kind::File,
        () => Kind::Other,
    };
    // Whatever this system says of times, a program can set: without a stamp every check reads the content.
    Found { kind, size: metadata.len(), executable: false, stamp: None }
}

impl Folder {
    /// Opens the folder at `path`, which the user chose, making it when it is not there.
    pub(in crate::ops) fn top(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it was opened, for messages.
    pub(in crate::ops) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells it apart from every other folder of this machine.
    pub(in crate::ops) fn identity(&self) -> io::Result<PathBuf> {
        self.path.canonicalize()
    }

    /// Opens the folder `name` in it; a link is refused.
    pub(in crate::ops) fn child(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path)?.is_dir() {
            Ok(Self { path })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn create_folder(&self, name: &str) -> io::Result<()> {
        fs::create_dir(self.path.join(name))
    }

    /// What is under a name.
    pub(in crate::ops) fn look(&self, name: &str) -> io::Result<Option<Found>> {
        match fs::symlink_metadata(self.path.join(name)) {
            Ok(metadata) => Ok(Some(found(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What an open file is.
    pub(in crate::ops) fn look_at(file: &File) -> io::Result<Found> {
        Ok(found(&file.metadata()?))
    }

    pub(super) fn open_any(&self, name: &str) -> io::Result<File> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path)?.is_symlink() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "is a symlink"));
        }
        File::open(path)
    }

    /// Makes a file that must not be there yet.
    pub(in crate::ops) fn create(&self, name: &str, _executable: bool) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    /// There is no such mode here.
    pub(in crate::ops) fn set_executable(_: &File, _: bool) -> io::Result<()> {
        Ok(())
    }

    /// Opens a file to lock it or to append to it, making it when it is not there.
    pub(in crate::ops) fn open_or_create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).create(true).open(self.path.join(name))
    }

    /// Makes a file that says `target`: making links needs a right here that few have. Git does the same.
    pub(in crate::ops) fn link(&self, name: &str, target: &[u8]) -> io::Result<()> {
        fs::write(self.path.join(name), target)
    }

    /// What the symlink `name` says.
    pub(in crate::ops) fn read_link(&self, name: &str) -> io::Result<Vec<u8>> {
        let target = fs::read_link(self.path.join(name))?;
        Ok(target.to_string_lossy().into_owned().into_bytes())
    }

    /// Moves `name` to `new_name` in another folder, in place of a file or link that is there.
    pub(in crate::ops) fn move_to(&self, name: &str, folder: &Self, new_name: &str) -> io::Result<()> {
        fs::rename(self.path.join(name), folder.path.join(new_name))
    }

    /// Removes a file or link.
    pub(in crate::ops) fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path.join(name);
        fs::remove_file(&path).or_else(|error| fs::remove_dir(path).map_err(|_| error))
    }

    /// Removes an empty folder.
    pub(in crate::ops) fn remove_folder(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.path.join(name))
    }

    /// Names of what is in it.
    pub(in crate::ops) fn names(&self) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(&self.path)?.map(name).collect()
    }
}
