//! The real file system: one folder, and what an operating system promises about the files in it.
//!
//! What systems share is here; what they do differently has one name each in `unix` and `windows`. Everything
//! below the root is treated as written by a stranger: names are checked, links are not followed at the last
//! step, and what is not a regular file is not opened. This file must not know any format, nor which of the
//! vault's files it is asked for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use fs4::{FileExt, TryLockError};

use super::{Lock, LockMode, Media, ReadAt, Sink, Wait};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as system;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as system;

/// Files of one vault in a folder of the host.
#[derive(Debug, Clone)]
pub struct DiskMedia {
    root: PathBuf,
}

impl DiskMedia {
    /// The medium rooted at `root`. Touches nothing: the folder need not exist ([`Media::create_dir`] of the
    /// empty path makes it).
    pub fn open(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder all paths are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The host's path, joined name by name: a Windows root of the form `\\?\…` takes no `/`. A folder on the
    /// way that is a link is refused: it could lead out of the vault.
    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        check_path(path)?;
        let mut full = self.root.clone();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            // The root is the user's to choose and may be a link; a folder inside may not lead out of it.
            if full != self.root {
                refuse_link(&full, path)?;
            }
            full.push(name);
        }
        Ok(full)
    }

    /// As [`Self::resolve`], for calls that go through the last name as well.
    fn resolve_folder(&self, path: &str) -> io::Result<PathBuf> {
        let full = self.resolve(path)?;
        if !path.is_empty() {
            refuse_link(&full, path)?;
        }
        Ok(full)
    }

    /// As [`Self::resolve`], for calls that make no sense on the root itself.
    fn resolve_inner(&self, path: &str) -> io::Result<PathBuf> {
        if path.is_empty() { Err(bad_path(path)) } else { self.resolve(path) }
    }
}

/// Makes the folders above the root, and makes the names down to the root durable: a vault that is lost with
/// the name of its folder is lost.
fn create_above(root: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = root.ancestors().take_while(|path| !path.exists()).collect();
    for folder in missing.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        system::create_dir(folder)?;
        match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => system::sync_dir(parent)?,
            _ => system::sync_dir(Path::new("."))?,
        }
    }
    Ok(())
}

/// Refuses a path no medium may be asked for: absolute, climbing, with an empty name or with a character that
/// means something to some host. The empty path, the root, is fine.
pub(super) fn check_path(path: &str) -> io::Result<()> {
    let fine = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['\\', ':', '\0']);
    if path.is_empty() || path.split('/').all(fine) { Ok(()) } else { Err(bad_path(path)) }
}

fn bad_path(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("`{path}` is no path of a file in a vault"))
}

fn refuse_link(folder: &Path, path: &str) -> io::Result<()> {
    if fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_symlink()) {
        let name = folder.file_name().unwrap_or_default().display();
        let detail = format!("`{name}` on the way to `{path}` is a link, and a vault has none");
        return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
    }
    Ok(())
}

/// The refusal of anything that is not a regular file.
pub(super) fn not_regular(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{path}` is not a regular file"))
}

/// Opens without following a link at the last name or waiting for a pipe's writer.
fn open_regular(full: &Path, path: &str, options: &mut OpenOptions) -> io::Result<File> {
    let file = system::no_follow(options).open(full).map_err(|error| {
        let other = fs::symlink_metadata(full).is_ok_and(|metadata| !metadata.is_file());
        if other { not_regular(path) } else { error }
    })?;
    regular(file, path).map(|(file, _)| file)
}

/// Looks at what was opened; answers its length too.
fn regular(file: File, path: &str) -> io::Result<(File, u64)> {
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(not_regular(path)) }
}

impl Media for DiskMedia {
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadAt>> {
        check_path(path)?;
        // One call where the system can refuse links by itself; whatever is wrong is looked into the long way.
        let opened = if path.is_empty() { None } else { system::open_without_links(&self.root.join(path)) };
        let file = match opened {
            Some(file) => file,
            None => open_regular(&self.resolve_inner(path)?, path, OpenOptions::new().read(true))?,
        };
        let (file, len) = regular(file, path)?;
        Ok(Box::new(DiskFile { file, len }))
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>> {
        let file = system::private(OpenOptions::new().write(true).create_new(true))
            .open(self.resolve_inner(path)?)?;
        Ok(Box::new(DiskSink { file, written: 0, started: 0 }))
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        system::publish(&self.resolve_inner(from)?, &self.resolve_inner(to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        system::remove(&self.resolve_inner(path)?)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let full = self.resolve(path)?;
        if path.is_empty() {
            create_above(&full)?;
        }
        let Err(error) = system::create_dir(&full) else { return Ok(()) };
        // The root is the user's to choose and may be a link; a folder inside may not.
        let found = if path.is_empty() { fs::metadata(&full) } else { fs::symlink_metadata(&full) };
        let there = error.kind() == io::ErrorKind::AlreadyExists && found?.is_dir();
        if there { Ok(()) } else { Err(error) }
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        system::sync_dir(&self.resolve_folder(path)?)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        // Nothing of a vault has a name that is not UTF-8, and what somebody else left there must not stop anybody.
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().into_string().ok()).transpose()
        };
        fs::read_dir(self.resolve_folder(path)?)?.filter_map(name).collect()
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        match fs::symlink_metadata(self.resolve(path)?) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Err(not_regular(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn modified(&self, path: &str) -> io::Result<Option<i64>> {
        let written = fs::symlink_metadata(self.resolve_inner(path)?)?.modified()?;
        let since = written.duration_since(std::time::UNIX_EPOCH).ok();
        Ok(since.and_then(|since| i64::try_from(since.as_nanos()).ok()))
    }

    fn lock(&self, path: &str, mode: LockMode, wait: Wait) -> io::Result<Option<Box<dyn Lock>>> {
        let file = open_lock(&self.resolve_inner(path)?, path, mode)?;
        let held = match wait {
            Wait::Forever => wait_for(&file, mode, path).map(|()| true)?,
            Wait::No => try_now(&file, mode)?,
        };
        Ok(held.then(|| Box::new(DiskLock { _file: file }) as Box<dyn Lock>))
    }
}

/// Opens the lock file with as little as the lock needs, so that a reader of a medium it may not write can lock
/// too: to read; to write as well for an exclusive lock, which NFS demands; creating it only when it is absent.
fn open_lock(full: &Path, path: &str, mode: LockMode) -> io::Result<File> {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
    let exclusive = mode == LockMode::Exclusive;
    let open = |write: bool, create: bool| {
        open_regular(full, path, OpenOptions::new().read(true).write(write).create(create))
    };
    match open(exclusive, false) {
        Err(error) if error.kind() == NotFound => open(true, true),
        Err(error) if exclusive && matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => {
            open(false, false)
        }
        opened => opened,
    }
}

/// How long a lock is waited for before somebody is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits, and says so when it takes long: the system cannot be told to give up after a while, so another thread looks
/// at the clock.
fn wait_for(file: &File, mode: LockMode, path: &str) -> io::Result<()> {
    if try_now(file, mode)? {
        return Ok(());
    }
    std::thread::scope(|scope| {
        let (ended, wait) = channel::<()>();
        let tell = move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!(
                    target: "hubvault::waiting",
                    file = path,
                    "waiting for another process that is writing to this vault"
                );
            }
        };
        // Without a thread nobody is told; that is no reason to fail.
        let told = std::thread::Builder::new().spawn_scoped(scope, tell);
        let locked = wait_quietly(file, mode);
        drop((ended, told));
        locked
    })
}

fn wait_quietly(file: &File, mode: LockMode) -> io::Result<()> {
    loop {
        let locked = match mode {
            LockMode::Shared => FileExt::lock_shared(file),
            LockMode::Exclusive => FileExt::lock(file),
        };
        match locked {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
}

fn try_now(file: &File, mode: LockMode) -> io::Result<bool> {
    let locked = match mode {
        LockMode::Shared => FileExt::try_lock_shared(file),
        LockMode::Exclusive => FileExt::try_lock(file),
    };
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Has the file `to` share the blocks of `from`; `false` where the file system cannot, and then part of it may.
pub(crate) fn share_blocks(from: &File, to: &File) -> bool {
    system::share_blocks(from, to)
}

/// Whether a file is this user's own, and not open to everybody's writing.
pub(crate) fn is_own(file: &File) -> bool {
    system::is_own(file)
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    len: u64,
}

impl ReadAt for DiskFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        system::read_exact_at(&self.file, buffer, offset)
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn will_need(&self, offset: u64, len: u64) {
        system::will_need(&self.file, offset, len);
    }

    fn is_own(&self) -> bool {
        is_own(&self.file)
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

#[derive(Debug)]
struct DiskSink {
    file: File,
    written: u64,
    /// How much of it the disk was told to begin with.
    started: u64,
}

/// The disk is given work in pieces of this many bytes while a file is written, so that a sync at the end has
/// little left to wait for.
const WRITE_BEHIND: u64 = 16 << 20;

impl Write for DiskSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        if self.written - self.started >= WRITE_BEHIND {
            system::start_writing(&self.file, self.started, self.written - self.started);
            self.started = self.written;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for DiskSink {
    fn sync(&mut self) -> io::Result<()> {
        // The mode first, so that the one sync covers it too.
        system::make_read_only(&self.file)?;
        system::sync(&self.file)
    }

    fn reflink(&mut self, source: &File) -> io::Result<bool> {
        let shared = share_blocks(source, &self.file);
        if !shared {
            self.file.set_len(0)?; // a clone that failed may have come half the way
        }
        Ok(shared)
    }
}

/// Closing the file releases the lock, and so does the end of the process.
#[derive(Debug)]
struct DiskLock {
    _file: File,
}

impl Lock for DiskLock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_touches_nothing_and_the_empty_path_makes_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let media = DiskMedia::open(&folder.path().join("vault"));
        assert!(!media.root().exists());
        assert_eq!(media.list("").unwrap_err().kind(), io::ErrorKind::NotFound);
        media.create_dir("").unwrap();
        media.create_dir("").unwrap();
        assert!(media.root().is_dir());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn names_that_are_no_text_are_passed_over() {
        use std::os::unix::ffi::OsStrExt as _;
        let folder = tempfile::tempdir().unwrap();
        let media = DiskMedia::open(folder.path());
        media.create("a").unwrap();
        fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"x\xff")), "").unwrap();
        assert_eq!(media.list("").unwrap(), ["a"]);
    }

    #[test]
    fn what_is_open_can_be_handed_to_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), b"abc").unwrap();
        let file = Media::open(&DiskMedia::open(folder.path()), "a").unwrap();
        assert_eq!(file.as_file().unwrap().metadata().unwrap().len(), 3);
    }
}
