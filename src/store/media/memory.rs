//! A medium in memory that remembers what was synced, so that tests can crash, fill, fail and damage a vault at
//! every step and look at all that a real disk might have left.
//!
//! It keeps the rules of the module above to the letter and promises nothing more: what no sync covers is lost
//! in some outcome of [`MemoryMedia::after_crash`]. Beyond these rules it must not know anything about vaults,
//! or tests would pass here for reasons that no disk shares.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::LockMode;
use tree::{NodeId, Tree};

mod crash;
mod program;
mod tree;

/// What a sync makes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncKind {
    /// The bytes of a file.
    File,
    /// The names in a folder.
    Dir,
}

/// Files of one vault in memory. Clones are the same medium, as two openings of one folder are.
#[derive(Clone)]
pub struct MemoryMedia {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Told whenever a lock is released, and when the medium crashes.
    freed: Condvar,
}

/// Whether a sync of this path is to do nothing.
type SkipSync = dyn Fn(&str, SyncKind) -> bool + Send;

struct State {
    tree: Tree,
    /// Mutating operations so far, in words; its length is the step.
    operations: Vec<String>,
    locks: BTreeMap<String, Held>,
    crash_at: Option<usize>,
    crashed: bool,
    failure: Option<(usize, io::ErrorKind)>,
    /// Bytes that may still be written.
    room: Option<usize>,
    skip: Box<SkipSync>,
    reflinks: bool,
}

#[derive(Default)]
struct Held {
    shared: usize,
    exclusive: bool,
}

impl Default for MemoryMedia {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let paths: Vec<String> = state.tree.image().into_keys().collect();
        f.debug_struct("MemoryMedia").field("step", &state.operations.len()).field("paths", &paths).finish()
    }
}

/// What a program does with a medium goes through [`super::Media`] (`program`); these are the hands of the test around it.
impl MemoryMedia {
    /// An empty medium: the root folder is there, and durable.
    pub fn new() -> Self {
        Self::with(Tree::new())
    }

    fn with(tree: Tree) -> Self {
        let state = State {
            tree,
            operations: Vec::new(),
            locks: BTreeMap::new(),
            crash_at: None,
            crashed: false,
            failure: None,
            room: None,
            skip: Box::new(|_, _| false),
            reflinks: false,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), freed: Condvar::new() }) }
    }

    /// Mutating operations asked for so far: each create, write, sync, publish, remove, `create_dir` and
    /// `sync_dir`, failed ones included. The next one has this number.
    pub fn steps(&self) -> usize {
        self.state().operations.len()
    }

    /// The mutating operations so far, such as `sync tmp/1` or `publish tmp/1 -> log/1`.
    pub fn operations(&self) -> Vec<String> {
        self.state().operations.clone()
    }

    /// Arms a crash: operation number `step` and everything after it, reads and locks too, fails. A write that
    /// the crash hits has its first half applied; any other operation is not applied (arm the next step to see
    /// it applied).
    pub fn crash_at(&self, step: usize) {
        self.state().crash_at = Some(step);
    }

    /// Makes operation number `step` fail with `kind`, once. A file whose sync fails has lost its unsynced
    /// bytes for good, as on Linux: a later sync of it says it succeeded, and makes nothing durable.
    pub fn fail_at(&self, step: usize, kind: io::ErrorKind) {
        self.state().failure = Some((step, kind));
    }

    /// Leaves room for `bytes` more bytes of file content; what is written beyond fails with
    /// [`io::ErrorKind::StorageFull`]. Removing a file makes room again.
    pub fn full_after(&self, bytes: usize) {
        self.state().room = Some(bytes);
    }

    /// Makes the syncs for which `skip` holds report success and do nothing: what a test must notice.
    pub fn skip_syncs(&self, skip: impl Fn(&str, SyncKind) -> bool + Send + 'static) {
        self.state().skip = Box::new(skip);
    }

    /// From now on files can share the blocks of other files. A reflink is one operation.
    pub fn allow_reflinks(&self) {
        self.state().reflinks = true;
    }

    /// Every state in which the medium may be found after a crash now, as media of their own: healthy, with all
    /// they hold durable. Complete when there are at most `limit` combinations of lost and kept changes; else
    /// all that lose or keep a single change, and a repeatable sample of the others, up to `limit`.
    pub fn after_crash(&self, limit: usize) -> Vec<Self> {
        let state = self.state();
        let seed = state.operations.len() as u64;
        let images = crash::survivors(&state.tree, limit, seed);
        drop(state);
        images.iter().map(|image| Self::with(Tree::from_image(image))).collect()
    }

    /// A copy of its own in which nothing is pending: as if everything had been synced and all went home.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self::with(Tree::from_image(&self.state().tree.image()))
    }

    /// A copy of its own as the next process finds it after this one was killed: everything a reader saw is
    /// there, what was not synced still is not, and no lock is held.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        Self::with(self.state().tree.clone())
    }

    /// All files and their bytes, as a reader sees them.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let image = self.state().tree.image();
        image.into_iter().filter_map(|(path, bytes)| Some((path, bytes?.to_vec()))).collect()
    }

    /// Changes the bytes of a file as decay or a hostile hand would: no step, nothing in the trace, and durable.
    pub fn corrupt(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state();
        let node = state.tree.find_file(path)?;
        let file = state.tree.file(node)?;
        change(Arc::make_mut(&mut file.bytes));
        file.durable = file.bytes.len();
        Ok(())
    }

    /// Removes a file behind the program's back, durably, as [`Self::corrupt`] changes one.
    pub fn remove_file(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        state.tree.unname(path)?;
        state.tree.settle_name(path)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one mutating operation, if neither a crash nor an ordered failure is in the way.
    fn mutate<T>(&self, what: String, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let outcome = state.begin(what).and_then(|()| act(&mut state));
        if state.crashed {
            self.shared.freed.notify_all();
        }
        outcome
    }

    /// The state for an operation that changes nothing, if there was no crash.
    fn inspect(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.crashed { Err(crashed()) } else { Ok(state) }
    }
}

impl State {
    /// Counts an operation; fails it when it is its turn to fail.
    fn begin(&mut self, what: String) -> io::Result<()> {
        if self.crashed {
            return Err(crashed());
        }
        let step = self.operations.len();
        self.operations.push(what);
        if self.crash_at.is_some_and(|at| step >= at) {
            self.crashed = true;
            return Err(crashed());
        }
        match self.failure.take_if(|(at, _)| *at == step) {
            Some((_, kind)) => Err(io::Error::new(kind, format!("simulated failure of step {step}"))),
            None => Ok(()),
        }
    }

    fn append(&mut self, node: NodeId, bytes: &[u8]) -> io::Result<usize> {
        let count = self.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if count < bytes.len() && count == 0 {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "simulated full disk"));
        }
        self.room = self.room.map(|room| room - count);
        Arc::make_mut(&mut self.tree.file(node)?.bytes).extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn sync_file(&mut self, path: &str, node: NodeId) -> io::Result<()> {
        if !(self.skip)(path, SyncKind::File) {
            let file = self.tree.file(node)?;
            if !file.dropped {
                file.durable = file.bytes.len();
            }
        }
        Ok(())
    }
}

impl Held {
    /// Takes the lock if nobody is in the way.
    fn take(&mut self, mode: LockMode) -> bool {
        match mode {
            LockMode::Shared if !self.exclusive => self.shared += 1,
            LockMode::Exclusive if !self.exclusive && self.shared == 0 => self.exclusive = true,
            _ => return false,
        }
        true
    }

    fn give_back(&mut self, mode: LockMode) {
        match mode {
            LockMode::Shared => self.shared -= 1,
            LockMode::Exclusive => self.exclusive = false,
        }
    }
}

fn crashed() -> io::Error {
    io::Error::other("simulated crash")
}

#[cfg(test)]
mod tests;
