//! How Windows opens, moves and removes files.
//!
//! Same functions as `unix`. It knows that folders cannot be synced there, that virus scanners hold files for a
//! moment, and that a read-only file resists removal; it must not know which files of a vault it handles.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// `FILE_FLAG_OPEN_REPARSE_POINT`: open a link itself, which then shows that it is no regular file.
const OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// `ERROR_ACCESS_DENIED` and `ERROR_SHARING_VIOLATION`: often somebody else's short look at a new file.
const TRANSIENT: [i32; 2] = [5, 32];

/// How often a call that failed so is tried again; the pauses double from 1 ms, 127 ms in all.
const RETRIES: u32 = 7;

/// Makes an open not go through a link; links are refused afterwards, not being regular files.
pub(super) fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OPEN_REPARSE_POINT)
}

/// Windows has no such call.
pub(super) fn open_without_links(_: &Path) -> Option<File> {
    None
}

/// Nothing to do: access comes from the folder.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Nothing to do: a file has the access list of its folder.
pub(super) fn for_writers(_file: &File, _path: &Path) {}

/// Nothing to do: the system reads ahead of a file by itself.
pub(super) fn will_need(_file: &File, _offset: u64, _len: u64) {}

pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Nothing to do: there are no modes, and the read-only attribute belongs to the file rather than to a name, so
/// that [`publish`] could not remove the old name without clearing it for the new one too.
#[expect(clippy::unnecessary_wraps, reason = "same signature as on unix")]
pub(super) fn make_read_only(_file: &File) -> io::Result<()> {
    Ok(())
}

/// There is no such call: the sync at the end does all of it.
pub(super) fn start_writing(_file: &File, _offset: u64, _len: u64) {}

/// Blocks can be shared on `ReFS` only.
pub(super) fn share_blocks(_from: &File, _to: &File) -> bool {
    false
}

pub(super) fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Nothing to do: Windows cannot sync a folder; NTFS journals names by itself.
#[expect(clippy::unnecessary_wraps, reason = "same signature as on unix")]
pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Removes a file, also one that came with the read-only attribute (out of an archive, say).
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    let mut permissions = metadata.permissions();
    if metadata.is_file() && permissions.readonly() {
        #[expect(clippy::permissions_set_readonly_false, reason = "on Windows this clears one attribute")]
        permissions.set_readonly(false);
        fs::set_permissions(path, permissions)?;
    }
    patiently(|| fs::remove_file(path))
}

/// Moves a file to a name that must be free. A hard link never replaces anything; a crash or a failure in
/// between leaves the old name as well, which is litter under `tmp/` and no reason to deny the new name.
///
/// Where there are no links (exFAT, FAT) it is weaker: of two writers that publish the same name at the same
/// moment, the second replaces the first's file; what was there before the call is never replaced.
pub(super) fn publish(from: &Path, to: &Path) -> io::Result<()> {
    match patiently(|| fs::hard_link(from, to)) {
        Ok(()) => {
            if let Err(error) = remove(from) {
                tracing::warn!(%error, path = %from.display(), "published, but its temporary name stays");
            }
            Ok(())
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            Err(error)
        }
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => patiently(|| fs::rename(from, to)),
    }
}

/// Repeats a call while it fails in a way that usually passes.
fn patiently(call: impl Fn() -> io::Result<()>) -> io::Result<()> {
    for retry in 0..RETRIES {
        match call() {
            Err(error) if error.raw_os_error().is_some_and(|code| TRANSIENT.contains(&code)) => {
                std::thread::sleep(Duration::from_millis(1 << retry));
            }
            done => return done,
        }
    }
    call()
}
