//! Reading to check: every chunk is read and compared with its hash, damage stops nothing, and which chunks were read is
//! remembered, so that nothing needs to be read twice.
//!
//! For `verify`. Knows indexes, packs and chunks; not which file a chunk belongs to, nor what is said of damage.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::run::{numbered_chunks_at, raw_run};
use super::{Catalog, Pack};
use crate::store::chunk;
use crate::store::error::StoreError;
use crate::store::id::IndexId;
use crate::store::index::ChunkRow;

/// Bytes read at a time, in chunks that lie next to each other.
const STRETCH: usize = 1 << 20;
/// Most chunks of a stretch.
const MOST: u32 = 256;
/// Chunks are about this long; more of them than so many are seldom looked for in vain.
const SHORT: u64 = (chunk::TARGET / 2) as u64;

/// Neighbouring chunks of a pack, read and checked.
#[derive(Debug)]
pub struct Stretch {
    /// Number of the first one in the index that describes the pack.
    pub first: u32,
    /// Their rows; at least one.
    pub rows: Vec<ChunkRow>,
    /// Their decoded bytes, one behind the other. Those of a failed chunk mean nothing, nor what comes behind all of them.
    pub bytes: Vec<u8>,
    /// Which of `rows` could not be read or are not what they are said to be, in order, and why.
    pub failed: Vec<(usize, StoreError)>,
}

impl Stretch {
    /// Where it ends among the decoded bytes of the pack.
    pub fn end(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.raw_start + u64::from(row.raw_len))
    }

    /// The number that follows those of its chunks.
    pub fn after(&self) -> u32 {
        self.first.saturating_add(u32::try_from(self.rows.len()).unwrap_or(u32::MAX))
    }

    /// Its bytes from one decoded position of the pack to another.
    pub fn between(&self, from: u64, to: u64) -> Range<usize> {
        let start = self.rows.first().map_or(0, |row| row.raw_start);
        let inside =
            |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(self.bytes.len());
        inside(from)..inside(to)
    }
}

impl Catalog {
    /// Reads and checks chunks of a pack, from the one that holds the decoded byte at `from` on, none that begins at `to`
    /// or later: about a megabyte of them. `buffer` is used again for their bytes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the index does not say which chunks these are. What is wrong with a chunk is no
    /// error here.
    pub fn read_stretch(
        &self,
        pack: &Pack,
        (from, to): (u64, u64),
        buffer: Vec<u8>,
    ) -> Result<Stretch, StoreError> {
        let most = to.saturating_sub(from).min(STRETCH as u64) / SHORT + 2;
        let (first, mut rows) = numbered_chunks_at(pack, from, usize::try_from(most).unwrap_or(1))?;
        let wanted = rows.iter().skip(1).take_while(|row| row.raw_start < to).count() + 1;
        rows.truncate(wanted);
        Ok(self.read_rows(pack, first, rows, buffer))
    }

    /// The same for the first ones of the chunks of a pack with these numbers.
    ///
    /// # Errors
    /// As [`Self::read_stretch`].
    pub fn read_chunks(
        &self,
        pack: &Pack,
        chunks: Range<u32>,
        buffer: Vec<u8>,
    ) -> Result<Stretch, StoreError> {
        let count = chunks.end.saturating_sub(chunks.start).min(MOST);
        let rows = pack.index.rows_at(chunks.start, count)?;
        Ok(self.read_rows(pack, chunks.start, rows, buffer))
    }

    fn read_rows(&self, pack: &Pack, first: u32, mut rows: Vec<ChunkRow>, mut buffer: Vec<u8>) -> Stretch {
        // What a buffer held before stays in it beyond what is read: filling it with zeros would cost as much as copying.
        let (mut done, mut len, mut failed) = (0, 0, Vec::new());
        while done < rows.len() && len < STRETCH {
            let (run, run_len) = raw_run(pack, &rows[done..], STRETCH);
            let count = run.len().max(1);
            let read = room(&mut buffer, len, run_len);
            if run.is_empty() || self.read_run(pack, run, read).is_err() {
                // One by one, to find out which of them it is.
                let mut at = len;
                for (number, row) in rows.iter().enumerate().skip(done).take(count) {
                    let place = room(&mut buffer, at, row.raw_len as usize);
                    match self.read_chunk(pack, row) {
                        Ok(bytes) => place.copy_from_slice(&bytes),
                        Err(error) => failed.push((number, error)),
                    }
                    at += row.raw_len as usize;
                }
                len = at;
            } else {
                len += run_len;
            }
            done += count;
        }
        rows.truncate(done);
        Stretch { first, rows, bytes: buffer, failed }
    }
}

/// A part of a buffer, which grows when it is too short.
fn room(buffer: &mut Vec<u8>, start: usize, len: usize) -> &mut [u8] {
    if buffer.len() < start + len {
        buffer.resize(start + len, 0);
    }
    &mut buffer[start..start + len]
}

/// Which chunks of a catalog's indexes were read: a bit for each. Can be shared between threads.
#[derive(Debug)]
pub struct Seen(HashMap<IndexId, (usize, Vec<AtomicU64>)>);

impl Seen {
    /// None of them yet.
    pub fn nothing_of(catalog: &Catalog) -> Self {
        let words = |count: u32| (0..count.div_ceil(u64::BITS)).map(|_| AtomicU64::new(0)).collect();
        let indexes = catalog.indexes().iter().enumerate();
        Self(indexes.map(|(at, index)| (index.id(), (at, words(index.count::<ChunkRow>())))).collect())
    }

    fn bit(&self, pack: &Pack, chunk: u32) -> Option<(&AtomicU64, u64)> {
        let (_, words) = self.0.get(&pack.index.id())?;
        Some((words.get((chunk / u64::BITS) as usize)?, 1 << (chunk % u64::BITS)))
    }

    /// Notes that a chunk was read; answers whether it is the first time.
    pub fn note(&self, pack: &Pack, chunk: u32) -> bool {
        self.bit(pack, chunk).is_none_or(|(word, bit)| word.fetch_or(bit, Relaxed) & bit == 0)
    }

    /// Whether a chunk was read.
    pub fn holds(&self, pack: &Pack, chunk: u32) -> bool {
        self.bit(pack, chunk).is_some_and(|(word, bit)| word.load(Relaxed) & bit != 0)
    }

    /// The first chunks of a pack, from this number on, that were not read; not more of them than are read together.
    pub fn missing(&self, pack: &Pack, from: u32) -> Option<Range<u32>> {
        let end = pack.row.first_chunk.saturating_add(pack.row.chunk_count);
        let start = (from..end).find(|&chunk| !self.holds(pack, chunk))?;
        let end = end.min(start.saturating_add(MOST));
        let after = (start..end).find(|&chunk| self.holds(pack, chunk)).unwrap_or(end);
        Some(start..after)
    }

    /// Where the index that describes a pack is among the catalog's.
    pub fn number_of(&self, pack: &Pack) -> usize {
        self.0.get(&pack.index.id()).map_or(usize::MAX, |(at, _)| *at)
    }
}
