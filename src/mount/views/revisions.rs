//! The commits a view shows: opened when they are looked into, kept from collection while they are.
//!
//! A commit has a lease as long as a file of it is open. Without, as long as it is among those used last, and no ref has
//! left it since; it gets another when it is used again. So a program that goes through a thousand tags holds a few
//! leases, not a thousand, and what a branch was can be collected although a kernel remembers its names. Knows how commits
//! are opened; not where they are shown.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hubvault_platform::port::PortError;
use lru::LruCache;

use super::super::content::{Content, FileTimes};
use super::super::errno::port_error;
use super::super::folders::Folders;
use crate::snapshot::versions::{Refs, Versions};
use crate::snapshot::{Mode, ObjectId, SnapshotError, Tree, TreeEntry};

/// Commits that keep their lease although no file of them is open.
const HELD: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

/// A commit of the vault.
#[derive(Debug)]
pub(super) struct Revision {
    /// Its id.
    pub(super) id: ObjectId,
    /// Its time, seconds since 1970.
    pub(super) seconds: i64,
    /// Whether it is shown as what a ref is now.
    moving: bool,
    name: String,
    serial: u64,
    content: Mutex<Kept>,
}

/// A commit's content, opened or not.
#[derive(Debug, Default)]
struct Kept {
    /// What is open, as long as anybody uses it.
    open: Weak<Content>,
    /// The same, to be kept although nobody does.
    held: Option<Arc<Content>>,
    /// Whether no ref shows it any more: then it is not held again.
    left: bool,
}

impl Revision {
    /// Whether the ref that it was shown as has left it.
    pub(super) fn is_left(&self) -> bool {
        lock(&self.content).left
    }
}

/// Commits of the vault.
#[derive(Debug)]
pub(super) struct Revisions {
    versions: Arc<dyn Versions>,
    below: String,
    times: FileTimes,
    folders: Folders,
    held: Mutex<LruCache<u64, Weak<Revision>>>,
    serials: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Revisions {
    /// Commits of `versions`, of which only the folder `below` is shown.
    pub(super) fn new(versions: Arc<dyn Versions>, below: &str, times: FileTimes) -> Self {
        let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
        Self {
            versions,
            below: parts.join("/"),
            times,
            folders: Folders::default(),
            held: Mutex::new(LruCache::new(HELD)),
            serials: AtomicU64::new(0),
        }
    }

    /// The vault.
    pub(super) fn versions(&self) -> &dyn Versions {
        &*self.versions
    }

    /// Path of the folder that is shown of each commit; empty for all of it.
    pub(super) fn below(&self) -> &str {
        &self.below
    }

    /// Where refs point now.
    pub(super) fn refs(&self) -> Result<Arc<Refs>, PortError> {
        self.versions.refs().map_err(|error| port_error(&error))
    }

    /// The commit that a ref's target leads to. It is not opened yet.
    pub(super) fn find(&self, target: ObjectId, name: &str) -> Result<Arc<Revision>, PortError> {
        let (id, seconds) = self.versions.commit(target).map_err(|error| port_error(&error))?;
        Ok(self.known(id, seconds, name, true))
    }

    /// A commit whose time is known; `moving` when it is shown as what a ref is now.
    pub(super) fn known(&self, id: ObjectId, seconds: i64, name: &str, moving: bool) -> Arc<Revision> {
        let (serial, name) = (self.serials.fetch_add(1, Relaxed), name.to_owned());
        Arc::new(Revision { id, seconds, moving, name, serial, content: Mutex::default() })
    }

    /// Gives up, where no file is open, what refs were and are no more; `stays` says which.
    pub(super) fn release(&self, stays: impl Fn(ObjectId) -> bool) {
        let held: Vec<_> = lock(&self.held).iter().filter_map(|(_, revision)| revision.upgrade()).collect();
        for revision in held.into_iter().filter(|revision| revision.moving && !stays(revision.id)) {
            let mut kept = lock(&revision.content);
            kept.left = true;
            let content = kept.held.take();
            drop(kept);
            lock(&self.held).pop(&revision.serial);
            drop(content); // gives up the lease
        }
    }

    /// What a commit holds; opens it when it is not.
    pub(super) fn content(&self, revision: &Arc<Revision>) -> Result<Arc<Content>, PortError> {
        let mut kept = lock(&revision.content);
        if let Some(content) = kept.open.upgrade() {
            drop(kept);
            lock(&self.held).promote(&revision.serial);
            return Ok(content);
        }
        let content = Arc::new(self.open(revision).map_err(|error| port_error(&error))?);
        kept.open = Arc::downgrade(&content);
        if kept.left {
            return Ok(content);
        }
        kept.held = Some(Arc::clone(&content));
        drop(kept);
        let pushed = lock(&self.held).push(revision.serial, Arc::downgrade(revision));
        if let Some(longest_unused) = pushed.and_then(|(_, revision)| revision.upgrade()) {
            let content = lock(&longest_unused.content).held.take();
            drop(content);
        }
        Ok(content)
    }

    fn open(&self, revision: &Revision) -> Result<Content, SnapshotError> {
        let held = self.versions.hold(revision.id, &revision.name)?;
        let root = match held.snapshot.try_entry(&self.below)? {
            Some(entry) if entry.mode == Mode::Directory => entry,
            // A branch that is followed may lose the folder, and get it back: it is empty meanwhile.
            _ => TreeEntry { name: Vec::new(), mode: Mode::Directory, id: Tree::empty().id() },
        };
        Ok(Content::new(held, root, self.folders.clone(), self.times))
    }
}
