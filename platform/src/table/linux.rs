//! Linux: mounts come from `/proc/self/mountinfo`, ends of mounts from `umount2` or, for ordinary users, from
//! the setuid helper `fusermount3`.
//!
//! It must not touch a mounted path itself (no `stat`, no `open`): a dead server's mount point answers
//! everything with an error, and a hung one not at all. It must not know how mounts are served.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::{Device, FILE_SYSTEM_TYPE, Holder, MountEntry, UnmountError, UnmountMode};

pub(super) fn mounts() -> io::Result<Vec<MountEntry>> {
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(table.split(|&byte| byte == b'\n').filter_map(parse_line).collect())
}

/// One line of mountinfo: `ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS...] - FSTYPE SOURCE SUPER`.
fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|&byte| byte == b' ');
    let device = parse_device(fields.nth(2)?)?;
    let mountpoint = fields.nth(1)?;
    let fstype = fields.by_ref().skip_while(|field| *field != b"-").nth(1)?;
    if fstype != FILE_SYSTEM_TYPE.as_bytes() {
        return None;
    }
    Some(MountEntry {
        mountpoint: PathBuf::from(unescape(mountpoint)),
        source: unescape(fields.next()?),
        fstype: FILE_SYSTEM_TYPE.to_owned(),
        device,
    })
}

fn parse_device(field: &[u8]) -> Option<Device> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once(':')?;
    Some(Device { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// Undoes the kernel's `\ooo` escapes (space, tab, newline, backslash, `#`).
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) = (first, tail) {
            bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
            rest = behind;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    OsString::from_vec(bytes)
}

pub(super) fn unmount(mountpoint: &Path, mode: UnmountMode) -> Result<(), UnmountError> {
    let target = find(mountpoint)?;
    let flags = match mode {
        UnmountMode::WhenIdle => UnmountFlags::NOFOLLOW,
        UnmountMode::Detach => UnmountFlags::NOFOLLOW | UnmountFlags::DETACH,
    };
    match rustix::mount::unmount(&target, flags) {
        Ok(()) => Ok(()),
        Err(Errno::PERM) => unmount_by_helper(target, mode),
        Err(Errno::BUSY) => Err(busy(target)),
        Err(Errno::INVAL | Errno::NOENT) => Err(UnmountError::NotMounted(target)),
        Err(error) => Err(UnmountError::System { mountpoint: target, detail: error.to_string() }),
    }
}

/// The mount point in the table that the user means by `given`.
fn find(given: &Path) -> Result<PathBuf, UnmountError> {
    let entries = mounts().map_err(|error| UnmountError::System {
        mountpoint: given.to_path_buf(),
        detail: error.to_string(),
    })?;
    candidates(given)
        .into_iter()
        .find(|path| entries.iter().any(|entry| entry.mountpoint == *path))
        .ok_or_else(|| UnmountError::NotMounted(given.to_path_buf()))
}

/// Ways to read a path, without a step into the mount first: a dead mount cannot be resolved.
fn candidates(given: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let (Some(parent), Some(name)) = (given.parent(), given.file_name()) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        paths.extend(parent.canonicalize().map(|parent| parent.join(name)));
    }
    paths.extend(std::path::absolute(given));
    paths.extend(given.canonicalize());
    paths
}

fn unmount_by_helper(mountpoint: PathBuf, mode: UnmountMode) -> Result<(), UnmountError> {
    let mut command = Command::new("fusermount3");
    command.arg("-u");
    if mode == UnmountMode::Detach {
        command.arg("-z");
    }
    match command.arg("--").arg(&mountpoint).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(helper_failure(mountpoint, &String::from_utf8_lossy(&output.stderr))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(UnmountError::HelperMissing),
        Err(error) => Err(UnmountError::System { mountpoint, detail: error.to_string() }),
    }
}

/// What the helper's message means; it is not translated into the user's language.
fn helper_failure(mountpoint: PathBuf, message: &str) -> UnmountError {
    let detail = message.trim().to_owned();
    if detail.contains("busy") {
        busy(mountpoint)
    } else if detail.contains("not permitted") || detail.contains("not found in") {
        UnmountError::NotPermitted { mountpoint, detail }
    } else {
        UnmountError::System { mountpoint, detail }
    }
}

fn busy(mountpoint: PathBuf) -> UnmountError {
    let holders = holders(&mountpoint);
    UnmountError::Busy { mountpoint, holders }
}

/// The processes that are in, or have open, something below `mountpoint`, as far as this user may look.
fn holders(mountpoint: &Path) -> Vec<Holder> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let mut holders: Vec<Holder> = processes
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(_, process)| holds(process, mountpoint))
        .map(|(pid, process)| Holder { pid, name: program_name(&process) })
        .collect();
    holders.sort_by_key(|holder| holder.pid);
    holders
}

fn holds(process: &Path, mountpoint: &Path) -> bool {
    let below = |link: &Path| fs::read_link(link).is_ok_and(|target| target.starts_with(mountpoint));
    let open = || {
        fs::read_dir(process.join("fd"))
            .is_ok_and(|files| files.filter_map(Result::ok).any(|file| below(&file.path())))
    };
    below(&process.join("cwd")) || below(&process.join("root")) || open() || maps(process, mountpoint)
}

/// Whether a process has mapped a file below `mountpoint` (it needs no open descriptor for that).
fn maps(process: &Path, mountpoint: &Path) -> bool {
    let wanted = mountpoint.as_os_str().as_bytes();
    fs::read(process.join("maps")).is_ok_and(|table| {
        table.split(|&byte| byte == b'\n').any(|line| {
            let path = line.iter().position(|&byte| byte == b'/').map_or(&line[..0], |at| &line[at..]);
            path.strip_prefix(wanted).is_some_and(|rest| rest.starts_with(b"/"))
        })
    })
}

fn program_name(process: &Path) -> String {
    fs::read_to_string(process.join("comm")).map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_lines_are_found_among_others() {
        let ours = b"411 28 0:53 / /mnt/a ro,nosuid,nodev,relatime shared:220 master:1 - fuse.hubvault /v@main ro,user_id=0";
        let entry = parse_line(ours).unwrap();
        assert_eq!(entry.mountpoint, Path::new("/mnt/a"));
        assert_eq!(entry.source, "/v@main");
        assert_eq!(entry.fstype, "fuse.hubvault");
        assert_eq!(entry.device, Device { major: 0, minor: 53 });
        assert_eq!(parse_line(b"28 1 254:0 / / rw,relatime - ext4 /dev/vda rw"), None);
    }

    #[test]
    fn a_line_without_tags_and_a_source_with_spaces() {
        let line = br"9 8 0:7 / /a\040b\011c\012d\134e ro - fuse.hubvault /v\040w@x\043 ro";
        let entry = parse_line(line).unwrap();
        assert_eq!(entry.mountpoint.as_os_str().as_bytes(), b"/a b\tc\nd\\e");
        assert_eq!(entry.source, "/v w@x#");
    }

    #[test]
    fn damaged_lines_are_skipped() {
        for line in [&b""[..], b"1", b"1 2 3 / /m ro - fuse.hubvault s", b"1 2 0:1 / /m ro fuse.hubvault s"] {
            assert_eq!(parse_line(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn incomplete_escapes_stay_as_they_are() {
        assert_eq!(unescape(br"a\04"), r"a\04");
        assert_eq!(unescape(br"\"), r"\");
        assert_eq!(unescape(br"\999"), r"\999");
        assert_eq!(unescape(br"\777"), r"\777", "more than a byte holds");
    }

    #[test]
    fn what_is_not_ours_is_not_unmounted() {
        assert!(matches!(unmount(Path::new("/proc"), UnmountMode::Detach), Err(UnmountError::NotMounted(_))));
    }

    #[test]
    fn the_helpers_messages_are_understood() {
        let failure = |text| helper_failure("/m".into(), text);
        let busy = "fusermount3: failed to unmount /m: Device or resource busy\n";
        assert!(matches!(failure(busy), UnmountError::Busy { .. }));
        let foreign = "fusermount3: entry for /m not found in /etc/mtab\n";
        assert!(matches!(failure(foreign), UnmountError::NotPermitted { .. }));
        assert!(matches!(failure("fusermount3: strange\n"), UnmountError::System { .. }));
    }
}
