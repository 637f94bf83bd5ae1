//! Which hubvault mounts exist on this machine, and how to end one, also one whose server is dead.
//!
//! It must not know how a mount is served: it works from the operating system's own tables, so that
//! `hv umount` needs nothing from the process that mounted.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(target_os = "linux")]
mod report;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

/// The file system type under which mount tables list our mounts.
pub const FILE_SYSTEM_TYPE: &str = "fuse.hubvault";

/// How long a busy mount is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the kernel tells mounts apart by (major and minor device number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

/// One hubvault mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// Where it is mounted, absolute.
    pub mountpoint: PathBuf,
    /// What was given as the source when mounting, such as `/path/vault@main`.
    pub source: OsString,
    /// Always [`FILE_SYSTEM_TYPE`].
    pub fstype: String,
    /// The mount's device number.
    pub device: Device,
}

/// What to do with a mount that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmountMode {
    /// Leave it and report [`UnmountError::Busy`].
    WhenIdle,
    /// Take it out of the directory tree at once; what is open stays readable until it is closed.
    Detach,
}

/// A process that keeps a mount busy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process number.
    pub pid: u32,
    /// The program's name as the kernel knows it, at most 15 bytes.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (pid {})", self.name, self.pid)
    }
}

/// Why a mount could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum UnmountError {
    /// No hubvault mount is there.
    #[error("nothing of hubvault is mounted at {}", .0.display())]
    NotMounted(PathBuf),
    /// Somebody has a file open there, or is in one of its directories.
    #[error(
        "{} is in use{}: close what uses it, or run `hv umount --force {}`",
        .mountpoint.display(), in_use_by(.holders), .mountpoint.display()
    )]
    Busy {
        /// Where.
        mountpoint: PathBuf,
        /// Who, as far as this user may see; possibly nobody.
        holders: Vec<Holder>,
    },
    /// It was mounted by somebody else.
    #[error("{} was mounted by another user: unmount it as that user or as root ({detail})", .mountpoint.display())]
    NotPermitted {
        /// Where.
        mountpoint: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The helper by which ordinary users unmount is not installed.
    #[error(
        "fusermount3 is not installed, without which only root can unmount: run `apt install fuse3` or `dnf install fuse3`"
    )]
    HelperMissing,
    /// There are no mounts on this operating system yet.
    #[error("mounts are not supported on this operating system yet")]
    Unsupported,
    /// Anything else the system said.
    #[error("cannot unmount {}: {detail}", .mountpoint.display())]
    System {
        /// Where.
        mountpoint: PathBuf,
        /// What the system said.
        detail: String,
    },
}

/// All hubvault mounts this process can see, dead ones too, in mounting order. Empty where there are none yet.
///
/// # Errors
/// If the system's mount table cannot be read.
pub fn mounts() -> io::Result<Vec<MountEntry>> {
    system::mounts()
}

/// What the server of a mount says about itself, names and values: `mode` (`passthrough` or `streaming`), `pid`, and
/// the tree's own figures. `None` when it does not answer, or not to this user.
#[cfg(target_os = "linux")]
pub fn report(mountpoint: &Path) -> Option<Vec<(String, String)>> {
    report::ask(mountpoint)
}

/// What the server of a mount says about itself: there is none here.
#[cfg(not(target_os = "linux"))]
pub fn report(_mountpoint: &Path) -> Option<Vec<(String, String)>> {
    None
}

/// Whether a mount's server was killed, so that nobody can read there any more.
#[cfg(target_os = "linux")]
pub fn is_dead(mountpoint: &Path) -> bool {
    report::is_dead(mountpoint)
}

/// Whether a mount's server was killed: there are no mounts here.
#[cfg(not(target_os = "linux"))]
pub fn is_dead(_mountpoint: &Path) -> bool {
    false
}

/// Ends the topmost hubvault mount at `mountpoint`; works also if its server is dead. Other file systems are
/// never touched. A mount in use is tried again for half a second: a file that was just closed, or a program that is
/// just being started by one that reads there, keeps it busy for a moment. Not when this process is in it itself.
///
/// # Errors
/// See [`UnmountError`].
pub fn unmount(mountpoint: &Path, mode: UnmountMode) -> Result<(), UnmountError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match system::unmount(mountpoint, mode) {
            Err(UnmountError::Busy { holders, .. }) if Instant::now() < deadline && may_end(&holders) => {
                std::thread::sleep(PATIENCE / 10);
            }
            ended => return ended,
        }
    }
}

/// Whether waiting may help: not when it is this process that is in the mount, as the shell that started it is then.
fn may_end(holders: &[Holder]) -> bool {
    holders.iter().all(|holder| holder.pid != std::process::id())
}

/// Those who use a mount, for a message. This process is there only because whoever started it is.
fn in_use_by(holders: &[Holder]) -> String {
    let others = holders.iter().filter(|holder| holder.pid != std::process::id());
    let names: Vec<String> = others.map(Holder::to_string).collect();
    match (names.as_slice(), holders) {
        ([], []) => String::new(),
        ([], _) => " by this command, which was started in there".to_owned(),
        _ => format!(" by {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_himself() {
        let holder = |pid| Holder { pid, name: "sh".into() };
        assert!(may_end(&[]) && may_end(&[holder(1)]));
        assert!(!may_end(&[holder(1), holder(std::process::id())]));
    }

    #[test]
    fn a_busy_mount_names_those_who_hold_it() {
        let holders = vec![Holder { pid: 7, name: "bash".into() }, Holder { pid: 9, name: "python3".into() }];
        let error = UnmountError::Busy { mountpoint: "/m".into(), holders };
        assert_eq!(
            error.to_string(),
            "/m is in use by bash (pid 7), python3 (pid 9): close what uses it, or run `hv umount --force /m`"
        );
        let myself = Holder { pid: std::process::id(), name: "hv".into() };
        assert_eq!(in_use_by(&[Holder { pid: 7, name: "bash".into() }, myself.clone()]), " by bash (pid 7)");
        assert_eq!(in_use_by(&[myself]), " by this command, which was started in there");
        let unknown = UnmountError::Busy { mountpoint: "/m".into(), holders: Vec::new() };
        assert_eq!(unknown.to_string(), "/m is in use: close what uses it, or run `hv umount --force /m`");
    }
}
