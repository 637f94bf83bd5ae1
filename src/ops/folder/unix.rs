//! Folders as open handles: every name is looked up in the handle, so that nothing above it can be swapped for a link.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use super::{Found, Kind, Stamp};

/// An open folder.
#[derive(Debug)]
pub(in crate::ops) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

#[expect(clippy::useless_conversion, reason = "these fields have other widths on other systems")]
fn stamp(stat: &Stat) -> Stamp {
    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    Stamp {
        dev: stat.st_dev.into(),
        ino: stat.st_ino.into(),
        size: stat.st_size.try_into().unwrap_or_default(),
        mtime: nanos(stat.st_mtime.into(), stat.st_mtime_nsec.try_into().unwrap_or_default()),
        ctime: nanos(stat.st_ctime.into(), stat.st_ctime_nsec.try_into().unwrap_or_default()),
    }
}

fn found(stat: &Stat) -> Found {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    };
    let stamp = stamp(stat);
    Found { kind, size: stamp.size, executable: stat.st_mode & 0o100 != 0, stamp: Some(stamp) }
}

impl Folder {
    /// Opens the folder at `path`, which the user chose, making it when it is not there.
    pub(in crate::ops) fn top(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let fd = rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Where it was opened, for messages.
    pub(in crate::ops) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells it apart from every other folder of this machine.
    pub(in crate::ops) fn identity(&self) -> io::Result<(u64, u64)> {
        let stamp = stamp(&rustix::fs::fstat(&self.fd)?);
        Ok((stamp.dev, stamp.ino))
    }

    /// Opens the folder `name` in it; a link is refused.
    pub(in crate::ops) fn child(&self, name: &str) -> io::Result<Self> {
        let fd = rustix::fs::openat(&self.fd, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    pub(super) fn create_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o777))?)
    }

    /// What is under a name.
    pub(in crate::ops) fn look(&self, name: &str) -> io::Result<Option<Found>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(found(&stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What an open file is.
    pub(in crate::ops) fn look_at(file: &File) -> io::Result<Found> {
        Ok(found(&rustix::fs::fstat(file)?))
    }

    pub(super) fn open_any(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?.into())
    }

    /// Makes a file that must not be there yet; its mode is what the user's mask leaves of 0666 or 0777.
    pub(in crate::ops) fn create(&self, name: &str, executable: bool) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable { 0o777 } else { 0o666 });
        Ok(rustix::fs::openat(&self.fd, name, flags, mode)?.into())
    }

    /// Gives the right to execute to all who may read, or takes it from all.
    pub(in crate::ops) fn set_executable(file: &File, executable: bool) -> io::Result<()> {
        let mode = file.metadata()?.permissions().mode();
        let mode = if executable { mode | (mode & 0o444) >> 2 } else { mode & !0o111 };
        file.set_permissions(Permissions::from_mode(mode & 0o777))
    }

    /// Opens a file to lock it or to append to it, making it when it is not there.
    pub(in crate::ops) fn open_or_create(&self, name: &str) -> io::Result<File> {
        let base = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW;
        let flags = base | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o666))?.into())
    }

    /// Makes a symlink that says `target`.
    pub(in crate::ops) fn link(&self, name: &str, target: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.fd, name)?)
    }

    /// What the symlink `name` says.
    pub(in crate::ops) fn read_link(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, name, Vec::new())?.into_bytes())
    }

    /// Moves `name` to `new_name` in another folder, in place of a file or link that is there.
    pub(in crate::ops) fn move_to(&self, name: &str, folder: &Self, new_name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, name, &folder.fd, new_name)?)
    }

    /// Removes a file or link.
    pub(in crate::ops) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes an empty folder.
    pub(in crate::ops) fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Names of what is in it. One that is not UTF-8 is no name of ours; it is given as near as text can be.
    pub(in crate::ops) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !matches!(name.as_str(), "." | "..") {
                names.push(name);
            }
        }
        Ok(names)
    }
}
