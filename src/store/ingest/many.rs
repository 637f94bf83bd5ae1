//! Many files at once: workers open, read, hash, cut and compress them, one thread stores them in order.
//!
//! ```text
//!   batches --+--> worker --+--> in order --> shared pack, large files one by one
//!             +--> worker --+
//! ```
//!
//! Files lie in packs in the order they are given (path order, so that a data set is read forward), and the vault
//! is the same byte for byte whatever the number of workers. They run ahead of the writer by a few batches and
//! no more: that bounds the memory. The first failure in order is the one that is reported.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use super::small::Small;
use super::{Content, StoredFile, WHOLE_FILE};
use crate::store::catalog::Catalog;
use crate::store::error::StoreError;
use crate::store::id::ObjectId;
use crate::store::pack::Compression;
use crate::store::stat_cache::Fingerprint;
use crate::store::transaction::{Transaction, unless_damaged};

/// Most files a worker takes at a time, and the bytes from which it takes no more.
const BATCH: (usize, u64) = (64, 1 << 20);
/// Batches each worker may be ahead of the writer.
const AHEAD: usize = 3;

/// Files to be stored, in the order they are to lie in.
pub trait Sources: Sync {
    /// Why a file cannot be opened.
    type Error: From<StoreError> + Send;

    /// How many there are.
    fn count(&self) -> usize;

    /// How long each is said to be; files are shared out by that.
    fn size(&self, at: usize) -> u64;

    /// Whether Git sees its LFS pointer.
    fn is_pointer(&self, at: usize) -> bool;

    /// The blob it was stored as, and its size, when it is known to be the same still. It is read all the same
    /// when the vault has that content no longer.
    fn seen(&self, at: usize) -> Option<(ObjectId, u64)>;

    /// Opens it. Called from several threads; what it answers stays on the thread that called.
    fn open(&self, at: usize) -> Result<Box<dyn Content + '_>, Self::Error>;
}

/// What happens to files while they are stored; told in their order.
#[derive(Debug, Clone, Copy)]
pub enum Storing {
    /// This one is next.
    Begins(usize),
    /// So many more of its bytes were read.
    Read(u64),
    /// It is stored.
    Done {
        /// What it is.
        stored: StoredFile,
        /// What tells that file from any other, where there is such a thing.
        fingerprint: Option<Fingerprint>,
        /// Whether it was not read, because it had been seen.
        seen: bool,
    },
}

/// What a worker made of a file.
enum Item<E> {
    Seen(ObjectId, u64),
    Small(Small),
    /// Left to the writer.
    Large,
    Failed(E),
}

impl Transaction<'_> {
    /// Stores all of `sources`. `each` is told what happens, and [`Storing::Done`] for every file in order.
    ///
    /// # Errors
    /// What [`Sources::open`] and [`Transaction::add_content`] answer for the first file that fails.
    pub fn add_all<S: Sources>(
        &mut self,
        sources: &S,
        each: &mut dyn FnMut(Storing),
    ) -> Result<(), S::Error> {
        let workers = available_parallelism().map_or(1, usize::from);
        self.add_all_with(sources, workers, each)
    }

    pub(super) fn add_all_with<S: Sources>(
        &mut self,
        sources: &S,
        workers: usize,
        each: &mut dyn FnMut(Storing),
    ) -> Result<(), S::Error> {
        let batches = batches(sources);
        let base = Arc::clone(&self.base);
        if batches.len() < 2 || workers < 2 {
            for at in 0..sources.count() {
                let item = prepare(sources, at, self.compression, &base.catalog);
                self.store_item(sources, at, item, each)?;
            }
            return Ok(());
        }
        let queue = Queue::new(batches.len(), workers * AHEAD);
        let compression = self.compression;
        thread::scope(|threads| {
            let _stop = Stop(&queue);
            for _ in 0..workers {
                threads.spawn(|| work(&queue, &batches, sources, compression, &base.catalog));
            }
            for (number, batch) in batches.iter().enumerate() {
                // Nothing comes when a worker panicked, and then the scope does.
                let Some(items) = queue.wait_for(number) else { break };
                for (at, item) in batch.clone().zip(items) {
                    self.store_item(sources, at, item, each)?;
                }
            }
            Ok(())
        })
    }

    fn store_item<S: Sources>(
        &mut self,
        sources: &S,
        at: usize,
        item: Item<S::Error>,
        each: &mut dyn FnMut(Storing),
    ) -> Result<(), S::Error> {
        self.vault.interrupt().check()?;
        each(Storing::Begins(at));
        let pointer = sources.is_pointer(at);
        let seen = match item {
            Item::Failed(error) => return Err(error),
            Item::Small(small) => {
                let fingerprint = small.fingerprint;
                let stored = self.store_small(small)?;
                each(Storing::Read(stored.size));
                each(Storing::Done { stored, fingerprint, seen: false });
                return Ok(());
            }
            Item::Seen(blob, size) => self.find_stored(blob, size, pointer)?,
            Item::Large => None,
        };
        if let Some(stored) = seen {
            each(Storing::Read(stored.size));
            each(Storing::Done { stored, fingerprint: None, seen: true });
            return Ok(());
        }
        let mut content = sources.open(at)?;
        let stored = self.add_content(&mut *content, pointer, &mut |n| each(Storing::Read(n)))?;
        each(Storing::Done { stored, fingerprint: content.fingerprint(), seen: false });
        Ok(())
    }

    /// The content that blob `blob` stands for, if all of it is still there and it has that size.
    fn find_stored(
        &mut self,
        blob: ObjectId,
        size: u64,
        pointer: bool,
    ) -> Result<Option<StoredFile>, StoreError> {
        let catalog = &self.base.catalog;
        let Ok((sha256, is_pointer)) = catalog.blob(blob) else { return Ok(None) };
        let found = unless_damaged(catalog.file_size(sha256));
        let fits = found == Some(size) && is_pointer == (pointer && size > 0) && self.is_known(sha256)?;
        Ok(fits.then_some(StoredFile { sha256, size, blob, new_bytes: 0 }))
    }
}

/// Shares files out: neighbours together, large ones alone.
fn batches<S: Sources>(sources: &S) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for at in 0..sources.count() {
        let size = sources.size(at);
        let fits = |last: &&mut Range<usize>| last.len() < BATCH.0 && bytes + size <= BATCH.1;
        if let Some(last) = batches.last_mut().filter(fits) {
            last.end = at + 1;
            bytes += size;
        } else {
            batches.push(at..at + 1);
            bytes = size;
        }
    }
    batches
}

fn prepare<S: Sources>(
    sources: &S,
    at: usize,
    compression: Compression,
    catalog: &Catalog,
) -> Item<S::Error> {
    if let Some((blob, size)) = sources.seen(at) {
        return Item::Seen(blob, size);
    }
    if sources.size(at) >= WHOLE_FILE {
        return Item::Large;
    }
    let mut content = match sources.open(at) {
        Ok(content) => content,
        Err(error) => return Item::Failed(error),
    };
    if content.size() >= WHOLE_FILE {
        return Item::Large;
    }
    match Small::read(&mut *content, sources.is_pointer(at), compression, catalog) {
        Ok(small) => Item::Small(small),
        Err(error) => Item::Failed(error.into()),
    }
}

fn work<S: Sources>(
    queue: &Queue<Vec<Item<S::Error>>>,
    batches: &[Range<usize>],
    sources: &S,
    compression: Compression,
    catalog: &Catalog,
) {
    let stop = Stop(queue);
    while let Some(number) = queue.take() {
        let items = batches[number].clone().map(|at| prepare(sources, at, compression, catalog));
        queue.put(number, items.collect());
    }
    // Only a panic stops the others.
    std::mem::forget(stop);
}

/// Numbered work handed out in order, whose results are taken in order.
struct Queue<T> {
    count: usize,
    window: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    next: usize,
    taken: usize,
    done: BTreeMap<usize, T>,
    stopped: bool,
}

impl<T> Queue<T> {
    fn new(count: usize, window: usize) -> Self {
        let state = State { next: 0, taken: 0, done: BTreeMap::new(), stopped: false };
        Self { count, window, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next number to work on; `None` when there is none, or no use.
    fn take(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            if state.stopped || state.next == self.count {
                return None;
            }
            if state.next < state.taken + self.window {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.wait(state);
        }
    }

    fn put(&self, number: usize, result: T) {
        self.state().done.insert(number, result);
        self.changed.notify_all();
    }

    /// The result of `number`, each asked for in turn.
    fn wait_for(&self, number: usize) -> Option<T> {
        let mut state = self.state();
        loop {
            if let Some(result) = state.done.remove(&number) {
                state.taken = number + 1;
                self.changed.notify_all();
                return Some(result);
            }
            if state.stopped {
                return None;
            }
            state = self.wait(state);
        }
    }
}

/// Tells everybody to stop when it is dropped.
struct Stop<'a, T>(&'a Queue<T>);

impl<T> Drop for Stop<'_, T> {
    fn drop(&mut self) {
        self.0.state().stopped = true;
        self.0.changed.notify_all();
    }
}
