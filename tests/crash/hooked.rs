//! The accident: two processes meet at a step that no test happened to put them at.
//!
//! Here one's whole act is put before a chosen step of another's.

use std::io;
use std::sync::{Arc, Mutex};

use hubvault::Repository;
use hubvault::ops::OpsError;
use hubvault::store::media::memory::MemoryMedia;
use hubvault::store::media::{Lock, LockMode, Media, ReadAt, Sink, Wait};

/// Something that is done once.
type Act = Box<dyn FnOnce() + Send>;

/// A medium on which something happens before one of the steps, reads included. Locks are real, or do nothing.
pub(super) struct Hooked {
    inner: MemoryMedia,
    locks: bool,
    hook: Mutex<(usize, Option<Act>)>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

#[derive(Debug)]
struct NoLock;

impl Lock for NoLock {}

impl Hooked {
    pub(super) fn new(
        inner: &MemoryMedia,
        locks: bool,
        step: usize,
        act: impl FnOnce() + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), locks, hook: Mutex::new((step, Some(Box::new(act)))) })
    }

    /// Instead of what was to happen before: `act`, before the `step`th step from now.
    pub(super) fn set(&self, step: usize, act: impl FnOnce() + Send + 'static) {
        *self.hook.lock().unwrap() = (step, Some(Box::new(act)));
    }

    fn step(&self) -> &MemoryMedia {
        let mut hook = self.hook.lock().unwrap();
        if hook.0 > 0 {
            hook.0 -= 1;
        } else if let Some(act) = hook.1.take() {
            drop(hook);
            act();
        }
        &self.inner
    }

    /// Whether the step never came.
    pub(super) fn is_over(&self) -> bool {
        self.hook.lock().unwrap().1.is_some()
    }
}

impl Media for Hooked {
    fn open(&self, path: &str) -> io::Result<Box<dyn ReadAt>> {
        self.step().open(path)
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn Sink>> {
        self.step().create(path)
    }

    fn publish(&self, from: &str, to: &str) -> io::Result<()> {
        self.step().publish(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.step().remove(path)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.step().create_dir(path)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.step().sync_dir(path)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.step().list(path)
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        self.step().len(path)
    }

    fn lock(&self, path: &str, mode: LockMode, wait: Wait) -> io::Result<Option<Box<dyn Lock>>> {
        if self.locks { self.step().lock(path, mode, wait) } else { Ok(Some(Box::new(NoLock))) }
    }
}

pub(super) fn on(media: &Arc<Hooked>) -> Result<Repository, OpsError> {
    Repository::open_on(Arc::clone(media) as Arc<dyn Media>)
}
