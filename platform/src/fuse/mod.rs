//! The Linux adapter: serves a [`ReadOnlyTree`] through FUSE by way of fuser.
//!
//! It translates and decides nothing: which bytes, names and numbers to show is the tree's business, where and
//! for whom to mount is the caller's. It must not know what implements the tree.

mod adapter;
mod backings;
mod filesystem;
mod open_files;
mod preflight;
mod translate;
mod unopened;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use fuser::{Config, MountOption, Session, SessionACL};

use crate::mount::{MountError, MountOptions};
use crate::port::ReadOnlyTree;
use crate::table::{self, Device};

use adapter::Adapter;
pub(crate) use adapter::REPORT;
use backings::Registrar;

/// Read-ahead in KiB asked for where we may: the kernel's own 128 costs half the throughput of a sequential
/// read, and more than this gains nothing (measured).
const READ_AHEAD_KIB: &str = "1024";

/// A mounted tree and the threads that answer for it.
#[derive(Debug)]
pub(crate) struct Serving {
    mountpoint: PathBuf,
    device: Option<Device>,
    liveness: Liveness,
    thread: JoinHandle<io::Result<()>>,
}

impl Serving {
    pub(crate) fn mountpoint(&self) -> &Path {
        &self.mountpoint
    }

    pub(crate) fn device(&self) -> Option<Device> {
        self.device
    }

    pub(crate) fn liveness(&self) -> Liveness {
        self.liveness.clone()
    }

    /// Waits for the end of the mount.
    pub(crate) fn join(self) -> io::Result<()> {
        self.thread.join().unwrap_or_else(|_panic| Err(io::Error::other("a server thread panicked")))
    }

    /// Waits for the end of the mount, which was unmounted, unless open files keep it alive for longer.
    pub(crate) fn wait_at_most(self, patience: Duration) {
        let start = Instant::now();
        while !self.thread.is_finished() && start.elapsed() < patience {
            thread::sleep(Duration::from_millis(2));
        }
        if self.thread.is_finished()
            && let Err(error) = self.join()
        {
            tracing::warn!(%error, "the mount ended with an error");
        }
    }
}

/// Tells whether the kernel still has this very mount. Its place and its device number are not enough: both are
/// soon reused.
#[derive(Clone, Debug)]
pub(crate) struct Liveness(Weak<OwnedFd>);

impl Liveness {
    /// Exact: the kernel marks the connection before it gives the mount's numbers away.
    pub(crate) fn is_alive(&self) -> bool {
        let Some(connection) = self.0.upgrade() else { return false };
        let mut polled = [PollFd::new(&connection, PollFlags::empty())];
        let polled_at_once = poll(&mut polled, Some(&Timespec::default()));
        polled_at_once.is_err() || !polled[0].revents().contains(PollFlags::ERR)
    }
}

/// Mounts and starts to answer.
pub(crate) fn serve(
    tree: Arc<dyn ReadOnlyTree>,
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<Serving, MountError> {
    let mountpoint = preflight::check(mountpoint, options)?;
    let adapter = Adapter::new(tree, options);
    let registrar = Arc::clone(&adapter.registrar);
    let session = Session::new(adapter, &mountpoint, &config(options))
        .map_err(|error| preflight::explain(&error, &mountpoint))?;
    let device = device_at(&mountpoint);
    if let Some(device) = device {
        raise_read_ahead(device);
    }
    let started = start(session, &registrar);
    let (liveness, thread) = started.map_err(|error| preflight::explain(&error, &mountpoint))?;
    Ok(Serving { mountpoint, device, liveness, thread })
}

/// Starts the threads. The connection lives as long as they do, so that a mount they desert is not left hanging.
fn start(
    session: Session<Adapter>,
    registrar: &Registrar,
) -> io::Result<(Liveness, JoinHandle<io::Result<()>>)> {
    let connection = Arc::new(session.as_fd().try_clone_to_owned()?);
    let liveness = Liveness(Arc::downgrade(&connection));
    let alive = liveness.clone();
    registrar.connect(session.as_fd().try_clone_to_owned()?);
    let thread = thread::Builder::new().name("fuse-session".into()).spawn(move || {
        let ended = serve_and_leave(session, &alive);
        drop(connection);
        ended
    })?;
    Ok((liveness, thread))
}

/// Answers until the mount is gone, and then leaves alone whatever is mounted at its place by now: fuser unmounts its
/// path at the end in any case, because it takes a connection that is gone for one that lives.
fn serve_and_leave(session: Session<Adapter>, alive: &Liveness) -> io::Result<()> {
    let mut background = session.spawn()?;
    let serving = std::mem::replace(&mut background.guard, thread::spawn(|| Ok(())));
    let ended = serving.join().unwrap_or_else(|_panic| Err(io::Error::other("a server thread panicked")));
    if !alive.is_alive() {
        std::mem::forget(background); // a few bytes and a descriptor
    }
    ended
}

fn config(options: &MountOptions) -> Config {
    let threads = options.threads.max(1);
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::DefaultPermissions,
        MountOption::FSName(source(options)),
        // fuser's own Subtype option is lost when root mounts without the helper; this way both pass it on.
        MountOption::CUSTOM("subtype=hubvault".to_owned()),
    ];
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(threads);
    config.clone_fd = threads > 1;
    config
}

/// The source as the mount call takes it; the helper of ordinary users splits at commas unless escaped.
fn source(options: &MountOptions) -> String {
    let source = options.source.to_string_lossy().into_owned();
    if preflight::is_root() { source } else { source.replace('\\', "\\\\").replace(',', "\\,") }
}

/// The device number of the mount just made, from the mount table: asking the mount itself would block, as
/// nobody answers yet.
fn device_at(mountpoint: &Path) -> Option<Device> {
    let entries = table::mounts().ok()?;
    entries.iter().rev().find(|entry| entry.mountpoint == mountpoint).map(|entry| entry.device)
}

/// Best effort: only root may.
fn raise_read_ahead(device: Device) {
    let setting = format!("/sys/class/bdi/{device}/read_ahead_kb");
    if let Err(error) = std::fs::write(&setting, READ_AHEAD_KIB) {
        tracing::debug!(%error, setting, "read-ahead stays at the kernel's default");
    }
}
