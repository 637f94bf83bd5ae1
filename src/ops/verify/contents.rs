//! Putting files together and comparing them with the ids they are known by, several at a time.
//!
//! ```text
//!   walk --> blobs --+--> worker: read, check each chunk --> SHA-256 --+--> in the order of the walk
//!     (one thread)   +--> worker: read, check each chunk --> SHA-256 --+
//! ```
//!
//! The SHA-256 of a large file has a thread of its own beside the worker that reads it and checks its chunks. Whatever the
//! number of threads, answers are the same and come in the order of the walk; how far workers may be ahead is bounded, and
//! with it memory. Must not know what is said of an answer, nor how anybody came upon a blob.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use super::PackKey;
use crate::store::StoreError;
use crate::store::catalog::checked::{Seen, Stretch};
use crate::store::catalog::{Catalog, FileRecord, Pack};
use crate::store::id::{ObjectId, Sha256};
use crate::store::ingest::Identity;
use crate::store::interrupt::Interrupt;

/// Most often that stored bytes may be repeated in one file for `verify` to put it together: a bound on what a
/// hostile index can make it read.
const MAX_REPETITION: u64 = 1024;
/// Files from here on are hashed by another thread than reads them.
const LARGE: u64 = 4 << 20;
/// Buffers of about a megabyte that wait between these two; each of them has one more at hand.
const BUFFERS: usize = 2;
/// Most files that are put together at the same time: each may have these buffers.
const WORKERS: usize = 8;
/// Most blobs that are asked about and not answered.
const AHEAD: usize = 1024;
/// Most blobs a worker takes at a time.
const TAKEN: usize = 16;
/// Read bytes that are told of at once.
const TOLD: u64 = 1 << 20;

/// Chunks that are not what their rows say, and what is wrong with each; by the number of its index in the catalog, and
/// its own in the index.
pub(super) type BadChunks = BTreeMap<(usize, u32), String>;

/// What keeps a file from being what it should be.
#[derive(Debug, Default)]
pub(super) struct Hurt {
    /// Findings about packs it lies in.
    pub(super) packs: Vec<usize>,
    /// Chunks it lies in.
    pub(super) chunks: BadChunks,
}

impl Hurt {
    fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.chunks.is_empty()
    }
}

/// Nothing in it when a file is what it should be.
pub(super) type Answer = Result<Hurt, StoreError>;

/// What is known before any file is put together.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    pub(super) catalog: &'a Catalog,
    /// Packs that are missing or have another length, and the finding that says so.
    pub(super) bad_packs: &'a HashMap<PackKey, usize>,
    /// Which chunks were read; `None` when none is to be.
    pub(super) seen: Option<&'a Seen>,
    /// Decoded bytes of all packs.
    pub(super) raw_bytes: u64,
    pub(super) interrupt: &'a Interrupt,
}

impl Contents<'_> {
    /// Looks at one file. `read` is told how many bytes of packs were read that had not been before.
    pub(super) fn check(&self, blob: ObjectId, read: &dyn Fn(u64)) -> Answer {
        let (sha256, pointer) = self.catalog.blob(blob)?;
        let record = self.catalog.file(sha256)?;
        let mut hurt = Hurt { packs: self.bad_packs_of(&record)?, chunks: BadChunks::new() };
        let Some(seen) = self.seen else { return Ok(hurt) };
        if record.size > self.raw_bytes.saturating_mul(MAX_REPETITION) {
            if !hurt.is_empty() {
                return Ok(hurt);
            }
            let detail = format!(
                "sha256:{} is said to have {} bytes, far more than is stored",
                record.sha256, record.size
            );
            return Err(StoreError::Damaged { file: record.described_in(), detail });
        }
        let mut identity = Identity::new(record.size, pointer);
        let found = if record.size < LARGE {
            let done = self.read(&record, seen, read, &mut hurt, &mut |stretch, from, to| {
                identity.update(&stretch.bytes[stretch.between(from, to)]);
                stretch.bytes
            });
            done.map(|()| identity.finish())
        } else {
            self.read_beside(&record, seen, read, &mut hurt, identity)
        };
        if self.interrupt.check().is_err() || !hurt.is_empty() {
            return Ok(hurt);
        }
        if found? == (record.sha256, blob) {
            return Ok(hurt);
        }
        Err(StoreError::Damaged {
            file: record.described_in(),
            detail: format!("what it says is sha256:{} and blob {blob} is another content", record.sha256),
        })
    }

    /// Findings about packs that a file lies in.
    fn bad_packs_of(&self, record: &FileRecord) -> Result<Vec<usize>, StoreError> {
        let mut findings = Vec::new();
        for extent in &record.extents {
            let pack = self.catalog.pack_of(record, extent)?;
            findings.extend(self.bad_packs.get(&key(&pack)).filter(|_| extent.len > 0));
        }
        findings.sort_unstable();
        findings.dedup();
        Ok(findings)
    }

    /// Reads a file, every chunk of it whatever became of others, and hands over the part of each stretch that is the
    /// file's, as long as nothing is wrong.
    fn read(
        &self,
        record: &FileRecord,
        seen: &Seen,
        read: &dyn Fn(u64),
        hurt: &mut Hurt,
        each: &mut dyn FnMut(Stretch, u64, u64) -> Vec<u8>,
    ) -> Result<(), StoreError> {
        let mut buffer = Vec::new();
        for extent in &record.extents {
            let pack = self.catalog.pack_of(record, extent)?;
            if self.bad_packs.contains_key(&key(&pack)) {
                continue;
            }
            let (mut at, end) = (extent.start, extent.start + extent.len);
            while at < end {
                if self.interrupt.check().is_err() {
                    return Ok(());
                }
                let stretch = self.catalog.read_stretch(&pack, (at, end), buffer)?;
                read(note(seen, &pack, &stretch, &mut hurt.chunks));
                let next = stretch.end();
                buffer = if hurt.is_empty() { each(stretch, at, next.min(end)) } else { stretch.bytes };
                at = next;
            }
        }
        Ok(())
    }

    /// As [`Self::read`], while another thread hashes; answers the ids.
    fn read_beside(
        &self,
        record: &FileRecord,
        seen: &Seen,
        read: &dyn Fn(u64),
        hurt: &mut Hurt,
        identity: Identity,
    ) -> Result<(Sha256, ObjectId), StoreError> {
        let (give, take) = sync_channel::<(Stretch, u64, u64)>(BUFFERS);
        let (back, again) = sync_channel(BUFFERS + 2);
        thread::scope(|threads| {
            let hashing = threads.spawn(move || hash(identity, &take, &back));
            let done = self.read(record, seen, read, hurt, &mut |stretch, from, to| {
                // It takes all that it is given, unless it panicked; then so does this one, below.
                drop(give.send((stretch, from, to)));
                again.try_recv().unwrap_or_default()
            });
            drop(give);
            let ids = hashing.join().unwrap_or_else(|panic| resume_unwind(panic));
            done.map(|()| ids)
        })
    }
}

fn hash(
    mut identity: Identity,
    take: &Receiver<(Stretch, u64, u64)>,
    back: &SyncSender<Vec<u8>>,
) -> (Sha256, ObjectId) {
    for (stretch, from, to) in take {
        identity.update(&stretch.bytes[stretch.between(from, to)]);
        // Where nobody reads any longer no buffer is needed.
        drop(back.try_send(stretch.bytes));
    }
    identity.finish()
}

/// Notes that the chunks of a stretch were read, and which of them are bad; answers how many stored bytes are new.
pub(super) fn note(seen: &Seen, pack: &Pack, stretch: &Stretch, bad: &mut BadChunks) -> u64 {
    let number = |at: usize| stretch.first.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
    let place = |at| (seen.number_of(pack), number(at));
    bad.extend(stretch.failed.iter().map(|(at, error)| (place(*at), error.to_string())));
    let rows = stretch.rows.iter().enumerate();
    rows.filter(|(at, _)| seen.note(pack, number(*at))).map(|(_, row)| u64::from(row.stored_len)).sum()
}

/// By which a pack is known, also one inside an index.
pub(super) fn key(pack: &Pack) -> PackKey {
    (pack.row.id, pack.file())
}

/// How many workers there should be.
pub(super) fn workers() -> usize {
    available_parallelism().map_or(1, usize::from).min(WORKERS)
}

/// Blobs that workers are asked about, and their answers.
#[derive(Default)]
struct State {
    asked: VecDeque<(u64, ObjectId)>,
    answers: BTreeMap<u64, Answer>,
    /// Bytes that were read and not told of.
    read: u64,
    /// Nobody asks, or nobody answers, any longer.
    closed: bool,
}

/// Asks workers about blobs; what they answer comes in the order in which they were asked.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    asked: Condvar,
    answered: Condvar,
}

/// What came from the workers.
pub(super) struct News {
    /// How many more bytes of packs were read.
    pub(super) read: u64,
    /// The answer that was waited for, if it is there.
    pub(super) answer: Option<Answer>,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks; `number` is one more than that of the blob before it. Nobody is woken for a few: small files would cost more
    /// than they are worth.
    pub(super) fn ask(&self, number: u64, blob: ObjectId) {
        let mut state = self.state();
        state.asked.push_back((number, blob));
        if state.asked.len().is_multiple_of(TAKEN) {
            self.asked.notify_one();
        }
    }

    /// What is new, and the answer with this number: the oldest that was not taken. Waits for it when `waiting` of them
    /// are too many, or none may be left; `None` when no answer will come.
    pub(super) fn news(&self, number: u64, waiting: usize, none_left: bool) -> Option<News> {
        let mut state = self.state();
        loop {
            let answer = state.answers.remove(&number);
            let (read, must_wait) = (std::mem::take(&mut state.read), none_left || waiting >= AHEAD);
            if answer.is_some() || read > 0 || !must_wait {
                return Some(News { read, answer });
            }
            if state.closed {
                return None;
            }
            self.asked.notify_all();
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What a worker does until the desk is closed. What it found is told together when it is much: whoever waits for it
    /// need not wake up for each small file.
    pub(super) fn work(&self, contents: &Contents<'_>) {
        let _close = Close(self);
        let untold = Cell::new(0);
        let read = |bytes| {
            untold.set(untold.get() + bytes);
            if untold.get() >= TOLD {
                self.tell(&untold, &mut Vec::new());
            }
        };
        while let Some(taken) = self.take() {
            let mut answers = Vec::new();
            for (number, blob) in taken {
                let before = untold.get();
                answers.push((number, contents.check(blob, &read)));
                if untold.get() < before {
                    self.tell(&untold, &mut answers);
                }
            }
            self.tell(&untold, &mut answers);
        }
    }

    fn tell(&self, untold: &Cell<u64>, answers: &mut Vec<(u64, Answer)>) {
        let mut state = self.state();
        state.read += untold.take();
        state.answers.extend(answers.drain(..));
        self.answered.notify_one();
    }

    /// Some of the blobs that are asked about, so that others find some too.
    fn take(&self) -> Option<Vec<(u64, ObjectId)>> {
        let mut state = self.state();
        while state.asked.is_empty() {
            if state.closed {
                return None;
            }
            state = self.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let many = (state.asked.len() / TAKEN).clamp(1, TAKEN);
        Some(state.asked.drain(..many).collect())
    }
}

/// Closes the desk when whoever holds it is done, or panics: nobody waits for him then.
pub(super) struct Close<'a>(pub(super) &'a Desk);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.asked.notify_all();
        self.0.answered.notify_all();
    }
}
