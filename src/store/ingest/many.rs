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
use std::iter::Peekable;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use super::small::Small;
use super::{Content, StoredFile, WHOLE_FILE};
use crate::store::catalog::Catalog;
use crate::store::error::StoreError;
use crate::store::id::ObjectId;
use crate::store::pack::Compression;
use crate::store::stat_cache::Fingerprint;
use crate::store::transaction::Transaction;

#[cfg(test)]
mod tests;

/// Most files a worker takes at a time, and the bytes from which it takes no more.
const BATCH: (usize, u64) = (64, 1 << 20);
/// Batches each worker may be ahead of the writer.
const AHEAD: usize = 3;

/// What is to be known of files to be stored, and how they are opened.
pub trait Sources: Sync {
    /// One of them.
    type File: Send;
    /// Why a file cannot be opened, or the next one not be found.
    type Error: From<StoreError> + Send;

    /// How long it is said to be; files are shared out by that.
    fn size(&self, file: &Self::File) -> u64;

    /// Whether Git sees its LFS pointer.
    fn is_pointer(&self, file: &Self::File) -> bool;

    /// The blob it was stored as, and its size, when it is known to be the same still. It is read all the same
    /// when the vault has that content no longer.
    fn seen(&self, file: &Self::File) -> Option<(ObjectId, u64)>;

    /// Opens it. Called from several threads; what it answers stays on the thread that called.
    fn open<'f>(&'f self, file: &'f Self::File) -> Result<Box<dyn Content + 'f>, Self::Error>;
}

/// Files, or why the next one cannot be told, in the order they are to lie in.
pub type Files<'f, S> =
    &'f mut (dyn Iterator<Item = Result<<S as Sources>::File, <S as Sources>::Error>> + Send);

/// What happens to files while they are stored; told in their order.
#[derive(Debug)]
pub enum Storing<'f, F> {
    /// This one is next.
    Begins(&'f F),
    /// So many more of its bytes were read.
    Read(u64),
}

/// What became of a file.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// What it is.
    pub stored: StoredFile,
    /// What tells that file from any other, where there is such a thing; `None` when it was not read.
    pub fingerprint: Option<Fingerprint>,
    /// Whether it was not read, because it had been seen.
    pub seen: bool,
}

/// Who is told: of each step, and of each file once it is stored.
pub struct Told<'t, 'v, S: Sources> {
    /// What happens to files.
    pub steps: &'t mut dyn FnMut(Storing<'_, S::File>),
    /// The files that are stored, in order.
    pub done: &'t mut dyn FnMut(&mut Transaction<'v>, S::File, Done) -> Result<(), S::Error>,
}

impl<S: Sources> std::fmt::Debug for Told<'_, '_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

/// What a worker made of a file.
enum Item<E> {
    Seen(ObjectId, u64),
    Small(Small),
    /// Left to the writer.
    Large,
    Failed(E),
}

/// Neighbours that one worker takes together, and what came in the place of the next.
struct Batch<F, E> {
    files: Vec<F>,
    failed: Option<E>,
}

impl<'v> Transaction<'v> {
    /// Stores all `files` of `sources`.
    ///
    /// # Errors
    /// For the first file that fails, what `files`, [`Sources::open`], [`Transaction::add_content`] and `told` answer.
    pub fn add_all<S: Sources>(
        &mut self,
        sources: &S,
        files: Files<'_, S>,
        told: &mut Told<'_, 'v, S>,
    ) -> Result<(), S::Error> {
        let workers = available_parallelism().map_or(1, usize::from);
        self.add_all_with(sources, files, workers, told)
    }

    pub(super) fn add_all_with<S: Sources>(
        &mut self,
        sources: &S,
        files: Files<'_, S>,
        workers: usize,
        told: &mut Told<'_, 'v, S>,
    ) -> Result<(), S::Error> {
        let (base, compression) = (Arc::clone(&self.base), self.compression);
        let mut batches = Batches { sources, files: files.peekable() };
        let Some(first) = batches.next() else { return Ok(()) };
        let has_more = first.failed.is_none() && batches.files.peek().is_some();
        let mut batches = std::iter::once(first).chain(batches);
        if !has_more || workers < 2 {
            return batches.try_for_each(|Batch { files, failed }| {
                for file in files {
                    let item = prepare(sources, &file, compression, &base.catalog);
                    self.store_item(sources, file, item, told)?;
                }
                failed.map_or(Ok(()), Err)
            });
        }
        let queue = Queue::new(batches, workers * AHEAD);
        thread::scope(|threads| {
            let _stop = Stop(&queue);
            for _ in 0..workers {
                threads.spawn(|| work(&queue, sources, compression, &base.catalog));
            }
            // Nothing comes when a worker panicked, and then the scope does.
            let mut numbers = 0..;
            while let Some((items, failed)) = numbers.next().and_then(|number| queue.wait_for(number)) {
                for (file, item) in items {
                    self.store_item(sources, file, item, told)?;
                }
                failed.map_or(Ok(()), Err)?;
            }
            Ok(())
        })
    }

    fn store_item<S: Sources>(
        &mut self,
        sources: &S,
        file: S::File,
        item: Item<S::Error>,
        told: &mut Told<'_, 'v, S>,
    ) -> Result<(), S::Error> {
        self.vault.interrupt().check()?;
        (told.steps)(Storing::Begins(&file));
        let pointer = sources.is_pointer(&file);
        let seen = match item {
            Item::Failed(error) => return Err(error),
            Item::Small(small) => {
                let fingerprint = small.fingerprint;
                let stored = self.store_small(small)?;
                (told.steps)(Storing::Read(stored.size));
                return (told.done)(self, file, Done { stored, fingerprint, seen: false });
            }
            Item::Seen(blob, size) => self.find_stored(blob, size, pointer)?,
            Item::Large => None,
        };
        if let Some(stored) = seen {
            (told.steps)(Storing::Read(stored.size));
            return (told.done)(self, file, Done { stored, fingerprint: None, seen: true });
        }
        let mut content = sources.open(&file)?;
        let stored = self.add_content(&mut *content, pointer, &mut |n| (told.steps)(Storing::Read(n)))?;
        let fingerprint = content.fingerprint();
        drop(content);
        (told.done)(self, file, Done { stored, fingerprint, seen: false })
    }

    /// The content that blob `blob` stands for, if all of it is still there and it has that size.
    fn find_stored(
        &mut self,
        blob: ObjectId,
        size: u64,
        pointer: bool,
    ) -> Result<Option<StoredFile>, StoreError> {
        let Ok((sha256, is_pointer)) = self.base.catalog.blob(blob) else { return Ok(None) };
        let fits = is_pointer == (pointer && size > 0) && self.known_size(sha256)? == Some(size);
        Ok(fits.then_some(StoredFile { sha256, size, blob, new_bytes: 0 }))
    }
}

/// Shares files out: neighbours together, large ones alone.
struct Batches<'s, S: Sources, I: Iterator> {
    sources: &'s S,
    files: Peekable<I>,
}

impl<S: Sources, I: Iterator<Item = Result<S::File, S::Error>>> Iterator for Batches<'_, S, I> {
    type Item = Batch<S::File, S::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batch = Batch { files: Vec::new(), failed: None };
        let mut bytes = 0;
        while let Some(next) = self.files.peek() {
            if let Ok(file) = next {
                bytes += self.sources.size(file);
                let fits = batch.files.len() < BATCH.0 && bytes <= BATCH.1;
                if !fits && !batch.files.is_empty() {
                    break;
                }
            }
            match self.files.next()? {
                Ok(file) => batch.files.push(file),
                Err(error) => {
                    batch.failed = Some(error);
                    break;
                }
            }
        }
        (!batch.files.is_empty() || batch.failed.is_some()).then_some(batch)
    }
}

fn prepare<S: Sources>(
    sources: &S,
    file: &S::File,
    compression: Compression,
    catalog: &Catalog,
) -> Item<S::Error> {
    if let Some((blob, size)) = sources.seen(file) {
        return Item::Seen(blob, size);
    }
    if sources.size(file) >= WHOLE_FILE {
        return Item::Large;
    }
    let mut content = match sources.open(file) {
        Ok(content) => content,
        Err(error) => return Item::Failed(error),
    };
    if content.size() >= WHOLE_FILE {
        return Item::Large;
    }
    match Small::read(&mut *content, sources.is_pointer(file), compression, catalog) {
        Ok(small) => Item::Small(small),
        Err(error) => Item::Failed(error.into()),
    }
}

/// What a worker made of a batch: its files, each with what it is, and what came in the place of the next.
type Made<S> = (Vec<(<S as Sources>::File, Item<<S as Sources>::Error>)>, Option<<S as Sources>::Error>);

fn work<S: Sources>(
    queue: &Queue<impl Iterator<Item = Batch<S::File, S::Error>>, Made<S>>,
    sources: &S,
    compression: Compression,
    catalog: &Catalog,
) {
    let stop = Stop(queue);
    while let Some((number, Batch { files, failed })) = queue.take() {
        let items = files.into_iter().map(|file| {
            let item = prepare(sources, &file, compression, catalog);
            (file, item)
        });
        queue.put(number, (items.collect(), failed));
    }
    // Only a panic stops the others.
    std::mem::forget(stop);
}

/// Numbered work handed out in order, whose results are taken in order.
struct Queue<I, T> {
    window: usize,
    state: Mutex<State<I, T>>,
    changed: Condvar,
}

struct State<I, T> {
    /// What is still to be done; `None` when there is no more.
    work: Option<I>,
    next: usize,
    taken: usize,
    done: BTreeMap<usize, T>,
    stopped: bool,
}

impl<I: Iterator, T> Queue<I, T> {
    fn new(work: I, window: usize) -> Self {
        let state = State { work: Some(work), next: 0, taken: 0, done: BTreeMap::new(), stopped: false };
        Self { window, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next work, with its number; `None` when there is none, or no use.
    fn take(&self) -> Option<(usize, I::Item)> {
        let mut state = self.state();
        loop {
            if state.stopped || state.work.is_none() {
                return None;
            }
            if state.next < state.taken + self.window {
                let Some(work) = state.work.as_mut().and_then(Iterator::next) else {
                    state.work = None;
                    self.changed.notify_all();
                    return None;
                };
                state.next += 1;
                return Some((state.next - 1, work));
            }
            state = self.wait(state);
        }
    }

    /// The result of `number`, each asked for in turn; `None` behind the last.
    fn wait_for(&self, number: usize) -> Option<T> {
        let mut state = self.state();
        loop {
            if let Some(result) = state.done.remove(&number) {
                state.taken = number + 1;
                self.changed.notify_all();
                return Some(result);
            }
            if state.stopped || (state.work.is_none() && number == state.next) {
                return None;
            }
            state = self.wait(state);
        }
    }
}

impl<I, T> Queue<I, T> {
    fn state(&self) -> MutexGuard<'_, State<I, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<I, T>>) -> MutexGuard<'a, State<I, T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, number: usize, result: T) {
        self.state().done.insert(number, result);
        self.changed.notify_all();
    }
}

/// Tells everybody to stop when it is dropped.
struct Stop<'a, I, T>(&'a Queue<I, T>);

impl<I, T> Drop for Stop<'_, I, T> {
    fn drop(&mut self) {
        self.0.state().stopped = true;
        self.0.changed.notify_all();
    }
}
