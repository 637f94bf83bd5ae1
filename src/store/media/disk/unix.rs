//! How Linux, macOS and their kin open, move and sync files.
//!
//! Same functions as `windows`. Besides the calls themselves this file knows which errors mean "this file
//! system cannot do that", and what to do instead; it must not know which files of a vault it handles.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Makes an open fail on a symbolic link, and return at once on a pipe nobody writes.
pub(super) fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
}

/// Opens for reading a file that has no link on its way at all, the way to the vault included; `None` for any
/// other, and for whatever goes wrong.
#[cfg(target_os = "linux")]
pub(super) fn open_without_links(path: &Path) -> Option<File> {
    use rustix::fs::{CWD, Mode, ResolveFlags, openat2};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn open_without_links(_: &Path) -> Option<File> {
    None
}

/// Makes a new file its owner's alone until it is complete.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Makes a file of ours as open as its folder is for writing, and gives it the folder's owner and group where that can
/// be: nobody else is to open it. What cannot be changed stays as it is, readable for all: who may write the folder must
/// never be kept out.
pub(super) fn for_writers(file: &File, path: &Path) {
    let (Ok(now), Some(Ok(folder))) = (file.metadata(), path.parent().map(fs::metadata)) else { return };
    // Locks are empty; a file of another kind or with another name was put there, and is not ours to give away.
    if now.len() > 0 || now.nlink() != 1 {
        return;
    }
    let mut writers = 0o600 | (folder.mode() & 0o022) | ((folder.mode() & 0o022) << 1);
    if (now.uid(), now.gid()) != (folder.uid(), folder.gid()) {
        let same_owner = now.uid() == folder.uid() || fchown(file, Some(folder.uid()), None).is_ok();
        let same_group = now.gid() == folder.gid() || fchown(file, None, Some(folder.gid())).is_ok();
        if !same_owner || (!same_group && folder.mode() & 0o020 != 0) {
            writers |= 0o044;
        }
    }
    if now.mode() & 0o777 != writers
        && let Err(error) = file.set_permissions(Permissions::from_mode(writers))
    {
        tracing::debug!(%error, path = %path.display(), "others may be able to hold this lock");
    }
}

pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Starts reading into the page cache without waiting for it, where the system can be told to.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn will_need(file: &File, offset: u64, len: u64) {
    let advice = rustix::fs::Advice::WillNeed;
    if let Err(error) = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len), advice) {
        tracing::trace!(%error, "the file system takes no advice");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn will_need(_file: &File, _offset: u64, _len: u64) {}

/// Mode 0444, where the file system has modes: a guard against accidents, so one without them is no failure.
pub(super) fn make_read_only(file: &File) -> io::Result<()> {
    match file.set_permissions(Permissions::from_mode(0o444)) {
        Err(error) if is_any(&error, &[Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS]) => Ok(()),
        done => done,
    }
}

/// Asks the disk to begin writing what was just written to these bytes of a file, without waiting for it. Linux does
/// so when told that they will not be needed soon; what is still to be written stays in memory until it is.
#[cfg(target_os = "linux")]
pub(super) fn start_writing(file: &File, offset: u64, len: u64) {
    use std::num::NonZeroU64;
    // A hint: a file system that does not take it writes later.
    let _ = rustix::fs::fadvise(file, offset, NonZeroU64::new(len), rustix::fs::Advice::DontNeed);
}

/// There is no such call: the sync at the end does all of it.
#[cfg(not(target_os = "linux"))]
pub(super) fn start_writing(_file: &File, _offset: u64, _len: u64) {}

/// Has `to` share the blocks of `from`; `false` where that cannot be, for whatever reason: what copies instead meets it.
#[cfg(target_os = "linux")]
pub(super) fn share_blocks(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

/// There is no such call for a file that is open already.
#[cfg(not(target_os = "linux"))]
pub(super) fn share_blocks(_from: &File, _to: &File) -> bool {
    false
}

/// Puts a file on the medium itself. On macOS the standard library asks the drive to empty its cache, which
/// network file systems there do not know; they get the plain call.
pub(super) fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error) if is_unsupported(&error) => Ok(rustix::fs::fsync(file)?),
        done => done,
    }
}

pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY.bits().cast_signed();
    let folder = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match sync(&folder) {
        // These two say that the file system has no such operation for folders (some FUSE and network ones):
        // there is nothing to wait for, and retrying would never help. Any other error is a lost promise.
        Err(error) if is_any(&error, &[Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP]) => Ok(()),
        done => done,
    }
}

pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o755).create(path)
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Moves a file to a name that must be free, by the strongest means the file system has.
pub(super) fn publish(from: &Path, to: &Path) -> io::Result<()> {
    match rename_to_free(from, to) {
        Err(error) if is_unsupported(&error) => {}
        done => return done,
    }
    match link_to_free(from, to) {
        Err(error) if is_unsupported(&error) || is_any(&error, &[Errno::PERM]) => {
            rename_unless_seen(from, to)
        }
        done => done,
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_to_free(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(Errno::NOTSUP.into())
}

/// A hard link never replaces anything either. A crash or a failure in between leaves the old name as well,
/// which is litter under `tmp/` and no reason to say that the new name is not there.
fn link_to_free(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    if let Err(error) = fs::remove_file(from) {
        tracing::warn!(%error, path = %from.display(), "published, but its temporary name stays");
    }
    Ok(())
}

/// For file systems without links (exFAT, FAT). Weaker: of two writers that publish the same name at the same
/// moment, the second replaces the first's file; what was there before the call is never replaced.
fn rename_unless_seen(from: &Path, to: &Path) -> io::Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Whether the file system says that it has no such operation.
fn is_unsupported(error: &io::Error) -> bool {
    is_any(error, &[Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP])
}

fn is_any(error: &io::Error, candidates: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| candidates.contains(&errno))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::super::DiskMedia;
    use super::*;
    use crate::store::media::{LockMode, Media, Wait};

    #[test]
    fn every_way_to_publish_moves_the_file_and_replaces_nothing() {
        for publish in [publish, rename_to_free, link_to_free, rename_unless_seen] {
            let folder = tempfile::tempdir().unwrap();
            let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
            fs::write(&from, b"new").unwrap();
            publish(&from, &to).unwrap();
            assert!(!from.exists());
            fs::write(&from, b"newer").unwrap();
            assert_eq!(publish(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(
                (fs::read(&from).unwrap(), fs::read(&to).unwrap()),
                (b"newer".to_vec(), b"new".to_vec())
            );
            fs::remove_file(&to).unwrap();
            symlink("nowhere", &to).unwrap();
            assert_eq!(publish(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            fs::remove_file(&from).unwrap();
            fs::remove_file(&to).unwrap();
            assert_eq!(publish(&from, &to).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn links_folders_pipes_and_sockets_are_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let media = DiskMedia::open(folder.path());
        fs::write(folder.path().join("real"), b"secret").unwrap();
        symlink("real", folder.path().join("link")).unwrap();
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        for name in ["link", "dangling", "folder", "pipe", "socket"] {
            assert_eq!(media.len(name).unwrap_err().kind(), io::ErrorKind::InvalidData, "{name}");
            assert_eq!(Media::open(&media, name).unwrap_err().kind(), io::ErrorKind::InvalidData, "{name}");
            let lock = media.lock(name, LockMode::Exclusive, Wait::No);
            assert_eq!(lock.unwrap_err().kind(), io::ErrorKind::InvalidData, "{name}");
            assert_eq!(media.create(name).unwrap_err().kind(), io::ErrorKind::AlreadyExists, "{name}");
        }
        assert!(media.create_dir("link").is_err());
    }

    #[test]
    fn a_file_is_private_while_written_and_read_only_once_synced() {
        let folder = tempfile::tempdir().unwrap();
        let media = DiskMedia::open(folder.path());
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().mode() & 0o777;
        let mut sink = media.create("file").unwrap();
        sink.write_all(b"abc").unwrap();
        assert_eq!(mode("file"), 0o600);
        sink.sync().unwrap();
        assert_eq!(mode("file"), 0o444);
        media.create_dir("folder").unwrap();
        assert_eq!(mode("folder") & 0o022, 0);
        media.remove("file").unwrap();
    }

    #[test]
    fn a_lock_file_that_is_there_can_be_locked_without_permission_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        fs::write(&lock, b"").unwrap();
        fs::set_permissions(&lock, Permissions::from_mode(0o444)).unwrap();
        let media = DiskMedia::open(folder.path());
        for mode in [LockMode::Shared, LockMode::Exclusive] {
            assert!(media.lock("lock", mode, Wait::No).unwrap().is_some());
        }
    }

    #[test]
    fn syncing_a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(sync_dir(&folder.path().join("absent")).is_err());
        sync_dir(folder.path()).unwrap();
    }
}
