//! What can be wrong before and while mounting, turned into sentences a user can act on.
//!
//! The kernel and fusermount3 answer most mistakes with the same two error numbers, so the common ones are
//! looked for one by one beforehand. It must not know how requests are served.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::Access;

use crate::mount::{MountError, MountOptions};
use crate::table;

const DEVICE: &str = "/dev/fuse";
const HELPER: &str = "fusermount3";

/// Whether this process mounts directly rather than through the helper.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Checks everything that can be checked and returns the mount point as an absolute path without links.
pub(super) fn check(mountpoint: &Path, options: &MountOptions) -> Result<PathBuf, MountError> {
    let mountpoint = directory(mountpoint)?;
    not_mounted_yet(&mountpoint)?;
    if !options.allow_non_empty {
        empty(&mountpoint)?;
    }
    device(Path::new(DEVICE))?;
    if !is_root() {
        helper(HELPER)?;
        rustix::fs::access(&mountpoint, Access::WRITE_OK)
            .map_err(|_denied| MountError::MountpointForbidden(mountpoint.clone()))?;
    }
    Ok(mountpoint)
}

fn directory(mountpoint: &Path) -> Result<PathBuf, MountError> {
    let metadata = fs::metadata(mountpoint).map_err(|error| unreachable_mountpoint(&error, mountpoint))?;
    if !metadata.is_dir() {
        return Err(MountError::MountpointNotADirectory(mountpoint.to_path_buf()));
    }
    mountpoint.canonicalize().map_err(|error| unreachable_mountpoint(&error, mountpoint))
}

fn unreachable_mountpoint(error: &io::Error, mountpoint: &Path) -> MountError {
    let path = mountpoint.to_path_buf();
    match error.kind() {
        ErrorKind::NotFound => MountError::MountpointMissing(path),
        ErrorKind::NotConnected => MountError::DeadMount(path),
        ErrorKind::NotADirectory => MountError::MountpointNotADirectory(path),
        ErrorKind::PermissionDenied => MountError::MountpointForbidden(path),
        _ => MountError::System { mountpoint: path, detail: error.to_string() },
    }
}

fn not_mounted_yet(mountpoint: &Path) -> Result<(), MountError> {
    let entries = table::mounts().unwrap_or_default();
    let Some(entry) = entries.into_iter().rev().find(|entry| entry.mountpoint == mountpoint) else {
        return Ok(());
    };
    let source_name = entry.source.to_string_lossy().into_owned();
    Err(MountError::AlreadyMounted { mountpoint: entry.mountpoint, source_name })
}

fn empty(mountpoint: &Path) -> Result<(), MountError> {
    let mut entries = fs::read_dir(mountpoint).map_err(|error| unreachable_mountpoint(&error, mountpoint))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(MountError::MountpointNotEmpty(mountpoint.to_path_buf())),
    }
}

fn device(path: &Path) -> Result<(), MountError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_opened) => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(MountError::DeviceForbidden),
        Err(_missing) => Err(MountError::NoDevice), // not there, or there without a driver behind it
    }
}

fn helper(program: &str) -> Result<(), MountError> {
    let asked = Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match asked {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(MountError::HelperMissing),
        _ => Ok(()),
    }
}

/// What fuser's error, often only the helper's message, means.
pub(super) fn explain(error: &io::Error, mountpoint: &Path) -> MountError {
    let detail = error.to_string().trim().to_owned();
    let says = |text: &str| detail.contains(text);
    if says("user_allow_other") {
        MountError::AllowOtherForbidden
    } else if says("/dev/fuse: Permission denied") {
        MountError::DeviceForbidden
    } else if says("no write access") || says("not owned by user") {
        MountError::MountpointForbidden(mountpoint.to_path_buf())
    } else if says("not permitted") || error.kind() == ErrorKind::NotFound {
        // "Not found" is the helper, tried because the kernel refused root: a container without the capability.
        MountError::NotPermitted { detail }
    } else {
        MountError::System { mountpoint: mountpoint.to_path_buf(), detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> MountOptions {
        MountOptions::new("test")
    }

    #[test]
    fn a_missing_mountpoint_says_how_to_make_it() {
        let error = check(Path::new("/nowhere/at/all"), &options()).unwrap_err();
        assert!(matches!(error, MountError::MountpointMissing(_)));
        assert!(error.to_string().contains("mkdir -p"), "{error}");
    }

    #[test]
    fn a_file_and_a_full_directory_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(check(&file, &options()), Err(MountError::MountpointNotADirectory(_))));
        assert!(matches!(check(folder.path(), &options()), Err(MountError::MountpointNotEmpty(_))));
        assert!(matches!(check(&file.join("x"), &options()), Err(MountError::MountpointNotADirectory(_))));
    }

    #[test]
    fn a_missing_device_and_helper_say_what_to_install() {
        let error = device(Path::new("/dev/no-such-device")).unwrap_err();
        assert!(error.to_string().contains("--device /dev/fuse --cap-add SYS_ADMIN"), "{error}");
        let error = helper("no-such-fusermount").unwrap_err();
        assert!(error.to_string().contains("apt install fuse3"), "{error}");
    }

    #[test]
    fn the_helpers_messages_are_understood() {
        let explained = |text: &str| explain(&io::Error::other(text.to_owned()), Path::new("/m"));
        let other =
            "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf\n";
        assert!(matches!(explained(other), MountError::AllowOtherForbidden));
        let denied = "fusermount3: failed to open /dev/fuse: Permission denied\n";
        assert!(matches!(explained(denied), MountError::DeviceForbidden));
        let foreign = "fusermount3: user has no write access to mountpoint /m\n";
        assert!(matches!(explained(foreign), MountError::MountpointForbidden(_)));
        let capless = "fusermount3: mount failed: Operation not permitted\n";
        assert!(matches!(explained(capless), MountError::NotPermitted { .. }));
        assert!(matches!(explained("strange"), MountError::System { .. }));
    }

    #[test]
    fn a_dead_mount_says_how_to_end_it() {
        let error = unreachable_mountpoint(&io::Error::from(ErrorKind::NotConnected), Path::new("/m"));
        assert!(error.to_string().contains("hv umount /m"), "{error}");
    }
}
