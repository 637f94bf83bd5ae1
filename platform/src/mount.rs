//! Mounting, as the rest of the program sees it: options in, a guard out, errors that say what to do.
//!
//! It must not know any operating system's mount calls; the adapter of the system it is built for
//! (`fuse`, or `unsupported`) does the work behind the two names used here.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[cfg(target_os = "linux")]
use crate::fuse as adapter;
use crate::port::ReadOnlyTree;
use crate::table::{self, UnmountError, UnmountMode};
#[cfg(not(target_os = "linux"))]
use crate::unsupported as adapter;

/// How long dropping a [`Mounted`] waits for its server threads, which go on while files are still open.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// Whether the kernel asks for every opening of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opens {
    /// Only when a file may be passed through; else the kernel is told once not to ask.
    #[default]
    WhereNeeded,
    /// Always.
    Answered,
    /// Never, unless the tree moves: opening costs nothing, and nothing is passed through.
    Spared,
}

/// How a tree is mounted.
#[derive(Clone, Debug)]
pub struct MountOptions {
    /// What mount tables show as the source, such as `/path/vault@main`.
    pub source: OsString,
    /// Let users other than the mounting one read the files.
    pub allow_other: bool,
    /// Mount over a directory that has entries, hiding them while mounted.
    pub allow_non_empty: bool,
    /// How long the kernel may keep names (also missing ones) and attributes without asking again; `None` is
    /// for ever, which is right for a tree that never changes.
    pub attribute_ttl: Option<Duration>,
    /// Let the kernel read by itself what a [`backing`](ReadOnlyTree::backing) file is, where it may: at native speed,
    /// with nothing checked on the way.
    pub passthrough: bool,
    /// A program that registers backing files for whoever lacks the right to (`hubvault-passthrough`, installed with
    /// `CAP_SYS_ADMIN`). Asked only when this process is refused; without it, or when it refuses too, every byte goes
    /// through this process.
    pub passthrough_helper: Option<PathBuf>,
    /// Whether the kernel asks for every opening of a file.
    pub opens: Opens,
    /// Number of threads that answer the kernel; 0 counts as 1. More than there are cores never helps.
    pub threads: usize,
}

impl MountOptions {
    /// Options for a pinned tree: only the mounting user, kept for ever, passed through where possible, at most two
    /// threads.
    pub fn new(source: impl Into<OsString>) -> Self {
        Self {
            source: source.into(),
            allow_other: false,
            allow_non_empty: false,
            attribute_ttl: None,
            passthrough: true,
            passthrough_helper: None,
            opens: Opens::default(),
            threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2)),
        }
    }
}

/// Why a tree could not be mounted (or stopped being served). Every message says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The kernel offers no FUSE device.
    #[error(
        "/dev/fuse does not exist: load the kernel module (`modprobe fuse`), or start the container with `--device /dev/fuse --cap-add SYS_ADMIN`"
    )]
    NoDevice,
    /// The FUSE device is there but must not be opened by this user.
    #[error(
        "/dev/fuse cannot be opened by this user: run `chmod 666 /dev/fuse` as root (what every distribution's udev rule does), or start the container with `--device /dev/fuse`"
    )]
    DeviceForbidden,
    /// The helper by which ordinary users mount is not installed.
    #[error(
        "fusermount3 is not installed, without which only root can mount: run `apt install fuse3` or `dnf install fuse3`"
    )]
    HelperMissing,
    /// The system refuses mounting as such.
    #[error(
        "this process may not mount: in a container, start it with `--device /dev/fuse --cap-add SYS_ADMIN`; otherwise check that fusermount3 is setuid root ({detail})"
    )]
    NotPermitted {
        /// What the system said.
        detail: String,
    },
    /// `allow_other` needs the administrator's consent.
    #[error(
        "other users can be let in only if /etc/fuse.conf says `user_allow_other`: add that line, or mount without allowing others"
    )]
    AllowOtherForbidden,
    /// The mount point does not exist.
    #[error("mount point {} does not exist: create it with `mkdir -p`", .0.display())]
    MountpointMissing(PathBuf),
    /// The mount point is not a directory.
    #[error("mount point {} is not a directory: name an empty directory", .0.display())]
    MountpointNotADirectory(PathBuf),
    /// The mount point has entries, which the mount would hide.
    #[error("mount point {} is not empty: name an empty directory", .0.display())]
    MountpointNotEmpty(PathBuf),
    /// The mount point belongs to somebody else.
    #[error("mount point {} is not writable by this user: name a directory of your own", .0.display())]
    MountpointForbidden(PathBuf),
    /// A hubvault mount is there already.
    #[error("{source_name} is already mounted at {}: run `hv umount {}` first", .mountpoint.display(), .mountpoint.display())]
    AlreadyMounted {
        /// Where.
        mountpoint: PathBuf,
        /// What mount tables show as its source.
        source_name: String,
    },
    /// A server died without unmounting.
    #[error("a dead mount is left at {} by a process that was killed: run `hv umount {}`", .0.display(), .0.display())]
    DeadMount(PathBuf),
    /// There is no adapter for this operating system.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Anything else the system said.
    #[error("cannot mount at {}: {detail}", .mountpoint.display())]
    System {
        /// Where.
        mountpoint: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The threads that answer the kernel ended with an error.
    #[error("serving {} failed: {detail}", .mountpoint.display())]
    Serving {
        /// Where.
        mountpoint: PathBuf,
        /// What went wrong.
        detail: String,
    },
}

/// Mounts `tree` at `mountpoint`. When this returns, files can be read there.
///
/// # Errors
/// See [`MountError`]. Nothing stays mounted after an error.
pub fn mount(
    tree: Arc<dyn ReadOnlyTree>,
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<Mounted, MountError> {
    let serving = adapter::serve(tree, mountpoint, options)?;
    Ok(Mounted { serving: Some(serving) })
}

/// A mounted tree. Dropping it unmounts; files that are still open then stay readable while the process lives.
#[derive(Debug)]
pub struct Mounted {
    serving: Option<adapter::Serving>, // taken only by `wait` and `drop`
}

impl Mounted {
    /// Where the tree is mounted, as an absolute path.
    pub fn mountpoint(&self) -> &Path {
        self.serving.as_ref().map_or(Path::new(""), adapter::Serving::mountpoint)
    }

    /// A handle to unmount from another thread, such as a signal handler's.
    pub fn unmounter(&self) -> Unmounter {
        let serving = self.serving.as_ref();
        Unmounter {
            mountpoint: self.mountpoint().to_path_buf(),
            device: serving.and_then(adapter::Serving::device),
            liveness: serving.map(adapter::Serving::liveness),
        }
    }

    /// Blocks until the tree is unmounted from outside (or by an [`Unmounter`]) and its last file is closed.
    ///
    /// # Errors
    /// [`MountError::Serving`] if the mount ended because it could not be served any longer.
    pub fn wait(mut self) -> Result<(), MountError> {
        let Some(serving) = self.serving.take() else { return Ok(()) };
        let mountpoint = serving.mountpoint().to_path_buf();
        serving.join().map_err(|error| MountError::Serving { mountpoint, detail: error.to_string() })
    }

    /// Unmounts if nobody uses the tree. After an error it is still mounted.
    ///
    /// # Errors
    /// [`UnmountError::Busy`] names those who use it; see [`UnmountError`] for the others.
    pub fn unmount(&self) -> Result<(), UnmountError> {
        self.unmounter().unmount(UnmountMode::WhenIdle)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.serving.is_none() {
            return;
        }
        if let Err(error) = self.unmounter().unmount_now() {
            tracing::warn!(mountpoint = %self.mountpoint().display(), %error, "could not unmount");
        }
        if let Some(serving) = self.serving.take() {
            serving.wait_at_most(DROP_PATIENCE);
        }
    }
}

/// Unmounts one particular mount, and never another that took its place. Cheap to clone and to send.
#[derive(Clone, Debug)]
pub struct Unmounter {
    mountpoint: PathBuf,
    device: Option<table::Device>,
    liveness: Option<adapter::Liveness>, // `None` only for a mount already waited for
}

impl Unmounter {
    /// Unmounts in the given way. Does nothing if the mount is gone already.
    ///
    /// # Errors
    /// See [`UnmountError`].
    pub fn unmount(&self, mode: UnmountMode) -> Result<(), UnmountError> {
        if !self.is_mounted()? {
            return Ok(());
        }
        match table::unmount(&self.mountpoint, mode) {
            Err(UnmountError::NotMounted(_)) => Ok(()),
            other => other,
        }
    }

    /// Unmounts when idle, and otherwise detaches the mount from its directory at once: what a server that was
    /// told to end does.
    ///
    /// # Errors
    /// See [`UnmountError`]; never [`UnmountError::Busy`].
    pub fn unmount_now(&self) -> Result<(), UnmountError> {
        match self.unmount(UnmountMode::WhenIdle) {
            Err(UnmountError::Busy { .. }) => self.unmount(UnmountMode::Detach),
            other => other,
        }
    }

    /// Whether the kernel still has this mount, and has it at its place.
    fn is_mounted(&self) -> Result<bool, UnmountError> {
        if !self.liveness.as_ref().is_some_and(adapter::Liveness::is_alive) {
            return Ok(false);
        }
        let entries = table::mounts().map_err(|error: io::Error| UnmountError::System {
            mountpoint: self.mountpoint.clone(),
            detail: error.to_string(),
        })?;
        Ok(entries.iter().any(|entry| {
            entry.mountpoint == self.mountpoint && self.device.is_none_or(|device| device == entry.device)
        }))
    }
}
